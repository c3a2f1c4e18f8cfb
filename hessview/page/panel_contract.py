"""Panels as the page gets them: what each kind of figure needs, stated once for both sides.

Part of the page's contract; see `page.contract`.
"""

from typing import Any, Literal, NotRequired, TypedDict

Cell = float | int | str | None
"""One value of a record."""
Rows = list[list[str]]
"""Rows of a table of plain text; the first cell of a row names it."""
Numbers = list[list[float | None]]
"""A matrix, by rows; None where a number is missing."""
Json = Any
"""A JSON value that the page passes on without reading it."""


class Figure(TypedDict):
    """A Plotly figure, without the arrays that the page computes.

    Attributes:
        data: Traces, each with meta.role, by which the page knows it.
        layout: The layout, without a title.
    """

    data: list[dict[str, Any]]
    layout: dict[str, Any]


class Probe(TypedDict):
    """Lanczos coefficients of a probe's leading steps, in full precision.

    Attributes:
        probe: Its number, from 0.
        alpha: Diagonal of its Jacobi matrix.
        beta: Off-diagonal, of the same length: the last is the norm of the residual left.
        merged: After each step, which Ritz values are copies, as `analysis.ritz.merges_of` has it;
            where all vectors are kept there are none.
    """

    probe: int
    alpha: list[float]
    beta: list[float]
    merged: NotRequired[list[list[int]]]


class Coefficients(TypedDict):
    """What every spectrum is computed from.

    Attributes:
        steps: Steps asked of each probe.
        over: Whether nothing more can arrive.
        probes: Those that are begun.
    """

    steps: int
    over: bool
    probes: list[Probe]


class Head(TypedDict):
    """What every panel has.

    Attributes:
        title: What it shows.
        subtitle: Of what, and how it was measured.
        message: Why there is nothing to draw, "" if there is.
        again: The command that was asked for, None if it is not known.
        shares: Place in the section of a panel whose values this one uses as well.
    """

    title: str
    subtitle: str
    message: str
    again: NotRequired[dict[str, Json] | None]
    shares: NotRequired[int]


PanelKind = Literal["convergence", "coupling", "density", "figure", "settings", "sweep", "text"]
"""Kinds of a run's panels, by which the page knows how to draw them."""


class Blank(Head):
    """A panel of which nothing is measured yet.

    Attributes:
        kind: What it will be.
        figure: Not there.
    """

    kind: PanelKind
    figure: NotRequired[None]


class TextBody(TypedDict):
    """A table made of text.

    Attributes:
        text: Its lines.
    """

    text: str


class DensityBody(Coefficients):
    """A density of which any steps and probes can be drawn.

    Attributes:
        subtitle: What was measured how.
        figure: The density's figure.
        marks: Smallest and largest eigenvalue of the whole run, each with its uncertainty.
        all: Probes that were asked for.
    """

    subtitle: str
    figure: Figure
    marks: list[list[float]]
    all: list[int]


class Bounds(TypedDict, total=False):
    """How near an eigenvalue must be to an extreme Ritz value, the products' errors included.

    Attributes:
        largest: Of the largest one.
        smallest: Of the smallest one.
    """

    largest: float | None
    smallest: float | None


class ConvergenceBody(TypedDict):
    """How the extremes of any probe settle; the density beside it has the coefficients.

    Attributes:
        subtitle: What is drawn.
        figure: The figure.
        extremes: How many of each end are drawn.
        asymmetries: Of each step of a probe, by the probe's number; None where there is none.
        bounds: By the probe's number.
    """

    subtitle: str
    figure: Figure
    extremes: int
    asymmetries: dict[str, list[float | None]]
    bounds: dict[str, Bounds]


class SpectrumWithoutFigure(Coefficients):
    """A density without what it has in common with others.

    Attributes:
        subtitle: What was measured how.
        marks: As of a density.
        all: As of a density.
    """

    subtitle: str
    marks: list[list[float]]
    all: list[int]


class SpectrumAt(SpectrumWithoutFigure):
    """The spectrum at a setting.

    Attributes:
        at: The setting.
    """

    at: float


class SpectrumOfRun(SpectrumWithoutFigure):
    """The spectrum at a training step.

    Attributes:
        message: "".
    """

    message: str


class NoSpectrum(TypedDict):
    """A training step at which nothing is measured yet.

    Attributes:
        message: That it is so.
        subtitle: "".
        probes: Not there.
    """

    message: str
    subtitle: str
    probes: NotRequired[None]


class Shared(TypedDict, total=False):
    """What the spectra of a panel have in common.

    Attributes:
        figure: The density's figure.
    """

    figure: Figure


class Spectra(TypedDict):
    """Spectra at the settings of a figure.

    Attributes:
        density: What they have in common.
        spectra: One for each setting of which one is measured, ascending.
    """

    density: Shared
    spectra: list[SpectrumAt]


class Over(TypedDict):
    """The settings over which a slider moves, and the numbers at each.

    Attributes:
        label: What is set.
        axis: The axis of the figure that shows it.
        log: Whether it is logarithmic.
        askable: Whether another setting can be measured.
        values: The measured settings, ascending.
        head: Names of the columns.
        rows: For each value, rows of text.
    """

    label: str
    axis: str
    log: bool
    askable: bool
    values: list[float]
    head: list[str]
    rows: list[Rows]


class FigureBody(TypedDict):
    """A figure as it was made.

    Attributes:
        subtitle: What was measured how.
        figure: The figure.
        warning: What is to be known before it is read, "".
        dark: What some of its colours become on a dark ground.
    """

    subtitle: str
    figure: Figure
    warning: str
    dark: dict[str, str]


class SettingsBody(FigureBody):
    """A figure over settings, of which one can be put in front.

    Attributes:
        over: The settings.
        density: What the spectra at them have in common.
        spectra: Spectra at some of them.
    """

    over: Over
    density: NotRequired[Shared]
    spectra: NotRequired[list[SpectrumAt]]


class SweepBody(FigureBody, Spectra):
    """Spectra over each other, at the settings of a sweep.

    Attributes:
        over: The settings.
        reference: Place of the one from which distances are measured.
    """

    over: Over
    reference: int


class CouplingMatrix(TypedDict):
    """Numbers of all pairs of blocks, as rows.

    Attributes:
        frobenius: Squared norms, or what stands for them.
        frobenius_spread: Their spread over the probes.
        frobenius_noise: Their noise.
        coefficient_spread: Spread of the coefficients.
    """

    frobenius: Numbers
    frobenius_spread: Numbers
    frobenius_noise: Numbers
    coefficient_spread: Numbers


class CouplingView(TypedDict):
    """How a coupling is drawn in a unit and on a scale.

    Attributes:
        zmin: Number of the lightest colour.
        zmax: Number of the darkest.
        colorbar: Plotly's colour bar.
        axis: Plotly's axis of a row.
    """

    zmin: float
    zmax: float
    colorbar: dict[str, Any]
    axis: dict[str, Any]


class CouplingBody(TypedDict):
    """A coupling, and any row of it, in either unit and on either scale.

    Attributes:
        subtitle: What a coefficient is.
        warning: Why the whole is not to be believed, "".
        blocks: Names of the blocks.
        matrix: Their numbers.
        words: The verdicts.
        verdict: Of each cell, its place among the words.
        views: By "normalised log" and so on.
        figure: The matrix' figure.
        row: A row's figure.
        errors: Of each block, what is said beside its row.
    """

    subtitle: str
    warning: str
    blocks: list[str]
    matrix: CouplingMatrix
    words: list[str]
    verdict: list[list[int]]
    views: dict[str, CouplingView]
    figure: Figure
    row: Figure
    errors: list[str]


class DensityPanel(Head, DensityBody):
    """A density.

    Attributes:
        kind: "density".
    """

    kind: Literal["density"]


class ConvergencePanel(Head, ConvergenceBody):
    """The extremes' convergence.

    Attributes:
        kind: "convergence".
    """

    kind: Literal["convergence"]


class FigurePanel(Head, FigureBody):
    """A figure without controls.

    Attributes:
        kind: "figure".
    """

    kind: Literal["figure"]


class SettingsPanel(Head, SettingsBody):
    """A figure over settings.

    Attributes:
        kind: "settings".
    """

    kind: Literal["settings"]


class SweepPanel(Head, SweepBody):
    """A sweep.

    Attributes:
        kind: "sweep".
    """

    kind: Literal["sweep"]


class CouplingPanel(Head, CouplingBody):
    """A coupling.

    Attributes:
        kind: "coupling".
    """

    kind: Literal["coupling"]


class TextPanel(Head, TextBody):
    """A table made of text.

    Attributes:
        kind: "text".
    """

    kind: Literal["text"]


class ComparedRun(TypedDict):
    """A run of a comparison: its coefficients, or where they stand.

    Attributes:
        label: Its name.
        coarse: Whether it has too few steps for the others' kernel width.
        ends: Eigenvalues between which its spectrum was seen.
        at: Place of the section of the page whose first panel holds its coefficients; if there
            is none, they are here.
        steps: As of coefficients.
        over: As of coefficients.
        probes: As of coefficients.
    """

    label: str
    coarse: bool
    ends: list[float]
    at: NotRequired[int]
    steps: NotRequired[int]
    over: NotRequired[bool]
    probes: NotRequired[list[Probe]]


class ComparisonPanel(Head):
    """Spectra of several runs over each other.

    Attributes:
        kind: "comparison".
        figure: The figure.
        dark: What the curves' colours become on a dark ground.
        runs: The runs, in the order of the figure's traces.
        head: Names of the table's columns.
        rows: The table.
    """

    kind: Literal["comparison"]
    figure: Figure
    dark: dict[str, str]
    runs: list[ComparedRun]
    head: list[str]
    rows: Rows


class TrainingPanel(Head):
    """Spectra over the training step.

    Attributes:
        kind: "training".
        figure: The heatmap and the curves above it.
        steps: Training steps, ascending.
        density: What the spectra have in common.
        spectra: That at each training step.
    """

    kind: Literal["training"]
    figure: Figure
    steps: list[int]
    density: Shared
    spectra: list[SpectrumOfRun | NoSpectrum]


Panel = (
    Blank
    | ComparisonPanel
    | ConvergencePanel
    | CouplingPanel
    | DensityPanel
    | FigurePanel
    | SettingsPanel
    | SweepPanel
    | TextPanel
    | TrainingPanel
)
"""A panel, by its kind."""

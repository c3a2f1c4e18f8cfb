"""What Python and the page tell each other, stated once for both sides.

The page's state, a board and what is told of it, and the messages of either side are JSON values
of these forms (None stands for NaN). `python -m hessview.page.generate` makes `src/contract.d.ts`
of this file; tests hold that current, and what Python tells to these forms.
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


class Theme(TypedDict):
    """How a page looks.

    Attributes:
        light: Colours by what they mean, on a light ground; figures come in these.
        dark: The same on a dark ground.
        font: CSS font family.
    """

    light: dict[str, str]
    dark: dict[str, str]
    font: str


class Status(TypedDict):
    """Where a run stands.

    Attributes:
        state: "queued", "running", how it ended, "detached" or "unfinished".
        label: The state in a word, "" where several runs are told of.
        message: Why it ended early, or is not followed, "".
        done: Readings that it has.
        total: Readings that it can have.
        unit: What a reading is.
        left: How long it will take, in words, "" if unknown.
    """

    state: str
    label: str
    message: str
    done: int
    total: int
    unit: str
    left: str


class Tile(TypedDict):
    """A headline number, as plain text.

    Attributes:
        label: What the number is.
        value: The number.
        note: Its uncertainty, or why there is none.
        basis: How the uncertainty was obtained, at length.
        verdict: Whether it is to be believed, "" where that goes without saying.
        tone: Colour of the verdict, as the theme names it.
    """

    label: str
    value: str
    note: str
    basis: str
    verdict: str
    tone: str


class Variable(TypedDict):
    """A variable of a record.

    Attributes:
        dims: Names of its dims.
        values: Its values, flat, the last dim fastest.
    """

    dims: list[str]
    values: list[Cell]


class Readings(TypedDict):
    """Every reading of a run in full precision, for downloads.

    Attributes:
        coords: Places along each dim.
        variables: Variables by name.
        attrs: What is known of the run.
    """

    coords: dict[str, list[Cell]]
    variables: dict[str, Variable]
    attrs: dict[str, Json]


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
        spectra: That at each step.
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


class Section(TypedDict):
    """A run, or several that are told of together.

    Attributes:
        id: The run, "" of several.
        title: Name of the model.
        subtitle: What the numbers are about.
        status: Where it stands.
        tiles: Headline numbers.
        panels: Figures; none on a card.
        provenance: Rows of where the numbers come from.
        record: Every reading, where the page stays as it is.
    """

    id: str
    title: str
    subtitle: str
    status: Status
    tiles: list[Tile]
    panels: list[Panel]
    provenance: Rows
    record: NotRequired[Readings]


class Card(TypedDict):
    """What a session's job holds, as plain text.

    Attributes:
        title: Name of the model.
        subtitle: Its size.
        state: "attached", "watching", "detached", "ended" or "lost".
        message: Why it is lost, "".
        warning: Of versions that differ, "".
        rows: What the job holds.
    """

    title: str
    subtitle: str
    state: str
    message: str
    warning: str
    rows: Rows


class Notice(TypedDict):
    """What a session answered to what was asked from a page.

    Attributes:
        text: The answer.
        tone: Its colour, as the theme names it.
    """

    text: str
    tone: str


class Standing(TypedDict, total=False):
    """Whether a page can ask; nothing at all where there is no session.

    Attributes:
        asking: Whether it can at this moment.
        reason: Why not, "".
        notice: What was answered last.
    """

    asking: bool
    reason: str
    notice: Notice | None


class Sections(TypedDict):
    """What a page tells of runs.

    Attributes:
        sections: One for each run, or for several that measured the same at other settings.
        trainings: One for each training of which there are spectra at several steps.
        comparisons: One at most, of all other density runs.
    """

    sections: list[Section]
    trainings: NotRequired[list[Section]]
    comparisons: NotRequired[list[Section]]


class Page(Standing, Sections):
    """The state of a page.

    Attributes:
        title: Names of the models.
        theme: How it looks.
        card: The session's card.
    """

    title: NotRequired[str]
    theme: Theme
    card: NotRequired[Card | None]


class Entry(TypedDict):
    """A line of a dashboard's list.

    Attributes:
        kind: Kind of run.
        place: Place of the kind among kinds.
        label: How much was asked for.
        detail: Of what, and when.
        status: Where it stands.
        edition: Of several runs, a number that changes when one joins.
    """

    kind: str
    place: int
    label: str
    detail: str
    status: Status
    edition: NotRequired[int]


class Part(TypedDict):
    """A run of a board.

    Attributes:
        entry: Its line of the list.
        section: What the line opens, if some page looks at it.
        revision: Number of its last change.
    """

    entry: Entry
    section: NotRequired[Section]
    revision: NotRequired[int]


class Form(TypedDict):
    """What the form offers that asks for a density.

    Attributes:
        steps: Unless changed.
        probes: Unless changed.
        epsilon: Unless changed.
        operator: Unless changed.
        operators: Names of operators, and how each is called.
    """

    steps: int
    probes: int
    epsilon: float | str
    operator: str
    operators: Rows


class BoardHead(Standing):
    """All of a board that is not about one run.

    Attributes:
        theme: How the page looks.
        card: The session's card, None of records.
        form: None where nothing can be asked for.
        order: Names of the parts, the newest run first.
        asked: Name of the part that was asked for from a page last, "".
    """

    theme: Theme
    card: Card | None
    form: Form | None
    order: list[str]
    asked: str


Change = TypedDict("Change", {"from": int, "to": int, "difference": Json})
"""A difference, as `page.wire.change` makes it, between two revisions of a part."""


class BoardMessage(TypedDict, total=False):
    """What is told of a board.

    Attributes:
        head: The head, if it changed.
        parts: Parts by name; one without section leaves that as it was.
        changes: Changes of parts, by name.
        told: Number of the message, in a notebook.
    """

    head: BoardHead
    parts: dict[str, Part]
    changes: dict[str, Change]
    told: int


class Look(TypedDict):
    """A page asks whether its kernel lives, for all that it shows, or for its own source.

    Attributes:
        action: "look" is answered with the number of what was told last, "again" with all traits,
            "page" with the page's digest and source.
    """

    action: Literal["look", "again", "page"]


class Show(TypedDict):
    """A page of a board looks at a run.

    Attributes:
        action: "show".
        run: Name of the part, "" for the newest.
    """

    action: Literal["show"]
    run: str


class Cancel(TypedDict):
    """A page asks for a run to be stopped.

    Attributes:
        action: "cancel".
        run: The run.
    """

    action: Literal["cancel"]
    run: NotRequired[str]


class Measure(TypedDict):
    """A page asks for a run.

    Attributes:
        action: "measure".
        command: The command.
        run: The run beside whose figure it is asked for.
    """

    action: Literal["measure"]
    command: dict[str, Json]
    run: NotRequired[str]


class Answer(TypedDict, total=False):
    """What a kernel answers to a widget.

    Attributes:
        page: Digest of a page; its source is the message's buffer.
        revision: Number of what was told last.
    """

    page: str
    revision: int

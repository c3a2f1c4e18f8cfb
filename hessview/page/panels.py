"""Panels of a run's page: what each kind needs, as `page.contract` has it."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
import xarray as xr
from plotly.colors import sample_colorscale

from hessview.analysis.accuracy import theory
from hessview.analysis.benchmark import benchmark, format_benchmark
from hessview.analysis.coupling import coupling_summary
from hessview.analysis.grouping import same_matrix, siblings, unite
from hessview.analysis.ritz import (
    keeps_all,
    machine_epsilon,
    merges_of,
    one_density,
    ritz,
    steps_of,
)
from hessview.analysis.sweep import apart_by, measured_settings, setting_of
from hessview.errors import RecordError
from hessview.page.panel_contract import (
    Coefficients,
    ConvergenceBody,
    CouplingBody,
    CouplingView,
    DensityBody,
    Figure,
    FigureBody,
    Over,
    Probe,
    Rows,
    SettingsBody,
    Shared,
    Spectra,
    SpectrumAt,
    SpectrumWithoutFigure,
    SweepBody,
    TextBody,
)
from hessview.page.wire import plain
from hessview.record.commands import EpsilonSweep
from hessview.record.events import ENDED
from hessview.views.accuracy import accuracy
from hessview.views.accuracy import describe as describe_accuracy
from hessview.views.convergence import bounds
from hessview.views.convergence import recipe as convergence_recipe
from hessview.views.coupling import coupling
from hessview.views.coupling_row import COLOURS, SCALES, row_error, shown
from hessview.views.density import describe as describe_density
from hessview.views.density import marks
from hessview.views.density import recipe as density_recipe
from hessview.views.sweep import describe as describe_sweep
from hessview.views.sweep import sweep
from hessview.wording import number

# What a slider moves over, by the setting: its label and whether it is logarithmic.
_LABELS = {"epsilon": ("ε", True), "fraction": ("Part of the data", False)}


def _epsilons_over(ds: xr.Dataset) -> Over:
    """The epsilons of an accuracy run, and its numbers at each.

    Args:
        ds: Dataset of an accuracy run, also a half-done one.
    """
    resolved = theory(ds).resolved
    indices = np.flatnonzero(np.isfinite(ds.relative_error.values).any(axis=0)).tolist()
    rows = []
    for index in indices:
        row, own = ds.isel(epsilon=index), resolved.isel(epsilon=index)
        directions = np.flatnonzero(np.isfinite(row.relative_error.values)).tolist()
        rows.append([_direction(row.isel(direction=n), bool(own[n])) for n in directions])
    head = ["direction", "error", "1 − cosine", "ρ", "D"]
    return _over("epsilon", "x", ds.epsilon.values[indices], head, rows)


def _settings_over(part: xr.Dataset, differences: xr.Dataset) -> Over:
    """The settings of a sweep, and how far its spectra lie from the reference's.

    Args:
        part: Dataset of a sweep, its finished settings only.
        differences: Their distances, as `analysis.sweep.distances` gives them.
    """
    setting = setting_of(part)
    rows = []
    for value in part[setting].values.tolist():
        row = differences.sel({setting: value})
        own = value == differences.attrs["reference"]
        words = "the reference itself" if own else f"{apart_by(row)} of the range"
        rows.append([[words, number(float(row.product_error), 2)]])
    head = [f"distance to {number(float(differences.attrs['reference']))}", "D ≤"]
    return _over(setting, "x2", part[setting].values, head, rows)


def _direction(row: xr.Dataset, resolved: bool) -> list[str]:
    error = number(float(row.relative_error)) + ("" if resolved else " (not resolved)")
    numbers = [number(value, 2) for value in (1 - row.cosine.item(), row.rho.item())]
    return [str(row.direction.item()), error, *numbers, number(row.error.item(), 2)]


def _over(setting: str, axis: str, values: Any, head: list[str], rows: list[Rows]) -> Over:
    label, log = _LABELS[setting]
    return {
        "label": label,
        "axis": axis,
        "log": log,
        "askable": setting == "epsilon",
        "values": [float(f"{value:.10g}") for value in values],  # as the figure's coordinates
        "head": head,
        "rows": rows,
    }


def coefficients(ds: xr.Dataset) -> Coefficients:
    """Lanczos coefficients of every probe that is begun, in full precision.

    Args:
        ds: Dataset of a density run, also a half-done one.

    Raises:
        RecordError: Not a density, or nothing measured yet.
    """
    quadrature = ritz(ds)
    rows = one_density(ds)
    lengths = quadrature.steps.values.tolist()
    alpha, beta = (rows[name].values for name in ("alpha", "beta"))
    full, epsilon = keeps_all(rows), machine_epsilon(rows)
    probes: list[Probe] = []
    for index, length in enumerate(lengths):
        if not length:
            continue
        probes.append(
            {
                "probe": quadrature.probe.values[index].item(),
                "alpha": alpha[index, :length].tolist(),
                "beta": beta[index, :length].tolist(),
            }
        )
        if not full:
            probes[-1]["merged"] = merges_of(steps_of(rows, index, length), epsilon)
    over = ds.attrs.get("state") in ENDED
    return {"steps": alpha.shape[1], "over": over, "probes": probes}


def _sweep_spectra(part: xr.Dataset) -> Spectra:
    """The spectrum at each setting of a sweep.

    Args:
        part: Dataset of a sweep, those of its settings only that have a finished probe.
    """
    setting = setting_of(part)
    bodies = [density_panel(part.isel({setting: index})) for index in range(part.sizes[setting])]
    by_setting = zip(part[setting].values.tolist(), bodies, strict=True)
    return {
        "density": {"figure": bodies[0]["figure"]},
        "spectra": [{"at": value, **without_figure(body)} for value, body in by_setting],
    }


def sweep_spectra_for(ds: xr.Dataset, among: Sequence[xr.Dataset]) -> Spectra | None:
    """Spectra over epsilon of the matrix that a run measured, from other runs.

    Args:
        ds: Dataset of an accuracy run.
        among: Datasets of runs of any command, half-done ones too.

    Returns:
        The spectra, ascending; None if none of the runs is a sweep over epsilon of the
        same model at the same weights, with the same operator, subset and seed.
    """
    alike = [
        other
        for other in among
        if other.attrs.get("command") == EpsilonSweep.name and same_matrix(ds, other)
    ]
    by_epsilon: dict[float, SpectrumAt] = {}
    shared: Shared = {}
    for group in siblings(alike):
        try:
            part, _ = measured_settings(unite(group))
        except RecordError:  # no probe is finished yet
            continue
        spectra = _sweep_spectra(part)
        shared = spectra["density"]
        by_epsilon |= {entry["at"]: entry for entry in spectra["spectra"]}
    ascending = [by_epsilon[epsilon] for epsilon in sorted(by_epsilon)]
    return {"density": shared, "spectra": ascending} if ascending else None


def without_figure(body: DensityBody) -> SpectrumWithoutFigure:
    """A density's panel without what it has in common with others.

    Args:
        body: What `density_panel` made.
    """
    return {
        "subtitle": body["subtitle"],
        "marks": body["marks"],
        "all": body["all"],
        "steps": body["steps"],
        "over": body["over"],
        "probes": body["probes"],
    }


def density_panel(ds: xr.Dataset) -> DensityBody:
    """Lanczos coefficients of every probe, and the figure without what is computed from them.

    Args:
        ds: Dataset of a density run, also a half-done one.

    Raises:
        RecordError: Not a density, or nothing measured yet.
    """
    quadrature = ritz(ds)
    return {
        "subtitle": describe_density(quadrature),
        "figure": plain(density_recipe(ds.attrs)),
        "marks": [list(mark) for mark in marks(ds, quadrature)],
        "all": quadrature.probe.values.tolist(),
        **coefficients(ds),
    }


EXTREMES = 3  # the largest, and as many of the smallest: more lie on each other


def convergence_panel(ds: xr.Dataset) -> ConvergenceBody:
    """The figure without what the page computes from the coefficients of the density's panel.

    Args:
        ds: Dataset of a density run in which something is measured.

    Raises:
        RecordError: Not a density, or nothing measured yet.
    """
    probes = ds.probe.values.tolist() if "probe" in ds.dims else [0]
    skews = ds.asymmetry.values if "asymmetry" in ds else np.zeros((0, 0))
    return {
        "subtitle": "Ritz values after each Lanczos step, and how near an eigenvalue must be",
        "figure": plain(convergence_recipe(EXTREMES)),
        "extremes": EXTREMES,
        "asymmetries": {
            str(probe): plain([value if value > 0 else math.nan for value in row])
            for probe, row in zip(probes, np.atleast_2d(skews).tolist(), strict=False)
            if np.isfinite(row).any()
        },
        "bounds": {str(probe): plain(bounds(ds, probe)) for probe in probes},
    }


def coupling_panel(ds: xr.Dataset) -> CouplingBody:
    """The numbers of all pairs of blocks, and the figures without what is made of these.

    Args:
        ds: Dataset of a coupling run, also a half-done one.

    Raises:
        RecordError: Not a coupling, or nothing measured yet.
    """
    summary = coupling_summary(ds)
    figure = coupling(ds)
    names = [str(name) for name in summary.block.values]
    words = list(COLOURS)
    return {
        "subtitle": "coefficient: norm of a block over the geometric mean of those of its two "
        "diagonal blocks",
        "warning": figure.layout.meta["warning"],
        "blocks": names,
        "matrix": {
            "frobenius": _compact(summary.frobenius.values),
            "frobenius_spread": _compact(summary.frobenius_spread.values),
            "frobenius_noise": _compact(summary.frobenius_noise.values),
            "coefficient_spread": _compact(summary.coefficient_spread.values),
        },
        "words": words,
        "verdict": [
            [words.index(word) for word in line] for line in summary.verdict_of_cell.values
        ],
        "views": {
            f"{unit} {scale}": _view(summary, normalised=unit == "normalised", scale=scale)
            for unit in ("normalised", "raw")
            for scale in SCALES
        },
        "figure": _bare_coupling(figure, {"matrix": ("z", "customdata")}),
        "row": _bare_coupling(coupling(ds, row=names[0]), {"row": ("y", "customdata")}),
        "errors": row_error(summary),
    }


def _view(summary: xr.Dataset, *, normalised: bool, scale: str) -> CouplingView:
    matrix = shown(summary, normalised=normalised, scale=scale)
    ends = dict(zip(("zmin", "zmax"), matrix.ends, strict=True))
    view: CouplingView = plain({**ends, "colorbar": matrix.colour_bar, "axis": matrix.axis})
    return view


def _compact(values: Any) -> Any:
    """Rows of numbers in 7 digits: of hundreds of blocks there are many."""
    return [[float(f"{x:.7g}") if np.isfinite(x) else None for x in line] for line in values]


def _bare_coupling(figure: go.Figure, left_out: dict[str, tuple[str, ...]]) -> Figure:
    """A figure without title, and without some arrays of the traces of a role."""
    traces = []
    for trace in figure.data:
        dropped = left_out.get(trace.meta["role"], ())
        traces.append({key: value for key, value in trace._props.items() if key not in dropped})
    layout = figure.layout.to_plotly_json()
    kept = {key: value for key, value in layout.items() if key not in ("title", "meta")}
    return {"data": plain(traces), "layout": plain(kept)}


def accuracy_panel(ds: xr.Dataset) -> SettingsBody:
    """The V of an accuracy run (its error over epsilon), and its numbers at each epsilon.

    Args:
        ds: Dataset of the run, also a half-done one.

    Raises:
        RecordError: Nothing measured yet.
    """
    body = figure_panel(accuracy(ds), describe_accuracy(ds))
    return {
        "subtitle": body["subtitle"],
        "figure": body["figure"],
        "warning": body["warning"],
        "dark": body["dark"],
        "over": _epsilons_over(ds),
    }


def sweep_panel(ds: xr.Dataset) -> SweepBody:
    """The spectra of a sweep over each other, and how far they lie apart.

    Args:
        ds: Dataset of the run, also a half-done one.

    Raises:
        RecordError: No setting has a finished probe yet.
    """
    part, differences = measured_settings(ds)
    reference = differences.attrs["reference"]
    body = figure_panel(sweep(part, reference=reference), describe_sweep(differences))
    curves = [trace for trace in body["figure"]["data"] if trace["meta"]["role"] == "density"]
    for curve in curves:
        for array in ("x", "y", "customdata"):  # the page computes them from the spectra
            del curve[array]
    light = [curve["line"]["color"] for curve in curves]
    # The darkest shades of the scale are lost on a dark ground.
    dark = sample_colorscale("Viridis", np.linspace(0.4, 1.0, len(light)).tolist())
    return {
        **body,
        "dark": dict(zip(light, dark, strict=True)),
        "over": _settings_over(part, differences),
        "reference": part[setting_of(part)].values.tolist().index(reference),
        **_sweep_spectra(part),
    }


def benchmark_panel(ds: xr.Dataset) -> TextBody:
    """The table of a benchmark run, as text.

    Args:
        ds: Dataset of the run, also a half-done one.

    Raises:
        RecordError: No repetition is whole yet.
    """
    return {"text": format_benchmark(benchmark(ds))}


def figure_panel(figure: go.Figure, subtitle: str) -> FigureBody:
    """A figure as it is, but for its title, which the page writes as text.

    Args:
        figure: A Plotly figure.
        subtitle: What it is of.
    """
    content = figure.to_plotly_json()
    layout = {
        key: value for key, value in content["layout"].items() if key not in ("title", "meta")
    }
    return {
        "subtitle": subtitle,
        "figure": {"data": plain(content["data"]), "layout": plain(layout)},
        "warning": "",
        "dark": {},
    }

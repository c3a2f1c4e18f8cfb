"""What a page shows, as one JSON-safe value: the widget, the report and tests read the same."""

import math
from collections.abc import Sequence
from typing import Any

import xarray as xr

from hessview.counted import counted
from hessview.data.siblings import siblings
from hessview.data.trainings import trainings
from hessview.data.unite import unite
from hessview.page.comparison_section import comparison_sections
from hessview.page.panels import panels as panels_of
from hessview.page.provenance import provenance
from hessview.page.spectra import spectra_for
from hessview.page.status import status
from hessview.page.tiles import TILES
from hessview.page.training_section import training_section
from hessview.page.wording import count, number
from hessview.views import theme

Json = dict[str, Any]


def page_state(
    runs: Sequence[xr.Dataset],
    *,
    among: Sequence[xr.Dataset] = (),
    final: bool = False,
    panels: bool = True,
) -> Json:
    """The state of a page over some runs.

    Args:
        runs: Datasets, as `data.collect` folds them; half-done ones too.
        among: Other runs, that are not shown but may have what a shown one refers to, such as
            spectra at the steps of which it tells the accuracy.
        final: Whether the page stays as it is: it then holds every reading, for downloads, and
            promises nothing of a run that was under way.
        panels: Whether it draws; a card does not.

    Returns:
        A dict of JSON values (NaN is None):
        title: Name of the model.
        theme: The two palettes and the font.
        sections: One per run, or one for several that measured the same thing at other steps
            (`data.siblings`): id, title, subtitle, status (state, label, message, done, total,
            unit, left), tiles, panels (see `page.panels`), provenance, and record if final.
        comparisons: Likewise, of two or more density runs that are of no such training (see
            `page.comparison_section`); one at most, on top.
        trainings: Sections likewise, for each training of which there are spectra at several
            steps (see `page.training_section`); they stand above those of runs.
    """
    groups = siblings(runs)
    followed = trainings(runs) if panels else []
    # Spectra of a training stand in its own section, over the training step.
    members = {id(ds) for group in followed for ds in group}
    others = [ds for ds in runs if id(ds) not in members]
    places = {id(ds): place for place, group in enumerate(groups) for ds in group}
    titles = [str(ds.attrs.get("model", "hessview")) for ds in runs]
    return {
        "title": ", ".join(dict.fromkeys(titles)),
        "theme": {"light": theme.LIGHT, "dark": theme.DARK, "font": theme.FONT},
        "sections": [
            _section(group, [*runs, *among], final=final, panels=panels, alone=len(groups) == 1)
            for group in groups
        ],
        "trainings": [training_section(group) for group in followed],
        "comparisons": comparison_sections(others, places=places) if panels else [],
    }


def _section(
    group: Sequence[xr.Dataset],
    runs: Sequence[xr.Dataset],
    *,
    final: bool,
    panels: bool,
    alone: bool,
) -> Json:
    ds = unite(group)
    command = str(ds.attrs.get("command", "density"))
    run = str(ds.attrs.get("run", ""))
    section: Json = {
        "id": run,
        "title": str(ds.attrs.get("model", "hessview")),
        "subtitle": _subtitle(ds) + (f" · run {run}" if run and not alone else ""),
        "status": status(ds, parts=group, final=final),
        "tiles": TILES[command](ds),
        "panels": panels_of(ds) if panels else [],
        "provenance": provenance(ds),
    }
    if panels and command == "accuracy":
        section["panels"][0] |= spectra_for(ds, runs)
    if final:
        section["record"] = _record(ds)
    return section


def _subtitle(ds: xr.Dataset) -> str:
    """Parameters, ranks, precision, data and loss: what the numbers are about."""
    attrs = ds.attrs
    parts = []
    if "parameters" in attrs:
        parts.append(f"{count(attrs['parameters'])} parameters")
    if "world_size" in attrs:
        parts.append(counted(attrs["world_size"], "rank"))
    if "dtype" in attrs:
        compute = attrs.get("compute_dtype", attrs["dtype"])
        mixed = f", computing in {compute}" if compute != attrs["dtype"] else ""
        parts.append(f"{attrs['dtype']}{mixed}")
    if "weight" in attrs:
        parts.append(f"{count(attrs['weight'])} {attrs.get('weight_unit', 'terms')}")
    if "loss" in attrs:
        parts.append(f"loss {number(attrs['loss'], 4)}")
    return " · ".join(parts)


def _record(ds: xr.Dataset) -> Json:
    """Every reading in full precision, with its place along the dims, and the provenance."""
    return {
        "coords": {str(dim): ds[dim].values.tolist() for dim in ds.dims},
        "variables": {
            str(name): {
                "dims": [str(dim) for dim in ds[name].dims],
                "values": [
                    None if _missing(cell) else cell for cell in ds[name].values.ravel().tolist()
                ],
            }
            for name in ds.data_vars
        },
        "attrs": {str(key): None if _missing(value) else value for key, value in ds.attrs.items()},
    }


def _missing(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)

"""Tiles of a density run: what is read off the spectrum."""

import math
from typing import Any

import numpy as np
import xarray as xr

from hessview.counted import counted
from hessview.data.digits import limits_of
from hessview.data.displacement import rounding, worst_effect
from hessview.data.summary import headline
from hessview.data.table import ends_of
from hessview.errors import RecordError
from hessview.page.status import progress
from hessview.page.tiles.tile import Tile, brief, missing, tile, withheld
from hessview.page.wording import between, measured, number, share, span


def density_tiles(ds: xr.Dataset) -> list[Tile]:
    """Tiles of a density run.

    Args:
        ds: Dataset of the run; also one with nothing measured yet.

    Returns:
        The tiles, in the order in which they are shown.
    """
    try:
        found: xr.Dataset | None = headline(ds)
    except RecordError:
        found = None
    return [
        _quantity("Largest eigenvalue", found, "largest"),
        _quantity("Smallest eigenvalue", found, "smallest"),
        _quantity("Trace", found, "trace"),
        _negative_mass(found),
        _steps(ds),
        _epsilon(ds),
    ]


def _quantity(label: str, found: xr.Dataset | None, name: str) -> Tile:
    if found is None:
        return missing(label)
    row = found.sel(quantity=name)
    basis = str(row.basis.item())
    if not np.isfinite(row.value):
        return withheld(label, basis)
    value, spread = measured(
        float(row.value), float(row.uncertainty), limits=limits_of(name), ends=ends_of(row)
    )
    return tile(label, value, spread or brief(basis), basis)


def _negative_mass(found: xr.Dataset | None) -> Tile:
    label = "Negative mass"
    if found is None:
        return missing(label)
    row, near = (found.sel(quantity=name) for name in ("negative_mass", "unresolved_mass"))
    if not np.isfinite(row.value):
        return withheld(label, str(row.basis.item()))
    edge = number(100 * found.attrs["resolution"], 1)
    unresolved = between(float(near.low), float(near.high))
    return tile(
        label,
        between(float(row.low), float(row.high)),
        f"of the spectrum; {unresolved} so near to 0 that no sign is told",
        f"share of the spectrum below −{edge} % of the largest eigenvalue's size: "
        f"{share(float(row.value))} by quadrature, and surely between the ends given, whatever the "
        f"quadrature does not see; {row.basis.item()}. Unresolved is what lies within {edge} % of "
        f"zero ({share(float(near.value))} by quadrature): it is measured, but Lanczos cannot tell "
        "its sign",
    )


def _steps(ds: xr.Dataset) -> Tile:
    done, total = progress(ds)
    probes, steps = np.atleast_2d(ds.alpha.values).shape
    note = f"of {total}, {counted(probes, 'probe')} × {steps}"
    return tile("Lanczos steps", f"{done}", note, "one Hessian-vector product each")


def _epsilon(ds: xr.Dataset) -> Tile:
    epsilon, rho = (_finite(ds, name) for name in ("epsilon", "rho"))
    label = "Step ε"
    if ds.attrs.get("operator") == "exact":
        return tile(
            label, "none", "exact products", "double backward, which errs by rounding alone"
        )
    if not epsilon.size:
        return missing(label)
    note = f"ρ {span(rho.min(), rho.max())}" if rho.size else ""
    error = _finite(ds, "error")
    worth = (
        f"error D of a product, by a second step: at most {number(error.max(), 2)} "
        f"in {error.size} measured"
        if error.size
        else "the error of the products was not measured"
    )
    basis = f"along unit vectors; ρ is the relative change of the gradient; {worth}"
    if rounded := rounding(ds):
        effect = worst_effect(ds)  # of records that are too old, only the displacement's own
        note += (
            f", rounded off by up to {float(ds.perturbation_error.max()):.0%}"
            if math.isnan(effect)
            else f", products moved by rounding by up to {effect:.0%}"
        )
        basis += f"; {rounded}"
    return tile(label, span(epsilon.min(), epsilon.max()), note, basis)


def _finite(ds: xr.Dataset, name: str) -> Any:
    values = ds[name].values if name in ds else np.array([])
    return values[np.isfinite(values)]

"""The largest and the smallest eigenvalue of a density run, each with what it is worth."""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np
import xarray as xr

from hessview.analysis.ritz import (
    keeps_all,
    lengths_of,
    machine_epsilon,
    one_density,
    say_copies,
    steps_of,
)
from hessview.record.operator_facts import facts_in
from hessview.spectral import bounds
from hessview.spectral.bounds import ENDS, End, Extreme, Pair, Steps
from hessview.wording import alone, at_most, counted

_CHANCE = 0.01
"""With which probability the spectrum may go on further than is said, at either end."""
_RESOLVED = 0.1  # of the range; a promise about what lies beyond that is weaker is none

COMMENT = (
    "largest and smallest: an eigenvalue lies within ± of the number. That is one sentence; that "
    "none lies beyond is another one, which follows from probes and steps: it holds in 99 of 100 "
    "draws of the probes (Kuczynski & Wozniakowski 1992, for starts drawn evenly from the sphere "
    "and exact products); one with no weight in any probe is missed. Of several probes that one "
    "counts whose interval surely reaches furthest, since the outermost number may come from the "
    "worst products. The bound holds what Lanczos left (residual); the products' error D, measured "
    "anew along the Ritz vector where all vectors were kept, and otherwise |s_j| D_j |H q_j| "
    "summed over steps, with the D of a neighbour and the largest |H q| where none was measured; "
    "the products' asymmetry, which is seen within the Krylov space only: of the error in a small "
    "model it is a good part, in a large one a small one, and with a window or no "
    "reorthogonalisation it is seen against the kept vectors only; and rounding. Residual and "
    "error enter squared over the gap to the next Ritz value once the residual falls from step to "
    "step; if an eigenvalue hides within that gap, 'at most' counts instead. Where D says that the "
    "products are no derivatives, the number is withheld. "
)


class Estimate(NamedTuple):
    """A number, its uncertainty (NaN where there is none to tell), and how that was obtained."""

    value: float
    uncertainty: float
    basis: str


def extremes(ds: xr.Dataset) -> dict[str, Estimate]:
    """The part of `summary` that a comparison of many runs needs, at a tenth of the time.

    Args:
        ds: A density dataset in which a step is measured.

    Returns:
        The largest and the smallest eigenvalue, in units of the loss. Where the products are
        such that no number is to be believed, value and uncertainty are NaN, and the basis
        begins with "withheld" and says why.

    Raises:
        RecordError: Not a density.
    """
    ds = one_density(ds)
    of_probes = [by_end for probe in range(ds.sizes["probe"]) if (by_end := of_probe(ds, probe))]
    lengths = [count for count in lengths_of(ds).tolist() if count]
    return {end: _estimate(ds, end, [by_end[end] for by_end in of_probes], lengths) for end in ENDS}


def of_probe(ds: xr.Dataset, probe: int) -> dict[End, Extreme] | None:
    """Both extremes of a probe; None where it has no step.

    Args:
        ds: What `analysis.ritz.one_density` gave.
        probe: Place along probe.
    """
    steps = steps_of(ds, probe)
    length = len(steps.alpha)
    if not length:
        return None
    pairs = tuple(_pair(ds, probe, index, length) for index in range(len(ENDS)))
    columns = tuple(getattr(steps, field.name).tobytes() for field in dataclasses.fields(steps))
    return _of_probe(columns, pairs, machine_epsilon(ds), keeps_all(ds))


_OF_PAIR = ("value", "residual", "error", "doubt", "change", "spread", "rho")


@functools.lru_cache(maxsize=4096)
def _of_probe(
    columns: tuple[bytes, ...], pairs: tuple[Pair | None, ...], epsilon: float, full: bool
) -> dict[End, Extreme]:
    """Kept, since a live page asks for whole probes again at each step."""
    steps = Steps(*(np.frombuffer(column) for column in columns))
    return {
        end: bounds.extreme(steps, end, machine_epsilon=epsilon, pair=pair, full=full)
        for end, pair in zip(ENDS, pairs, strict=True)
    }


def _pair(ds: xr.Dataset, probe: int, index: int, length: int) -> Pair | None:
    """The Ritz vector of a probe measured anew; None if it is not, or not of these steps."""
    names = [f"pair_{name}" for name in (*_OF_PAIR, "steps")]
    if not all(name in ds and ds[name].dims == ("probe", "end") for name in names):
        return None
    columns = {name: ds[f"pair_{name}"].values[probe, index] for name in (*_OF_PAIR, "steps")}
    if columns.pop("steps") != length or not np.isfinite(columns["value"]):
        return None
    return Pair(**{name: float(value) for name, value in columns.items()})


def _estimate(ds: xr.Dataset, end: End, candidates: list[Extreme], lengths: list[int]) -> Estimate:
    extreme = bounds.furthest(candidates, end)
    if extreme.withheld:
        return Estimate(np.nan, np.nan, f"withheld: {extreme.withheld}")
    basis = f"residual bound{_products(ds, extreme)}"
    certain = f"; at most {at_most(extreme.certain)}" if extreme.certain > extreme.bound else ""
    ghosts = f"; {say_copies(extreme.copies)}" if extreme.copies > 1 else ""
    twin = "; not told apart from the next" if extreme.twin else ""
    return Estimate(
        extreme.value,
        extreme.bound,
        basis + certain + ghosts + twin + _left_out(candidates) + _beyond(ds, end, lengths),
    )


def _products(ds: xr.Dataset, extreme: Extreme) -> str:
    if facts_in(ds.attrs).exact:
        basis = "; exact products, which err by rounding alone"
    elif np.isfinite(extreme.error):
        basis = f" and product error D = {alone(extreme.error, 2)}"
        basis += " along it" if extreme.anew else ", of neighbours where none was measured"
    else:
        basis = "; product error not measured"
    if not np.isfinite(extreme.asymmetry):
        return f"{basis}; the record lacks the products' asymmetry"
    return f"{basis}, asymmetry {alone(extreme.asymmetry, 2)}"


def _left_out(candidates: list[Extreme]) -> str:
    count = sum(bool(extreme.withheld) for extreme in candidates)
    return f"; {count} of {len(candidates)} probes left out: not a derivative" if count else ""


def _beyond(ds: xr.Dataset, end: End, lengths: list[int]) -> str:
    """How far an eigenvalue may lie beyond what was found, in words."""
    if not keeps_all(ds) or not ds.attrs.get("parameters"):
        return ""
    side = "above" if end == "largest" else "below"
    share = bounds.beyond(int(ds.attrs["parameters"]), lengths, chance=_CHANCE)
    depth = f"{counted(len(lengths), 'probe')} of {counted(max(lengths), 'step')}"
    if not share <= _RESOLVED:
        return f"; too few steps to tell what lies {side} ({depth})"
    return f"; none {side} by more than {share:.1g} of the range, {1 - _CHANCE:.0%} ({depth})"

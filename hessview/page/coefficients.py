"""What a page computes every spectrum from."""

from typing import Any

import xarray as xr

from hessview.data.ritz import (
    keeps_all,
    machine_epsilon,
    merges_of,
    one_density,
    ritz,
    steps_of,
)
from hessview.messages import ENDED

Json = dict[str, Any]


def coefficients(ds: xr.Dataset) -> Json:
    """Lanczos coefficients of every probe that is begun, in full precision.

    Args:
        ds: Dataset of a density run, also a half-done one.

    Returns:
        A dict of JSON values: steps (asked of each probe), over (whether nothing more can
        arrive), and probes: probe, alpha and beta of its leading steps, and, where old vectors
        were given up, merged: which Ritz values are copies, as `data.ritz.merges_of` has it.

    Raises:
        RecordError: Not a density, or nothing measured yet.
    """
    found = ritz(ds)
    rows = one_density(ds)
    lengths = found.steps.values.tolist()
    alpha, beta = (rows[name].values for name in ("alpha", "beta"))
    full, epsilon = keeps_all(rows), machine_epsilon(rows)
    return {
        "steps": alpha.shape[1],
        "over": ds.attrs.get("state") in ENDED,
        "probes": [
            {
                "probe": probe,
                "alpha": alpha[place, :length].tolist(),
                "beta": beta[place, :length].tolist(),
                **({} if full else {"merged": merges_of(steps_of(rows, place, length), epsilon)}),
            }
            for place, (probe, length) in enumerate(
                zip(found.probe.values.tolist(), lengths, strict=True)
            )
            if length
        ],
    }

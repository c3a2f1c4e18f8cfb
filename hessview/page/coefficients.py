"""What a page computes every spectrum from."""

from typing import Any

import xarray as xr

from hessview.data.ritz import ritz
from hessview.messages import ENDED

Json = dict[str, Any]


def coefficients(ds: xr.Dataset) -> Json:
    """Lanczos coefficients of every probe that is begun, in full precision.

    Args:
        ds: Dataset of a density run, also a half-done one.

    Returns:
        A dict of JSON values: steps (asked of each probe), over (whether nothing more can
        arrive), and probes: probe, alpha and beta of its leading steps.

    Raises:
        RecordError: Not a density, or nothing measured yet.
    """
    found = ritz(ds)
    rows = ds if "probe" in ds.dims else ds.expand_dims("probe")
    lengths = found.steps.values.tolist()
    alpha, beta = (rows[name].transpose("probe", "step").values for name in ("alpha", "beta"))
    return {
        "steps": alpha.shape[1],
        "over": ds.attrs.get("state") in ENDED,
        "probes": [
            {
                "probe": probe,
                "alpha": alpha[place, :length].tolist(),
                "beta": beta[place, :length].tolist(),
            }
            for place, (probe, length) in enumerate(
                zip(found.probe.values.tolist(), lengths, strict=True)
            )
            if length
        ],
    }

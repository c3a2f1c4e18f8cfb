"""Times of a plan, from what a benchmark measured."""

import dataclasses
import json
import os
import pathlib

from hessview.errors import InputError
from hessview.planning.planned import Plan


def timed(plan: Plan, path: str | os.PathLike[str]) -> Plan:
    """The plan with the time of a gradient that `hessview bench --json` measured.

    Raises:
        InputError: It is not such a file, or one of another model, data or number of ranks.
    """
    try:
        data = json.loads(pathlib.Path(path).read_text())
        place = data["coords"]["work"]["data"].index("gradient")
        seconds = float(data["data_vars"]["seconds"]["data"][place])
        names = ("parameters", "world_size", "batches")
        parameters, ranks, batches = (int(data["attrs"][name]) for name in names)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} holds no times of a gradient ({type(error).__name__}: {error}); give the file "
            "that hessview bench --json wrote."
        ) from error
    measured, planned = (parameters, ranks, batches), (plan.parameters, plan.ranks, plan.batches)
    if measured != planned:
        raise InputError(
            f"{path} was measured with (parameters, ranks, batches) = {measured}, and this plan "
            f"has {planned}; measure with the same options, or give the time as gradient_seconds."
        )
    return dataclasses.replace(plan, gradient_seconds=seconds)

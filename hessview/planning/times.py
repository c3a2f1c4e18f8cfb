"""Times of a plan, from what a benchmark measured."""

import dataclasses
import json
import math
import os
import pathlib

from hessview.checked import shown
from hessview.errors import InputError
from hessview.files import read_text
from hessview.planning.planned import Plan

_MOST_BYTES = 1 << 22  # a benchmark's file takes some thousands
_NO_TIMES = (
    *(OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError),
    *(RecursionError, MemoryError),
)


def timed(plan: Plan, path: str | os.PathLike[str]) -> Plan:
    """The plan with the time of a gradient that `hessview bench --json` measured.

    Raises:
        InputError: It is not such a file, or one of another model, data or number of ranks.
    """
    try:
        data = json.loads(read_text(pathlib.Path(path), _MOST_BYTES))
        place = data["coords"]["work"]["data"].index("gradient")
        seconds = float(data["data_vars"]["seconds"]["data"][place])
        if not 0 < seconds < math.inf:
            raise ValueError(f"{seconds!r} seconds")
        names = ("parameters", "world_size", "batches")
        parameters, ranks, batches = (int(data["attrs"][name]) for name in names)
    except _NO_TIMES as error:
        raise InputError(
            f"{path} holds no times of a gradient ({type(error).__name__}: {shown(str(error))}); "
            "give the file that hessview bench --json wrote."
        ) from error
    measured, planned = (parameters, ranks, batches), (plan.parameters, plan.ranks, plan.batches)
    if measured != planned:
        raise InputError(
            f"{path} was measured with (parameters, ranks, batches) = {measured}, and this plan "
            f"has {planned}; measure with the same options, or give the time as gradient_seconds."
        )
    return dataclasses.replace(plan, gradient_seconds=seconds)

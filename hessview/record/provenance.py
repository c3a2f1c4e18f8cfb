"""Where a dataset's numbers come from: in its attributes as text, and as values again.

netCDF and Zarr hold texts and numbers as attributes, so that mappings and lists lie there as JSON.
The accessor `ds.hessview`, of datasets and of trees, gives them as what they were. It is there once
hessview has made or opened a dataset, and where xarray was imported before hessview.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, get_origin

import numpy as np
import xarray as xr

from hessview.errors import InputError, RecordError
from hessview.record.commands import Command
from hessview.record.events import JobStarted, RunStarted
from hessview.record.measurements import MEASUREMENTS, command_from_json

_INTERNAL = ("fingerprints", "fingerprints_count_in")  # of no meaning outside of `fingerprints`


def attribute(value: Any) -> str | int | float:
    """What stands in a dataset's attributes for a value, so that any file can hold it.

    Args:
        value: A text, a number, None, or mappings and lists of these.

    Returns:
        Mappings and lists as JSON, truth as 0 or 1, integers beyond 64 bits as text.
    """
    if isinstance(value, Mapping | list):
        return json.dumps(value)
    if isinstance(value, bool):
        return int(value)  # netCDF holds none
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)  # netCDF and Zarr hold no larger integer
    return value if isinstance(value, str | int | float) else str(value)


def attributes(values: Mapping[str, Any]) -> dict[str, str | int | float]:
    """Attributes of a dataset; what is None or not finite is not known, and left out."""
    return {name: attribute(value) for name, value in values.items() if not _missing(value)}


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _declared() -> dict[str, Any]:
    """Types of what events and commands say, by name; of lists and mappings what they are."""
    classes = (JobStarted, RunStarted, *(entry.command for entry in MEASUREMENTS.values()))
    types: dict[str, Any] = {"asked": dict, "of_runs": dict}
    for cls in classes:
        for field in dataclasses.fields(cls):
            types[field.name] = get_origin(field.type) or field.type
    return types


def _value(value: Any, declared: Any) -> Any:
    """An attribute as what it was before `attribute` made it a text or a number."""
    if isinstance(value, np.generic):
        value = value.item()  # as netCDF hands numbers back
    if isinstance(value, str) and declared in (dict, list, tuple):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):  # somebody else's text
            return value
    if declared is bool and value in (0, 1):
        return bool(value)
    if declared is int and isinstance(value, str) and value.lstrip("-").isdecimal():
        return int(value)
    return value


@xr.register_datatree_accessor("hessview")  # type: ignore[no-untyped-call]
@xr.register_dataset_accessor("hessview")  # type: ignore[no-untyped-call]
class Provenance:
    """What a run's dataset says of itself, as values: `ds.hessview`.

    Args:
        data: The dataset of a run, or the leaf of a tree.
    """

    def __init__(self, data: xr.Dataset | xr.DataTree) -> None:
        self._data = data

    @property
    def command(self) -> Command:
        """What was asked for, as the command that was sent: `ds.hessview.command.steps`.

        Raises:
            InputError: A tree of several runs.
            RecordError: The dataset does not say, such as one that several runs were joined to.
        """
        provenance = self.provenance
        asked = provenance.get("asked")
        if not isinstance(asked, dict):
            asked = self._from_attributes(provenance)
        try:
            return command_from_json(asked)
        except InputError as error:
            raise RecordError(f"the dataset's command cannot be read: {error}") from error

    @property
    def blocks(self) -> dict[str, int]:
        """Number of parameters of each of the job's blocks, in the order of the model.

        Raises:
            InputError: A tree of several runs.
            RecordError: The dataset does not say.
        """
        blocks = self.provenance.get("blocks")
        if not isinstance(blocks, dict):
            raise RecordError("the dataset does not say what blocks its job had.")
        return blocks

    @property
    def provenance(self) -> dict[str, Any]:
        """All attributes, by name: mappings, lists and truth as such, not as JSON and numbers.

        Raises:
            InputError: A tree of several runs.
        """
        data = self._data
        if isinstance(data, xr.DataTree) and not data.data_vars and data.children:
            names = list(data.children)
            raise InputError(
                f"a tree of {len(names)} runs has no provenance of its own; choose one of {names}, "
                f"such as tree[{names[0]!r}].hessview."
            )
        declared = _declared()
        return {
            str(name): _value(value, declared.get(str(name)))
            for name, value in data.attrs.items()
            if name not in _INTERNAL
        }

    def __repr__(self) -> str:
        try:
            text = repr(self.command)
        except (InputError, RecordError) as error:
            text = str(error)
        return f"<ds.hessview, with command, blocks and provenance: {text}>"

    @staticmethod
    def _from_attributes(provenance: Mapping[str, Any]) -> dict[str, Any]:
        """The command of files that hold its arguments one by one only."""
        name = provenance.get("command")
        if not isinstance(name, str) or name not in MEASUREMENTS:
            raise RecordError(
                "the dataset does not say what was asked for; pass that of a run, such as "
                "run.wait()."
            )
        fields = dataclasses.fields(MEASUREMENTS[name].command)
        wanted = [field.name for field in fields]
        optional = {field.name for field in fields if field.default is None}  # None is not written
        if missing := [
            field_name
            for field_name in wanted
            if field_name not in provenance and field_name not in optional
        ]:
            raise RecordError(
                f"the dataset does not say the {missing[0]} of its {name}; it was joined of "
                "several runs, or lost attributes: pass that of a run, such as run.wait()."
            )
        if "blocks" in wanted and isinstance(provenance["blocks"], dict):
            raise RecordError(
                "the dataset says the job's blocks, but not which the run was asked for; open it "
                "from its run directory with hessview.open_runs."
            )
        return {"command": name} | {
            field_name: provenance[field_name] for field_name in wanted if field_name in provenance
        }

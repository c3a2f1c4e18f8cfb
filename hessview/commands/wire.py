"""Commands as JSON."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from hessview.commands.accuracy import Accuracy
from hessview.commands.benchmark import Benchmark
from hessview.commands.command import Command
from hessview.commands.coupling import Coupling
from hessview.commands.density import Density
from hessview.commands.sweep import EpsilonSweep, FractionSweep
from hessview.errors import InputError

COMMANDS: dict[str, type[Command]] = {
    cls.name: cls for cls in (Density, Accuracy, EpsilonSweep, FractionSweep, Coupling, Benchmark)
}


def command_to_json(command: Command) -> dict[str, Any]:
    """Command as a JSON object, with its name under "command"."""
    fields = dataclasses.asdict(command)
    return {"command": command.name, **{key: _listed(value) for key, value in fields.items()}}


def command_from_json(data: Mapping[str, Any]) -> Command:
    """Command from its JSON object.

    Raises:
        InputError: Unknown command or field, or a value outside what is allowed.
    """
    fields = dict(data)
    name = fields.pop("command", None)
    if name not in COMMANDS:
        raise InputError(f"command {name!r} is unknown; use one of {sorted(COMMANDS)}.")
    cls = COMMANDS[name]
    known = {field.name for field in dataclasses.fields(cls)}
    if unknown := sorted(set(fields) - known):
        raise InputError(f"{name} has no {unknown}; its fields are {sorted(known)}.")
    return cls(**{key: _tupled(value) for key, value in fields.items()})


def _listed(value: Any) -> Any:
    return [_listed(entry) for entry in value] if isinstance(value, tuple) else value


def _tupled(value: Any) -> Any:
    return tuple(_tupled(entry) for entry in value) if isinstance(value, list) else value

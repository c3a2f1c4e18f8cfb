"""Commands as JSON."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from hessview.checked import shown
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
    if not isinstance(data, Mapping) or not all(isinstance(key, str) for key in data):
        raise InputError(f"a command came as {shown(data)}; use an object with its fields.")
    fields = dict(data)
    name = fields.pop("command", None)
    if not isinstance(name, str) or name not in COMMANDS:
        raise InputError(f"command {shown(name)} is unknown; use one of {sorted(COMMANDS)}.")
    cls = COMMANDS[name]
    known = {field.name for field in dataclasses.fields(cls)}
    if unknown := sorted(set(fields) - known):
        raise InputError(f"{name} has no {shown(unknown)}; its fields are {sorted(known)}.")
    try:
        return cls(**{key: _tupled(value) for key, value in fields.items()})
    except InputError:
        raise
    except (ArithmeticError, MemoryError, RecursionError, TypeError, ValueError) as error:
        raise InputError(
            f"{name} cannot be made of {shown(fields)} ({type(error).__name__}: {error}); use "
            "numbers, words, and lists of these."
        ) from error


def _listed(value: Any) -> Any:
    return [_listed(entry) for entry in value] if isinstance(value, tuple) else value


def _tupled(value: Any) -> Any:
    return tuple(_tupled(entry) for entry in value) if isinstance(value, list) else value

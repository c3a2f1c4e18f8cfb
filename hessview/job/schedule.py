"""What is measured without being asked."""

from collections.abc import Callable, Mapping
from typing import Any

from hessview.commands import COMMANDS, Command, command_from_json
from hessview.errors import InputError


class Schedule:
    """Commands, each due at every so many steps of a training loop.

    Args:
        accept: Raises InputError for commands that the job cannot carry out.
    """

    def __init__(self, accept: Callable[[Command], None]) -> None:
        self._accept = accept
        self._entries: list[tuple[int, Command]] = []
        self._asked: int | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, every: int, commands: Mapping[str, Command | Mapping[str, Any]]) -> None:
        """Put commands on the schedule.

        Args:
            every: Training steps from one measurement to the next.
            commands: By name, what is measured: a command, or its arguments.

        Raises:
            InputError: An argument is outside what is allowed; nothing was added.
        """
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise InputError(f"every={every!r} is not allowed; use a whole number >= 1.")
        if not commands:
            raise InputError(
                f"there is nothing to record; name one or more of {sorted(COMMANDS)}, such as "
                "density={'steps': 32, 'probes': 2}."
            )
        entries = []
        for name, given in commands.items():
            if isinstance(given, Mapping):
                given = command_from_json({**given, "command": name})
            if not isinstance(given, Command) or given.name != name:
                raise InputError(
                    f"{name}={given!r} is not allowed; give the arguments of {name} as a dict, "
                    f"or the command itself; names are {sorted(COMMANDS)}."
                )
            self._accept(given)
            entries.append((every, given))
        self._entries += entries

    def due(self, step: int | None) -> list[Command]:
        """What is due at a step; asked again at the same step, nothing.

        Raises:
            InputError: There is a schedule, and no step.
        """
        if not self._entries:
            return []
        if step is None:
            raise InputError(
                "job.record counts training steps, and poll was not told one; call "
                "job.poll(step=step)."
            )
        if step == self._asked:
            return []
        self._asked = step
        return [command for every, command in self._entries if step % every == 0]

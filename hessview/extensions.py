"""Things by name: an entry of a table, or "package.module:name", also of a floor above.

A table holds hessview's own entries, and those of other packages: installed ones name theirs as
entry points, and a notebook or a test registers its own.
"""

import importlib
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from hessview.errors import HessviewError, InputError

T = TypeVar("T")

_log = logging.getLogger(__name__)

LOOKS = {
    "run": "hessview.page.widget:view",
    "run's card": "hessview.page.widget:RunCard",
    "session": "hessview.page.widget:SessionCard",
    "session as HTML": "hessview.page.card:session_card",
    "session's dashboard": "hessview.page.dashboard:dashboard",
}
"""How what a notebook holds looks, by name: a page is loaded only where something is displayed."""


class Registry(Mapping[str, T], Generic[T]):
    """A table of entries by name, to which other packages add theirs.

    Entry points are looked for when a name is asked for that is not hessview's own, or all names
    are: importing hessview imports no other package. One that cannot be loaded is left out, with
    a line in the log; `why_missing` says why.

    Args:
        kind: What an entry is, for errors.
        group: Group of the entry points, such as "hessview.operators".
        entries: Hessview's own entries, in the order in which they are listed.
        fits: Whether an object may be an entry.
    """

    def __init__(
        self, kind: str, group: str, entries: Mapping[str, T], fits: Callable[[object], bool]
    ) -> None:
        self._kind, self._group, self._fits = kind, group, fits
        self._shipped = dict(entries)
        self._registered: dict[str, T] = {}
        self._installed: dict[str, T] | None = None
        self._broken: dict[str, str] = {}

    def register(self, name: str, entry: T) -> Callable[[], None]:
        """Add an entry for as long as this process lives, or until what is returned is called.

        Args:
            name: A Python identifier that is not taken.
            entry: The entry.

        Returns:
            Call it to take the entry out again.

        Raises:
            InputError: The name is taken, or no identifier, or the object is no such entry.
        """
        if reason := self._refusal(name, entry):
            raise InputError(f"{self._kind} {name!r} cannot be registered: {reason}.")
        if name in self:
            raise InputError(f"{self._kind} {name!r} is there already; choose another name.")
        self._registered[name] = entry

        def take_out() -> None:
            self._registered.pop(name, None)

        return take_out

    @property
    def own(self) -> list[str]:
        """Names of the entries that come with hessview."""
        return list(self._shipped)

    def why_missing(self, name: str) -> str:
        """Why an installed package's entry is left out, "" if there is no such."""
        self._load()
        return self._broken.get(name, "")

    def __getitem__(self, name: str) -> T:
        for entries in (self._shipped, self._registered):
            if name in entries:
                return entries[name]
        return self._load()[name]

    def __iter__(self) -> Iterator[str]:
        return iter([*self._shipped, *self._load(), *self._registered])

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _load(self) -> dict[str, T]:
        if self._installed is None:
            import importlib.metadata  # which takes longer to import than hessview

            entries: dict[str, T] = {}
            for point in importlib.metadata.entry_points(group=self._group):
                try:
                    entry = point.load()
                    reason = self._refusal(point.name, entry)
                except Exception as error:  # of a package that is not ours
                    reason = f"{type(error).__name__}: {error}"
                if not reason and point.name in entries.keys() | self._shipped.keys():
                    reason = "the name is taken"
                if reason:
                    self._broken[point.name] = reason
                    _log.warning("%s %r is left out (%s)", self._kind, point.name, reason)
                else:
                    entries[point.name] = entry
            self._installed = entries
        return self._installed

    def _refusal(self, name: str, entry: object) -> str:
        if not isinstance(name, str) or not name.isidentifier():
            return "its name is no identifier, of letters, digits and '_'"
        if not self._fits(entry):
            return f"a {type(entry).__name__} is no {self._kind}"
        entry_name = getattr(entry, "name", name)
        return "" if entry_name == name else f"its entry is named {entry_name!r}"


def named(kind: str, name: str, table: Mapping[str, T]) -> T:
    """What a name stands for.

    Args:
        kind: What is looked for, for the error's text.
        name: Key of the table, or "package.module:name".
        table: Entries that come with hessview.

    Raises:
        InputError: There is no such entry, module or name.
    """
    if name in table:
        return table[name]
    home, separator, attribute = name.partition(":")
    if not separator:
        if isinstance(table, Registry) and (reason := table.why_missing(name)):
            raise InputError(
                f"{kind} {name!r} of an installed package cannot be used ({reason}); repair or "
                "remove that package."
            )
        raise InputError(
            f"{kind} {name!r} is unknown; use one of {sorted(table)}, or package.module:name."
        )
    try:
        target: T = getattr(importlib.import_module(home), attribute)
    except HessviewError:  # the module's own, which says what it is
        raise
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"{kind} {name!r} cannot be found ({error}); its module must be installed, or lie "
            "in the folder from which the job was started."
        ) from error
    return target


def look(kind: str) -> Any:
    """What draws something in a notebook.

    Args:
        kind: Key of `LOOKS`.
    """
    return named("look", LOOKS[kind], {})

"""Things by name: an entry of a table, or "package.module:name", also of a floor above."""

import importlib
from collections.abc import Mapping
from typing import Any, TypeVar

from hessview.errors import HessviewError, InputError

T = TypeVar("T")

LOOKS = {
    "run": "hessview.page.widget:view",
    "run's card": "hessview.page.widget:RunCard",
    "session": "hessview.page.widget:SessionCard",
    "session as HTML": "hessview.page.card:session_card",
    "session's dashboard": "hessview.page.dashboard:dashboard",
}
"""How what a notebook holds looks, by name: a page is loaded only where something is displayed."""


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
        raise InputError(
            f"{kind} {name!r} is unknown; use one of {sorted(table)}, or package.module:name."
        )
    try:
        found: T = getattr(importlib.import_module(home), attribute)
    except HessviewError:  # the module's own, which says what it is
        raise
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"{kind} {name!r} cannot be found ({error}); its module must be installed, or lie "
            "in the folder from which the job was started."
        ) from error
    return found


def look(what: str) -> Any:
    """What draws something in a notebook.

    Args:
        what: Key of `LOOKS`.
    """
    return named("look", LOOKS[what], {})

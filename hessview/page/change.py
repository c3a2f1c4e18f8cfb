"""What became different between two JSON values, so that only that crosses to a page."""

from typing import Any


def change(old: Any, new: Any) -> Any:
    """The difference that makes `new` of `old`; `changed` in dashboard.js applies it.

    Args:
        old: A JSON value.
        new: Another.

    Returns:
        [value] where something was replaced; a dict of differences by key or place where a dict
        has the same keys, or a list is as long or longer; {} where nothing differs.
    """
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        pairs: Any = ((key, old[key], new[key]) for key in new)
    elif isinstance(old, list) and isinstance(new, list) and len(old) <= len(new):
        pairs = ((str(i), one, two) for i, (one, two) in enumerate(zip(old, new, strict=False)))
    else:
        return {} if old == new else [new]
    found = {key: change(one, two) for key, one, two in pairs if one != two}
    if isinstance(new, list):
        found |= {str(i): [new[i]] for i in range(len(old), len(new))}
    return found

"""A headline number with what it is worth, as plain text."""

from hessview.data.coupling import CONTRADICTED, DOUBTED, FEW, TRUSTED, WORTHLESS

Tile = dict[str, str]

TONES = {TRUSTED: "good", DOUBTED: "warn", FEW: "warn", CONTRADICTED: "bad", WORTHLESS: "bad"}


def tile(label: str, value: str, note: str = "", basis: str = "", *, verdict: str = "") -> Tile:
    """A tile of the page.

    Args:
        label: What the number is.
        value: The number.
        note: Its uncertainty, or why there is none.
        basis: How the uncertainty was obtained, at length.
        verdict: Whether it is to be believed, in one of the words of `data.coupling`.

    Returns:
        A dict of these texts, and tone: the colour of the verdict, as `views.theme` names it.
    """
    words = {"label": label, "value": value, "note": note, "basis": basis}
    return words | {"verdict": verdict, "tone": TONES.get(verdict, "")}


def missing(label: str) -> Tile:
    """The tile of a number that is not measured, or not yet.

    Args:
        label: What the number is.

    Returns:
        The tile.
    """
    return tile(label, "–", "not measured")


def withheld(label: str, reason: str) -> Tile:
    """The tile of a number that is not given, with the reason in its place.

    Args:
        label: What the number is.
        reason: Why, in words; what follows a colon or comma stands in the details only.

    Returns:
        The tile.
    """
    return tile(label, "–", brief(reason), reason)


def brief(basis: str) -> str:
    """What a tile has room for of how a number was obtained, or why there is none."""
    text = basis.removeprefix("withheld: ")
    start = "withheld: " if text != basis else ""
    return start + text.split(";")[0].split(",")[0].split(":")[0]

"""What the page's JavaScript takes from Python: the types of the contract, and shared constants.

`python -m hessview.page.generate` writes both into `src`; a test says whether they are current.
"""

import inspect
import json
import re
import types
from pathlib import Path
from typing import (
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from hessview.analysis.headline import RESOLUTION
from hessview.page import contract, panel_contract
from hessview.spectral import quadrature
from hessview.views.broadening import AXES
from hessview.views.compare import MARGIN, ROUNDING, SAME, TICKS
from hessview.views.convergence import EDGE as BOUND_EDGE
from hessview.views.convergence import ROUNDING as LAST_DIGIT
from hessview.views.convergence import TICKS as BOUND_TICKS
from hessview.views.coupling_row import SCALES
from hessview.views.density import LOCATED
from hessview.views.sweep import AROUND
from hessview.views.training import DECADES, LEAST_ROWS, MOST_ROWS

_SOURCES = Path(__file__).parent / "src"

_CONSTANTS: dict[str, float | int | list[str]] = {
    "AXES": list(AXES),
    "SCALES": list(SCALES),
    "RESOLUTION": RESOLUTION,
    "POINTS_PER_WIDTH": quadrature.POINTS_PER_WIDTH,
    "FLAT_WIDTH": quadrature.FLAT_WIDTH,
    "POINTS_PER_SIGMA": quadrature.POINTS_PER_SIGMA,
    "LEAST_POINTS": quadrature.LEAST_POINTS,
    "MOST_POINTS": quadrature.MOST_POINTS,
    "LEAST_APART": quadrature.LEAST_APART,
    "PADDING": quadrature.PADDING,
    "REACH": quadrature.REACH,
    "TICKS": TICKS,
    "ROUNDING": ROUNDING,
    "ONE_VALUE": SAME,
    "MARGIN": MARGIN,
    "LOCATED": LOCATED,
    "BOUND_TICKS": BOUND_TICKS,
    "BOUND_EDGE": BOUND_EDGE,
    "LAST_DIGIT": LAST_DIGIT,
    "AROUND": AROUND,
    "LEAST_ROWS": LEAST_ROWS,
    "MOST_ROWS": MOST_ROWS,
    "DECADES": DECADES,
}
"""What decides how curves are drawn, by the page's name for it; each is stated, with its reason,
where it is taken from."""

_HEAD = "// Written by `python -m hessview.page.generate`{about}; do not edit.\n"
_SIMPLE = {str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}


def constants() -> str:
    """The source of `src/constants.js`."""
    lines = [f"export const {name} = {json.dumps(value)};" for name, value in _CONSTANTS.items()]
    origin = " from where Python draws the same"
    return _HEAD.format(about=origin) + "\n".join(["", *lines, ""])


def _forms() -> list[Any]:
    """All forms of the contract, each once, in the order of the files."""
    every = (*vars(panel_contract).values(), *vars(contract).values())
    return list(dict.fromkeys(form for form in every if is_typeddict(form)))


def types_of_contract() -> str:
    """The source of `src/contract.d.ts`: an interface for each form of the contract."""
    forms = _forms()
    union = f"/** A panel, by its kind. */\nexport type Panel = {_type(panel_contract.Panel)};"
    origin = " from contract.py"
    return _HEAD.format(about=origin) + "\n" + "\n\n".join([*map(_interface, forms), union, ""])


def _interface(form: Any) -> str:
    docstrings = [inspect.cleandoc(each.__doc__ or "") for each in [*_bases(form), form]]
    descriptions = _attributes("\n".join(docstrings))
    lines = [f"/** {form.__doc__.splitlines()[0]} */"] if form.__doc__ else []
    lines.append(f"export interface {form.__name__} {{")
    for name, hint in get_type_hints(form, include_extras=True).items():
        optional = "?" if name in form.__optional_keys__ else ""
        if name in descriptions:
            lines.append(f"  /** {descriptions[name]} */")
        lines.append(f"  {name}{optional}: {_type(hint)};")
    return "\n".join([*lines, "}"])


def _bases(form: Any) -> list[Any]:
    """The forms that have a part of this one's fields; a TypedDict forgets what it was made of."""
    own_fields = get_type_hints(form)
    others = [other for other in _forms() if other is not form]
    return [other for other in others if get_type_hints(other).items() <= own_fields.items()]


def _attributes(docstrings: str) -> dict[str, str]:
    """What docstrings say of each attribute, in one line; the last counts."""
    matches = re.findall(r"^    (\w+): (.+(?:\n {8}.+)*)", docstrings, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", text) for name, text in matches}


def _type(hint: Any) -> str:
    """A Python type as TypeScript writes it."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (NotRequired, Required):
        return _type(inner[0])
    if origin in (Union, types.UnionType):
        return " | ".join(dict.fromkeys(map(_type, inner)))
    if origin is Literal:
        return " | ".join(map(json.dumps, inner))
    if origin is list:
        item = _type(inner[0])
        return f"({item})[]" if " | " in item else f"{item}[]"
    if origin is dict:
        return f"Record<{_type(inner[0])}, {_type(inner[1])}>"
    if hint is Any:
        return "any"
    return _SIMPLE[hint] if hint in _SIMPLE else str(hint.__name__)


def main() -> None:
    """Write both files."""
    (_SOURCES / "constants.js").write_text(constants(), encoding="utf-8")
    (_SOURCES / "contract.d.ts").write_text(types_of_contract(), encoding="utf-8")


if __name__ == "__main__":
    main()

"""What stands above a figure: its title, of what it is, and what was measured how."""

import html
import json
import textwrap
from collections.abc import Mapping
from typing import Any

from hessview.views.operator_name import operator_name
from hessview.views.theme import LIGHT

WIDTH = 80  # characters of a line: what a notebook's output shows
LONGEST = 48  # characters of a name that comes from outside; its end tells models apart
BAR = " · "
TOP, LINE = 52, 17  # pixels: the title, and each line below it


def heading(
    title: str,
    attrs: Mapping[Any, Any],
    words: str,
    *,
    body: int,
    warning: str = "",
    colour: str = "bad",
) -> dict[str, Any]:
    """Title and subtitle, which say enough for a figure to stand alone, and the room they take.

    Args:
        title: What the figure shows.
        attrs: Attrs of its dataset: model, operator, subset and training step, where known.
        words: Probes, steps, kernel width and the like; parts are set apart by " · ".
        body: Height of all below the title, in pixels.
        warning: What must not be overlooked.
        colour: Its colour, as `theme.LIGHT` names it.

    Returns:
        title, margin and height of a Plotly layout.
    """
    lines = [line for text in (_matter(attrs), words) for line in _lines(text)]
    if warning:
        lines += [f'<b style="color:{LIGHT[colour]}">{line}</b>' for line in _lines(warning)]
    top = TOP + LINE * len(lines)
    return {
        "title": {"text": title, "subtitle": {"text": "<br>".join(lines)}},
        "margin": {"t": top},
        "height": body + top,
    }


def _matter(attrs: Mapping[Any, Any]) -> str:
    """What was measured: whose matrix, which part of it, and when."""
    parts = [_name(attrs["model"])] if attrs.get("model") else []
    if attrs.get("operator"):
        parts.append(operator_name(attrs))
    if subset := subset_of(attrs):
        parts.append(f"subset {_name(subset)}")
    if attrs.get("training_step") is not None:
        parts.append(f"training step {attrs['training_step']}")
    return BAR.join(parts)


def subset_of(attrs: Mapping[Any, Any]) -> str:
    """The patterns that restrict an operator, as people read them; "" if nothing does.

    Args:
        attrs: Attrs of a dataset, where they stand as JSON.
    """
    text = str(attrs.get("subset", ""))
    patterns = json.loads(text) if text.startswith("[") else [text]
    return "" if patterns == ["*"] else " ".join(map(str, patterns))


def _name(value: object) -> str:
    text = str(value)
    text = text if len(text) <= LONGEST else f"…{text[1 - LONGEST :]}"
    return html.escape(text, quote=False)  # Plotly reads some tags, links among them


def _lines(text: str) -> list[str]:
    """Lines that break between parts; a part that is too long breaks between its words."""
    lines: list[str] = []
    for part in text.split(BAR):
        if lines and len(lines[-1]) + len(BAR) + len(part) <= WIDTH:
            lines[-1] += BAR + part
        else:
            lines += textwrap.wrap(part, WIDTH, break_long_words=False)
    return lines

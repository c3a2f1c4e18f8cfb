"""HTML of what shows where no script runs, from the templates beside the page's scripts."""

import functools
from typing import Any

import jinja2
from markupsafe import Markup

from hessview.page.module import STATIC


@functools.cache
def template(name: str) -> jinja2.Template:
    """A template in which every value is escaped, and a missing one is an error.

    Args:
        name: Name of a file in `page/static`.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(STATIC), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template(name)


def part(name: str, *values: Any) -> Markup:
    """A part of what shows without scripts.

    Args:
        name: A macro of still.html.j2.
        values: What it takes, in order.

    Returns:
        HTML with inline styles only; every text in it is escaped, but for Markup.
    """
    return Markup(getattr(_still(), name)(*values))


@functools.cache
def _still() -> Any:
    return template("still.html.j2").module

"""The page as one HTML file that opens anywhere, without a network."""

import base64
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from hessview._version import __version__
from hessview.errors import InputError
from hessview.page.contract import Page
from hessview.page.live import dataset_of, runs_of
from hessview.page.module import report_script
from hessview.page.state import page_state
from hessview.page.static_html import fallback
from hessview.page.templates import template
from hessview.views import theme


def report(runs: Any, path: str | Path, *, title: str | None = None) -> Path:
    """Write an interactive report of runs into one HTML file.

    It needs no network and no kernel: sliders compute in the page. Readers without scripts see a
    drawing and tables. A run that failed, was cancelled, or still goes on shows what it has and
    says so.

    Args:
        runs: A session, of which all runs are reported, a run, a dataset, the tree of
            `hessview.open_runs`, or an iterable of these.
        path: The HTML file to write; an existing one is replaced, missing folders are made.
        title: Heading of the page; None leaves it to the names of the models.

    Returns:
        The file's path, absolute.

    Raises:
        InputError: There is no run in it, or the file cannot be written.
    """
    datasets = [dataset_of(run) for run in runs_of(runs)]
    state = page_state(datasets, final=True)
    html = template("report.html.j2").render(
        heading=title,
        title=title or f"Curvature of {state['title']}",
        version=__version__,
        policy=_policy(_script()),
        state=_embedded(state),
        script=_script(),
        still=fallback(datasets, state),
        light=theme.LIGHT,
        dark=theme.DARK,
        font=theme.FONT,
    )
    target = Path(path).expanduser().absolute()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(html, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{target} cannot be written ({error}); choose another path.") from error
    return target


@functools.cache
def _script() -> str:
    return report_script().replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _policy(script: str) -> str:
    """Nothing may be loaded, and only this very script may run.

    Styles stay free because plotly.js sets them on its elements; a style can load nothing here.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _embedded(state: Page) -> str:
    """JSON that cannot end its script element, nor a line within it."""
    text = json.dumps(state, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text

"""The page's ES module as one text, the same for every shell."""

import functools
import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

STATIC = Path(__file__).parent / "static"
PLOTS = (
    "tridiagonal.js",
    "broadening.js",
    "density.js",
    "curve_controls.js",
    "density_panel.js",
    "figure.js",
    "spectrum.js",
    "settings.js",
    "sweep.js",
    "coupling.js",
    "coupling_panel.js",
    "training.js",
    "convergence.js",
    "comparison.js",
    "panels.js",
)
PAGE = ("controls.js", "asking.js", "card.js", "gone.js", "turns.js", "readings.js", "view.js")
DASHBOARD = ("list.js", "form.js", "dashboard.js")

# plotly.js is written for a page of its own: it leaves itself in window.Plotly, where Panel and
# FigureWidget keep another version. Whatever was there before is put back.
_PRIVATE_PLOTLY = """\
const Plotly = ((module) => {{
  const before = Object.getOwnPropertyDescriptor(window, "Plotly");
  {source}
  if (before) Object.defineProperty(window, "Plotly", before);
  else delete window.Plotly;
  return module.exports;
}})({{ exports: {{}} }});
"""


@functools.cache
def module(*shells: str) -> str:
    """Source of the module: a private plotly.js, the style, the panels, the page, and a shell.

    Args:
        *shells: Files of the shell that mounts the page; none for the page alone.

    Returns:
        JavaScript that exports `mount(element, state, { ask })`, and what the shell exports.
    """
    plotly = (STATIC / "plotly-cartesian.min.js").read_text(encoding="utf-8")
    return "\n".join([_PRIVATE_PLOTLY.format(source=plotly), _texts(*PLOTS, *PAGE, *shells)])


@functools.cache
def module_without_plots(*shells: str) -> str:
    """Source of the module for cards, which is a hundredth as large: it knows no panels.

    Args:
        *shells: Files of the shell that mounts the page.

    Returns:
        JavaScript as of `module`.
    """
    return "\n".join(["const PANELS = {};", _texts(*PAGE, *shells)])


@functools.cache
def loader() -> str:
    """Source of the module that each widget brings along, and that loads the page of all."""
    return (STATIC / "loader.js").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Source:
    """A page that a notebook's document loads once, whichever of its widgets asks for it.

    Args:
        text: The module; it exports `shells`, see shells.js.
    """

    text: str

    @functools.cached_property
    def digest(self) -> str:
        """Its name: two kernels with the same page share it, and other versions have another."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:20]

    @functools.cached_property
    def packed(self) -> bytes:
        """The text in UTF-8, with gzip: a kernel may sit at the other end of a slow line."""
        return gzip.compress(self.text.encode(), mtime=0)


@functools.cache
def drawing_page() -> Source:
    """The page of runs and dashboards in a notebook."""
    return Source(module(*DASHBOARD, "shells.js", "notebook.js", "dashboard_widget.js"))


@functools.cache
def card_page() -> Source:
    """The page of cards in a notebook."""
    return Source(module_without_plots("shells.js", "notebook.js"))


def _texts(*names: str) -> str:
    style = json.dumps((STATIC / "view.css").read_text(encoding="utf-8"))
    parts = [(STATIC / name).read_text(encoding="utf-8") for name in names]
    return "\n".join([f"const STYLE = {style};", *parts])

"""The page's ES module as one text, the same for every shell."""

import functools
import json
from pathlib import Path

STATIC = Path(__file__).parent / "static"
SOURCES = ("asking.js", "density.js", "figure.js", "readings.js", "view.js")

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
def module() -> str:
    """Source of the module: a private plotly.js, the style, the panels, the page.

    Returns:
        JavaScript that exports `mount(element, state, { ask })`, and by default what anywidget
        renders.
    """
    plotly = (STATIC / "plotly-cartesian.min.js").read_text(encoding="utf-8")
    style = json.dumps((STATIC / "view.css").read_text(encoding="utf-8"))
    parts = [(STATIC / name).read_text(encoding="utf-8") for name in SOURCES]
    return "\n".join([_PRIVATE_PLOTLY.format(source=plotly), f"const STYLE = {style};", *parts])

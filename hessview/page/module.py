"""The page's JavaScript as it is served: the loader of each widget, and the page that all share.

Both are built from `page/src` (`npm run build` in `hessview/page`), and the built files are
committed, so that nobody needs node to install or to use hessview.
"""

import functools
import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

STATIC = Path(__file__).parent / "static"

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
_EXPORTS = ("merged", "mount", "mountDashboard", "render", "shells")
"""What the module exports, of what src/page.js offers; see there."""


@functools.cache
def module() -> str:
    """Source of the page as an ES module, with a plotly.js of its own.

    Returns:
        JavaScript that exports `_EXPORTS`; `render` is what a component of Panel needs, and
        `shells` what the loader does.
    """
    return "\n".join([_plotly(), _page_without_plots()])


@functools.cache
def _page_without_plots() -> str:
    """The same for cards, a tenth as large: no plotly.js is there, and so no panel can be drawn."""
    exports = [f"export const {name} = hessview.{name};" for name in _EXPORTS]
    return "\n".join([_built("page.js"), *exports])


@functools.cache
def report_script() -> str:
    """The script of a report: the page, which mounts itself into the file's elements."""
    return "\n".join([_plotly(), _built("page.js"), "hessview.report();"])


@functools.cache
def loader() -> str:
    """Source of the module that each widget brings along, and that loads the page of all."""
    return _built("loader.js")


@dataclass(frozen=True)
class Source:
    """A page that a notebook's document loads once, whichever of its widgets asks for it.

    Args:
        text: The module; it exports `shells`, see src/shells.js.
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
    return Source(module())


@functools.cache
def card_page() -> Source:
    """The page of cards in a notebook."""
    return Source(_page_without_plots())


def _plotly() -> str:
    return _PRIVATE_PLOTLY.format(source=_built("plotly-cartesian.min.js"))


def _built(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")

"""Reports in Chromium, the page's functions in node, and jobs for dashboards."""

import shutil

import pytest

import hessview
from helpers.node_page import Node, require_node
from helpers.shell_job import HESSVIEW, ShellJob
from hessview.page.module import module
from hessview.page.report import report
from jobs import small

IMPORTED = """async (source) => {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  window.page = await import(url);
}"""

DRAWN = """() => document.querySelector(".hess-panel") &&
  [...document.querySelectorAll(".hess-plot")].every((plot) => plot._fullData || plot.hidden)"""


@pytest.fixture
def open_report(tmp_path, new_context):
    """Write a report and open it offline; at the end, nothing was asked for nor complained of."""
    heard = []

    def run(runs, *, width=1180, dark=False, scripts=True, **options):
        path = report(runs, tmp_path / "report.html", **options)
        context = new_context(
            offline=True,
            viewport={"width": width, "height": 1000},
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
        )
        page = context.new_page()
        page.on("request", lambda r: heard.append(r.url) if r.url != path.as_uri() else None)
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("dialog", lambda dialog: (heard.append(dialog.message), dialog.dismiss()))
        page.goto(path.as_uri())
        if scripts:
            page.wait_for_function(DRAWN)
        return page

    yield run
    assert heard == []


@pytest.fixture(scope="package")
def small_job(tmp_path_factory):
    """A slow two-rank job that the tests of this folder share."""
    job = ShellJob(tmp_path_factory.mktemp("small"), HESSVIEW, "launch", "small:slow")
    try:
        yield job.wait_until_ready()
    finally:
        job.end()


@pytest.fixture
def session():
    """The same job in this process, for one test."""
    with hessview.local(small.slow()) as made:
        yield made


@pytest.fixture(scope="session")
def program_node():
    """The node program of the system."""
    return require_node(
        shutil.which("node"), "there is no node; install it, such as with apt-get install nodejs"
    )


@pytest.fixture(scope="session")
def node(program_node):
    """The page's functions, see `Node`."""
    made = Node(program_node)
    yield made
    made.close()


@pytest.fixture
def exports(page):
    """A blank page with the module's exports in `window.page`."""
    page.goto("about:blank")
    page.evaluate(IMPORTED, module())
    return page

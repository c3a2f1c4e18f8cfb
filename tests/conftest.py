import contextlib
import os
import time
from pathlib import Path

import numpy as np
import pytest
from jupyter_page import JupyterLab, chromium

CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


def pytest_addoption(parser):
    parser.addoption("--fuzz-cases", type=int, default=2000, help="cases of tests/fuzz")
    parser.addoption("--fuzz-seed", type=int, default=0, help="seed of tests/fuzz")


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    """Chromium of the system; without it, tests are skipped, or fail where they must run."""
    found = chromium()
    if found is None:
        cure = "there is no Chromium; install it, such as with apt-get install chromium"
        if os.environ.get("HESSVIEW_REQUIRE_BROWSER") == "1":
            pytest.fail(cure)
        pytest.skip(cure)
    return {**browser_type_launch_args, "executable_path": found, "args": CHROMIUM}


@pytest.fixture(scope="session")
def jupyterlab(tmp_path_factory):
    """A JupyterLab server on 127.0.0.1 (see `jupyter_page.JupyterLab`)."""
    server = JupyterLab(tmp_path_factory.mktemp("jupyterlab"))
    yield server
    server.stop()


@pytest.fixture
def open_notebook(jupyterlab, page):
    """Write code cells into a notebook, open it and run it all: (page, path of the notebook)."""

    def run(name, cells, *, width=1280, height=1000):
        page.set_viewport_size({"width": width, "height": height})
        path = jupyterlab.write(name, cells)
        jupyterlab.open(page, path)
        jupyterlab.run_all(page)
        return page, path

    return run


@pytest.fixture
def shots():
    """Folder for pictures to look at; git ignores it."""
    folder = Path(__file__).parent.parent / "test-results" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def dense_lanczos():
    """Reference Lanczos on a dense matrix: (alpha, beta) of a unit-norm start vector."""

    def run(matrix, start, steps):
        basis = np.zeros((steps, len(start)))
        alpha, beta = np.zeros(steps), np.zeros(steps)
        vector = start
        for step in range(steps):
            basis[step] = vector
            product = matrix @ vector
            alpha[step] = vector @ product
            for _ in range(2):  # "twice is enough", Parlett 1998, 6.9
                product = product - basis.T @ (basis @ product)
            beta[step] = np.linalg.norm(product)
            vector = product / beta[step] if beta[step] else product
        return alpha, beta

    return run


@pytest.fixture
def until():
    """Wait until something comes true."""

    def wait(condition, timeout=30.0):
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, "it does not come true"
            time.sleep(0.01)

    return wait


@pytest.fixture
def within(capsys):
    """Bound how long something takes, and tell past the capture how long it took.

    The bounds are those which users can rely on, on machines that are busy: most of what they
    bound takes tenths of a second on an idle one.
    """

    @contextlib.contextmanager
    def bound(seconds, what):
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        with capsys.disabled():
            print(f"\n    {what}: {took:.2f} s (bound {seconds})", end="")
        assert took < seconds, f"{what} took {took:.1f} s, more than {seconds}"

    return bound

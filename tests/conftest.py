import contextlib
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import settings

from helpers.folders import JOBS, ROOT, TESTS
from helpers.jupyter_page import JupyterLab, chromium
from helpers.puppet import Puppet

pytest_plugins = ["helpers.records"]

# The same examples each time, on machines that may be busy, and nothing is left in the folder.
settings.register_profile(
    "hessview", derandomize=True, deadline=None, database=None, print_blob=False
)
settings.load_profile("hessview")

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

ATTEMPTS = 3
"""How often ranks are started that die of SIGSEGV. With dozens of groups in a process one of gloo's
own threads does so now and then (3 of some 30 launches of torch 2.13, in no Python thread, within
other functions each time); a crash that is ours comes again."""


def pytest_addoption(parser):
    parser.addoption("--fuzz-cases", type=int, default=2000, help="cases of tests/fuzz")
    parser.addoption("--fuzz-seed", type=int, default=0, help="seed of tests/fuzz")


ALONE = {
    *("notebooks", "session", "transport"),
    *("test_cli.py", "test_demo.py", "test_demo_lab.py", "test_interrupts.py"),
}
"""Whose tests have processes that wait for each other, within times that users count on."""


@pytest.hookimpl(tryfirst=True)  # before marks select
def pytest_collection_modifyitems(items):
    """Mark the tests that want the cores for themselves; of a file, which may share a job, all."""
    bounded = {item.path for item in items if "within" in item.fixturenames}
    for item in items:
        if item.path in bounded or item.path.relative_to(TESTS).parts[0] in ALONE:
            item.add_marker("alone")


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
    folder = ROOT / "test-results" / "pictures"
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


@pytest.fixture(scope="session")
def torchrun(tmp_path_factory):
    """Run a script of tests/ranks on so many ranks; returns what it saved."""

    def run(script, ranks, *arguments, limit=280):
        import torch  # which most tests do without

        path = tmp_path_factory.mktemp(f"ranks_{ranks}") / "results.pt"
        for _ in range(ATTEMPTS):
            done = subprocess.run(
                [
                    *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
                    *("--local-addr", "127.0.0.1", "--nproc-per-node", str(ranks)),
                    *("-m", f"ranks.{script}", str(path), *arguments),
                ],
                cwd=TESTS,
                env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
                capture_output=True,
                text=True,
                timeout=limit,
            )
            if "(SIGSEGV)" not in done.stderr:
                break
            print(f"{script}: a rank died of SIGSEGV:", done.stderr[-2000:])
        assert done.returncode == 0, done.stderr[-6000:]
        return torch.load(path, weights_only=False)

    return run


@pytest.fixture(scope="session")
def left_on_ranks(tmp_path_factory):
    """Runs a training script of tests/jobs: (its folder, what it says is left on each rank)."""

    def run(script, kind, ranks):
        out = tmp_path_factory.mktemp(kind)
        command = [sys.executable, script, "--kind", kind, "--out", str(out)]
        if ranks > 1:
            torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
            command[1:1] = [*torchrun, str(ranks)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=JOBS, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        found = [json.loads(path.read_text()) for path in sorted(out.glob("rank-*.json"))]
        assert len(found) == ranks
        return out, found

    return run


@pytest.fixture
def puppet():
    """Makes processes that did some lines of code, and ends them when the test is over."""
    made = []

    def make(*lines):
        made.append(Puppet())
        for line in lines:
            made[-1].do(line)
        return made[-1]

    yield make
    for one in made:
        one.kill()

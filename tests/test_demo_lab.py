"""`hessview lab`, and what Binder builds, as far as it goes without Docker."""

import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import psutil
import pytest

from helpers.folders import ROOT
from helpers.shell_job import HESSVIEW
from hessview import demo as lab

FIRST = "1_attach_and_density.ipynb"
ADDRESS = r"http://(?:127\.0\.0\.1|localhost):\S+token=\w+"
OPEN = """(path) => {
  const panel = window.jupyterapp?.shell.currentWidget;
  return panel?.context?.path === path
    && panel.sessionContext?.session?.kernel?.connectionStatus === "connected";
}"""


@pytest.fixture
def serve(tmp_path):
    """Start a JupyterLab in a folder; gives the address that it prints."""
    started = []

    def run(command, folder, environment=os.environ):
        out = tmp_path / f"output_{len(started)}"
        private = {
            f"JUPYTER_{name}_DIR": str(tmp_path / name.lower()) for name in ("CONFIG", "RUNTIME")
        }
        with out.open("w") as log:
            process = subprocess.Popen(
                [*command, "--no-browser", "--allow-root", "--LabApp.expose_app_in_browser=True"],
                cwd=folder,
                env={**environment, **private},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        started.append(process)
        deadline = time.monotonic() + 90
        while not (found := re.search(ADDRESS, out.read_text())):
            assert process.poll() is None, out.read_text()
            assert time.monotonic() < deadline, out.read_text()
            time.sleep(0.1)
        return found[0]

    yield run
    for process in started:
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        process.wait(30)
        for child in psutil.wait_procs(children, 20)[1]:
            child.kill()


@pytest.mark.browser
def test_lab_opens_the_first_notebook(serve, page, tmp_path):
    (tmp_path / "hessview-notebooks").mkdir()
    mine = tmp_path / "hessview-notebooks" / "2_step_size.ipynb"
    mine.write_text("mine")
    page.goto(serve([HESSVIEW, "lab"], tmp_path))
    page.wait_for_function(OPEN, arg=FIRST, timeout=90_000)
    copied = {path.name for path in (tmp_path / "hessview-notebooks").glob("*.ipynb")}
    assert copied == {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert mine.read_text() == "mine"


def test_lab_gives_jupyter_its_further_options_and_the_environment_of_a_job(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(os, "execve", lambda *arguments: seen.append(arguments))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    notebook = tmp_path / "my own.ipynb"
    notebook.write_text("{}")
    lab.lab(notebook, ["--port", "9000"])
    ((_, arguments, environment),) = seen
    assert arguments[-2:] == ["--port", "9000"]
    assert f"--ServerApp.root_dir={tmp_path}" in arguments
    assert "--LabApp.default_url=/lab/tree/my%20own.ipynb" in arguments
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["PATH"].startswith(str(Path(sys.executable).parent))


def test_a_wheel_brings_the_notebooks(tmp_path):
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
            *("--wheel-dir", str(tmp_path), str(ROOT)),
        ],
        check=True,
        timeout=200,
    )
    (wheel,) = tmp_path.glob("hessview-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert f"hessview/_notebooks/{FIRST}" in names
    assert {"hessview/page/static/loader.js", "hessview/page/static/page.js"} <= set(names)
    assert not [name for name in names if "page/src/" in name or "node_modules" in name]


@pytest.mark.browser
@pytest.mark.ranks
@pytest.mark.timeout(900)
def test_binder_builds_what_opens_at_the_first_notebook_and_runs_it(serve, page, tmp_path, shots):
    """repo2docker's steps: the requirements, postBuild in the repository, then the server."""
    repository, prefix = tmp_path / "repository", tmp_path / "environment"
    shutil.copytree(
        ROOT, repository, ignore=shutil.ignore_patterns(".git", ".*_cache", "test-results", "runs")
    )
    assert (repository / "binder" / "runtime.txt").read_text().strip() == "python-3.11"
    subprocess.run([sys.executable, "-m", "venv", str(prefix)], check=True, timeout=120)
    path = f"{prefix / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "VIRTUAL_ENV", "GLOO_SOCKET_IFNAME", "OMP_NUM_THREADS")
    } | {"PATH": path}
    for command in (["pip", "install", "-r", "binder/requirements.txt"], ["binder/postBuild"]):
        done = subprocess.run(
            command, cwd=repository, env=environment, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    page.set_viewport_size({"width": 1280, "height": 2600})
    url = serve([str(prefix / "bin" / "jupyter-lab")], repository, environment)
    assert f"/lab/tree/notebooks/{FIRST}?" in url
    page.goto(url)
    page.wait_for_function(OPEN, arg=f"notebooks/{FIRST}", timeout=90_000)
    page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.locator(".hess-pill").filter(has_text="done").wait_for(timeout=280_000)
    page.get_by_text("'report.html'").wait_for(timeout=60_000)
    page.screenshot(path=shots / "binder.png")
    assert (repository / "notebooks" / "runs" / "first" / "report.html").exists()

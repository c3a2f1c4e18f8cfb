"""JupyterLab on 127.0.0.1 for a browser to open notebooks in."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nbformat

START_SECONDS = 180  # of a machine with much else to do
KERNEL_READY = """() => {
  const panel = window.jupyterapp?.shell.currentWidget;
  const kernel = panel?.sessionContext?.session?.kernel;
  return kernel?.connectionStatus === "connected" && kernel.status === "idle";
}"""
# News and updates would ask the network, and cover the page with a notice.
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
}


def chromium() -> str | None:
    """Chromium of the system, if there is one."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class JupyterLab:
    """A server with its own configuration; `stop` ends it and its kernels."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        settings = folder / "settings"
        for name, values in SETTINGS.items():
            file = settings / "@jupyterlab" / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))
        self.notebooks = folder / "notebooks"
        self.notebooks.mkdir()
        self._token = secrets.token_hex(16)
        self._url = f"http://127.0.0.1:{_free_port()}"
        self._log = (folder / "jupyterlab.log").open("w")
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                "--ServerApp.ip=127.0.0.1",
                f"--ServerApp.port={self._url.rpartition(':')[2]}",
                "--ServerApp.port_retries=0",
                f"--ServerApp.root_dir={self.notebooks}",
                f"--IdentityProvider.token={self._token}",
                "--LabApp.expose_app_in_browser=True",
            ],
            env=os.environ
            | {
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "JUPYTER_CONFIG_DIR": str(folder / "config"),
                "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
                "JUPYTERLAB_SETTINGS_DIR": str(settings),
                "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
                "IPYTHONDIR": str(folder / "ipython"),
            },
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                urllib.request.urlopen(f"{self._url}/api?token={self._token}", timeout=5).close()
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                time.sleep(0.1)
            else:
                return
        self.stop()
        raise RuntimeError(
            f"JupyterLab did not start:\n{(self.folder / 'jupyterlab.log').read_text()}"
        )

    def write(self, name: str, cells: list[str]) -> Path:
        """A notebook with these code cells."""
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        )
        path = self.notebooks / f"{name}.ipynb"
        nbformat.write(notebook, path)
        return path

    def open(self, page, path: Path) -> None:
        """Open a notebook in a Playwright page and wait for its kernel."""
        page.goto(
            f"{self._url}/lab/tree/{path.relative_to(self.notebooks)}?reset&token={self._token}"
        )
        page.wait_for_function(KERNEL_READY, timeout=90_000)

    def run_all(self, page) -> None:
        """Start all cells; what they show arrives when it does."""
        page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def save(self, page) -> None:
        """Save the open notebook, once its cells are through."""
        page.wait_for_function(KERNEL_READY, timeout=60_000)
        page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")

    def stop(self) -> None:
        """End the server, which ends its kernels."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

"""Eight runs that go on in a notebook, and whether what a browser shows of them follows."""

import functools
import math
import time
from dataclasses import dataclass, field

import numpy as np

from helpers.emulated import dataset
from helpers.folders import TESTS
from hessview.analysis.ritz import ritz
from hessview.page.state import page_state
from hessview.spectral import quadrature

WIDGETS = 8
RUN = {"probes": 2, "steps": 12}
HALF = 16  # events after which a run waits until the test has seen enough
HEIGHT = 1750 * WIDGETS  # of a picture of all of them

SETUP = f"""\
import pathlib, sys, threading, time
sys.path.insert(0, {str(TESTS)!r})
from helpers.emulated import LiveRun
from hessview.page.widget import view
turn = globals().get("turn", 0) + 1
runs = []
def display(number):
    runs.append(LiveRun(seconds=0.25, pause={HALF}, seed=number, **{RUN!r}).start())
    return view(runs[-1])
def let_go(runs, file):
    while not file.exists():
        time.sleep(0.05)
    for run in runs:
        run._seconds = 0.02
        run.go_on()
file = pathlib.Path(f"{{notebook}}-{{turn}}")
threading.Thread(target=let_go, args=(runs, file), daemon=True).start()"""

# What stands in an output once somebody has come to it: JupyterLab lays out no other.
COME = """(number) => document.querySelectorAll(".jp-OutputArea-output")[number].scrollIntoView()"""
SEEN = """(number) => {
  const output = document.querySelectorAll(".jp-OutputArea-output")[number];
  const root = output.querySelector(".hessview");
  const plot = [...output.querySelectorAll(".hess-plot")].find((one) => one._fullData?.some(
    ({ meta }) => meta?.role === "mean"));
  const mean = plot?._fullData.find(({ meta }) => meta.role === "mean");
  return {
    text: output.innerText.slice(0, 200),
    state: root?.querySelector(".hess-pill")?.textContent ?? "",
    tiles: [...output.querySelectorAll(".hess-tiles strong")].map((tile) => tile.textContent),
    silence: root?.querySelector(".hess-silence:not([hidden])")?.textContent ?? "",
    x: Array.from(mean?.x ?? []),
    y: Array.from(mean?.y ?? []),
  };
}"""
STATES = """() => [...document.querySelectorAll(".jp-OutputArea-output")].map((output) =>
  output.querySelector(".hess-pill")?.textContent ?? output.innerText.slice(0, 80))"""


@functools.cache
def recorded(number):
    """The record of a run that has ended."""
    return dataset(seed=number, **RUN)


def lacks(number, seen):
    """What is wrong with what is seen of a run that has ended; "" for nothing."""
    if seen["state"] != "done":
        return f"it shows {seen['state'] or seen['text']!r}"
    if seen["silence"]:
        return f"it says {seen['silence']!r}"
    ds = recorded(number)
    tiles = [tile["value"] for tile in page_state([ds])["sections"][0]["tiles"]]
    if seen["tiles"] != tiles:
        return f"its numbers are {seen['tiles']}, not {tiles}"
    x, y = np.array(seen["x"]), np.array(seen["y"])
    if len(x) < 100:
        return "its plot is empty"
    found = ritz(ds)
    sigma = quadrature.default_sigma(found.node.values, RUN["steps"])
    rows = [
        quadrature.density(node, weight, x, sigma=sigma)
        for node, weight in zip(found.node.values, found.weight.values, strict=True)
    ]
    large = y > y.max() * 1e-3
    if not np.allclose(y[large], np.mean(rows, axis=0)[large], rtol=1e-6):
        return "its curve is not that of the record"
    return ""


@dataclass
class Eight:
    """A notebook of eight live runs in a page.

    Args:
        lab: JupyterLab server (see `jupyter_page`).
        page: Page of Playwright.
        name: Name of the notebook.
        throttle: How many times slower the browser's processor is to be.
        patience: Seconds to wait for anything.
    """

    lab: object
    page: object
    name: str
    throttle: float = 1.0
    patience: float = 60.0
    turn: int = field(default=0, init=False)

    def __post_init__(self):
        self.page.set_viewport_size({"width": 1280, "height": 1000})
        setup = f"notebook = {self.name!r}\n{SETUP}"
        cells = [setup, *(f"display({number})" for number in range(WIDGETS))]
        self._cells = len(cells)
        self.path = self.lab.write(self.name, cells)
        self.cdp = self.page.context.new_cdp_session(self.page)
        self.slow(self.throttle)
        self.lab.open(self.page, self.path)

    def slow(self, throttle):
        """Let the browser's processor be so many times slower from now on."""
        self.throttle = throttle
        self.cdp.send("Emulation.setCPUThrottlingRate", {"rate": throttle})

    def run_all(self):
        """Run all cells, which begins eight runs; returns once the last is displayed somehow."""
        self.turn += 1
        self.lab.run_all(self.page)
        self._until(lambda: self._displayed() == WIDGETS and self._prompts() == self._expected())

    def reload(self):
        """Save and reload the page, whose kernel goes on."""
        self.lab.save(self.page)
        self.lab.open(self.page, self.path)

    def go_on(self):
        """Let the runs come to their end; returns what each widget lacks of it ("" for nothing)."""
        (self.path.parent / f"{self.name}-{self.turn}").touch()
        return self.lacking()

    def picture(self, path, theme="JupyterLab Light"):
        """A picture of all of them, in a window that is high enough for it."""
        command = (
            "(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })"
        )
        self.page.evaluate(command, theme)
        self.page.set_viewport_size({"width": 1280, "height": HEIGHT})
        self.page.evaluate(COME, 0)
        self.page.wait_for_timeout(2000 * (1 + self.throttle))
        self.page.screenshot(path=path, timeout=180_000)
        self.page.set_viewport_size({"width": 1280, "height": 1000})

    def lacking(self):
        """What each widget lacks of the end of its run, once somebody has come to it."""
        deadline = time.monotonic() + self.patience
        self._until(lambda: self._displayed() == WIDGETS)
        count = self._displayed()
        if count != WIDGETS:
            return [f"there are {count} outputs"] * WIDGETS
        # When a run ends its output is stored anew, for which JupyterLab shows the widget again:
        # what was seen just before says nothing of what stays.
        for _ in range(2):
            found = [self._lacks(number, deadline) for number in range(WIDGETS)]
        return found

    def _lacks(self, number, deadline):
        self.page.evaluate(COME, number)
        most = max(deadline - time.monotonic(), 20)
        found = ""

        def whole():
            nonlocal found
            found = lacks(number, self.page.evaluate(SEEN, number))
            return not found

        self._until(whole, most)
        return found

    def _displayed(self):
        return len(self.page.evaluate(STATES))

    def _prompts(self):
        return self.page.evaluate(
            "() => [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')]"
            ".map((prompt) => prompt.textContent)"
        )

    def _expected(self):
        first = (self.turn - 1) * self._cells + 1
        return [f"[{number}]:" for number in range(first, first + self._cells)]

    def _until(self, condition, most=math.inf):
        """Wait for it, or for the patience to end."""
        deadline = time.monotonic() + min(self.patience, most)
        while not condition() and time.monotonic() < deadline:
            self.page.wait_for_timeout(250)


class Cost:
    """Main-thread milliseconds that each widget's own module takes, sampled.

    It counts the time in which a function of the module, or what it calls, was running, but for
    the shared page that it mounts.

    Args:
        page: Page of Playwright.
    """

    def __init__(self, page):
        self._cdp = page.context.new_cdp_session(page)
        self._cdp.send("Profiler.enable")
        self._cdp.send("Profiler.setSamplingInterval", {"interval": 200})
        self._cdp.send("Profiler.start")

    def stop(self):
        """End it.

        Returns:
            Milliseconds of each module that came from a blob, the largest first.
        """
        profile = self._cdp.send("Profiler.stop")["profile"]
        nodes = {node["id"]: node for node in profile["nodes"]}
        parents = {
            child: node["id"] for node in profile["nodes"] for child in node.get("children", [])
        }
        blobs = {}

        def innermost(node):
            """The module, from a blob, that is nearest to the top of the stack."""
            if node not in blobs:
                url = nodes[node]["callFrame"]["url"]
                above = innermost(parents[node]) if node in parents else ""
                blobs[node] = url if url.startswith("blob:") else above
            return blobs[node]

        spent = {}
        for sample, delta in zip(profile["samples"], profile["timeDeltas"], strict=True):
            if blob := innermost(sample):
                spent[blob] = spent.get(blob, 0.0) + delta / 1e3
        return sorted(spent.values(), reverse=True)

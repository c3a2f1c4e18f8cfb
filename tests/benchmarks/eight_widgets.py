"""Whether eight live runs in a JupyterLab notebook are followed, on slow processors, after reloads.

Each pass opens a notebook with a new kernel and asks three times for eight runs that go on:
displayed for the first time; displayed, and then the page reloaded; and displayed by running all
cells again. Each time it lets the runs come to their end, and compares what the widgets show with
the record: state, numbers, and curve. A line of JSON tells of each.

    python tests/benchmarks/eight_widgets.py --throttle 1 2 4 6 --passes 5 --pictures pictures

On two cores of their own a pass takes about one minute at full speed, and five at a sixth of it.
The picture beside this file shows eight widgets at a sixth of the speed, after a reload and Run
All, as they were when five passes at each of these speeds had all eight follow in 60 of 60 rounds.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent))
from conftest import CHROMIUM
from helpers.eight import WIDGETS, Cost, Eight
from helpers.folders import TESTS
from helpers.jupyter_page import JupyterLab, chromium
from hessview.page.module import drawing_page, loader

MODELS = (TESTS / "helpers" / "models.js").read_text()
PAINTED = """async (name) => {
  await window.widget(name);
  await new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve)); });
}"""


def until_painted(browser):
    """Main-thread milliseconds of processor that each widget takes until it is painted first."""
    page = browser.new_page()
    page.goto("about:blank")
    page.evaluate(MODELS, loader())
    cdp = page.context.new_cdp_session(page)
    cdp.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent():
        metrics = cdp.send("Performance.getMetrics")["metrics"]
        return 1e3 * next(one["value"] for one in metrics if one["name"] == "TaskDuration")

    taken = []
    for number in range(WIDGETS):
        before = spent()
        page.evaluate(PAINTED, str(number))
        taken.append(round(spent() - before, 1))
    page.close()
    return taken


def one_pass(lab, browser, name, throttle, pictures, patience):
    """Three times eight runs; yields how many of each follow, and what the others lack."""
    page = browser.new_page()
    heard = []
    page.on("console", lambda message: heard.append(message.text) if message.type == "error" else 0)
    page.on("pageerror", lambda error: heard.append(str(error)))
    try:
        shown = Eight(lab, page, name, throttle=throttle, patience=patience * (1 + throttle))
        for when in ("first", "reload", "again"):
            began = time.monotonic()
            heard.clear()
            cost = Cost(page) if when != "reload" else None
            shown.run_all()
            if when == "reload":
                shown.reload()
            lacking = shown.go_on()
            own = cost.stop() if cost else []
            follow = lacking.count("")
            yield {
                "throttle": throttle,
                "when": when,
                "follow": follow,
                "of": WIDGETS,
                "seconds": round(time.monotonic() - began, 1),
                "module_ms": [round(one, 1) for one in own[:12]],
                "lacking": sorted({one for one in lacking if one}),
                "console": sorted(set(heard))[:5],
            }
            if pictures and when == "reload":
                shown.picture(pictures / f"{name}_dark.png", "JupyterLab Dark")
                shown.picture(pictures / f"{name}_light.png")
    finally:
        page.close()


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--throttle", type=float, nargs="+", default=[1, 2, 4, 6])
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--pictures", type=Path, help="folder for pictures after each reload")
    parser.add_argument("--patience", type=float, default=60, help="seconds, times 1 + throttle")
    given = parser.parse_args()
    if given.pictures:
        given.pictures.mkdir(parents=True, exist_ok=True)
    followed = {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        lab = JupyterLab(Path(folder))
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM)
        try:
            page = drawing_page()
            print(
                f"loader {len(loader().encode())} bytes, until painted {until_painted(browser)} ms"
            )
            print(
                f"page {len(page.text.encode())} bytes, {len(page.packed)} on the wire", flush=True
            )
            for number in range(given.passes):
                for throttle in given.throttle:
                    name = f"x{throttle:g}_{number + 1}"
                    for one in one_pass(
                        lab, browser, name, throttle, given.pictures, given.patience
                    ):
                        print(json.dumps(one), flush=True)
                        counts = followed.setdefault((throttle, one["when"]), [])
                        counts.append(one["follow"])
        finally:
            browser.close()
            lab.stop()
    for (throttle, when), counts in followed.items():
        print(f"{throttle:g} times slower, {when}: {counts} of {WIDGETS} follow")


if __name__ == "__main__":
    main()

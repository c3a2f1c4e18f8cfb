"""The dashboard that `hessview dashboard` serves, in Chromium, on a real job of two ranks."""

import re
import signal
import subprocess
import time

import pytest

import hessview
from helpers.emulated import events
from helpers.overlaps import OVERLAPS
from helpers.shell_job import HESSVIEW
from helpers.wire import Wire
from hessview.record.log import EventLog

BOKEH = ("log: [bokeh", "log: Bokeh items", "info: [bokeh")  # what its library says of itself

pytestmark = [pytest.mark.browser, pytest.mark.ranks, pytest.mark.alone]


@pytest.fixture
def serve(tmp_path):
    """Run `hessview dashboard` and give its address; an interrupt ends it without a word."""
    served = []

    def run(*arguments):
        log = tmp_path / f"served-{len(served)}"
        command = [HESSVIEW, "dashboard", *map(str, arguments), "--no-browser"]
        with log.open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        served.append((process, log))
        deadline = time.monotonic() + 60
        while not (found := re.search(r"http://127\.0\.0\.1:\d+/\S+", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "it does not tell its address"
            time.sleep(0.05)
        return found[0]

    yield run
    for process, log in served:
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(20) == 0
            assert len(log.read_text().splitlines()) == 1
        finally:
            process.kill()


@pytest.fixture
def visit(new_context):
    """Open an address; at the end, no request has left loopback and the console is empty."""
    heard = []

    def run(url, *, width=1180, height=1300, dark=False):
        context = new_context(
            viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
        )
        page = context.new_page()
        page.on(
            "request",
            lambda request: (
                None
                if re.match(r"(https?|ws)://127\.0\.0\.1:|data:|blob:", request.url)
                else heard.append(request.url)
            ),
        )
        page.on("console", lambda said: heard.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.goto(url)
        return page

    yield run
    assert [line for line in heard if not line.startswith(BOKEH)] == []


def record(folder, happened):
    """A run directory without a job."""
    log = EventLog(happened[0].job, folder / "events.jsonl")
    for event in happened:
        log.append(event.payload, run=event.run)
    log.close()


def pill(page, text):
    shown = page.locator(".hess-board section:not(.hess-session) .hess-pill")
    shown.filter(has_text=re.compile(text)).wait_for(timeout=60_000)


def test_it_follows_a_job_without_attaching(small_job, serve, visit, shots):
    url = serve(small_job.path)
    with hessview.attach(small_job.path, force=True) as session:
        page = visit(url)
        page.locator(".hess-board").wait_for(timeout=60_000)
        run = session.density(steps=20, probes=3)
        pill(page, "streaming")
        assert page.get_by_role("button", name="Cancel").count() == 0
        page.screenshot(path=shots / "served_streaming.png")
        run.wait()
        pill(page, "done")
        page.screenshot(path=shots / "served_done.png")
        assert page.evaluate(OVERLAPS) == []
        page = visit(url, dark=True, width=480)
        pill(page, "done")
        page.wait_for_function("() => document.querySelector('.hess-board')")
        page.screenshot(path=shots / "served_dark_narrow.png", full_page=True)


def test_a_page_that_cannot_reach_its_server_says_so_and_catches_up(small_job, serve, page, shots):
    wire = Wire(page, "/ws")
    url = serve(small_job.path)
    with hessview.attach(small_job.path, force=True) as session:
        page.goto(url)
        page.locator(".hess-board").wait_for(timeout=60_000)
        run = session.density(steps=100, probes=20)
        pill(page, "streaming")
        wire.cut()
        pill(page, "detached")
        page.locator(".hess-session .hess-message").get_by_text("cannot be reached").wait_for()
        assert page.locator(".hess-session .hess-pill").text_content() == "lost"
        page.screenshot(path=shots / "served_gone.png")
        wire.restore()
        pill(page, "streaming")
        run.cancel()
        pill(page, "cancelled")
        assert page.locator(".hess-session .hess-pill").text_content() == "watching"


def test_attached_it_measures_and_cancels(small_job, serve, visit, shots):
    page = visit(serve(small_job.path, "--attach"))
    page.get_by_text("Measure a spectral density").click(timeout=60_000)
    page.get_by_role("textbox", name="ε (or auto)").fill("large")
    page.get_by_role("button", name="Measure", exact=True).click()
    page.locator(".hess-notice").get_by_text("epsilon='large' is not allowed").wait_for()
    page.get_by_role("textbox", name="ε (or auto)").fill("1e-3")
    page.get_by_role("textbox", name="Lanczos steps").fill("70")
    page.get_by_role("combobox", name="Operator").select_option("hessian_forward")
    page.screenshot(path=shots / "served_form.png")
    page.get_by_role("button", name="Measure", exact=True).click()
    page.locator("h2").get_by_text("Density · 70 steps × 4 probes").wait_for()
    pill(page, "streaming")
    page.get_by_role("button", name="Cancel").click()
    pill(page, "cancelled")
    *_, run = hessview.open_runs(small_job.path).children.values()
    assert run.attrs["operator"] == "hessian_forward"
    assert run.attrs["epsilon"] == 1e-3

    page.reload()  # the address has kept the run
    page.locator("h2").get_by_text("Density · 70 steps × 4 probes").wait_for(timeout=60_000)


def test_a_record_with_a_hostile_name_and_a_torn_end_is_shown(tmp_path, serve, visit, shots):
    name = "<img src=x onerror=alert(1)>"
    record(tmp_path, events("one", model=name, probes=2, steps=20, stop=31, end=None))
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"seq": 99')
    url = serve(tmp_path)
    page = visit(url)
    page.locator(".hess-session h2").get_by_text(name, exact=True).wait_for(timeout=60_000)
    page.locator(".hess-session .hess-pill").get_by_text("ended").wait_for(timeout=20_000)
    pill(page, "detached")
    page.locator(".hess-key").get_by_text("probe 2, at step 11").wait_for()
    assert page.locator("img").count() == 0
    page.screenshot(path=shots / "served_hostile.png")

    page = visit(url.partition("?")[0])
    page.get_by_text("opened with the address that hessview printed").wait_for(timeout=60_000)
    assert page.locator(".hess-board").count() == 0

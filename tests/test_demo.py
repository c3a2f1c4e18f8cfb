"""The demo as a user runs it, and ways to end it early."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

import hessview
from helpers.folders import JOBS
from helpers.shell_job import HESSVIEW, processes_of, ranks_of

pytestmark = pytest.mark.ranks

# The demo with a model that need not be trained, for what happens around it.
SOON = """\
import sys
from hessview import cli, demo
demo._QUICK = {"model": "small:slow"}
sys.exit(cli.main(sys.argv[1:]))"""


class Demo:
    """`hessview demo`, running."""

    def __init__(self, command, out, *options):
        self.run_dir = out / "run"
        self.process = subprocess.Popen(
            [*command, "demo", "--quick", "--out", str(out), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=JOBS,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def wait_for(self, condition, timeout=90):
        deadline = time.monotonic() + timeout
        while not condition():
            assert self.process.poll() is None, self.process.stdout.read()
            assert time.monotonic() < deadline, "it does not come true"
            time.sleep(0.02)

    def end(self, number=None, timeout=240):
        """Send a signal; its exit code and output, once it has ended."""
        if number is not None:
            self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=timeout)
        return self.process.returncode, output


@pytest.fixture
def demo(tmp_path):
    made = []

    def start(*options, soon=False):
        command = (sys.executable, "-c", SOON) if soon else (HESSVIEW,)
        made.append(Demo(command, tmp_path / "out", *options))
        return made[-1]

    yield start
    for one in made:
        one.process.kill()
        one.process.communicate()


def readings(run_dir):
    record = run_dir / "events.jsonl"
    return record.read_text().count('"kind": "reading"') if record.exists() else 0


def test_demo_leaves_a_report_a_record_and_no_process(demo, tmp_path):
    running = demo("--tokens", "512", "--steps", "3", "--probes", "1")
    status, output = running.end()
    assert status == 0, output
    assert processes_of(running.run_dir) == []
    assert (tmp_path / "out" / "report.html").stat().st_size > 100_000
    assert readings(running.run_dir) == 3 + 1  # three steps, and the extremes measured anew

    assert "torchrun starts 2 ranks; rank 0 trains a small GPT" in output
    assert "attached over torch.distributed.rpc: " in output
    assert "on 2 ranks, loss " in output
    assert "3/3" in output
    assert re.search(r"^ *largest .*\d", output, re.MULTILINE)
    assert "1 probe" in output
    assert f"report: {tmp_path / 'out' / 'report.html'}" in output
    assert f"hessview.open_runs({str(running.run_dir)!r})" in output

    (run,) = hessview.open_runs(running.run_dir).children.values()
    assert run.attrs["state"] == "done"
    assert run.attrs["model"] == "tiny"
    assert run.attrs["world_size"] == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_while_loading(demo, number):
    running = demo(soon=True)
    running.wait_for(lambda: len(ranks_of(running.run_dir)) == 2)
    status, output = running.end(number)
    assert status == 130, output
    assert processes_of(running.run_dir) == []
    assert "interrupted; the job has ended" in output
    assert "Traceback" not in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_while_measuring_keeps_what_was_measured(demo, tmp_path, number):
    running = demo("--steps", "60", "--probes", "40", soon=True)
    running.wait_for(lambda: readings(running.run_dir) >= 2)
    status, output = running.end(number)
    assert status == 130, output
    assert processes_of(running.run_dir) == []
    assert "interrupted; the job has ended, what was measured is kept" in output
    assert "Traceback" not in output
    assert (tmp_path / "out" / "report.html").exists()

    (run,) = hessview.open_runs(running.run_dir).children.values()
    assert run.attrs["state"] in ("cancelled", "failed")
    assert 2 <= int(run.alpha.notnull().sum()) < 2400

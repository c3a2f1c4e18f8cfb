"""What is told while there is no job yet, and in one wording whoever asks."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

import hessview
from helpers.folders import JOBS
from helpers.shell_job import HESSVIEW
from hessview.cli import main
from hessview.errors import (
    HessviewError,
    InputError,
    JobNotFoundError,
    JobStartingError,
    RunDirectoryError,
)
from hessview.transport.run_directory import RunDirectory

ASK = {
    "attach": hessview.attach,
    "watch": hessview.watch,
    "open_runs": hessview.open_runs,
    "dashboard": hessview.dashboard,
}


def told(path):
    """What each way of asking says of a path; all must say the same."""
    errors = {}
    for name, ask in ASK.items():
        with pytest.raises(HessviewError) as caught:
            ask(path)
        errors[name] = (type(caught.value), str(caught.value))
    assert len(set(errors.values())) == 1, errors
    return errors["attach"]


@pytest.mark.parametrize("folder", ["/etc", "/usr/lib"])
def test_a_directory_of_the_system_is_no_run_directory(folder):
    kind, text = told(folder)
    assert kind is RunDirectoryError
    assert text.startswith(f"{folder} is no run directory (it holds neither job.json nor events")
    assert "chmod" not in text
    with pytest.raises(RunDirectoryError, match="is no run directory, and holds other files; choo"):
        RunDirectory.create(folder)


def test_run_directories_below_are_named(tmp_path):
    for name in ("llama/first", "llama/second", "tiny"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "events.jsonl").touch()
    kind, text = told(tmp_path)
    assert kind is RunDirectoryError
    names = ", ".join(str(tmp_path / name) for name in ("tiny", "llama/first", "llama/second"))
    assert text.endswith(f"; below it are {names}: pass one of these.")


def test_nothing_below(tmp_path):
    assert told(tmp_path)[1].endswith("pass what the job was given as --run-dir.")


def test_nothing_there_and_a_file(tmp_path):
    kind, text = told(tmp_path / "no")
    assert kind is RunDirectoryError
    assert text == (
        f"there is no run directory {tmp_path / 'no'}; check the path, or start a job with "
        f"--run-dir {tmp_path / 'no'}."
    )
    (tmp_path / "file").touch()
    assert told(tmp_path / "file")[1].startswith(f"{tmp_path / 'file'} is not a directory; pass")


def test_a_job_that_is_starting(tmp_path, capsys):
    directory = RunDirectory.create(tmp_path / "run")
    directory.say_starting("loading smollm2")
    kind, text = told(directory.path)
    assert kind is JobStartingError
    assert text == (
        f"the job of {directory.path} is still starting (loading smollm2, for 0 s now); wait, "
        f'such as with hessview.attach("{directory.path}", wait=120).'
    )
    assert main(["jobs", str(tmp_path)]) == 0
    (line,) = capsys.readouterr().out.splitlines()[1:]
    assert line.split()[:2] == [str(directory.path), "starting"]
    assert "loading smollm2" in line
    directory.close()


def test_a_job_that_died_while_it_was_starting(tmp_path):
    directory = RunDirectory.create(tmp_path / "run")
    directory.say_starting("loading smollm2")
    said = json.loads((directory.path / "starting.json").read_text())
    said["process"]["started"] -= 1e6  # another process, long gone
    (directory.path / "starting.json").write_text(json.dumps(said))
    with pytest.raises(JobNotFoundError, match="holds no job") as caught:
        hessview.attach(directory.path)
    assert type(caught.value) is JobNotFoundError
    with pytest.raises(JobNotFoundError, match="holds no record"):
        hessview.watch(directory.path)
    directory.close()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"process": 3, "phase": 1, "began": []}', "\0"])
def test_a_damaged_word_of_starting_is_passed_over(tmp_path, text):
    directory = RunDirectory.create(tmp_path / "run")
    (directory.path / "starting.json").write_text(text)
    with pytest.raises(JobNotFoundError, match="holds no record"):
        hessview.open_runs(directory.path)
    directory.close()


@pytest.mark.parametrize("wait", [0, -1, float("inf"), float("nan"), "long", True])
def test_a_wait_that_is_none(tmp_path, wait):
    with pytest.raises(InputError, match=r"wait=.* is not allowed; use a finite number > 0, in se"):
        hessview.attach(tmp_path, wait=wait)


def test_waiting_for_what_never_comes(tmp_path):
    with pytest.raises(RunDirectoryError, match=r"there is no run directory .* \(waited 0\.3 s\)"):
        hessview.attach(tmp_path / "no", wait=0.3)


@pytest.mark.ranks
def test_attach_waits_for_a_job_that_starts_and_tells_what_it_does(tmp_path, capsys):
    run_dir = tmp_path / "run"
    job = subprocess.Popen(
        [HESSVIEW, "launch", "small:build", "--run-dir", str(run_dir)],
        cwd=JOBS,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        with hessview.attach(run_dir, wait=240) as session:  # there is no directory yet
            assert session.density(steps=2, probes=1).wait(60).attrs["state"] == "done"
        assert f"the job of {run_dir} is loading small:build ..." in capsys.readouterr().out
        assert not (run_dir / "starting.json").exists()
    finally:
        job.send_signal(2)
        output, _ = job.communicate(timeout=60)
    phases = [line.split("] ")[1] for line in output.splitlines() if "] " in line]
    assert phases == [
        "loading torch ...",
        "joining the ranks ...",
        "loading small:build ...",
        "checking that two passes agree, and the gradient with the slope of the loss ...",
    ]


@pytest.mark.ranks
def test_attach_stops_waiting_for_a_job_that_fails_to_start(tmp_path):
    run_dir = tmp_path / "run"
    command = [HESSVIEW, "launch", "small:random", "--run-dir", str(run_dir)]
    done = []

    def start():
        done.append(subprocess.run(command, cwd=JOBS, capture_output=True, check=False))

    thread = threading.Thread(target=start)
    thread.start()
    began = time.monotonic()
    with pytest.raises(JobNotFoundError, match=r"did not start: rank \d failed: .*two passes|drop"):
        hessview.attach(run_dir, wait=280)
    assert time.monotonic() - began < 270
    thread.join()


INTERRUPTED = """
import sys
sys.argv = ["torchrun", "--standalone", "--nproc-per-node", "1", "-m", "hessview.job",
            "--model", "small:build", "--run-dir", sys.argv[1]]
from torch.distributed.run import main
main()
"""


@pytest.mark.ranks
def test_an_interrupted_torchrun_says_so_in_one_line(tmp_path):
    log = tmp_path / "log"
    with log.open("w") as output:
        torchrun = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED, str(tmp_path / "run")],
            cwd=JOBS,
            stdout=output,
            stderr=output,
        )
        deadline = time.monotonic() + 240
        while "hessview: ready" not in log.read_text():
            assert torchrun.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        torchrun.send_signal(2)
        torchrun.wait(60)
    lines = log.read_text().splitlines()
    after = lines[next(i for i, line in enumerate(lines) if "hessview: ready" in line) + 1 :]
    assert after == ["hessview: the job was ended by SIGINT; its record is kept."]


def test_a_rank_does_not_launch_jobs(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "x")
    with pytest.raises(InputError, match=r'jobs would start jobs: .*if __name__ == "__main__":'):
        hessview.launch("script:build")

import json
import re
import shlex
import signal
import subprocess
import sys

import pytest

import hessview
from helpers.emulated import payloads
from helpers.shell_job import HESSVIEW, ShellJob, processes_of, ranks_of
from hessview.cli import _parser, main
from hessview.record.log import EventLog

TEXT_OF_3_BYTES = "abc"
FORWARD_AND_FOURTH = {"hessian_forward", "hessian_fourth_order"}


@pytest.fixture
def run_dir(tmp_path):
    """A record of one run, without a job."""
    folder = tmp_path / "run"
    folder.mkdir()
    log = EventLog("job", folder / "events.jsonl")
    for payload in payloads(probes=2, steps=6):
        log.append(payload, run="" if payload.kind == "job_started" else "density-1")
    log.close()
    return folder


def error_of(capsys, *arguments):
    """What a command that is refused prints."""
    assert main(arguments) == 1
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    return line


def test_report_of_a_run_directory(run_dir, capsys):
    assert main(["report", str(run_dir)]) == 0
    assert capsys.readouterr().out == f"wrote {run_dir / 'report.html'}\n"
    assert "SmolLM2-135M" in (run_dir / "report.html").read_text()


def test_report_goes_where_it_is_told(run_dir, tmp_path):
    assert main(["report", str(run_dir), "--out", str(tmp_path / "new" / "page.html")]) == 0
    assert (tmp_path / "new" / "page.html").exists()
    assert not (run_dir / "report.html").exists()


def test_report_without_a_record(tmp_path, capsys):
    assert error_of(capsys, "report", str(tmp_path / "no")).startswith(
        f"hessview: there is no run directory {tmp_path / 'no'}; check the path"
    )
    assert "is no run directory (it holds neither" in error_of(capsys, "report", str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--steps", "0"], "steps=0 is not allowed; use a whole number >= 1."),
        (["--probes", "-1"], "probes=-1 is not allowed; use a whole number >= 1."),
        (["--tokens", "0"], "tokens=0 is not allowed; use a whole number >= 1."),
        (["--ranks", "0"], "ranks=0 is not allowed; use a whole number >= 1."),
    ],
)
def test_bad_demo_options_start_nothing(tmp_path, capsys, arguments, text):
    line = error_of(capsys, "demo", "--quick", "--out", str(tmp_path / "out"), *arguments)
    assert line == f"hessview: {text}"
    assert not (tmp_path / "out").exists()


def test_demo_into_a_file_is_refused(tmp_path, capsys):
    (tmp_path / "out").write_text("kept")
    line = error_of(capsys, "demo", "--quick", "--out", str(tmp_path / "out"))
    assert re.search(r"run directory .* cannot be made \(.*\); choose another", line)
    assert (tmp_path / "out").read_text() == "kept"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--ranks", "0"], "ranks=0 is not allowed; use a whole number >= 1."),
        (["--batch", "0"], "batch=0 is not allowed; use a whole number >= 1."),
        (["--length", "1"], "length=1 is not allowed; use a whole number >= 2."),
        (["--dtype", "int8"], "dtype='int8' is not allowed; use one of ['bfloat16', 'float32', "),
    ],
)
def test_bad_launch_options_start_nothing(tmp_path, capsys, arguments, text):
    line = error_of(capsys, "launch", "tiny", "--run-dir", str(tmp_path / "run"), *arguments)
    assert line.startswith(f"hessview: {text}")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--repetitions", "0"], "repetitions=0 is not allowed; use a whole number >= 1."),
        (["--depths", "0"], "depths=0 is not allowed; use a whole number >= 1."),
        (["--json", "no/such/folder"], "no/such/folder cannot be written ([Errno 2] "),
    ],
)
def test_bad_bench_options_start_nothing(tmp_path, capsys, monkeypatch, arguments, text):
    monkeypatch.chdir(tmp_path)
    assert error_of(capsys, "bench", "tiny", *arguments).startswith(f"hessview: {text}")
    assert list(tmp_path.iterdir()) == []


def test_version_is_the_packages(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"hessview {hessview.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [[], ["launch"], ["launch", "tiny"], ["demo", "--steps", "few"], ["dance"]],
)
def test_command_lines_that_make_no_sense_end_with_one_line(capsys, arguments):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("hessview")


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    printed = capsys.readouterr().out
    assert all(command in printed for command in ("demo", "launch", "report"))


COMMANDS = ["demo", "lab", "launch", "plan", "bench", "jobs", "dashboard", "report", "completion"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_ends_with_examples_that_can_be_parsed(capsys, command):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    _, _, examples = capsys.readouterr().out.rpartition("example")
    lines = [line.strip() for line in examples.splitlines()[1:] if line.strip()]
    assert lines
    for line in lines:
        words = shlex.split(line.removeprefix('eval "$(').removesuffix(')"'))
        assert words[:2] == ["hessview", command]
        assert _parser().parse_known_args(words[1:])[0].command is not None


def test_the_package_is_the_command_line(capfd):
    asked = [sys.executable, "-m", "hessview", "--version"]
    assert subprocess.run(asked, check=True).returncode == 0
    assert capfd.readouterr().out == f"hessview {hessview.__version__}\n"


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["hessview", "la"], {"lab", "launch"}),
        (["hessview", "launch", "--le"], {"--length"}),
        (["hessview", "launch", "tiny", "--dtype", "f"], {"float32", "float64"}),
        (["hessview", "bench", "tiny", "--operators", "hessian_fo"], FORWARD_AND_FOURTH),
        (["hessview", "completion", ""], {"bash", "zsh"}),
    ],
)
def test_a_shell_completes_commands_options_and_what_is_known(capsys, words, completed):
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    given = " ".join(map(shlex.quote, words))
    ask = f"COMP_WORDS=({given}); COMP_CWORD={len(words) - 1}; _hessview; echo ${{COMPREPLY[*]}}"
    bash = subprocess.run(
        ["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True, check=True
    )
    assert set(bash.stdout.split()) == completed


def test_jobs_as_json(run_dir, capsys):
    assert main(["jobs", str(run_dir.parent), "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["path"] == str(run_dir)
    assert (entry["state"], entry["runs"]) == ("ended", 1)


def test_json_goes_to_a_file_beside_the_text(run_dir, tmp_path, capsys):
    file = tmp_path / "jobs.json"
    assert main(["jobs", str(run_dir.parent), "--json", str(file)]) == 0
    assert capsys.readouterr().out.endswith(f"wrote {file}\n")
    assert json.loads(file.read_text())[0]["runs"] == 1


@pytest.mark.ranks
def test_an_interrupt_while_the_ranks_import_ends_them_without_a_word(tmp_path, until):
    job = ShellJob(tmp_path, HESSVIEW, "launch", "small:build", "--ranks", "2")
    try:
        until(lambda: len(ranks_of(job.path)) == 2 or job.process.poll() is not None)
        job.process.send_signal(signal.SIGINT)  # the ranks have sessions of their own
        assert job.process.wait(60) == 130
        assert processes_of(job.path) == []
    finally:
        job.end()
    assert job.output.replace("hessview: interrupted\n", "") == ""


@pytest.mark.ranks
def test_launch_that_the_job_refuses_says_why_in_one_line(tmp_path):
    text = tmp_path / "text"
    text.write_text(TEXT_OF_3_BYTES)
    job = ShellJob(tmp_path, HESSVIEW, "launch", "tiny", "--ranks", "2", "--text", str(text))
    try:
        assert job.process.wait(60) == 1
    finally:
        job.end()
    lines = [line for line in job.output.splitlines() if not line.endswith(" ...")]  # phases
    said = [line for line in lines if line.startswith("hessview: ")]
    assert said == [
        "hessview: the text has 3 bytes, fewer than a training sequence of 64; give a longer text."
    ]
    assert "Traceback" not in job.output

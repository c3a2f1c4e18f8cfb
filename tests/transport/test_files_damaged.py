"""Files beside the record that are damaged, newer or oddly named lock nobody out."""

import dataclasses
import json
import os
import socket
import types

import pytest

import hessview
from hessview.errors import HessviewError, JobError, RunDirectoryError
from hessview.record.validation import checked
from hessview.session.jobs import format_jobs, jobs
from hessview.session.launch import _Launched
from hessview.transport import rpc as claiming
from hessview.transport.diagnosis import living_job, still_starting
from hessview.transport.files import Claim, Failure, JobFile, Starting
from hessview.transport.liveness import Process
from hessview.transport.rpc import claim_job
from hessview.transport.run_directory import RunDirectory

DEEP = "[" * 100_000 + "]" * 100_000
ME = dataclasses.asdict(Process.current())


@pytest.fixture
def directory(tmp_path):
    made = RunDirectory.create(tmp_path / "run")
    made.events_path.touch()
    yield made
    made.close()


@pytest.fixture
def job(directory, puppet):
    """The file of a job in another process, which waits to be claimed."""
    other = puppet("from hessview.transport.liveness import Process")
    made = JobFile(job="job", process=other.do("Process.current()"), epoch=3, token="secret")
    directory.publish(made)
    return made


CONTENTS = [
    *("", "5", "[]", "null", "{", DEEP, b"\xff\xfe", b" " * 2_000_000, '{"pid": 1}'),
    *(os.mkfifo, os.mkdir, "endless", "socket", "sparse", "loop"),
]


def put(path, content):
    path.unlink(missing_ok=True)
    match content:
        case "endless":
            path.symlink_to("/dev/zero")
        case "loop":
            path.symlink_to(path)
        case "socket":
            here = os.getcwd()
            os.chdir(path.parent)
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(path.name)
            os.chdir(here)
        case "sparse":
            with path.open("wb") as file:
                file.truncate(10 << 30)
        case str():
            path.write_text(content)
        case bytes():
            path.write_bytes(content)
        case _:
            content(path)


def of(content):
    return content if isinstance(content, str) else getattr(content, "__name__", str(content))[:20]


@pytest.mark.parametrize("content", CONTENTS, ids=of)
def test_a_job_file_that_cannot_be_read_says_so(content, directory):
    put(directory.job_path, content)
    with pytest.raises(
        RunDirectoryError, match=r"^job.json is damaged .*; if its job has ended, d"
    ):
        directory.read_job()


@pytest.mark.parametrize("content", CONTENTS, ids=of)
def test_a_claim_that_cannot_be_read_says_so(content, directory):
    put(directory.claim_path(3), content)
    with pytest.raises(RunDirectoryError, match=r"^claim-3 is damaged .*; its job drops it within"):
        directory.read_claim(3)


@pytest.mark.parametrize("content", CONTENTS, ids=of)
def test_what_ranks_left_and_nobody_can_read_is_passed_over(content, directory):
    directory.record_rank(0)
    for name in ("rank-1.json", "failure-0.json", "failure-1.json"):
        put(directory.path / name, content)
    for name in ("rank-x.json", "rank-0.json.json", "rank-.json", "failure-²³.json"):
        (directory.path / name).write_text(json.dumps(ME))
    assert directory.failures() == []
    assert list(directory.ranks("alive")) == [0]


@pytest.mark.parametrize("content", CONTENTS, ids=of)
def test_a_new_job_starts_whatever_lies_there(content, directory, tmp_path):
    names = (
        "claim-1",
        "rank-0.json",
        "failure-0.json",
        "release-x",
        "knock-x",
        "store-x",
        ".a.tmp",
    )
    for name in names:
        put(directory.path / name, content)
    directory.close()
    made = RunDirectory.create(tmp_path / "run")
    made.record_rank(1)
    assert list(made.ranks("alive")) == [1]
    made.close()


def test_word_of_a_dead_rank_that_cannot_be_read_counts(directory, puppet):
    rank = puppet("from hessview.transport.run_directory import RunDirectory")
    rank.do(f"RunDirectory.open({str(directory.path)!r}).record_rank(2)")
    (directory.path / "failure-2.json").write_text("")
    assert directory.failures() == []  # it lives
    rank.kill()
    (failure,) = directory.failures()
    assert (failure.rank, failure.error) == (
        2,
        "it left word in failure-2.json, which cannot be read",
    )


@pytest.mark.parametrize(
    "change",
    [
        {"process": {**ME, "pid": "x"}},
        {"process": {**ME, "pid": -1}},
        {"process": {**ME, "pid": 0}},
        {"process": {**ME, "pid": 2**31}},
        {"process": {**ME, "pid": True}},
        {"process": {**ME, "started": "x"}},
        {"process": {**ME, "started": None}},
        {"process": {**ME, "host": "x" * 300}},
        {"process": None},
        {"protocol": float("inf")},
        {"protocol": "1"},
        {"protocol": None},
        {"epoch": "a" * 5000},
        {"epoch": -1},
        {"epoch": 0.5},
        {"state": []},
        {"state": "asleep"},
        {"token": 5},
    ],
)
def test_job_files_of_another_form_are_refused(change, directory):
    whole = dataclasses.asdict(JobFile(job="j", process=Process.current(), epoch=1, token="t"))
    directory.job_path.write_text(json.dumps(whole))
    assert directory.read_job().epoch == 1
    directory.job_path.write_text(json.dumps({**whole, **change}))
    with pytest.raises(RunDirectoryError, match=r"^job.json is damaged"):
        directory.read_job()


@pytest.mark.parametrize(
    "change",
    [
        {"identity": "../../x"},
        {"identity": "*"},
        {"identity": ""},
        {"identity": "x" * 200},
        {"since": 1e308},
        {"since": -1},
        {"since": "x"},
        {"since": None},
        {"process": {}},
    ],
)
def test_claims_of_another_form_are_refused(change):
    whole = dataclasses.asdict(Claim.new())
    assert Claim.from_json(whole).identity == whole["identity"]
    with pytest.raises(ValueError, match=r"\w"):
        Claim.from_json({**whole, **change})


def test_what_a_later_version_adds_is_passed_over(directory):
    claim, newer = Claim.new(), {"of_a_later_version": [1]}
    assert Claim.from_json({**dataclasses.asdict(claim), **newer}) == claim
    job = JobFile(job="j", process=Process.current(), epoch=1, token="t")
    assert JobFile.from_json({**dataclasses.asdict(job), **newer}) == job
    assert Process.from_json({**ME, **newer}) == Process.current()
    failure = Failure.of(1, "x")
    assert checked(Failure, {**dataclasses.asdict(failure), **newer}) == failure


def test_a_release_and_a_knock_that_cannot_be_read(directory):
    claim = Claim.new()
    (directory.path / f"release-{claim.identity}").write_bytes(b"\xff")
    (directory.path / f"knock-{claim.identity}").write_text("../../x")
    assert directory.read_release(claim) == "it was released, in words that cannot be read"
    assert directory.read_knock(claim) is None


def test_files_are_on_disk_before_they_have_their_names(directory, monkeypatch):
    synced, replace, link = [], os.replace, os.link

    def watched(function):
        def call(source, target, **options):
            assert os.stat(source).st_ino in synced, f"{target} was not written to disk"
            function(source, target, **options)

        return call

    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))
    monkeypatch.setattr(os, "replace", watched(replace))
    monkeypatch.setattr(os, "link", watched(link))
    claim = Claim.new()
    directory.publish(JobFile(job="j", process=claim.process, epoch=1, token="t"))
    directory.record_rank(0)
    directory.record_failure(0, "x")
    assert directory.claim(1, claim)
    directory.release(claim, "enough")
    assert len(synced) == 5


@pytest.mark.parametrize("state", ["waiting", "held"])
@pytest.mark.parametrize("content", ["", "[]", b"\xff", os.mkfifo, os.mkdir], ids=of)
def test_a_claim_that_its_job_does_not_drop_is_told_in_words(
    content, state, directory, job, monkeypatch
):
    monkeypatch.setattr(claiming, "_CLAIM_PATIENCE", 0.1)
    directory.publish(dataclasses.replace(job, state=state))
    put(directory.claim_path(3), content)
    for force in (False, True):
        with pytest.raises(
            JobError,
            match=r"claimed by somebody who cannot be told, and has not dropped the claim for 0 s: "
            r"claim-3 is damaged",
        ):
            claim_job(directory, force=force)


SERVE = """
import sys, torch, hessview
from torch import nn
m = nn.Linear(3, 2).eval(); x = torch.randn(4, 3)
job = hessview.serve(hessview.Objective(m, lambda m, b: (m(b) ** 2).sum(), [x]), {path!r})
"""


def test_a_living_job_drops_what_it_cannot_read(puppet, tmp_path, until):
    import hessview

    path = tmp_path / "run"
    puppet(SERVE.format(path=str(path)))
    directory = RunDirectory.open(path)
    # Before anybody is attached, and while somebody is.
    (path / f"claim-{directory.read_job().epoch}").write_text("torn")
    with hessview.attach(path) as session:
        epoch = directory.read_job().epoch
        assert epoch == 2
        (path / f"claim-{epoch}").write_bytes(b"\xff")
        until(lambda: session.lost is not None)
        assert "is damaged" in str(session.lost)
    # A job file that cannot be read is written again.
    (path / "job.json").write_text('{"pro')
    until(lambda: not isinstance(attempt(directory.read_job), HessviewError))
    hessview.attach(path).close()


def attempt(call):
    try:
        return call()
    except HessviewError as error:
        return error


@pytest.mark.parametrize("content", CONTENTS, ids=of)
def test_one_bad_directory_hides_no_other(content, tmp_path):
    for name in ("bad", "good"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "events.jsonl").touch()
    bad = tmp_path / "bad"
    whole = dataclasses.asdict(
        JobFile(job="j", process=Process.current(), epoch=1, token="t", state="held")
    )
    for name in ("events.jsonl", "job.json", "claim-1", "rank-0.json", "failure-0.json"):
        (bad / "job.json").unlink(missing_ok=True)
        (bad / "job.json").write_text(json.dumps(whole))
        put(bad / name, content)
        entries = {entry.path.name: entry for entry in jobs(tmp_path)}
        if not (name == "events.jsonl" and content == "loop"):
            assert entries["bad"].state
        assert entries["good"].state == "ended"
        assert "good" in format_jobs(entries.values())
        if (bad / name).is_dir():
            (bad / name).rmdir()
        else:
            (bad / name).unlink(missing_ok=True)
        (bad / "events.jsonl").touch()


@pytest.mark.parametrize("content", [*CONTENTS, "starting"], ids=of)
def test_a_job_that_is_there_counts_before_what_says_it_is_starting(content, directory, job):
    """As where its file system let no file be removed, or somebody left one of another host."""
    if content == "starting":
        directory.say_starting("loading smollm2")
    else:
        put(directory.path / "starting.json", content)
    assert living_job(directory) == job
    assert still_starting(directory) is None
    (entry,) = jobs(directory.path)
    assert entry.state == "idle"


@pytest.mark.parametrize(
    "change",
    [
        *({"began": value} for value in (1e308, -1.0, None, "x", True, 1e12)),
        *({"phase": value} for value in (None, 5, [])),
        {"process": {**ME, "pid": -1}},
    ],
    ids=str,
)
def test_what_says_that_a_job_is_starting_and_cannot_be_so_is_passed_over(change, directory):
    whole = {"process": ME, "phase": "loading", "began": 1.0}
    path = directory.path / "starting.json"
    path.write_text(json.dumps({**whole, "of_a_newer_version": []}))
    assert Starting.read(directory.path).phase == "loading"
    path.write_text(json.dumps({**whole, **change}))
    assert Starting.read(directory.path) is None
    format_jobs(jobs(directory.path))


def test_what_says_that_a_job_is_starting_steers_no_terminal(directory):
    directory.say_starting("\x1b[2J loading\n" + "x" * 10_000)
    phase = Starting.read(directory.path).phase
    assert phase.startswith("?[2J loading?xx")
    assert phase.isprintable()
    assert len(phase) < 250


@pytest.mark.parametrize("content", [os.mkfifo, os.mkdir, "endless", "socket", "loop"], ids=of)
def test_a_job_whose_output_has_no_place_is_not_started(content, tmp_path):
    (tmp_path / "run").mkdir(mode=0o700)
    put(tmp_path / "run" / "job.log", content)
    with pytest.raises(
        RunDirectoryError, match=r"^the job's output cannot go to .*job\.log .*; rem"
    ):
        hessview.launch("tiny", run_dir=tmp_path / "run")


@pytest.mark.parametrize("content", [*CONTENTS, "endless", "sparse", "long"], ids=of)
def test_the_output_of_a_job_that_ended_is_quoted_whatever_it_is(content, directory):
    text = "\x1b[2J" + "x" * 3_000_000 if content == "long" else content
    put(directory.path / "job.log", text)
    ended = types.SimpleNamespace(poll=lambda: 1, returncode=1, pid=os.getpid())
    error = _Launched(ended, directory)._why_it_ended()
    assert str(error).startswith("the job ended with code 1 before it was ready; the end of")
    assert len(str(error)) < 3_000
    assert str(error).replace("\n", "").isprintable()


@pytest.mark.parametrize("said", ["the loss is " + "not finite and " * 40 + "so on", "ready"])
def test_the_last_words_of_a_job_are_told_whole_and_as_such(said, directory):
    """They may be anything, such as that it is ready, which is no cure."""
    lines = ["hessview: [   2 s] loading tiny ...", f"hessview: {said}", "Traceback"]
    put(directory.path / "job.log", "\n".join(lines))
    ended = types.SimpleNamespace(poll=lambda: 1, returncode=1, pid=os.getpid())
    log = directory.path / "job.log"
    told = f"the job ended before it was ready, saying: {said} (see {log})"
    assert str(_Launched(ended, directory)._why_it_ended()) == told

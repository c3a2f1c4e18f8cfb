import dataclasses
import json
import os
import threading

import pytest

from hessview.errors import JobError, JobNotFoundError, RunDirectoryError
from hessview.record.validation import told
from hessview.transport.files import Claim, JobFile
from hessview.transport.liveness import Process
from hessview.transport.run_directory import RunDirectory


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "run"


@pytest.fixture
def directory(path):
    made = RunDirectory.create(path)
    yield made
    made.close()


def job_file(**changes):
    return JobFile(
        **{"job": "job", "process": Process.current(), "epoch": 1, "token": "secret", **changes}
    )


def gone():
    here = Process.current()
    return dataclasses.replace(here, started=here.started - 10)


def test_it_is_made_for_its_user_alone_whatever_the_umask(path):
    before = os.umask(0)
    try:
        directory = RunDirectory.create(path)
        directory.publish(job_file())
        directory.claim(1, Claim.new())
        directory.record_failure(1, "x")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o700
    for file in path.iterdir():
        assert file.stat().st_mode & 0o777 == 0o600, file
    directory.close()


@pytest.mark.parametrize("enter", [RunDirectory.create, RunDirectory.open])
@pytest.mark.parametrize("mode", [0o750, 0o701, 0o755, 0o777])
def test_one_that_is_open_to_others_is_refused(directory, path, enter, mode):
    path.chmod(mode)
    with pytest.raises(RunDirectoryError, match=rf"open to others \(mode {mode:04o}\).*chmod 700"):
        enter(path)


@pytest.mark.parametrize("enter", [RunDirectory.create, RunDirectory.open])
def test_one_of_another_user_is_refused(directory, path, enter, monkeypatch):
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    with pytest.raises(
        RunDirectoryError, match=rf"another user \(uid {owner}, you are {owner + 1}"
    ):
        enter(path)


@pytest.mark.parametrize("enter", [RunDirectory.create, RunDirectory.open])
def test_a_link_or_a_file_is_refused(directory, path, tmp_path, enter):
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(RunDirectoryError, match="is a symbolic link; name the directory itself"):
        enter(tmp_path / "link")
    (tmp_path / "file").touch(0o600)
    with pytest.raises(RunDirectoryError, match=r"is not a directory; (choose another|pass the)"):
        enter(tmp_path / "file")


def test_a_place_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunDirectoryError, match=r"cannot be made \(.*\); choose another"):
        RunDirectory.create(tmp_path / "file" / "run")


def test_none_at_all_is_told(path):
    with pytest.raises(RunDirectoryError, match=r"there is no run directory .*check the path"):
        RunDirectory.open(path)


def test_one_without_a_job_is_told(directory):
    with pytest.raises(JobNotFoundError, match=r"holds no job \(there is no job.json\)"):
        directory.read_job()


def test_the_job_file_is_read_as_it_was_written(directory):
    job = job_file(state="ended", reason="enough", left="a", left_reason="b")
    directory.publish(job)
    assert RunDirectory.open(directory.path).read_job() == job
    assert "secret" not in repr(job)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"protocol": 1}', '{"protocol": 1, "version": "1"}']
)
def test_a_torn_job_file_is_told(directory, text):
    (directory.path / "job.json").write_text(text)
    with pytest.raises(RunDirectoryError, match=r"job.json is damaged .*delete job.json and start"):
        directory.read_job()


def test_a_job_file_of_another_protocol_is_told_even_if_its_fields_differ(directory):
    (directory.path / "job.json").write_text('{"protocol": 2, "version": "3.4", "novelty": 0}')
    with pytest.raises(
        JobError, match=r"speaks protocol 2 \(hessview 3.4\), this process speaks protocol 1 "
    ):
        directory.read_job()


def test_readers_see_the_old_or_the_new_job_file_and_no_part_of_one(directory):
    reasons = ["x" * size for size in range(0, 20_000, 100)]
    whole = {told(reason) for reason in reasons}  # long ones are read without their ends
    directory.publish(job_file(reason=reasons[0]))
    done = threading.Event()

    def write():
        for reason in reasons:
            directory.publish(job_file(reason=reason))
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    read = 0
    while not done.is_set():
        assert directory.read_job().reason in whole
        read += 1
    thread.join()
    assert read > 10


def test_a_living_job_keeps_a_second_one_out(directory, path):
    directory.publish(job_file())
    with pytest.raises(JobError, match=r"this process already serves job job .*; close it first"):
        RunDirectory.create(path)


def test_two_jobs_that_start_at_once_do_not_both_get_it(directory, path, puppet):
    other = puppet("from hessview.transport.run_directory import RunDirectory")
    with pytest.raises(JobError, match="in use by a living job that is just starting"):
        other.do(f"RunDirectory.create({str(path)!r})")
    directory.close()
    other.do(f"RunDirectory.create({str(path)!r})")


def test_a_job_on_another_host_is_not_taken_for_dead(directory, path):
    away = dataclasses.replace(Process.current(), host="elsewhere")
    directory.publish(job_file(process=away))
    with pytest.raises(JobError, match=r"another host \(pid \d+ on elsewhere\).*delete job.json"):
        RunDirectory.create(path)


@pytest.mark.parametrize(
    "text",
    [
        job_file(process=gone()).to_json(),
        job_file(state="ended").to_json(),
        json.dumps({"protocol": 99, "version": "9"}),
        "torn",
    ],
)
def test_what_a_dead_job_left_is_cleared_away_except_for_its_record(directory, path, text):
    (path / "job.json").write_text(text)
    directory.events_path.write_text("record")
    claim = Claim.new()
    directory.claim(1, claim)
    directory.release(claim, "x")
    directory.store_path(claim).touch()
    directory.record_rank(0)
    directory.record_failure(0, "x")
    directory.close()
    RunDirectory.create(path).close()
    assert sorted(file.name for file in path.iterdir()) == ["events.jsonl", "job.json", "job.lock"]
    assert directory.events_path.read_text() == "record"


def test_only_one_of_many_gets_a_claim(directory):
    for epoch in range(20):
        claims = [Claim.new() for _ in range(8)]
        start = threading.Barrier(len(claims))
        got = []

        def run(claim, epoch=epoch, start=start, got=got):
            start.wait()
            if directory.claim(epoch, claim):
                got.append(claim)

        threads = [threading.Thread(target=run, args=(claim,)) for claim in claims]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert got == [directory.read_claim(epoch)]
    assert not list(directory.path.glob(".*.tmp"))


def test_a_claim_is_held_until_it_is_released_and_forgotten(directory):
    claim, other = Claim.new(), Claim.new()
    assert directory.read_claim(1) is None
    assert directory.claim(1, claim)
    assert not directory.claim(1, other)
    assert directory.read_release(claim) is None
    directory.release(claim, "first")
    directory.release(claim, "second")
    assert directory.read_release(claim) == "first"
    assert directory.read_release(other) is None
    directory.forget(1, claim)
    assert directory.read_claim(1) is None
    assert directory.read_release(claim) is None


def test_failures_come_in_the_order_in_which_they_happened(directory):
    directory.record_failure(3, ValueError("loss is nan"))
    directory.record_failure(0, "Connection closed by peer")
    first, second = directory.failures()
    assert (first.rank, first.error, first.lost_peer) == (3, "ValueError: loss is nan", False)
    assert (second.rank, second.lost_peer) == (0, True)


def test_a_rank_that_lives_is_not_gone(directory, puppet):
    rank = puppet("from hessview.transport.run_directory import RunDirectory")
    rank.do(f"RunDirectory.open({str(directory.path)!r}).record_rank(2)")
    directory.record_rank(0)
    assert directory.ranks("gone") == {}
    rank.kill()
    assert [(r, p.pid) for r, p in directory.ranks("gone").items()] == [(2, rank.pid)]

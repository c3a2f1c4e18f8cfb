"""The link, between real processes."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from helpers.folders import TESTS
from hessview.errors import (
    InputError,
    JobBusyError,
    JobError,
    JobLostError,
    JobNotFoundError,
)
from hessview.record.log import read_events
from hessview.transport.liveness import Process

ATTACH = "channel = attach(path)"
FORCE = "channel = attach(path, force=True)"


def kinds(events):
    return [event.payload.kind for event in events]


def seconds(action):
    start = time.monotonic()
    action()
    return time.monotonic() - start


def test_a_command_goes_up_and_its_events_come_down(job, kernel, run_path):
    one = kernel()
    one.do(ATTACH)
    assert one.do("channel.job.job") == "job"
    one.do("channel.submit('a', Density(steps=3, probes=2))")
    events = one.do("until_ended(channel, 'a')")
    assert kinds(events) == ["run_queued", "run_started", *["reading"] * 6, "run_ended"]
    assert events == read_events(pathlib.Path(run_path, "events.jsonl"))


def test_a_later_kernel_gets_all_events_again_and_the_same_run_counts_once(job, kernel):
    one = kernel()
    one.do(ATTACH)
    one.do("channel.submit('a', Density(steps=3, probes=1))")
    events = one.do("until_ended(channel, 'a')")
    one.do("channel.close()")
    two = kernel()
    two.do(ATTACH)
    assert two.do("channel.events(0, 0)") == events
    assert two.do(f"channel.events({events[2].seq}, 0)") == events[3:]
    two.do("channel.submit('a', Density(steps=3, probes=1))")
    assert two.do("channel.events(0, 0.3)") == events
    assert two.do(f"channel.events({events[-1].seq}, 0.3)") == []


def test_one_kernel_attaches_again_and_again_and_nothing_is_left_over(job, kernel, run_path):
    one = kernel()
    cycle = "channel = attach(path)\nchannel.events(0, 0)\nchannel.close()\nchannel.close()"
    one.do(cycle)
    time.sleep(0.3)
    before = one.do("belongings()"), job.do("belongings()")
    for _ in range(10):
        one.do(cycle)
    time.sleep(0.3)
    assert (one.do("belongings()"), job.do("belongings()")) == before
    assert sorted(os.listdir(run_path)) == ["events.jsonl", "job.json", "job.lock"]


def test_a_wait_for_events_ends_with_the_first_one(job, kernel):
    one, two = kernel(), kernel()
    one.do(ATTACH)
    one.start("channel.events(0, 20)")
    time.sleep(0.3)
    job.do("from hessview.record.events import *; job.mailbox.append(JobEnded(reason='x'))")
    assert seconds(lambda: one.result()) < 0.5
    del two


def test_a_wait_longer_than_one_call_lasts_as_long_as_asked(job, kernel):
    one = kernel()
    one.do(ATTACH)
    assert 2.4 < seconds(lambda: one.do("channel.events(0, 2.5)")) < 3.2


def test_an_interrupt_ends_a_wait_at_once_and_the_line_still_works(job, kernel):
    one = kernel()
    one.do(ATTACH)
    one.start("channel.events(0, 20)")
    time.sleep(0.3)
    one.signal(signal.SIGINT)
    start = time.monotonic()
    with pytest.raises(AssertionError, match="KeyboardInterrupt"):
        one.result()
    assert time.monotonic() - start < 0.5
    one.do("channel.submit('a', Density(steps=1, probes=1))")
    assert kinds(one.do("until_ended(channel, 'a')"))[-1] == "run_ended"


def test_cancel_stops_a_running_run(job, kernel):
    job.do("job.pause = 0.05")
    one = kernel()
    one.do(ATTACH)
    one.do("channel.submit('a', Density(steps=1000))")
    one.do("channel.events(1, 5)")
    one.do("channel.cancel('a')")
    assert one.do("until_ended(channel, 'a')")[-1].payload.state == "cancelled"


def test_what_the_job_refuses_is_raised_in_the_kernel(job, kernel):
    one = kernel()
    one.do(ATTACH)
    with pytest.raises(
        InputError, match=r"command 'nonsense' is unknown; use one of \[.*'density'"
    ):
        one.do("channel._call('submit', {'run': 'a', 'command': {'command': 'nonsense'}})")
    with pytest.raises(JobError, match="operation 'dance' is unknown; install the same hessview"):
        one.do("channel._call('dance', {})")
    with pytest.raises(JobError, match=r"submit failed in the job: KeyError\('run'\)"):
        one.do("channel._call('submit', {})")
    one.do("channel.submit('a', Density(steps=1, probes=1))")


def test_a_wrong_token_is_refused(job, kernel):
    one = kernel()
    one.do(ATTACH)
    one.do("import dataclasses; right = channel.job")
    one.do("channel.job = dataclasses.replace(right, token='0' * 64)")
    with pytest.raises(JobError, match="the token is wrong; attach again"):
        one.do("channel.submit('a', Density())")
    one.do("channel.job = right")
    assert one.do("channel.events(0, 0)") == []


def test_a_pickle_that_would_run_code_is_refused_and_the_job_lives(job, kernel, tmp_path):
    one = kernel()
    one.do(ATTACH)
    one.do(
        "from hessview.transport import agent\n"
        "channel._directory.knock(channel._claim, 'talk')\n"
        "channel._wait_for(lambda: channel._hears('talk'))\n"
        "agent.open_agent(channel._directory.store_path('talk'))"
    )
    with pytest.raises(AssertionError, match="is not allowed between kernel and job"):
        one.do(f"agent.rpc.rpc_sync('job', os.mkdir, args=({str(tmp_path / 'made')!r},))")
    one.do("agent.close_agent(); channel._directory.end_talk(channel._claim)")
    assert not (tmp_path / "made").exists()
    assert one.do("channel.events(0, 0)") == []


def test_a_second_kernel_is_refused_and_told_who_holds_the_job(job, kernel):
    one, two = kernel(), kernel()
    one.do(ATTACH)
    with pytest.raises(
        JobBusyError, match=rf"held by the kernel with pid {one.pid} on \S+ \(since"
    ):
        two.do(ATTACH)
    with pytest.raises(JobBusyError, match=r"wait until it detaches, take over with force=True"):
        two.do(ATTACH)
    assert one.do("channel.events(0, 0)") == []
    one.do("channel.close()")
    two.do(ATTACH)


def test_force_takes_over_and_the_first_kernel_learns_who_did(job, kernel):
    one, two = kernel(), kernel()
    one.do(ATTACH)
    one.start("channel.events(0, 20)")
    two.do(FORCE)
    with pytest.raises(JobLostError, match=rf"longer: the kernel with pid {two.pid} .* took over"):
        one.result(3)
    with pytest.raises(JobLostError, match=r"attach again, with force=True"):
        one.do("channel.submit('a', Density())")
    assert two.do("channel.events(0, 0)") == []
    one.do(FORCE)
    with pytest.raises(JobLostError, match=rf"longer: the kernel with pid {one.pid} .* took over"):
        two.do("channel.events(0, 5)")


def test_kernels_that_are_killed_do_not_stand_in_the_way(job, kernel, run_path):
    job.do("job.pause = 0.002")
    for cycle in range(6):
        one = kernel()
        one.do(ATTACH)
        one.do(f"channel.submit('{cycle}', Density(steps=20, probes=1))")
        one.start("while True: channel.events(0, 0)")
        time.sleep(0.05 * cycle)
        one.kill()
    for delay in (0.0, 0.02, 0.05, 0.08, 0.12):
        one = kernel()
        one.start(ATTACH)
        time.sleep(delay)
        one.kill()
    last = kernel()
    last.do(ATTACH)
    events = last.do("until_ended(channel, '5')")
    assert kinds(events).count("reading") == 120
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    last.do("channel.close()")
    time.sleep(0.3)
    left = sorted(name for name in os.listdir(run_path) if not name.startswith("."))
    assert left == ["events.jsonl", "job.json", "job.lock"]


def test_a_killed_job_is_told_at_once_and_found_dead_by_the_next_kernel(job, kernel):
    one = kernel()
    one.do(ATTACH)
    one.start("channel.events(0, 20)")
    time.sleep(0.2)
    job.kill()
    start = time.monotonic()
    with pytest.raises(JobLostError, match=rf"rank 0 \(pid {job.pid} on \S+\) was killed"):
        one.result()
    assert time.monotonic() - start < 1.0
    with pytest.raises(JobNotFoundError, match=r"is no longer alive: rank 0 .* hessview.open_runs"):
        one.do(ATTACH)


def test_a_job_whose_forked_child_keeps_the_link_open_is_found_dead(job, kernel):
    one = kernel()
    one.do(ATTACH)
    child = job.do("os.fork() or time.sleep(60) or os._exit(0)")
    try:
        one.start("channel.events(0, 20)")
        time.sleep(0.2)
        job.kill()
        start = time.monotonic()
        with pytest.raises(JobLostError, match="was killed without a word"):
            one.result()
        assert time.monotonic() - start < 1.5
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        ("ValueError('loss is nan')", "rank 1 failed: ValueError: loss is nan"),
        (
            "RuntimeError('Connection closed by peer [127.0.0.1]')",
            "another rank was killed without",
        ),
    ],
)
def test_a_rank_that_fails_is_named_with_its_reason(job, kernel, error, text):
    one = kernel()
    one.do(ATTACH)
    one.start("channel.events(0, 20)")
    job.do(f"job.directory.record_failure(1, {error})")
    with pytest.raises(JobLostError, match=text):
        one.result(3)


def test_a_rank_that_is_killed_is_named(job, kernel, puppet, run_path):
    rank = puppet(
        "from hessview.transport.run_directory import RunDirectory\n"
        f"RunDirectory.open({run_path!r}).record_rank(1)"
    )
    one = kernel()
    one.do(ATTACH)
    one.start("channel.events(0, 20)")
    rank.kill()
    with pytest.raises(JobLostError, match=rf"rank 1 \(pid {rank.pid} on \S+\) was killed"):
        one.result(3)


def test_the_end_of_the_job_is_told_after_the_last_event(job, kernel):
    one = kernel()
    one.do(ATTACH)
    job.do(
        "from hessview.record.events import *\n"
        "job.mailbox.append(JobEnded(reason='all was measured'))\n"
        "job.host.close('all was measured')"
    )
    assert kinds(one.do("channel.events(0, 20)")) == ["job_ended"]
    with pytest.raises(JobLostError, match=r"job job ended \(all was measured\); what was measur"):
        one.do("channel.events(1, 20)")
    with pytest.raises(JobNotFoundError, match=r"has ended \(all was measured\)"):
        one.do(ATTACH)


def test_a_job_that_ended_never_says_otherwise(job, kernel):
    one = kernel()
    one.do(ATTACH)
    job.do(
        "states = []; publish = job.directory.publish\n"
        "job.directory.publish = lambda file: (states.append(file.state), publish(file))\n"
        "job.host.close('enough')"
    )
    assert set(job.do("states")) == {"ended"}


def test_the_end_of_the_job_ends_a_wait(job, kernel):
    one = kernel()
    one.do(ATTACH)
    one.start("channel.events(0, 20)")
    time.sleep(0.2)
    job.do("job.host.close('enough'); job.host.close('more than enough')")
    with pytest.raises(JobLostError, match=r"job job ended \(enough\)"):
        one.result(2)


def test_a_stopped_job_is_told_from_a_dead_one(job, kernel):
    one = kernel()
    one.do(ATTACH)
    one.do("from hessview.transport import rpc as wire; wire._PATIENCE = 1.0")
    job.signal(signal.SIGSTOP)
    with pytest.raises(JobLostError, match=rf"is stopped; kill -CONT {job.pid}, then attach again"):
        one.do("channel.events(0, 10)")
    job.signal(signal.SIGCONT)
    one.do(ATTACH)


def test_a_line_that_was_closed_says_so(job, kernel):
    one = kernel()
    one.do(ATTACH)
    one.do("old = channel; old.close()")
    with pytest.raises(JobLostError, match="this kernel detached from job job; attach again"):
        one.do("old.events(0, 1)")
    one.do(ATTACH)
    with pytest.raises(JobLostError, match="this kernel detached"):
        one.do("old.cancel('a')")
    one.do("old.close()")
    assert one.do("channel.events(0, 0)") == []


def test_closing_wakes_whoever_waits(job, kernel):
    one = kernel()
    one.do(ATTACH)
    one.do(
        "caught = []\n"
        "def wait():\n"
        "    try: channel.events(0, 20)\n"
        "    except Exception as error: caught.append(str(error))\n"
        "thread = threading.Thread(target=wait); thread.start(); time.sleep(0.3)"
    )
    assert seconds(lambda: one.do("channel.close(); thread.join()")) < 1.0
    assert one.do("caught") == ["this kernel detached from job job; attach again."]


def test_one_kernel_holds_a_job_once(job, kernel):
    one = kernel()
    one.do(ATTACH)
    with pytest.raises(JobBusyError, match=f"held by the kernel with pid {one.pid}"):
        one.do("attach(path)")
    assert one.do("channel.events(0, 0)") == []


def test_a_job_cannot_attach_to_itself(job, run_path):
    with pytest.raises(JobError, match=r"runs in this very process; use hessview.local instead"):
        job.do(f"attach({run_path!r})")


def test_a_job_of_another_protocol_is_refused(job, kernel, run_path):
    path = pathlib.Path(run_path, "job.json")
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "protocol": 99, "version": "9.9", "novelty": 1}))
    one = kernel()
    with pytest.raises(
        JobError, match=r"speaks protocol 99 \(hessview 9.9\), this process speaks protocol 1 "
    ):
        one.do(ATTACH)


def test_a_job_on_another_host_is_out_of_reach(job, kernel, run_path):
    path = pathlib.Path(run_path, "job.json")
    data = json.loads(path.read_text())
    data["process"]["host"] = "elsewhere"
    path.write_text(json.dumps(data))
    one = kernel()
    with pytest.raises(
        JobError, match=r"on elsewhere, this kernel on .*hessview\.watch.*--listen INTERFACE"
    ):
        one.do(ATTACH)


def test_attaching_does_not_wait_for_a_busy_main_thread(puppet, kernel, run_path):
    busy = puppet()
    busy.start(
        f"from helpers.puppet import *; job = Job({run_path!r})\nwhile True: sum(range(10**6))"
    )
    one = kernel()
    deadline = time.monotonic() + 10
    while not pathlib.Path(run_path, "job.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert seconds(lambda: one.do(ATTACH)) < 3.0
    assert busy.process.is_alive()


def test_a_process_that_ends_without_detaching_ends_cleanly_and_frees_the_job(job, run_path):
    code = (
        "import contextlib\n"
        "from hessview.errors import JobLostError\n"
        "from hessview.transport.rpc import RpcChannel\n"
        "from hessview.transport.run_directory import RunDirectory\n"
        f"channel = RpcChannel(RunDirectory.open({run_path!r}))\n"
        "import threading, time\n"
        "def follow():\n"
        "    with contextlib.suppress(JobLostError):\n"
        "        while True: channel.events(0, 0)\n"
        "for _ in range(3): threading.Thread(target=follow, daemon=True).start()\n"
        "time.sleep(0.3)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    time.sleep(0.2)
    assert json.loads(pathlib.Path(run_path, "job.json").read_text())["state"] == "waiting"


def test_a_kernel_that_had_torch_before_sees_no_warnings_and_all_is_put_back(job, run_path):
    code = (
        "import ctypes, pickle, torch\n"
        "from hessview.transport.rpc import RpcChannel\n"
        "from hessview.transport.run_directory import RunDirectory\n"
        "from torch.distributed.rpc import internal\n"
        "level = ctypes.c_int.in_dll(ctypes.CDLL(torch._C.__file__), 'FLAGS_caffe2_log_level')\n"
        f"channel = RpcChannel(RunDirectory.open({run_path!r}))\n"
        "channel.close()\n"
        "assert level.value == 1 and internal._unpickler is pickle.Unpickler\n"
        f"channel = RpcChannel(RunDirectory.open({run_path!r}))\n"
        f"import os, signal; os.kill({job.pid}, signal.SIGKILL)\n"
        "try: channel.events(0, 5)\n"
        "except Exception: pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_job_that_ends_without_closing_ends_cleanly_and_says_so(run_path):
    code = f"import sys; sys.path.insert(0, {str(TESTS)!r})\n"
    code += f"from helpers.puppet import Job; Job({run_path!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    left = json.loads(pathlib.Path(run_path, "job.json").read_text())
    assert (left["state"], left["reason"]) == ("ended", "its process ended")


def test_the_log_goes_on_when_a_new_job_takes_the_directory(job, puppet, kernel, run_path):
    one = kernel()
    one.do(ATTACH)
    one.do("channel.submit('a', Density(steps=1, probes=1)); until_ended(channel, 'a')")
    refused = puppet("from helpers.puppet import *")
    with pytest.raises(JobError, match=rf"in use by a living job job \(pid {job.pid} on"):
        refused.do(f"Job({run_path!r}, 'next')")
    job.kill()
    puppet(f"from helpers.puppet import *; job = Job({run_path!r}, 'next')")
    with pytest.raises(JobLostError, match="job job is gone and job next runs in its place"):
        one.do("channel.events(99, 5)")
    one.do(ATTACH)
    one.do("channel.submit('b', Density(steps=1, probes=1))")
    events = one.do("until_ended(channel, 'b')")
    assert [event.seq for event in events] == list(range(1, 9))
    assert [event.job for event in events] == ["job"] * 4 + ["next"] * 4


def test_no_socket_listens(job, kernel):
    one = kernel()
    one.do(ATTACH)
    one.do("channel.events(0, 0)")
    for each in (one, job):
        assert each.do("__import__('psutil').Process().net_connections('inet')") == []


def test_the_kernels_process_is_the_one_that_the_job_sees(job, kernel, run_path):
    one = kernel()
    one.do(ATTACH)
    epoch = json.loads(pathlib.Path(run_path, "job.json").read_text())["epoch"]
    claim = json.loads(pathlib.Path(run_path, f"claim-{epoch}").read_text())
    assert claim["process"]["pid"] == one.pid
    assert Process.from_json(claim["process"]).life() == "alive"

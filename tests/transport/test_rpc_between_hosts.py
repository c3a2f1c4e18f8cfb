"""The link over TCP, with kernels that think that they are on another host.

With real networks, see tests/session/test_hosts.py.
"""

import pytest

from hessview.errors import JobError, JobLostError
from hessview.transport.interface import loopback
from hessview.transport.run_directory import RunDirectory

LISTENING = (
    "[one.laddr.ip for one in __import__('psutil').Process().net_connections('inet')"
    " if one.status == 'LISTEN']"
)


@pytest.fixture
def away(kernel):
    """Makes kernels that take themselves to be on the host "away"."""

    def make(*lines):
        made = kernel()
        made.do("import socket; socket.gethostname = lambda: 'away'")
        made.do("from hessview.transport import liveness as pulse, rpc")
        for line in lines:
            made.do(line)
        return made

    return make


@pytest.fixture
def job(puppet, run_path):
    return puppet(
        "from helpers.puppet import *; from hessview.transport.interface import *; "
        f"job = Job({run_path!r}, listen=private_interface({loopback().name!r}))"
    )


def test_a_command_goes_up_over_tcp_and_nothing_listens_before_or_after(job, away):
    one = away("channel = attach(path)", "channel.submit('a', Density(steps=3, probes=2))")
    assert len(one.do("until_ended(channel, 'a')")) == 9
    assert one.do(LISTENING) == []
    assert job.do(LISTENING) == []
    one.do("channel.close()")


def test_it_listens_on_the_named_interface_alone_and_hangs_up_on_who_says_nothing(job, away):
    job.do("from hessview.transport import host; host._TALK = 2.0")
    one = away("channel = attach(path)", "channel._directory.knock(channel._claim, 'silence')")
    one.do("channel._wait_for(lambda: channel._hears('silence'))")
    assert job.do(LISTENING) == [loopback().address]
    one.do("channel._wait_for(lambda: not channel._hears('silence'))")
    assert job.do(LISTENING) == []
    one.do("channel._directory.end_talk(channel._claim)")
    one.do("channel.submit('a', Density(steps=1, probes=1)); until_ended(channel, 'a')")


def test_a_kernel_on_the_jobs_own_host_still_shares_memory(job, kernel):
    one = kernel()
    one.do("channel = attach(path); channel._directory.knock(channel._claim, 'talk')")
    one.do("channel._wait_for(lambda: channel._hears('talk'))")
    assert job.do(LISTENING) == []
    one.do("channel._directory.end_talk(channel._claim)")


def test_a_stranger_who_connects_spoils_one_call_which_is_made_again(job, away):
    """TensorPipe stops to listen when somebody hangs up without a word."""
    one = away(
        "channel = attach(path)",
        "import urllib.parse; from hessview.transport import agent\n"
        "open_agent, times = rpc.open_agent, []\n"
        "def disturbed(*arguments, **options):\n"
        "    open_agent(*arguments, **options)\n"
        "    times.append(1)\n"
        "    if len(times) == 1:\n"
        "        place = urllib.parse.urlsplit(agent._job_url)\n"
        "        socket.create_connection((place.hostname, place.port)).close(); time.sleep(0.5)\n"
        "rpc.open_agent = disturbed",
    )
    one.do("channel.submit('a', Density(steps=1, probes=1))")
    assert one.do("len(times)") == 2
    assert len(one.do("until_ended(channel, 'a')")) == 4


def test_a_kernel_on_another_host_that_falls_silent_frees_the_job(
    job, away, kernel, run_path, until
):
    job.do("from hessview.transport import liveness as pulse; pulse.SILENCE = 3.0")
    one = away("pulse.PERIOD = 0.1", "channel = attach(path)")
    one.do("end = time.monotonic() + 4\nwhile time.monotonic() < end: channel.events(0, 0.1)")
    directory = RunDirectory.open(run_path)
    assert directory.read_job().state == "held"  # a kernel that follows gives signs of life
    until(lambda: directory.read_job().state == "waiting")
    assert "has given no sign of life for" in directory.read_job().left_reason
    with pytest.raises(JobLostError, match=r"no longer: .*no sign of life.*attach again"):
        one.do("channel.events(0, 5)")
    kernel().do("channel = attach(path)")


def test_a_kernel_notices_a_job_on_another_host_that_falls_silent(job, away):
    one = away("channel = attach(path)", "pulse.SILENCE = 2.0")
    job.kill()
    text = r"on \S+\) has given no sign of life for 2 s; see whether its host, and this run direct"
    one.do("from hessview.transport import diagnosis as lost; lost.SILENCE = 2.0")
    with pytest.raises(JobLostError, match=text):
        one.do("channel.events(0, 20)")


def test_a_process_that_bound_another_address_is_told_to_start_anew(puppet, tmp_path):
    one = puppet("from hessview.transport import agent; from hessview.transport.interface import *")
    one.do("from hessview.transport.mailbox import Desk; import pathlib, types")
    one.do(
        f"agent.open_agent(pathlib.Path({str(tmp_path / 'a')!r}), Desk(None), interface=loopback())"
    )
    one.do("agent.close_agent()")
    with pytest.raises(JobError, match=r"uses TensorPipe at 127\.0\.0\.1 and cannot use 10"):
        one.do(
            f"agent.open_agent(pathlib.Path({str(tmp_path / 'b')!r}), Desk(None), "
            "interface=Interface('eth7', '10.0.0.7'))"
        )
    assert one.do(LISTENING) == []
    assert one.do("os.environ.get('TP_SOCKET_IFNAME')") is None

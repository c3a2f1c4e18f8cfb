"""Ranks that do not call the same things are told so, rather than hang or mix their sums up."""

import re

import pytest

pytestmark = pytest.mark.ranks

CURE = ". Call job.poll on all ranks, at the same steps, and close the job after the same one."


@pytest.fixture(scope="module")
def guards(torchrun):
    return torchrun("guards", 2, limit=120)


@pytest.mark.parametrize(
    ("case", "told"),
    [
        (
            "left_out",
            "rank 0 has come to poll(training_step=1); rank 1 has come to poll(training_step=2)",
        ),
        ("unlike_kinds", "rank 0 has come to poll(training_step=5); rank 1 has come to poll()"),
        (
            "first_to_close",
            "rank 0 has come to poll(training_step=2); rank 1 has come to the job's end",
        ),
    ],
)
def test_ranks_out_of_step_are_named_on_all(guards, case, told):
    for rank in guards:
        assert rank[case][0] == f"JobError: ranks are out of step: {told}{CURE}"


def test_a_collective_that_is_none_of_hessviews_is_told(guards):
    assert guards[0]["another_collective"][0].startswith("JobError: ranks are at different calls")


def test_a_rank_that_does_not_come_is_named_twice_and_given_up(guards):
    text, seconds = guards[0]["never_comes"]
    told = (
        r"rank 1 has not come to poll\(training_step=1\) for {} s, where all other ranks wait; "
        r"call job\.poll on all ranks, at the same steps\."
    )
    assert re.fullmatch("JobError: " + told.format(r"\d+"), text)
    assert 2 < seconds < 60
    (warning,) = guards[0]["logged"]
    assert re.fullmatch(told.format(r"\d+"), warning)
    assert guards[1]["logged"] == []


def test_rank_0_takes_those_that_still_poll_along_when_it_closes(guards):
    assert guards[0]["rank_0_closes"][0] == ""
    text, seconds = guards[1]["rank_0_closes"]
    assert re.match(r"JobError: this job is closed; call hessview\.serve", text)
    assert seconds < 60


def test_ranks_that_may_be_at_different_moments_are_not_measured(guards):
    text = guards[0]["without_step"][0]
    assert text.startswith("nothing is measured, since poll() was not told the training step: ")
    assert text.endswith("; call job.poll(training_step=step).")
    assert re.fullmatch(
        r"nothing is measured, since ranks poll in different places: rank 0 in guards\.py:"
        r"(\d+); rank 1 in guards\.py:(?!\1\.)\d+\. .*; call job\.poll in one place\.",
        guards[0]["in_two_places"][0],
    )
    assert guards[0]["in_one_place"][0] == guards[0]["waiting"][0] == "done"
    assert [guards[1][case][0] for case in ("without_step", "in_two_places")] == ["", ""]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("sharded", r"parameter '0\.weight' lies on ranks \[{rank}\] only, and the job has 2; "),
        ("replicated", r"DistributedDataParallel joins ranks \[{rank}\] only, and the job has 2; "),
    ],
)
def test_parameters_that_some_ranks_only_share_are_refused(guards, kind, text):
    cure = "shard over a mesh of all ranks, or start a job of its own, with a torchrun of its own"
    for rank in (0, 1):
        assert re.match(text.replace("{rank}", str(rank)) + cure, guards[rank][kind][0])

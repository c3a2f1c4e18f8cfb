import json
import time

import pytest
from emulated import LiveRun, dataset
from every_command import dataset_of

from hessview.errors import JobLostError
from hessview.page.board import Board
from hessview.page.dashboard import dashboard

COMMANDS = ("density", "accuracy", "epsilon_sweep", "fraction_sweep", "coupling", "benchmark")


@pytest.fixture
def heard():
    """What a board tells."""

    class Heard(list):
        def until(self, condition):
            deadline = time.monotonic() + 20
            while not condition(self):
                assert time.monotonic() < deadline, "it is never told"
                time.sleep(0.02)

    return Heard()


def test_only_the_newest_run_is_folded_and_others_when_somebody_looks(heard):
    board = Board(runs=[dataset_of(command) for command in COMMANDS])
    assert board.head["order"] == ["5", "4", "3", "2", "1", "0"]
    assert [name for name, part in board.parts.items() if "section" in part] == ["5"]
    board.listen(heard.append)
    board.take({"action": "show", "run": "1"})
    heard.until(lambda told: told)
    (message,) = heard
    assert message["head"] == board.head
    assert set(message["parts"]) == set(board.head["order"])
    assert [name for name, part in message["parts"].items() if "section" in part] == ["1"]
    assert message["parts"]["1"]["section"]["panels"][0]["kind"] == "settings"
    board.take({"action": "show", "run": "<b>"})  # nobody's, from a bookmark
    heard.until(lambda told: len(told) == 2)
    assert not any("section" in part for part in heard[1]["parts"].values())


def test_every_command_has_its_line():
    board = Board(runs=[dataset_of(command) for command in COMMANDS])
    entries = [board.parts[name]["entry"] for name in reversed(board.head["order"])]
    assert [(entry["kind"], entry["label"]) for entry in entries] == [
        ("Density", "24 steps × 2 probes"),
        ("Accuracy", "11 ε in 3 directions"),
        ("Sweep", "4 ε, 24 steps × 2 probes"),
        ("Sweep", "3 parts of the data, 24 steps × 2 probes"),
        ("Coupling", "4 blocks, 3 probes"),
        ("Benchmark", "3 repetitions"),
    ]


def test_what_is_told_of_a_step_grows_with_its_run_and_not_with_the_number_of_runs(heard):
    sizes = {}
    for others in (0, 49):
        run = LiveRun(seconds=0.01, probes=2, steps=20)
        board = Board(runs=[dataset(f"density-{i}", probes=2, steps=20) for i in range(others)])
        board = Board(runs=[*board._given.values(), run])
        board.listen(heard.append)
        del heard[:]
        run.start().join()
        heard.until(lambda told: told and ended(told[-1]))
        sizes[others] = max(len(json.dumps(message)) for message in heard)
        board.close()
    assert sizes[49] < sizes[0] + 200
    assert sizes[49] < 20_000


def ended(message):
    return any(
        part["entry"]["status"]["state"] in ("done", "detached")
        for part in message.get("parts", {}).values()
    )


def test_a_run_that_loses_its_job_says_so(heard):
    run = LiveRun(seconds=0.01, probes=2, steps=200)
    board = Board(runs=[run])
    board.listen(heard.append)
    run.start()
    run.lose(JobLostError("rank 1 was killed; start the job again."))
    heard.until(lambda told: told and ended(told[-1]))
    section = board.parts["0"]["section"]
    assert section["status"]["state"] == "detached"
    assert section["status"]["message"] == "rank 1 was killed; start the job again."
    board.close()
    assert run.watchers == 0
    run.join()


def test_runs_of_a_record_cannot_be_asked_and_name_their_model():
    board = Board(runs=[dataset(probes=1, steps=5, model="<img src=x>")])
    assert "asking" not in board.head
    assert board.head["card"] is None
    assert board.parts["0"]["section"]["subtitle"].startswith("<img src=x> · 135 M parameters")


def test_a_saved_notebook_shows_the_newest_run_and_names_are_text():
    runs = [dataset("one", probes=1, steps=5), dataset("<b>two", probes=2, steps=20, model="<i>m")]
    data, _ = dashboard(runs)._repr_mimebundle_()
    assert data["text/plain"] == "hessview dashboard of 2 runs"
    assert "<svg" in data["text/html"]
    assert "&lt;b&gt;two" in data["text/html"]
    assert "<b>two" not in data["text/html"]
    assert "<i>m" not in data["text/html"]
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"]

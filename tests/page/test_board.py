import json
import time

import pytest

from helpers.differences import changed
from helpers.emulated import LiveRun, dataset
from helpers.every_command import dataset_of
from helpers.trained import run_of
from hessview.errors import JobLostError
from hessview.page.board import Board
from hessview.page.dashboard import dashboard
from hessview.page.state import page_state
from hessview.page.wire import change

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


def test_what_is_told_of_a_step_does_not_grow_with_its_run_nor_with_the_number_of_runs(heard):
    others = [dataset(f"density-{i}", probes=2, steps=20) for i in range(49)]
    run = LiveRun(seconds=0.01, probes=10, steps=20)
    board = Board(runs=[*others, run])
    board.listen(heard.append)
    run.start().join()
    heard.until(lambda told: ended(board))
    assert len(heard) >= 5
    assert len(json.dumps(board.parts["49"])) > 10_000
    done = told_done(heard[0])
    for message in heard[1:]:  # whatever the run holds by then; a busy machine tells more at once
        steps = told_done(message, done) - done
        # A step is some 250 bytes; the begin of one probe and the end of another some 4,000.
        assert len(json.dumps(message)) < 6_000 + 250 * steps
        done += steps
    board.close()


def told_done(message, otherwise=0):
    """Steps that the run has, as a message tells them."""
    section = message.get("changes", {}).get("49", {}).get("difference", {}).get("section", {})
    return section.get("status", {}).get("done", [otherwise])[0]


def ended(board):
    return board.parts[board.head["order"][0]]["entry"]["status"]["state"] in ("done", "detached")


def test_a_run_that_loses_its_job_says_so(heard):
    run = LiveRun(seconds=0.01, probes=2, steps=200)
    board = Board(runs=[run])
    board.listen(heard.append)
    run.start()
    run.lose(JobLostError("rank 1 was killed; start the job again."))
    heard.until(lambda told: ended(board))
    section = board.parts["0"]["section"]
    assert section["status"]["state"] == "detached"
    assert section["status"]["message"] == "rank 1 was killed; start the job again."
    board.close()
    assert run.watchers == 0
    run.join()


def test_what_is_told_adds_up_to_the_board(heard):
    run = LiveRun(seconds=0.005, probes=3, steps=20)
    board = Board(runs=[dataset(probes=1, steps=5), run])
    known = json.loads(json.dumps(board.parts))
    board.listen(lambda message: heard.append(json.loads(json.dumps(message))))
    run.start().join()
    heard.until(lambda told: ended(board))
    last = board.parts["1"]["revision"]
    heard.until(lambda told: told[-1].get("changes", {}).get("1", {}).get("to") == last)
    for message in heard:
        known |= message.get("parts", {})
        for name, one in message.get("changes", {}).items():
            assert known[name]["revision"] == one["from"]
            known[name] = changed(known[name], one["difference"])
            assert known[name]["revision"] == one["to"]
    assert known == json.loads(json.dumps(board.parts))
    board.close()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1, "b": [1, 2]}, {"a": 1, "b": [1, 3, 4]}, {"b": {"1": [3], "2": [4]}}),
        ([1, 2], [1], [[1]]),
        ({"a": 1}, {"b": 1}, [{"b": 1}]),
        ({"a": [{"x": None}]}, {"a": [{"x": [5]}]}, {"a": {"0": {"x": [[5]]}}}),
        ({"a": 1}, {"a": 1}, {}),
        ([1.0], {"0": 1.0}, [{"0": 1.0}]),
    ],
)
def test_a_difference_makes_the_new_of_the_old(old, new, expected):
    assert change(old, new) == expected
    assert changed(old, expected) == new


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


def test_accuracy_shows_the_spectra_of_a_sweep_that_comes_to_them_meanwhile(heard):
    class Sweep:
        id, lost, callbacks = "sweep", None, []
        dataset = dataset_of("epsilon_sweep", stop=0, end="")

        def on_change(self, callback):
            self.callbacks.append(callback)
            return lambda: self.callbacks.remove(callback)

    run = Sweep()
    board = Board(runs=[run, dataset_of("accuracy")])  # the newest is looked at
    panel = board.parts["1"]["section"]["panels"][0]
    assert "spectra" not in panel
    board.listen(heard.append)
    run.dataset = dataset_of("epsilon_sweep")
    run.callbacks[0]()
    heard.until(lambda told: told)
    panel = board.parts["1"]["section"]["panels"][0]
    assert [one["at"] for one in panel["spectra"]] == run.dataset.epsilon.values.tolist()
    board.close()


COMPARISON = "comparison of runs"


def test_several_densities_have_a_comparison_that_is_folded_when_somebody_looks(heard):
    one, other, at_0, at_10 = dataset("a"), dataset("b", seed=2), run_of(0), run_of(10)
    nothing = dataset("c", stop=-1, end="failed")
    assert Board(runs=[one, nothing, dataset_of("accuracy")]).head["order"] == [*"210"]
    board = Board(runs=[one, at_0, other, nothing, at_10])
    assert board.head["order"] == [*"43210", "training of 1", COMPARISON]
    lines = [board.parts[name]["entry"] for name in (COMPARISON, "training of 1", "0")]
    assert [(line["kind"], line["label"], line["detail"]) for line in lines[:2]] == [
        ("Comparison", "2 density runs", "seed 0, seed 2"),
        ("Training", "2 steps, 0 to 10", "tiny"),
    ]
    assert lines[0]["place"] < lines[1]["place"] < lines[2]["place"]
    assert [name for name, part in board.parts.items() if "section" in part] == ["4"]
    page = page_state([one, at_0, other, at_10])
    sections = {COMPARISON: page["comparisons"], "training of 1": page["trainings"]}
    for run in page["comparisons"][0]["panels"][0]["runs"]:
        # There the sections that hold the coefficients stand on the same page; here they do not.
        held = page["sections"][run.pop("at")]["panels"][0]
        run |= {name: held[name] for name in ("steps", "over", "probes")}
    board.listen(heard.append)
    for name, (section,) in sections.items():
        board.take({"action": "show", "run": name})
        heard.until(lambda told, name=name: "section" in told[-1]["parts"][name] if told else False)
        assert board.parts[name]["section"]["panels"] == section["panels"]
    assert board.names == [*"43210"]
    data, _ = dashboard([one, other])._repr_mimebundle_()
    assert data["text/plain"] == "hessview dashboard of 2 runs"
    assert "Comparison" not in data["text/html"]


def test_a_run_joins_the_comparison_when_it_ends_and_its_section_is_made_when_asked_for(heard):
    run = LiveRun(seconds=0.01, probes=2, steps=20, seed=3)
    board = Board(runs=[dataset("a"), dataset("b", seed=2), run])
    board.listen(heard.append)
    board.take({"action": "show", "run": COMPARISON})
    heard.until(lambda told: told)
    first = heard[0]["parts"][COMPARISON]
    assert len(first["section"]["panels"][0]["runs"]) == 2
    heard.clear()
    run.start().join()
    heard.until(lambda told: any(COMPARISON in message.get("parts", {}) for message in told))
    assert len(heard) >= 3
    assert not any(COMPARISON in message.get("changes", {}) for message in heard)
    (part,) = [m["parts"][COMPARISON] for m in heard if COMPARISON in m.get("parts", {})]
    assert part["entry"]["label"] == "3 density runs"
    assert part["entry"]["edition"] > first["entry"]["edition"]
    assert "section" not in part
    heard.clear()
    board.take({"action": "show", "run": COMPARISON})
    heard.until(lambda told: "section" in told[0]["parts"][COMPARISON] if told else False)
    assert len(board.parts[COMPARISON]["section"]["panels"][0]["runs"]) == 3
    board.close()


def test_a_run_that_changes_while_the_board_is_made_is_not_folded_twice_at_once(monkeypatch):
    class Eager(LiveRun):
        def on_change(self, callback):
            forget = super().on_change(callback)
            callback()
            return forget

    now, most = [], []
    grouped = Board._grouped

    def slow(self):
        now.append(self)
        most.append(len(now))
        time.sleep(0.3)
        now.pop()
        return grouped(self)

    monkeypatch.setattr(Board, "_grouped", slow)
    board = Board(runs=[Eager(probes=1, steps=4)])
    board.close()
    assert most[0] == max(most) == 1

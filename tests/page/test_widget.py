import json
import threading
import time

import pytest
import xarray as xr

from helpers.emulated import LiveRun, dataset
from hessview.errors import InputError, JobLostError
from hessview.page.live import runs_of
from hessview.page.widget import View, view


@pytest.fixture(autouse=True)
def no_thread_left():
    yield
    deadline = time.monotonic() + 5
    while any(thread.name == "hessview-view" for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "a page's thread outlived its runs"
        time.sleep(0.02)


def status(shown):
    return shown.state["sections"][0]["status"]


def test_a_finished_dataset_is_shown_without_a_thread():
    shown = view(dataset(probes=2, steps=10))
    assert status(shown)["label"] == "done"
    assert shown.wait(0)


def test_a_run_is_followed_to_its_end_and_then_let_go():
    run = LiveRun(seconds=0.001, probes=2, steps=20)
    shown = view(run)
    assert status(shown)["label"] == "queued"
    run.start().join()
    assert shown.wait(10)
    assert status(shown)["state"] == "done"
    assert (status(shown)["done"], status(shown)["total"]) == (40, 40)
    assert run.watchers == 0


def test_many_events_become_few_updates():
    run = LiveRun(seconds=0.002, probes=4, steps=60)
    shown = view(run)
    updates = []
    shown.observe(lambda change: updates.append(time.monotonic()), "state")
    run.start().join()
    assert shown.wait(10)
    assert 3 <= len(updates) <= 10 * (updates[-1] - updates[0]) + 2  # of 240 events


def test_a_run_that_ends_between_the_fold_and_the_subscription_is_not_missed():
    class Sudden(LiveRun):
        def on_change(self, callback):
            self.start().join()
            return super().on_change(callback)

    shown = view(Sudden(seconds=0, probes=1, steps=5))
    assert shown.wait(10)
    assert status(shown)["state"] == "done"


def test_a_lost_job_is_told_and_no_longer_followed():
    run = LiveRun(seconds=0.01, probes=2, steps=200)
    shown = view(run)
    run.start()
    run.lose(JobLostError("rank 1 was killed; start the job again."))
    assert shown.wait(10)
    assert status(shown)["label"] == "detached"
    assert status(shown)["message"] == "rank 1 was killed; start the job again."
    run.join()


def test_a_job_lost_while_the_page_is_made_is_told_before_the_wait_ends():
    class Fading(LiveRun):
        fading = False

        @property
        def dataset(self):
            found = super().dataset
            if self.fading and self.lost is None:
                self.lose(JobLostError("rank 1 was killed; start the job again."))
            return found

    run = Fading(probes=2, steps=200)
    shown = view(run)
    run.fading = True
    run._tell()
    assert shown.wait(10)
    assert status(shown)["label"] == "detached"


def test_closing_the_widget_leaves_the_run_alone():
    run = LiveRun(seconds=0.01, probes=2, steps=10)
    shown = view(run)
    run.start()
    shown.close()
    assert shown.wait(10)
    assert run.watchers == 0
    run.join()
    assert run.dataset.attrs["state"] == "done"


def test_a_saved_notebook_shows_the_page_without_scripts():
    model = "<script>alert(1)</script>"
    data, _ = View(dataset(probes=2, steps=20, model=model))._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"]
    assert "<svg" in data["text/html"]
    assert "<script" not in data["text/html"]
    assert "&lt;script&gt;alert(1)" in data["text/html"]
    assert data["text/plain"] == f"hessview of {model}: done"


def test_the_state_that_is_synced_is_the_page_state():
    shown = View(dataset(probes=1, steps=5))
    assert "state" in shown.keys
    assert len(json.dumps(shown.get_state("state"))) < 25_000


def test_whatever_holds_runs_is_accepted():
    one, two = dataset("one", probes=1, steps=4), dataset("two", probes=1, steps=4)
    run = LiveRun(probes=1, steps=4)
    tree = xr.DataTree.from_dict({"one": one, "two": two})
    assert runs_of(one) == [one]
    assert [found.attrs["run"] for found in runs_of(tree)] == ["one", "two"]
    assert runs_of([run, [two]]) == [run, two]


@pytest.mark.parametrize("nothing", [[], xr.DataTree(), ()])
def test_no_run_is_refused(nothing):
    with pytest.raises(InputError, match=r"there is no run to show; pass .* runs, their datas"):
        view(nothing)


@pytest.mark.parametrize("other", ["runs/llama", 3, [None]])
def test_what_is_no_run_is_refused(other):
    with pytest.raises(
        InputError, match=r"a (str|int|NoneType) is no run; pass a session, a run, its"
    ):
        view(other)

import json
import re
from html import unescape

import numpy as np
import pytest

from helpers.emulated import by_hand, dataset
from helpers.every_command import dataset_of
from helpers.trained import run_of
from hessview.analysis.summary import summary
from hessview.analysis.training import join_training
from hessview.errors import AccuracyWarning
from hessview.page.state import page_state
from hessview.page.static_html import fallback
from hessview.page.status import progress
from hessview.views import figure_of
from hessview.views.convergence import convergence
from hessview.views.training import training
from hessview.wording import between, measured


def section(**options):
    (only,) = page_state([dataset(**options)])["sections"]
    return only


def traces(panel, role):
    return [trace for trace in panel["figure"]["data"] if trace["meta"]["role"] == role]


def tile(found, label):
    (only,) = [tile for tile in found["tiles"] if tile["label"] == label]
    return only


@pytest.mark.parametrize("stop", [-1, 0, 1, 17, 60, None])
@pytest.mark.parametrize("end", ["", "done", "cancelled", "failed"])
def test_every_stage_of_a_run_is_valid_json_that_holds_what_was_measured(stop, end):
    ds = dataset(probes=2, steps=20, stop=stop, end=end)
    whole = json.dumps(page_state([ds], final=True), allow_nan=False)
    (found,) = json.loads(whole)["sections"]
    count = 40 if stop is None else min(max(stop, 0), 40)
    assert found["status"]["done"] == count
    assert found["status"]["state"] == (end or "unfinished")
    assert tile(found, "Lanczos steps")["value"] == str(count)
    assert bool(found["panels"][0]["message"]) == (count == 0)
    alpha = np.array(found["record"]["variables"]["alpha"]["values"], dtype=float)
    np.testing.assert_array_equal(alpha, ds.alpha.values.ravel())
    assert np.isfinite(alpha).sum() == count


HEIGHT = 400
"""Of a figure that states none, as src/figure.js draws it."""


def below_title(layout):
    return layout.get("height", HEIGHT + layout.get("margin", {}).get("t", 0)) - (
        layout.get("margin", {}).get("t", 0)
    )


def test_a_page_draws_figures_as_high_as_they_stand_alone():
    density_run, trained = dataset(probes=2, steps=12), [run_of(step) for step in (0, 100)]
    state = page_state([density_run, dataset_of("epsilon_sweep"), *trained])
    panels = state["trainings"][0]["panels"] + [
        panel for section in state["sections"][:2] for panel in section["panels"]
    ]
    figures = [
        training(join_training(trained)),
        figure_of(density_run),
        convergence(density_run),
        figure_of(dataset_of("epsilon_sweep")),
    ]
    kinds = [panel["kind"] for panel in panels]
    assert kinds == ["training", "density", "convergence", "sweep"]
    for panel, figure in zip(panels, figures, strict=True):
        alone = figure.layout.to_plotly_json()
        assert below_title(panel["figure"]["layout"]) == below_title(alone), panel["kind"]


def test_a_streaming_state_is_small():
    # Of it 1,500 are the words by which tiles say what their intervals are, and 4,500 the
    # asymmetries that are drawn of its 256 steps.
    assert len(json.dumps(page_state([dataset(probes=4, steps=64)]))) < 30_500


def test_a_run_under_way_tells_how_far_it_is_and_how_long_it_takes():
    found = section(probes=4, steps=48, stop=60, end="")
    assert found["status"] == {
        "state": "running",
        "label": "streaming",
        "message": "",
        "done": 60,
        "total": 192,
        "unit": "steps",
        "left": "about 3 min 05 s left",  # 132 steps of 1.4 s
    }
    assert tile(found, "Lanczos steps")["value"] == "60"
    assert tile(found, "Lanczos steps")["note"] == "of 192, 4 probes × 48"


def test_a_queued_run_shows_that_nothing_is_measured():
    found = section(stop=-1, end="")
    assert found["status"]["label"] == "queued"
    assert found["panels"][0]["message"] == "No Lanczos step is measured yet."
    assert "figure" not in found["panels"][0]
    assert tile(found, "Largest eigenvalue")["note"] == "not measured"


def test_exact_products_have_no_step_and_no_error_to_measure():
    ds = dataset()
    ds.attrs["operator"] = "exact"
    ds["epsilon"], ds["error"] = ds.epsilon * np.nan, ds.error * np.nan
    (found,) = page_state([ds])["sections"]
    step = tile(found, "ε")
    assert (step["value"], step["note"]) == ("none", "exact products")
    assert "not measured" not in json.dumps(found["tiles"])


def test_a_failed_run_says_why_and_keeps_what_it_has():
    found = section(stop=60, end="failed", error="rank 1 raised ValueError: no")
    assert found["status"]["state"] == "failed"
    assert found["status"]["message"] == "rank 1 raised ValueError: no"
    assert found["status"]["left"] == ""
    assert found["panels"][0]["figure"]
    assert section(stop=0, end="failed")["panels"][0]["message"].startswith("The run ended before")


def test_tiles_show_the_summary_with_its_uncertainty():
    ds = dataset(probes=4, steps=48)
    (found,) = page_state([ds])["sections"]
    numbers = summary(ds)
    largest = float(numbers.value.sel(quantity="largest"))
    doubt = float(numbers.uncertainty.sel(quantity="largest"))
    assert (
        tile(found, "Largest eigenvalue")["value"],
        tile(found, "Largest eigenvalue")["note"],
    ) == (measured(largest, doubt))
    assert "Student's t over 4 probes" in tile(found, "Trace")["basis"]
    mass = numbers.sel(quantity="negative_mass")
    shown = tile(found, "Negative mass")
    assert shown["value"] == between(float(mass.low), float(mass.high))
    assert "so near to 0 that no sign is told" in shown["note"]
    assert "it is measured, but Lanczos cannot tell its sign" in shown["basis"]


def test_where_a_number_is_withheld_the_reason_stands_in_its_place():
    ds = by_hand(dataset(probes=3, steps=20))
    ds.error[1, 0] = 0.5  # a pure jump
    (found,) = page_state([ds])["sections"]
    for label in ("Trace", "Negative mass"):
        assert tile(found, label)["value"] == "–"
        assert tile(found, label)["note"].startswith("withheld: a first product has D = 0.5")
    assert "nan" not in json.dumps(found["tiles"]).lower()


def test_one_probe_is_called_one_probe():
    found = section(probes=1, steps=30)
    assert tile(found, "Trace")["note"] == "1 probe"
    assert "over 1 probe" in tile(found, "Negative mass")["basis"]
    assert "1 probe" in found["panels"][0]["subtitle"]


def test_the_page_gets_the_coefficients_themselves():
    ds = by_hand(dataset(probes=3, steps=30, stop=40, end=""))
    ds["beta"][0, 19] = 0.0  # it broke down: what was read later does not count
    (only,) = page_state([ds])["sections"]
    panel = only["panels"][0]
    assert (panel["steps"], panel["all"], panel["over"]) == (30, [0, 1, 2], False)
    assert [probe["probe"] for probe in panel["probes"]] == [0, 1]
    for given, length in zip(panel["probes"], (20, 10), strict=True):
        for name in ("alpha", "beta"):
            assert given[name] == ds[name].values[given["probe"], :length].tolist()


def test_a_probe_that_broke_down_is_not_waited_for():
    ds = dataset(probes=2, steps=10, stop=13, end="")
    assert progress(ds) == (13, 20)
    ds["beta"][1, 2] = 0.0  # the third step of the second probe is its last
    assert progress(ds) == (13, 13)


def test_a_final_page_promises_nothing():
    (found,) = page_state([dataset(stop=60, end="")], final=True)["sections"]
    assert found["status"]["state"] == "unfinished"
    assert found["status"]["left"] == ""
    assert "written while the run was under way" in found["status"]["message"]


def test_a_final_page_holds_every_reading():
    ds = dataset(probes=2, steps=10, stop=13, end="cancelled")
    (found,) = page_state([ds], final=True)["sections"]
    record = found["record"]
    assert record["coords"] == {
        "probe": [0, 1],
        "step": list(range(1, 11)),
        "end": ["largest", "smallest"],
    }
    alpha = record["variables"]["alpha"]
    assert alpha["dims"] == ["probe", "step"]
    assert alpha["values"][:13] == ds.alpha.values.ravel()[:13].tolist()
    assert alpha["values"][13:] == [None] * 7
    assert record["variables"]["error"]["values"][1] is None
    assert record["attrs"]["model"] == "SmolLM2-135M-Instruct"


def test_provenance_is_complete_and_in_words():
    ds = dataset()
    (found,) = page_state([ds])["sections"]
    rows = dict(found["provenance"])
    assert rows["Parameters"] == "134,515,008"
    assert rows["Data"] == "4,096 tokens"
    assert rows["Device mesh"] == "shard 2"
    assert "torch 2.13.0" in rows["Versions"]
    assert rows["Seed of the probes"] == "0"
    assert len(rows) == len(found["provenance"])
    labelled = page_state([ds.assign_attrs(surprise="kept")])["sections"][0]["provenance"]
    assert ["surprise", "kept"] in labelled
    subset = page_state([ds.assign_attrs(subset='["head.*", "*.norm"]')])["sections"][0]
    assert ["Parameters taken", "head.*, *.norm"] in subset["provenance"]


def test_two_models_are_both_named():
    runs = [dataset("a", model="one"), dataset("b", model="two"), dataset("c", model="one")]
    state = page_state(runs)
    assert state["title"] == "one, two"
    assert [section["id"] for section in state["sections"]] == ["a", "b", "c"]
    assert state["sections"][1]["subtitle"].endswith(" · run b")


def test_siblings_are_one_section_that_counts_all_their_products():
    whole = dataset_of("accuracy")
    one = whole.isel(epsilon=slice(0, 10)).assign_attrs(run="one")
    other = whole.isel(epsilon=[10]).assign_attrs(run="two", state="running").copy(deep=True)
    for name in other.data_vars:
        other[name][1:] = np.nan  # the first of three directions is measured
    state = page_state([one, dataset("density"), other])
    assert [section["id"] for section in state["sections"]] == ["two", "density"]
    status = state["sections"][0]["status"]
    assert (status["state"], status["done"], status["total"]) == ("running", 33 + 2, 33 + 6)
    assert status["left"] == "about 21 s left"  # two references of 9 s, two products of 1.5 s
    assert state["sections"][0]["subtitle"].endswith(" · run two")
    measured = np.sort([*one.epsilon.values, *other.epsilon.values])
    (panel,) = state["sections"][0]["panels"]
    np.testing.assert_allclose(traces(panel, "measured")[0]["x"], measured)
    assert "Runs joined" in dict(state["sections"][0]["provenance"])
    html = fallback([one, dataset("density"), other], state)
    assert re.search(
        r"streaming, 35 of 39 products at 20\d\d-.*; run the notebook's", unescape(html)
    )


def test_tau_is_called_what_it_is():
    rows = dict(section()["provenance"])
    assert rows["Gradient change ρ to start from, τ"] == "0.0049"


@pytest.mark.parametrize(
    ("error", "note"), [(0.05, ""), (0.13, ", products moved by rounding by up to 13%")]
)
def test_displacements_that_were_rounded_off_are_told_beside_the_step(error, note):
    ds = by_hand(dataset("a"))
    ds["perturbation_error"] = ds.epsilon * 0 + 0.5
    ds["perturbation_effect"] = ds.epsilon * 0 + error
    found = tile(page_state([ds])["sections"][0], "ε")
    plain = tile(page_state([dataset("a")])["sections"][0], "ε")
    assert found["note"] == plain["note"] + note
    assert ("round the displacement" in found["basis"]) == bool(note)
    if note:
        with pytest.warns(AccuracyWarning, match="50%, which moves products by up to about 13%"):
            summary(ds)

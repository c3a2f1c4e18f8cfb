"""The notebooks that users meet first: stripped in git, and right when they are run."""

import json
import os

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

import hessview
from helpers.folders import ROOT
from helpers.jupyter_page import chromium

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

pytestmark = pytest.mark.timeout(600)

NUMBERS = {
    "1_attach_and_density": "summary.value.values.tolist()",
    "2_step_size": "[*errors.auto_relative_error.values.tolist(), *ratio.values.tolist()]",
    "3_layer_coupling": (
        "[*found.value.values.tolist(), sorted(set(worthless.verdict.values.tolist()))]"
    ),
    "how_far_to_trust_it": (
        "[steps['auto'].tolist(), distance, five['top five off by'].tolist(), "
        "numbers.to_dict('index')]"
    ),
    "4_curvature_during_training": (
        "[list(digests.values()), history.training_step.values.tolist()]"
    ),
}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_hold_no_output(path):
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert cells
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells), (
        f"{path.name} holds output; strip it: jupyter nbconvert --clear-output --inplace {path}"
    )


ENDED = """() => {
  const panel = window.jupyterapp.shell.currentWidget;
  const cells = [...panel.content.model.cells].filter((cell) => cell.type === "code");
  const outputs = cells.flatMap((cell) => cell.outputs.toJSON());
  const error = outputs.find((output) => output.output_type === "error");
  if (error) return `${error.ename}: ${error.evalue}`;
  const idle = panel.sessionContext.session.kernel.status === "idle";
  return idle && cells.every((cell) => cell.executionCount !== null) && "ran";
}"""
PAINTED = """() => [...document.querySelectorAll(".js-plotly-plot")].map(
  (plot) => plot._fullData.length > 0 && plot.querySelector(".main-svg") !== null)"""


@pytest.fixture
def run(request, tmp_path, monkeypatch):
    """Run a notebook in a folder of its own; gives the value of an expression at its end.

    It runs in JupyterLab, where every figure must be painted and the console stay silent; on a
    machine without Chromium, where tests of a browser are skipped, without a page.
    """
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def execute(name):
        notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
        ask = f"import json\nprint(json.dumps({NUMBERS[name]}))"
        notebook.cells.append(nbformat.v4.new_code_cell(ask))
        if chromium() is None and os.environ.get("HESSVIEW_REQUIRE_BROWSER") != "1":
            folder = {"metadata": {"path": str(tmp_path)}}
            NotebookClient(notebook, timeout=560, resources=folder).execute()
        else:
            notebook = in_jupyterlab(request, tmp_path, name, notebook)
        return json.loads(notebook.cells[-1].outputs[-1]["text"])

    return execute


def in_jupyterlab(request, tmp_path, name, notebook):
    server, page, shots = map(request.getfixturevalue, ("jupyterlab", "page", "shots"))
    said = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else 0)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.set_viewport_size({"width": 1280, "height": 4200})  # JupyterLab draws what is in sight
    folder = server.notebooks / f"of_{name}"
    folder.symlink_to(tmp_path)
    path = folder / f"{name}.ipynb"
    nbformat.write(notebook, path)
    server.open(page, path)
    server.run_all(page)
    assert page.wait_for_function(ENDED, timeout=560_000).json_value() == "ran"
    page.wait_for_timeout(1_000)  # the last state of a view is on its way
    painted = page.evaluate(PAINTED)
    page.screenshot(path=shots / f"notebook_{name}.png")
    assert all(painted)
    assert painted or not name[0].isdigit()  # the numbered ones draw, the other makes tables
    assert said == []
    server.save(page)
    return nbformat.read(path, as_version=4)


def runs_of(path):
    return [node.to_dataset() for node in hessview.open_runs(path).children.values()]


@pytest.mark.ranks
def test_the_first_session_gives_the_numbers_of_its_record(run, tmp_path):
    numbers = run("1_attach_and_density")
    (ds,) = runs_of(tmp_path / "runs" / "first")
    assert ds.attrs["state"] == "done"
    assert ds.attrs["world_size"] == 2
    assert ds.alpha.sizes == {"probe": 2, "step": 16}
    found = hessview.summary(ds)
    np.testing.assert_array_equal(numbers, found.value)
    assert float(found.value.sel(quantity="largest")) > 1
    assert (tmp_path / "runs" / "first" / "report.html").stat().st_size > 1_000_000


@pytest.mark.ranks
def test_the_chosen_step_is_near_the_best(run, tmp_path):
    numbers = run("2_step_size")
    errors, sweep = runs_of(tmp_path / "runs" / "step")
    assert errors.attrs["world_size"] == 2
    assert (errors.exact == 1).all()
    best = errors.relative_error.min("epsilon")
    ratio = errors.auto_relative_error / best
    np.testing.assert_allclose(numbers, [*errors.auto_relative_error.values, *ratio.values])
    assert (ratio < 2.5).all()
    assert sweep.attrs["state"] == "done"
    assert np.isfinite(sweep.alpha).all()


@pytest.mark.ranks
def test_coupling_is_told_from_noise(run, tmp_path):
    *numbers, verdicts = run("3_layer_coupling")
    ds, noisy = runs_of(tmp_path / "runs" / "coupling")
    assert ds.attrs["world_size"] == 2
    found = hessview.coupling_summary(ds)
    np.testing.assert_array_equal(numbers, found.value)
    assert set(found.verdict.values) == {"too few probes"}  # 2 of them
    assert (found.noise < 1e-3).all()
    kappa = found.sel(quantity="kappa")
    assert abs(float(kappa.value) - 1) > float(kappa.noise)  # which does not contradict the rest:
    assert float(kappa.low) <= 1 <= float(kappa.high)
    assert "dominated by noise" in verdicts
    assert float(noisy.epsilon.max()) == pytest.approx(1e-6)


@pytest.mark.ranks
def test_what_is_said_of_errors_is_measured(run, tmp_path):
    """The notebook asserts each of its sentences; here, that they are about what was measured."""
    errors, distance, five, coupling = run("how_far_to_trust_it")
    assert len(errors) == 5 * 3 * 2  # models, data types, directions
    assert np.isfinite(errors).all()
    assert 0 < distance <= 1.5e-3
    assert 0 < five[0] <= 2e-4
    exact, auto, noisy = runs_of(tmp_path / "runs" / "trust")
    assert {ds.attrs["world_size"] for ds in (exact, auto, noisy)} == {2}
    assert [ds.attrs["operator"] for ds in (exact, auto, noisy)] == ["exact", "hessian", "hessian"]
    for name, ds in {"exact": exact, "auto": auto, "1e-6": noisy}.items():
        found = hessview.coupling_summary(ds).sel(quantity=list(coupling[name]))
        assert list(coupling[name].values()) == pytest.approx(found.value.values.tolist())


@pytest.mark.ranks
def test_training_is_measured_and_goes_on_as_if_it_were_not(run, tmp_path):
    (measured, without), steps = run("4_curvature_during_training")
    assert measured == without
    assert len(measured) == 64
    assert steps == [0, 20, 40, 60, 80]
    runs = runs_of(tmp_path / "runs" / "train")
    assert [ds.attrs["training_step"] for ds in runs] == steps
    for ds in runs:
        assert ds.attrs["state"] == "done"
        assert ds.attrs["mesh"] == '{"dim_0": 2}'
        assert ds.alpha.sizes == {"probe": 2, "step": 16}
        assert float(ds.error.max()) < 0.1
    losses = [ds.attrs["loss"] for ds in runs]
    assert losses == sorted(losses, reverse=True)

"""What the page's module computes: scripts for `node`, and what they must give."""

import numpy as np
import pytest

DENSITY = """([panel, axis, steps, out]) => {
  const rows = page.drawnRows(panel, { steps, out });
  const marks = steps === null && !out.length ? panel.marks : null;
  const { traces, ...layout } = page.arrays(rows, { axis, scale: "log", over: panel.over, marks });
  const plain = Object.entries(traces).map(([role, { x, y, name = "", error_x = null }]) =>
    [role, { x: Array.from(x), y: Array.from(y), name, error_x }]);
  return { traces: Object.fromEntries(plain), layout };
}"""

CONVERGENCE = """([panels, place]) => {
  const traces = page.settling({ ...panels[0], ...panels[1] }, place);
  return { ...traces, axis: page.boundAxis(traces) };
}"""

COMPARISON = """([panel, axis, sigma, out]) => {
  const { traces, ...rest } = page.overlay(panel.runs, { axis, sigma, scale: "log", out });
  return { traces: traces.map(({ x, y }) => ({ x: Array.from(x), y: Array.from(y) })), ...rest };
}"""

SWEEP = """([panel, axis, sigma]) => {
  const { traces, ...rest } = page.sweptCurves(panel, { axis, sigma, scale: "log" });
  const plain = ({ x, y }) => ({ x: Array.from(x), y: Array.from(y) });
  const settings = panel.figure.data.slice(0, panel.spectra.length).map(({ meta }) => meta.setting);
  return { curves: settings.map((setting) => plain(traces[setting])), ...rest };
}"""

TRAINING = """([spectra, axis, sigma]) => {
  const { heat, ...rest } = page.heatmapOf(spectra, { axis, sigma });
  return { ...heat, y: Array.from(heat.y), ...rest };
}"""


def mounted(body):
    """A script that mounts a page of the first of `states`, with `frame()` to wait for a drawing.

    Args:
        body: Statements of an async function over `states`, `host`, `view` and `frame`.
    """
    return f"""([states]) => {{
  const host = document.body.appendChild(document.createElement("div"));
  const view = page.mount(host, states[0]);
  const next = (done) => requestAnimationFrame(done);
  const frame = () => new Promise((done) => next(() => next(done)));
  return (async () => {{ {body} }})();
}}"""


def compare_density(computed, figure):
    """That what DENSITY gave is what `views.density` draws."""
    traces, layout = computed["traces"], computed["layout"]
    for trace in figure.data:
        role = trace.meta["role"]
        for name in ("x", "y"):
            own = np.array(traces[role][name], dtype=float)
            expected = np.array(trace[name], dtype=float)
            np.testing.assert_allclose(
                own, expected, rtol=1e-6, atol=1e-9 if name == "x" else 0, err_msg=role
            )
        if role == "extremes":
            for side in ("array", "arrayminus"):
                bars = traces[role]["error_x"][side]
                np.testing.assert_allclose(bars, trace.error_x[side], rtol=1e-6, atol=1e-9)
            assert traces[role]["name"] == trace.name
        if role in ("mean", "high", "unfinished"):
            assert traces[role]["name"] == (trace.name if len(trace.x) else traces[role]["name"])
    np.testing.assert_allclose(layout["yaxis"]["range"], figure.layout.yaxis.range, rtol=1e-6)
    assert layout["yaxis"]["dtick"] == figure.layout.yaxis.dtick
    assert layout["edge"] == pytest.approx(figure.layout.shapes[0].x1)
    assert layout["sigma"] == pytest.approx(figure.layout.meta["sigma"])
    ticks = figure.layout.xaxis
    np.testing.assert_allclose(layout["xaxis"].get("tickvals", []), ticks.tickvals or [], atol=1e-9)
    assert tuple(layout["xaxis"].get("ticktext", ())) == (ticks.ticktext or ())


def compare_convergence(computed, figure, *, rounding=1e-13):
    """That what CONVERGENCE gave is what `views.convergence` draws."""
    norm = np.nanmax(np.abs(np.concatenate([figure.data[0].y, figure.data[2].y])))
    for trace in figure.data:
        role = trace.meta["role"]
        if role not in computed:
            continue
        own = {name: np.array(computed[role][name], dtype=float) for name in ("x", "y")}
        np.testing.assert_array_equal(own["x"], trace.x)
        # Bounds near the last digit are made of rounding.
        atol = 0 if role.endswith("_bound") else rounding * norm
        np.testing.assert_allclose(own["y"], trace.y, rtol=1e-6, atol=atol, err_msg=role)
        if trace.marker.symbol:
            assert computed[role]["symbol"] == list(trace.marker.symbol)
    axis = figure.layout.yaxis3
    np.testing.assert_allclose(computed["axis"]["range"], axis.range, rtol=1e-12)
    assert computed["axis"]["dtick"] == axis.dtick

// Spectra of several runs over each other, computed in the page. It repeats the arrays of hessview/views/compare.py; a test
// holds them equal.

import { axisFor, broaden, defaultSigma, eigenvalueAxis, extent, gridOf } from "./broadening.js";
import { axesChoice, chips, widthSlider } from "./controls.js";
import { bottomOf, densityAxis, drawnRows, faintest, meanOf, rowsOfCurve, seen, unresolved } from "./curves.js";
import { element, tableHead, tableRow } from "./elements.js";
import { figurePanel } from "./figure.js";
import { quadraturesOfProbes } from "./quadrature.js";
import { nextFrame } from "./turns.js";

/** @import { Curve } from "./broadening.js" */
/** @import { Coefficients, ComparedRun, ComparisonPanel } from "./contract.d.ts" */
/** @import { PanelOptions, PanelView, Recolour } from "./figure.js" */
/** @import { Rules } from "./quadrature.js" */
/** @typedef {ComparedRun & Coefficients} RunWithCoefficients */
/** @typedef {Omit<ComparisonPanel, "runs"> & { runs: RunWithCoefficients[] }} Comparison with the coefficients of all runs */
/**
 * What is chosen in it.
 * @typedef {object} ComparisonChoice
 * @property {string} axis
 * @property {string} scale
 * @property {number} widening
 * @property {number[]} out places of the runs that are left out
 */

/**
 * Curves of the runs that are in, by their place, and both axes.
 * @param {RunWithCoefficients[]} runs
 * @param {{ axis: string, sigma?: number | null, widening?: number, scale: string, out?: number[] }} options
 * @param {(place: number) => Rules | undefined} [rulesOf] gives the quadratures of a run, by its place
 */
export function overlay(runs, { axis: name, sigma: width = null, widening = 0, scale, out = [] }, rulesOf = () => undefined) {
  const included = runs.flatMap((run, place) => (out.includes(place) ? [] : [{ run, place }])).map(({ run, place }) => {
    const { rows, longest } = drawnRows(run, {}, rulesOf(place));
    return { place, coarse: run.coarse, nodes: rows.flatMap((row) => row.nodes), shown: rowsOfCurve(rows), longest };
  });
  const nodes = included.flatMap((part) => part.nodes), axis = axisFor(name, nodes);
  const parts = included.map((part) => ({ ...part, own: defaultSigma(axis, part.nodes, part.longest) }));
  const fine = parts.filter(({ coarse }) => !coarse);
  const sigma = width ?? Math.max(...(fine.length ? fine : parts).map(({ own }) => own)) * 10 ** widening;
  const at = gridOf(axis, nodes, sigma);
  /** @type {Map<number, Curve>} */
  const curves = new Map();
  let top = 0, lowest = Infinity;
  for (const { place, coarse, shown, own } of parts) {
    const wide = coarse && width === null ? Math.max(own * 10 ** widening, sigma) : sigma;
    const mean = meanOf(shown.map((row) => broaden(axis, row.nodes, row.weights, at, wide)));
    curves.set(place, mean);
    top = Math.max(top, extent(mean)[1]);
    lowest = Math.min(lowest, faintest(axis, at, mean, shown.flatMap((row) => row.nodes)));
  }
  const { bottom, floor } = bottomOf(scale, lowest, top);
  const customdata = Array.from(at, axis.eigenvalue);
  const traces = runs.map(({ ends }, place) => {
    const curve = curves.get(place);
    if (!curve) return { x: [], y: [], customdata: [], showlegend: false };
    const [first, end] = seen(axis, at, ends);
    const y = curve.slice(first, end).map((value) => Math.max(value, floor));
    return { x: at.slice(first, end), y, customdata: customdata.slice(first, end), showlegend: true };
  });
  return { traces, sigma, xaxis: eigenvalueAxis(axis, nodes), yaxis: densityAxis(scale, bottom, top), ...unresolved(axis) };
}

/**
 * A panel that draws them into `host`, with a table and controls that stay as they are on updates.
 * @param {HTMLElement} host
 * @param {PanelOptions<ComparisonChoice>} options
 * @returns {PanelView<Comparison>}
 */
export function comparisonPanel(host, { id, chosen: given }) {
  /** @type {ComparisonChoice} */
  const chosen = Object.assign(given, { axis: "linear", scale: "log", widening: 0, out: [], ...given });
  const body = element("div"), figure = figurePanel(body), frame = nextFrame(draw);
  /** @type {ReturnType<typeof quadraturesOfProbes>[]} */
  const known = [];
  const width = widthSlider(`${id}-sigma`, chosen, frame.ask);
  const runs = chips("Runs", (text) => `Run ${text}`, (out) => { chosen.out = out; frame.ask(); });
  const controls = element("div", { class: "hess-controls" }, [width.root, ...axesChoice(id, chosen, frame.ask), runs.root]);
  const head = element("tr"), rows = element("tbody");
  const table = element("div", { class: "hess-picked", tabindex: "0", role: "region", "aria-label": "Distances and extremes" }, [
    element("table", {}, [element("thead", {}, head), rows]),
  ]);
  host.append(body, controls, table);
  /** @type {Comparison | null} */
  let panel = null;
  /** @type {Recolour} */
  let palette = (figure) => figure;

  function draw() {
    if (!panel) return;
    const entries = panel.runs.map(({ label }, value) => ({ value, text: label, dead: false }));
    const out = chosen.out.filter((place) => place < entries.length);
    runs.show(entries, out);
    const { traces, sigma, xaxis, yaxis, edge, strip } = overlay(panel.runs, { ...chosen, out }, (place) => known[place].rules);
    width.show(sigma);
    const { data, layout } = panel.figure;
    figure.update({
      ...panel,
      arrays: Object.fromEntries(traces.map((arrays, place) => [place, arrays])),
      figure: {
        data: data.map((trace, place) => ({ ...trace, meta: { ...trace.meta, role: place } })),
        layout: {
          ...layout,
          xaxis: { ...layout.xaxis, ...xaxis },
          yaxis: { ...layout.yaxis, ...yaxis },
          shapes: [{ ...layout.shapes[0], name: strip, x0: -edge, x1: edge }],
        },
      },
    }, palette);
  }

  return {
    update(next, recolour) {
      panel = next;
      palette = recolour;
      panel.runs.forEach(({ probes }, place) => (known[place] ??= quadraturesOfProbes()).update(probes));
      head.replaceChildren(...tableHead(panel.head));
      rows.replaceChildren(...panel.rows.map(tableRow));
      frame.ask();
    },
    dispose() { frame.drop(); figure.dispose(); },
  };
}

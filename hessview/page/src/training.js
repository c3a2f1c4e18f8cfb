// Curvature during training: spectra over the training step, and the one at the step that is chosen. The heatmap's arrays
// repeat hessview/views/training.py; a test holds them equal.

import { axisFor, broaden, defaultSigma, eigenvalueAxis, extent } from "./broadening.js";
import { DECADES, LEAST_ROWS, MOST_ROWS, PADDING, POINTS_PER_SIGMA, REACH } from "./constants.js";
import { axisChoice, slider, widthSlider } from "./controls.js";
import { drawnRows, meanOf, unresolved } from "./curves.js";
import { spectrumView } from "./density.js";
import { element } from "./elements.js";
import { figurePanel } from "./figure.js";
import { quadraturesOfProbes } from "./quadrature.js";
import { nextFrame } from "./turns.js";

/** @import { Curve } from "./broadening.js" */
/** @import { TrainingPanel } from "./contract.d.ts" */
/** @import { Row } from "./curves.js" */
/** @import { DensityChoice } from "./density.js" */
/** @import { PanelOptions, PanelView, Recolour, Trace } from "./figure.js" */
/** @import { Rules } from "./quadrature.js" */
/**
 * What is chosen in it.
 * @typedef {object} TrainingChoice
 * @property {number | null} step null follows the last
 * @property {Partial<DensityChoice>} density of the spectrum below
 * @property {string} axis
 * @property {number} widening
 */

/**
 * The heatmap's arrays, and its eigenvalue axis.
 * @param {TrainingPanel["spectra"]} spectra
 * @param {{ axis: string, sigma?: number | null, widening?: number }} options
 * @param {(place: number) => Rules | undefined} [rulesOf] gives the quadratures of a step, by its place in the panel
 */
export function heatmapOf(spectra, { axis: name, sigma: given = null, widening = 0 }, rulesOf = () => undefined) {
  const whole = spectra.map((one, place) => (one.probes ? drawnRows(one, {}, rulesOf(place)).rows.filter((row) => row.whole) : []));
  const nodes = whole.flat().flatMap((row) => row.nodes), axis = axisFor(name, nodes);
  const least = Math.min(...whole.flat().map((row) => row.length));
  const sigma = given ?? defaultSigma(axis, nodes, least) * 10 ** widening, width = axis.width(sigma);
  const [first, last] = extent(nodes.map(axis.coordinate));
  const beyond = Math.max((REACH / 2) * width, PADDING * (last - first)), low = first - beyond, high = last + beyond;
  const wanted = Math.round((POINTS_PER_SIGMA * (high - low)) / width) + 1;
  const count = Math.min(Math.max(wanted, LEAST_ROWS), MOST_ROWS);
  const y = Float64Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));
  const densityAt = (/** @type {Row[]} */ rows, /** @type {Curve} */ at) =>
    meanOf(rows.map((row) => broaden(axis, row.nodes, row.weights, at, sigma)));
  const columns = whole.map((rows) => (rows.length ? densityAt(rows, y) : null));
  const largest = Math.max(...columns.map((column) => (column ? extent(column)[1] : -Infinity)));
  const faintest = whole.map((rows) => {
    const outer = rows.flatMap((row) => row.nodes).filter((node) => Math.abs(node) > axis.scale);
    return outer.length ? extent(densityAt(rows, Float64Array.from(outer, axis.coordinate).sort()))[0] : Infinity;
  });
  const zmax = Math.log10(largest), lowest = Math.min(...faintest);
  const zmin = Math.max(lowest < Infinity ? Math.log10(lowest) - 0.5 : -Infinity, zmax - DECADES);
  const colour = (/** @type {number} */ value) => Math.log10(Math.max(value, 10 ** zmin));
  const customdata = Array.from(y, (at) => columns.map(() => axis.eigenvalue(at)));
  const z = Array.from(y, (_, i) => columns.map((column) => column && colour(column[i])));
  return { heat: { y, z, customdata, zmin, zmax }, sigma, yaxis: eigenvalueAxis(axis, nodes), ...unresolved(axis) };
}

/**
 * A panel that draws a training into `host`; a click on the figure chooses a step, as the slider does.
 * @param {HTMLElement} host
 * @param {PanelOptions<TrainingChoice>} options
 * @returns {PanelView<TrainingPanel>}
 */
export function trainingPanel(host, { id, chosen: given }) {
  /** @type {TrainingChoice} */
  const chosen = Object.assign(given, { step: null, density: {}, axis: "symlog", widening: 0, ...given });
  const above = element("div");
  const frame = nextFrame(() => { compute(); draw(); });
  const heat = figurePanel(above, { clicked: ({ x }) => pick(nearest(x)) });
  const width = widthSlider(`${id}-sigma`, chosen, frame.ask), axis = axisChoice(id, chosen, frame.ask);
  const spectrum = spectrumView(id, chosen.density);
  const last = { label: "last", title: "The last training step, and those that arrive" };
  const along = slider(
    `${id}-step`, "Training step", { min: "0", step: "1" }, last,
    (place) => pick(stepsOf()[place]), () => pick(stepsOf().at(-1)),
  );
  host.append(above, element("div", { class: "hess-controls" }, [along.root, width.root, axis]), spectrum.root);

  /** @type {Map<number, ReturnType<typeof quadraturesOfProbes>>} */
  const known = new Map();
  /** @type {TrainingPanel | null} */
  let panel = null;
  /** @type {Recolour} */
  let palette = (figure) => figure;
  /** @type {ReturnType<typeof heatmapOf> | null} */
  let made = null;

  const stepsOf = () => panel?.steps ?? [];
  const nearest = (/** @type {number} */ at) => stepsOf().reduce((a, b) => (Math.abs(b - at) < Math.abs(a - at) ? b : a));

  /** @param {number | undefined} step */
  function pick(step) {
    chosen.step = step === undefined || step === stepsOf().at(-1) ? null : step;
    draw();
  }

  function compute() {
    if (!panel) return;
    const { spectra, steps } = panel;
    made = heatmapOf(spectra, chosen, (place) => known.get(steps[place])?.rules);
    width.show(made.sigma);
  }

  function draw() {
    if (!panel || !made) return;
    const { edge, heat: arrays, strip, yaxis } = made, { steps } = panel;
    const place = (chosen.step === null ? steps.length : steps.indexOf(chosen.step) + 1 || steps.length) - 1;
    const step = steps[place];
    along.input.max = String(steps.length - 1);
    along.show(place, String(step), `training step ${step}`, place === steps.length - 1);
    const { data, layout } = panel.figure;
    const line = {
      type: "line", xref: "x", yref: "paper", x0: step, x1: step, y0: 0, y1: 1,
      line: { color: layout.template.layout.title.font.color, width: 1.25 },
    };
    const edges = layout.shapes.map((/** @type {Trace} */ shape, /** @type {number} */ i) =>
      ({ ...shape, name: strip, y0: (2 * i - 1) * edge, y1: (2 * i - 1) * edge }));
    const laid = { ...layout, yaxis: { ...layout.yaxis, ...yaxis }, shapes: [...edges, line], uirevision: chosen.axis };
    heat.update({ ...panel, figure: { data, layout: laid }, arrays: { spectra: arrays } }, palette);
    spectrum.show(`Spectrum at training step ${step}`, panel.spectra[place], panel.density, palette);
  }

  return {
    update(next, recolour) {
      const { spectra, steps } = next;
      panel = next;
      palette = recolour;
      spectra.forEach(({ probes }, place) => {
        const own = known.get(steps[place]) ?? quadraturesOfProbes();
        known.set(steps[place], own);
        own.update(probes ?? []);
      });
      compute();
      draw();
    },
    dispose() { frame.drop(); heat.dispose(); spectrum.dispose(); },
  };
}

// How the extreme Ritz values of a probe settle, computed in the page from its coefficients. It repeats the arrays of
// hessview/views/convergence.py; a test holds them equal.

import { extent } from "./broadening.js";
import { BOUND_EDGE, BOUND_TICKS, LAST_DIGIT, LOCATED } from "./constants.js";
import { slider } from "./controls.js";
import { sayCopies } from "./curves.js";
import { element } from "./elements.js";
import { figurePanel } from "./figure.js";
import { freshRules, quadraturesOfProbes } from "./quadrature.js";
import { nextFrame } from "./turns.js";

/** @import { Coefficients, ConvergencePanel } from "./contract.d.ts" */
/** @import { PanelOptions, PanelView, Recolour, Trace } from "./figure.js" */
/** @import { Rule, Rules } from "./quadrature.js" */
/** @typedef {ConvergencePanel & Coefficients} Convergence with the coefficients of the panel that it shares them with */
/** @typedef {{ probe: number | null }} ConvergenceChoice null: the one that got furthest */

/** @type {("largest" | "smallest")[]} */
const ENDS = ["largest", "smallest"];

/**
 * Arrays of the figure by role, of the probe at a place in the panel.
 * @param {Pick<Convergence, "probes" | "extremes" | "bounds"> & Partial<Convergence>} panel
 * @param {number} place
 * @param {Rules} [rules]
 */
export function settling({ probes, extremes, bounds: stated, asymmetries = {} }, place, rules = freshRules(probes)) {
  const { probe, alpha } = probes[place];
  const after = alpha.map((_, i) => rules(place, i + 1));
  const floor = roundingOf(after);
  /** @type {Record<string, Trace>} */
  const traces = {};
  for (const end of ENDS) {
    /** @type {(number | null)[]} */
    const x = [];
    /** @type {(number | null)[]} */
    const values = [];
    /** @type {(number | null)[]} */
    const bounds = [];
    /** @type {(number | null)[][]} */
    const customdata = [];
    const symbol = [];
    for (let rank = 1; rank <= extremes; rank++) {
      after.forEach(({ nodes, residuals }, i) => {
        const there = rank <= Math.max(nodes.length >> 1, 1), k = end === "largest" ? nodes.length - rank : rank - 1;
        x.push(there ? i + 1 : null);
        values.push(there ? nodes[k] : null);
        bounds.push(there ? Math.max(residuals[k], floor) : null);
        symbol.push(there && residuals[k] <= LOCATED * Math.abs(nodes[k]) ? "circle" : "circle-open");
        customdata.push(there ? [rank, residuals[k], nodes[k]] : [null, null, null]);
      });
      for (const row of [x, values, bounds]) row.push(null); // no line from one rank to the next
      symbol.push("circle-open");
      customdata.push([null, null, null]);
    }
    traces[end] = { x, y: values, symbol, customdata };
    traces[`${end}_residual`] = { x, y: bounds, symbol, customdata };
    const bound = stated[probe]?.[end] ?? 0, known = bound > 0;
    traces[`${end}_bound`] = { x: known ? [0.5, after.length + 0.5] : [], y: known ? [bound, bound] : [], showlegend: known };
  }
  const skew = (asymmetries[probe] ?? []).slice(0, after.length);
  traces.asymmetry = { x: skew.map((_, i) => i + 1), y: skew, showlegend: skew.some((value) => value !== null && value > 0) };
  return traces;
}

/**
 * The logarithmic axis of bounds: see views/convergence.py.
 * @param {Record<string, Trace>} traces
 */
export function boundAxis(traces) {
  const curves = [traces.largest_residual, traces.smallest_residual, traces.largest_bound, traces.smallest_bound, traces.asymmetry];
  const logs = curves.flatMap(({ y }) => y).filter((value) => value > 0).map(Math.log10), [least, most] = extent(logs);
  const low = Math.floor(least), high = Math.max(Math.ceil(most), low + 1), beyond = BOUND_EDGE * (high - low);
  return { range: [low - beyond, high + beyond], dtick: Math.ceil((high - low) / BOUND_TICKS) };
}

/**
 * The bound below which only rounding is left.
 * @param {Rule[]} after
 */
function roundingOf(after) {
  const norm = after.reduce((most, { nodes }) => Math.max(most, Math.abs(nodes[0]), Math.abs(nodes[nodes.length - 1])), 0);
  return LAST_DIGIT * (norm || 1);
}

/**
 * A panel that draws them into `host`, of a probe that is chosen in it.
 * @param {HTMLElement} host
 * @param {PanelOptions<ConvergenceChoice>} options
 * @returns {PanelView<Convergence>}
 */
export function convergencePanel(host, { id, chosen: given }) {
  /** @type {ConvergenceChoice} */
  const chosen = Object.assign(given, { probe: null, ...given });
  const body = element("div"), figure = figurePanel(body), frame = nextFrame(draw);
  const known = quadraturesOfProbes();
  const pick = (/** @type {number | null} */ probe) => { chosen.probe = probe; frame.ask(); };
  const picker = slider(
    `${id}-probe`, "Probe", { min: "0", step: "1" },
    { label: "furthest", title: "The probe that got furthest, of equals the first" },
    (place) => pick(panel?.probes[place].probe ?? null), () => pick(null),
  );
  const controls = element("div", { class: "hess-controls" }, [picker.root]);
  host.append(body, controls);
  /** @type {Convergence | null} */
  let panel = null;
  /** @type {Recolour} */
  let palette = (figure) => figure;

  function draw() {
    if (!panel) return;
    const { probes } = panel, lengths = probes.map(({ alpha }) => alpha.length);
    const asked = probes.findIndex(({ probe }) => probe === chosen.probe);
    const place = asked >= 0 ? asked : lengths.indexOf(Math.max(...lengths));
    const traces = settling(panel, place, known.rules);
    const told = `${probes[place].probe + 1}, ${lengths[place]} step${lengths[place] === 1 ? "" : "s"}`;
    const copies = sayCopies([known.rules(place, lengths[place])]), words = copies ? `${told}, ${copies}` : told;
    picker.input.max = String(probes.length - 1);
    picker.show(place, words, `probe ${words}`, asked < 0);
    controls.hidden = probes.length === 1;
    const data = panel.figure.data.map((trace) => {
      const { symbol, ...arrays } = traces[trace.meta.role] ?? { x: [null], y: [null] };
      return { ...trace, ...arrays, ...(symbol ? { marker: { ...trace.marker, symbol } } : {}) };
    });
    const { layout } = panel.figure, moved = { ...layout, yaxis3: { ...layout.yaxis3, ...boundAxis(traces) } };
    figure.update({ ...panel, figure: { data, layout: moved } }, palette);
  }

  return {
    update(next, recolour) {
      panel = next;
      palette = recolour;
      known.update(panel.probes);
      draw();
    },
    dispose() { frame.drop(); figure.dispose(); },
  };
}

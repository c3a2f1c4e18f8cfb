// What all curves over eigenvalues have in common: which steps and probes are in, their mean, and both axes. It repeats
// hessview/views/compare.py and what analysis/ritz.py says of copies; tests hold them equal.

import { between, extent, firstFrom } from "./broadening.js";
import { MARGIN, ONE_VALUE, ROUNDING, TICKS } from "./constants.js";
import { rounded } from "./elements.js";
import { freshRules } from "./quadrature.js";

/** @import { Coefficients } from "./contract.d.ts" */
/** @import { Axis, Curve } from "./broadening.js" */
/** @import { Rule, Rules } from "./quadrature.js" */
/** @typedef {Rule & { probe: number, length: number, whole: boolean }} Row quadrature of a probe after `length` steps */

/**
 * The quadratures that are drawn: of probes that are not left out, at the first so many steps.
 * @param {Coefficients} panel
 * @param {{ steps?: number | null, out?: number[] }} [chosen]
 * @param {Rules} [rules]
 * @returns {{ rows: Row[], longest: number }}
 */
export function drawnRows(panel, { steps = null, out = [] } = {}, rules = freshRules(panel.probes)) {
  const begun = panel.probes.map((probe, place) => ({ ...probe, place }));
  const chosen = begun.filter(({ probe }) => !out.includes(probe));
  const limit = steps ?? panel.steps;
  const rows = (chosen.length ? chosen : begun).map(({ probe, alpha, beta, place }) => {
    const length = Math.min(alpha.length, limit);
    return { probe, length, ...rules(place, length), whole: length === limit || beta[length - 1] === 0 };
  });
  const longest = Math.max(...rows.map(({ length }) => length));
  if (panel.over && !rows.some(({ whole }) => whole)) {
    for (const row of rows) row.whole = row.length === longest;
  }
  return { rows, longest };
}

/**
 * Those that make a spectrum's curve: of whole probes, else of the longest.
 * @param {Row[]} rows
 */
export function rowsOfCurve(rows) {
  const whole = rows.filter((row) => row.whole);
  return whole.length ? whole : [rows.reduce((a, b) => (b.length > a.length ? b : a))];
}

/**
 * That Ritz values of some rows were merged, "" if none was: see analysis/ritz.py.
 * @param {Rule[]} rows
 */
export function sayCopies(rows) {
  const count = rows.flatMap(({ copies }) => copies).reduce((sum, one) => sum + (one > 1 ? one : 0), 0);
  return count ? `${count} copies merged` : "";
}

/**
 * The smallest and the largest Ritz value, each with the least residual bound that it has in a probe.
 * @param {Row[]} rows
 */
export function outermost(rows) {
  const drawn = rows.flatMap(({ nodes, residuals }) => nodes.map((node, k) => [node, residuals[k]]));
  const ends = extent(drawn.map(([node]) => node)), same = ONE_VALUE * Math.max(...ends.map(Math.abs));
  return ends.map((end) => [end, Math.min(...drawn.filter(([node]) => Math.abs(node - end) <= same).map(([, by]) => by))]);
}

/**
 * Places of the first point of a grid between two eigenvalues, and of the one after the last.
 * @param {Axis} axis
 * @param {Curve} at
 * @param {number[]} ends
 */
export function seen(axis, at, [low, high]) {
  const first = Math.min(firstFrom(at, axis.coordinate(low)), at.length - 1), most = axis.coordinate(high);
  let end = firstFrom(at, most);
  while (end < at.length && at[end] <= most) end++;
  return [first, Math.max(end, first + 1)];
}

/** @typedef {{ low: Curve | never[], high: Curve | never[], mean: Curve | never[] }} Spread */

/**
 * The band's two edges and the mean of the whole probes; empty where there is none.
 * @param {Curve[]} whole
 * @returns {Spread}
 */
export function spread(whole) {
  if (!whole.length) return { low: [], high: [], mean: [] };
  const mean = meanOf(whole);
  if (whole.length === 1) return { low: [], high: [], mean };
  const low = new Float64Array(mean.length).fill(Infinity), high = new Float64Array(mean.length);
  for (const row of whole) {
    for (let i = 0; i < row.length; i++) {
      if (row[i] < low[i]) low[i] = row[i];
      if (row[i] > high[i]) high[i] = row[i];
    }
  }
  return { low, high, mean };
}

/**
 * The mean of curves, of which there is one at least.
 * @param {Curve[]} curves
 * @returns {Curve}
 */
export function meanOf(curves) {
  const mean = new Float64Array(curves[0].length);
  for (const row of curves) for (let i = 0; i < row.length; i++) mean[i] += row[i];
  for (let i = 0; i < mean.length; i++) mean[i] /= curves.length;
  return mean;
}

/**
 * The least that some curves have at their own Ritz values beyond the unresolved strip, Infinity without one.
 * @param {Axis} axis
 * @param {Curve} at
 * @param {Curve} curve
 * @param {number[]} nodes
 */
export function faintest(axis, at, curve, nodes) {
  let lowest = Infinity;
  for (const x of nodes.filter((node) => Math.abs(node) > axis.scale).map(axis.coordinate)) {
    if (x >= at[0] && x <= at[at.length - 1]) lowest = Math.min(lowest, between(at, curve, x));
  }
  return lowest;
}

/**
 * The visible range's low end, and where curves end on a scale: a logarithmic axis has no zero.
 * @param {string} scale "log" or "linear"
 * @param {number} lowest the faintest that is to be seen
 * @param {number} top the highest peak
 */
export function bottomOf(scale, lowest, top) {
  const bottom = Math.max(Math.min(lowest, top * 1e-4) / 4, top * ROUNDING);
  return { bottom, floor: scale === "log" ? bottom / MARGIN : 0 };
}

/**
 * What the density axis of a plot needs.
 * @param {string} scale
 * @param {number} bottom
 * @param {number} top
 */
export function densityAxis(scale, bottom, top) {
  if (scale !== "log") return { type: "linear", range: [0, top * 1.06], dtick: null, tickfont: { size: 12 } };
  const high = top * (top / bottom) ** 0.06;
  const range = [Math.log10(bottom), Math.log10(high)];
  return { type: "log", range, dtick: Math.ceil((range[1] - range[0]) / TICKS) };
}

/**
 * The strip around zero in which Lanczos cannot tell a sign: half its width on the axis, and its name.
 * @param {Axis} axis
 */
export function unresolved(axis) {
  return { edge: axis.coordinate(axis.scale), strip: `not resolved: |λ| < ${rounded(axis.scale)}` };
}

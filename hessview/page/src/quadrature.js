// Gauss quadrature from Lanczos coefficients, as hessview/spectral/quadrature.py has it; a test holds the two equal.
// Golub & Welsch (1969); implicit QL as in EISPACK's imtql2, which here carries only what is used of the eigenvectors:
// their first and their last components.

/** @import { Probe } from "./contract.d.ts" */
/** @typedef {{ nodes: number[], weights: number[], residuals: number[] }} Quadrature Ritz values, ascending, with weights and residual bounds */
/** @typedef {Quadrature & { copies: number[] }} Rule and how many Ritz values each node stands for */
/** @typedef {(place: number, steps: number) => Rule} Rules of probes, by their places in a panel, after so many steps */
/** @typedef {Pick<Probe, "alpha" | "beta" | "merged">} Jacobi coefficients of a probe */

const MOST_SWEEPS = 60; // of one eigenvalue; it takes two or so

/**
 * Ritz values, ascending, with their weights and residual bounds.
 * @param {number[]} alpha diagonal of the Jacobi matrix
 * @param {number[]} beta its off-diagonal, of the same length: the last entry is the norm of the residual that was left
 * @returns {Quadrature}
 */
export function quadrature(alpha, beta) {
  const size = alpha.length;
  let scale = 0; // the matrix is brought to size 1, so that no square overflows
  for (const entry of [...alpha, ...beta.slice(0, -1)]) scale = Math.max(scale, Math.abs(entry));
  scale ||= 1;
  const d = Float64Array.from(alpha, (entry) => entry / scale), e = Float64Array.from(beta, (entry) => entry / scale);
  const first = new Float64Array(size), last = new Float64Array(size);
  first[0] = last[size - 1] = 1;
  e[size - 1] = 0;
  for (let l = 0; l < size; l++) {
    for (let sweeps = 0; ; sweeps++) {
      const end = blockEnd(d, e, l);
      if (end === l) break;
      if (sweeps === MOST_SWEEPS) throw new Error("the eigenvalues of a Jacobi matrix did not settle");
      sweep(d, e, first, last, l, end);
    }
  }
  const order = Array.from(d.keys()).sort((i, j) => d[i] - d[j]);
  return {
    nodes: order.map((i) => d[i] * scale),
    weights: order.map((i) => first[i] ** 2),
    residuals: order.map((i) => Math.abs(beta[size - 1] * last[i])),
  };
}

/**
 * A quadrature with each eigenvalue once: weights are added, the least residual counts.
 * @param {Quadrature} quadrature
 * @param {number[]} [groups] by threes the place of the first of some Ritz values, how many these are, and the place of the
 *   one that stands for them; this was found where the products' errors are known: see merges_of in analysis/ritz.py
 * @returns {Rule}
 */
export function mergedRule({ nodes, weights, residuals }, groups = []) {
  const heads = nodes.map((_, i) => i);
  for (let i = 0; i < groups.length; i += 3) heads.fill(groups[i + 2], groups[i], groups[i] + groups[i + 1]);
  const added = new Float64Array(nodes.length), least = new Float64Array(nodes.length).fill(Infinity), copies = heads.map(() => 0);
  heads.forEach((head, i) => {
    added[head] += weights[i];
    least[head] = Math.min(least[head], residuals[i]);
    copies[head]++;
  });
  const kept = heads.map((_, i) => i).filter((i) => copies[i] > 0);
  const of = (/** @type {ArrayLike<number>} */ values) => kept.map((i) => values[i]);
  return { nodes: of(nodes), weights: of(added), residuals: of(least), copies: of(copies) };
}

/**
 * What the first so many steps of a probe tell.
 * @param {Jacobi} probe
 * @param {number} steps
 */
function ruleAt({ alpha, beta, merged }, steps) {
  return mergedRule(quadrature(alpha.slice(0, steps), beta.slice(0, steps)), merged?.[steps - 1]);
}

/**
 * Where the matrix that begins at l falls apart: the first coupling that is lost in rounding.
 * @param {Float64Array} d
 * @param {Float64Array} e
 * @param {number} l
 */
function blockEnd(d, e, l) {
  let end = l;
  while (end < d.length - 1) {
    const scale = Math.abs(d[end]) + Math.abs(d[end + 1]);
    if (Math.abs(e[end]) + scale === scale) break;
    end++;
  }
  return end;
}

/**
 * One QL step with Wilkinson's shift, on rows l to end.
 * @param {Float64Array} d
 * @param {Float64Array} e
 * @param {Float64Array} first
 * @param {Float64Array} last
 * @param {number} l
 * @param {number} end
 */
function sweep(d, e, first, last, l, end) {
  let g = (d[l + 1] - d[l]) / (2 * e[l]), r = Math.sqrt(g * g + 1);
  g = d[end] - d[l] + e[l] / (g + (g >= 0 ? r : -r));
  let s = 1, c = 1, p = 0;
  for (let i = end - 1; i >= l; i--) {
    let f = s * e[i];
    const b = c * e[i];
    r = Math.sqrt(f * f + g * g);
    e[i + 1] = r;
    if (r === 0) { // the matrix fell apart on the way
      d[i + 1] -= p;
      e[end] = 0;
      return;
    }
    s = f / r;
    c = g / r;
    g = d[i + 1] - p;
    r = (d[i] - g) * s + 2 * c * b;
    p = s * r;
    d[i + 1] = g + p;
    g = c * r - b;
    f = first[i + 1];
    first[i + 1] = s * first[i] + c * f;
    first[i] = c * first[i] - s * f;
    f = last[i + 1];
    last[i + 1] = s * last[i] + c * f;
    last[i] = c * last[i] - s * f;
  }
  d[l] -= p;
  e[l] = g;
  e[end] = 0;
}

/** Quadratures of one probe at any number of steps, kept while its coefficients only grow. */
export function quadratures() {
  /** @type {Jacobi} */
  let probe = { alpha: [], beta: [] };
  /** @type {Map<number, Rule>} */
  let known = new Map();
  const begins = (/** @type {number[]} */ longer, /** @type {number[]} */ shorter) => shorter.every((value, i) => value === longer[i]);
  return {
    /**
     * Take the coefficients measured so far.
     * @param {Jacobi} next
     */
    update(next) {
      if (!begins(next.alpha, probe.alpha) || !begins(next.beta, probe.beta)) known = new Map();
      probe = next;
    },
    /**
     * What the first so many steps tell.
     * @param {number} steps
     */
    at(steps) {
      const found = known.get(steps) ?? ruleAt(probe, steps);
      known.set(steps, found);
      return found;
    },
  };
}

/** Quadratures of the probes of a panel, likewise. */
export function quadraturesOfProbes() {
  /** @type {ReturnType<typeof quadratures>[]} */
  const known = [];
  return {
    /** @param {Jacobi[]} probes as they are now */
    update(probes) { probes.forEach((probe, place) => (known[place] ??= quadratures()).update(probe)); },
    /** @type {Rules} */
    rules: (place, steps) => known[place].at(steps),
  };
}

/**
 * Quadratures that are not kept.
 * @param {Jacobi[]} probes
 * @returns {Rules}
 */
export function freshRules(probes) {
  return (place, steps) => ruleAt(probes[place], steps);
}

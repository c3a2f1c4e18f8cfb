// From Ritz nodes to a curve: the axis' coordinate, the points, the Gaussian kernel. It repeats
// hessview/views/broadening.py, so that a slider needs no kernel; a test holds them equal.

import {
  FLAT_WIDTH, LEAST_APART, LEAST_POINTS, MOST_POINTS, PADDING, POINTS_PER_SIGMA, POINTS_PER_WIDTH, REACH, RESOLUTION,
} from "./constants.js";

/**
 * The coordinate along which eigenvalues are drawn and smoothed: see broadening.Axis.
 * @typedef {object} Axis
 * @property {string} name "linear" or "symlog"
 * @property {number} scale where symlog turns from linear to logarithmic, in units of the eigenvalue
 * @property {(eigenvalue: number) => number} coordinate
 * @property {(coordinate: number) => number} eigenvalue
 * @property {(coordinate: number) => number} jacobian change of the eigenvalue per change of coordinate
 * @property {(sigma: number) => number} width of a kernel, in units of the coordinate
 */
/** @typedef {Float64Array<ArrayBuffer>} Curve values at ascending coordinates, or these */

const CUTOFF = 10; // kernel widths; beyond, less than 2e-22 of a node's peak is left

/**
 * The axis of that name.
 * @param {string} name
 * @param {number} scale
 * @returns {Axis}
 */
export function axisOf(name, scale) {
  if (name === "linear") {
    return { name, scale, coordinate: (x) => x, eigenvalue: (u) => u, jacobian: () => 1, width: (s) => s };
  }
  return {
    name, scale,
    coordinate: (x) => Math.asinh(x / scale),
    eigenvalue: (u) => scale * Math.sinh(u),
    jacobian: (u) => scale * Math.cosh(u),
    width: (sigma) => sigma / scale,
  };
}

/**
 * The axis of that name for a spectrum: see broadening.axis.
 * @param {string} name
 * @param {number[]} nodes
 */
export function axisFor(name, nodes) {
  const largest = nodes.reduce((most, node) => Math.max(most, Math.abs(node)), 0);
  return axisOf(name, largest ? RESOLUTION * largest : 1);
}

/**
 * Kernel width that the number of steps supports along an axis, in units of the eigenvalue.
 * @param {Axis} axis
 * @param {number[]} nodes
 * @param {number} steps
 */
export function defaultSigma(axis, nodes, steps) {
  const [low, high] = extent(nodes.map(axis.coordinate));
  const largest = Math.max(Math.abs(low), Math.abs(high));
  const flat = high - low <= 64 * Number.EPSILON * largest; // rounding alone spreads equal eigenvalues
  const width = flat ? (largest ? FLAT_WIDTH * largest : 1) : (high - low) / (POINTS_PER_WIDTH * steps);
  return axis.name === "linear" ? width : width * axis.scale;
}

/**
 * Ascending coordinates: evenly spaced, and the nodes, so that no peak is missed: see quadrature.grid.
 * @param {Axis} axis
 * @param {number[]} nodes
 * @param {number} sigma
 * @returns {Curve}
 */
export function gridOf(axis, nodes, sigma) {
  const at = Float64Array.from(nodes, axis.coordinate).sort(), width = axis.width(sigma);
  const least = at[0], most = at[at.length - 1];
  const beyond = Math.max(REACH * width, PADDING * (most - least));
  const low = least - beyond, high = most + beyond;
  const cell = (/** @type {number} */ value) => Math.round((value - least) / (LEAST_APART * width));
  const apart = at.filter((value, i) => i === 0 || cell(value) > cell(at[i - 1]));
  const wanted = Math.round((POINTS_PER_SIGMA * (high - low)) / width) + 1;
  const points = Math.min(Math.max(wanted, LEAST_POINTS), MOST_POINTS);
  const grid = new Float64Array(points + apart.length);
  for (let i = 0; i < points; i++) grid[i] = low + ((high - low) * i) / (points - 1);
  grid.set(apart, points);
  return grid.sort();
}

/**
 * Density of one probe per unit of eigenvalue, at each coordinate.
 * @param {Axis} axis
 * @param {number[]} nodes
 * @param {number[]} weights
 * @param {Curve} at
 * @param {number} sigma
 * @returns {Curve}
 */
export function broaden(axis, nodes, weights, at, sigma) {
  const density = new Float64Array(at.length), width = axis.width(sigma);
  const height = 1 / (width * Math.sqrt(2 * Math.PI));
  nodes.forEach((node, k) => {
    const centre = axis.coordinate(node), peak = weights[k] * height;
    for (let i = firstFrom(at, centre - CUTOFF * width); i < at.length; i++) {
      const distance = (at[i] - centre) / width;
      if (distance > CUTOFF) break;
      density[i] += peak * Math.exp(-0.5 * distance * distance);
    }
  });
  return axis.name === "linear" ? density : density.map((value, i) => value / axis.jacobian(at[i]));
}

/**
 * What the eigenvalue axis of a plot needs: see broadening.ticks.
 * @param {Axis} axis
 * @param {number[]} nodes
 */
export function eigenvalueAxis(axis, nodes) {
  if (axis.name === "linear") return { tickmode: "auto" };
  const decade = Math.floor(Math.log10(axis.scale));
  /** @type {number[]} */
  const outward = [];
  for (let k = decade; k < decade + 4; k++) {
    for (const digit of [1, 3]) outward.push(Number(`${digit}e${k}`));
  }
  const [low, high] = extent(nodes);
  const upTo = (/** @type {number} */ end) => outward.filter((value) => value >= axis.scale && value <= end);
  const values = [...upTo(-low).reverse().map((value) => -value), 0, ...upTo(high)];
  return {
    tickmode: "array",
    tickvals: values.map(axis.coordinate),
    ticktext: values.map((value) => general(value).replaceAll("-", "−")),
  };
}

/**
 * A number as Python's "g" writes it, of a value with few digits.
 * @param {number} value
 */
function general(value) {
  const size = Math.abs(value);
  if (size === 0 || (size >= 1e-4 && size < 1e6)) return String(value);
  return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
}

/**
 * Least and largest of some numbers; there may be too many for Math.min.
 * @param {Iterable<number>} values
 */
export function extent(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/**
 * Index of the first entry that is not below the value.
 * @param {Curve} at
 * @param {number} value
 */
export function firstFrom(at, value) {
  let low = 0, high = at.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * Value of a curve at a coordinate, linear between its points.
 * @param {Curve} at
 * @param {Curve} curve
 * @param {number} x
 */
export function between(at, curve, x) {
  const right = Math.min(Math.max(firstFrom(at, x), 1), at.length - 1), left = right - 1;
  const span = at[right] - at[left];
  const share = span > 0 ? (x - at[left]) / span : 1;
  return curve[left] + share * (curve[right] - curve[left]);
}

// From Ritz nodes to a curve: the axis' coordinate, the points, the Gaussian kernel. It repeats
// hessview/views/broadening.py, so that a slider needs no kernel; a browser test holds them equal.

const AXES = ["linear", "symlog"];
const POINTS_PER_SIGMA = 4, LEAST_POINTS = 501, MOST_POINTS = 4001, PADDING = 0.03, REACH = 5, LEAST_APART = 0.02;
const POINTS_PER_WIDTH = 3, FLAT_WIDTH = 1e-3, RESOLUTION = 1e-2;
const CUTOFF = 10; // kernel widths; beyond, less than 2e-22 of a node's peak is left

/** The coordinate along which eigenvalues are drawn and smoothed: see broadening.Axis. */
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

/** The axis of that name for a spectrum: see broadening.axis. */
function axisFor(name, nodes) {
  const largest = nodes.reduce((most, node) => Math.max(most, Math.abs(node)), 0);
  return axisOf(name, largest ? RESOLUTION * largest : 1);
}

/** Kernel width that the number of steps supports along an axis, in units of the eigenvalue. */
export function defaultSigma(axis, nodes, steps) {
  const [low, high] = extent(nodes.map(axis.coordinate));
  const largest = Math.max(Math.abs(low), Math.abs(high));
  const flat = high - low <= 64 * Number.EPSILON * largest; // rounding alone spreads equal eigenvalues
  const width = flat ? (largest ? FLAT_WIDTH * largest : 1) : (high - low) / (POINTS_PER_WIDTH * steps);
  return axis.name === "linear" ? width : width * axis.scale;
}

/** Ascending coordinates: evenly spaced, and the nodes, so that no peak is missed: see quadrature.grid. */
export function gridOf(axis, nodes, sigma) {
  const at = Float64Array.from(nodes, axis.coordinate).sort(), width = axis.width(sigma);
  const least = at[0], most = at[at.length - 1];
  const beyond = Math.max(REACH * width, PADDING * (most - least));
  const low = least - beyond, high = most + beyond;
  const cell = (value) => Math.round((value - least) / (LEAST_APART * width));
  const apart = at.filter((value, i) => i === 0 || cell(value) > cell(at[i - 1]));
  const wanted = Math.round((POINTS_PER_SIGMA * (high - low)) / width) + 1;
  const points = Math.min(Math.max(wanted, LEAST_POINTS), MOST_POINTS);
  const grid = new Float64Array(points + apart.length);
  for (let i = 0; i < points; i++) grid[i] = low + ((high - low) * i) / (points - 1);
  grid.set(apart, points);
  return grid.sort();
}

/** Density of one probe per unit of eigenvalue, at each coordinate. */
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

/** What the eigenvalue axis of a plot needs: see broadening.ticks. */
function xAxis(axis, nodes) {
  if (axis.name === "linear") return { tickmode: "auto" };
  const decade = Math.floor(Math.log10(axis.scale)), outward = [];
  for (let k = decade; k < decade + 4; k++) {
    for (const digit of [1, 3]) outward.push(Number(`${digit}e${k}`));
  }
  const [low, high] = extent(nodes);
  const upTo = (end) => outward.filter((value) => value >= axis.scale && value <= end);
  const values = [...upTo(-low).reverse().map((value) => -value), 0, ...upTo(high)];
  return {
    tickmode: "array",
    tickvals: values.map(axis.coordinate),
    ticktext: values.map((value) => general(value).replace("-", "−")),
  };
}

/** A number as Python's "g" writes it, of a value with few digits. */
function general(value) {
  const size = Math.abs(value);
  if (size === 0 || (size >= 1e-4 && size < 1e6)) return String(value);
  return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
}

/** Least and largest of some numbers; there may be too many for Math.min. */
function extent(values) {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/** Index of the first entry that is not below the value. */
function firstFrom(at, value) {
  let low = 0, high = at.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Value of a curve at a coordinate, linear between its points. */
function between(at, curve, x) {
  const right = Math.min(Math.max(firstFrom(at, x), 1), at.length - 1), left = right - 1;
  const span = at[right] - at[left];
  const share = span > 0 ? (x - at[left]) / span : 1;
  return curve[left] + share * (curve[right] - curve[left]);
}

import assert from "node:assert/strict";
import test from "node:test";

import { axisFor, axisOf, between, broaden, defaultSigma, eigenvalueAxis, extent, firstFrom, gridOf } from "../../../hessview/page/src/broadening.js";
import { bottomOf, densityAxis, meanOf, outermost, seen, spread } from "../../../hessview/page/src/curves.js";

const NODES = [-2, -0.001, 0, 0.3, 7], WEIGHTS = [0.1, 0.2, 0.3, 0.2, 0.2];

/** By trapezoids, over the eigenvalue. */
function mass(axis, at, density) {
  let sum = 0;
  for (let i = 1; i < at.length; i++) {
    const width = axis.eigenvalue(at[i]) - axis.eigenvalue(at[i - 1]);
    sum += (width * (density[i] + density[i - 1])) / 2;
  }
  return sum;
}

for (const name of ["linear", "symlog"]) {
  test(`a density holds all weight, on a ${name} axis`, () => {
    const axis = axisFor(name, NODES), sigma = defaultSigma(axis, NODES, 12), at = gridOf(axis, NODES, sigma);
    const density = broaden(axis, NODES, WEIGHTS, at, sigma);
    assert.ok(Math.abs(mass(axis, at, density) - 1) < 2e-3);
  });

  test(`coordinates lead back to eigenvalues, on a ${name} axis`, () => {
    const axis = axisOf(name, 0.07);
    for (const x of NODES) assert.ok(Math.abs(axis.eigenvalue(axis.coordinate(x)) - x) < 1e-12);
    const h = 1e-6, slope = (axis.eigenvalue(1 + h) - axis.eigenvalue(1 - h)) / (2 * h);
    assert.ok(Math.abs(axis.jacobian(1) - slope) < 1e-8);
  });
}

test("one node is a Gaussian of the width that was asked for", () => {
  const axis = axisOf("linear", 1), at = Float64Array.of(0.5, 1, 2);
  const [side, top, far] = broaden(axis, [1], [0.5], at, 0.5);
  const height = 0.5 / (0.5 * Math.sqrt(2 * Math.PI));
  assert.ok(Math.abs(top - height) < 1e-15);
  assert.ok(Math.abs(side - height * Math.exp(-0.5)) < 1e-15);
  assert.ok(Math.abs(far - height * Math.exp(-2)) < 1e-15);
});

test("a grid ascends and holds all nodes that lie apart", () => {
  const axis = axisOf("linear", 1), at = gridOf(axis, NODES, 0.5);
  assert.ok(at.every((value, i) => i === 0 || value >= at[i - 1]));
  for (const node of [-2, 0.3, 7]) assert.ok(at.includes(node));
  assert.ok(at[0] <= -4.5 && at[at.length - 1] >= 9.5); // five widths beyond
});

test("equal eigenvalues are drawn narrow, and zeros too", () => {
  const axis = axisOf("linear", 1);
  assert.equal(defaultSigma(axis, [3, 3, 3], 10), 3e-3);
  assert.equal(defaultSigma(axis, [0, 0], 10), 1);
  assert.ok(Math.abs(defaultSigma(axis, [1, 4], 10) - 0.1) < 1e-15);
});

test("ticks of a symlog axis go outward from zero, and are written as Python writes them", () => {
  const { tickvals, ticktext } = eigenvalueAxis(axisOf("symlog", 1e-6), [-2e-5, 3e-5]);
  assert.deepEqual(ticktext, ["−1e−05", "−3e−06", "−1e−06", "0", "1e−06", "3e−06", "1e−05", "3e−05"]);
  assert.equal(tickvals[3], 0);
  assert.deepEqual(eigenvalueAxis(axisOf("linear", 1), NODES), { tickmode: "auto" });
});

test("places and values between points", () => {
  const at = Float64Array.of(0, 1, 3), curve = Float64Array.of(0, 10, 30);
  assert.deepEqual([-1, 0, 0.5, 3, 4].map((x) => firstFrom(at, x)), [0, 0, 1, 2, 3]);
  assert.deepEqual([0, 0.5, 2, 3].map((x) => between(at, curve, x)), [0, 5, 20, 30]);
  assert.deepEqual(extent([]), [Infinity, -Infinity]);
  assert.deepEqual(seen(axisOf("linear", 1), at, [0.5, 1]), [1, 2]);
  assert.deepEqual(seen(axisOf("linear", 1), at, [9, 9]), [2, 3]); // at least one
});

test("a band has its edges and its mean; one curve has no band", () => {
  const [one, other] = [Float64Array.of(1, 4), Float64Array.of(3, 2)];
  const { low, high, mean } = spread([one, other]);
  assert.deepEqual([low, high, mean].map((curve) => [...curve]), [[1, 2], [3, 4], [2, 3]]);
  assert.deepEqual([...meanOf([one])], [1, 4]);
  assert.deepEqual(spread([one]).low, []);
  assert.deepEqual(spread([]).mean, []);
});

test("of a value that several probes found the least bound counts", () => {
  const row = (nodes, residuals) => ({ nodes, residuals, weights: [], copies: [], probe: 0, length: 2, whole: true });
  assert.deepEqual(outermost([row([-1, 5], [0.1, 0.2]), row([0, 5 + 1e-12], [0.3, 0.01])]), [[-1, 0.1], [5 + 1e-12, 0.01]]);
});

test("a logarithmic axis begins below what is faintest, a linear one at zero", () => {
  assert.deepEqual(bottomOf("linear", 1e-3, 2).floor, 0);
  assert.equal(bottomOf("log", 4e-6, 2).bottom, 1e-6);
  assert.equal(bottomOf("log", 1, 2).bottom, 5e-5); // four decades at least
  assert.equal(bottomOf("log", 1e-30, 2).bottom, 2e-14); // and no rounding
  const { range, dtick } = densityAxis("log", 1e-8, 1);
  assert.ok(Math.abs(range[0] + 8) < 1e-12 && range[1] > 0 && dtick === 2);
  assert.deepEqual(densityAxis("linear", 1, 2).range, [0, 2.12]);
});

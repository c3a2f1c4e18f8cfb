import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { mergedRule, quadrature, quadratures } from "../../../hessview/page/src/quadrature.js";

/** Stored by SciPy: see test_node.py. */
const STORED = JSON.parse(readFileSync(new URL("jacobi.json", import.meta.url), "utf8"));

function near(own, expected, atol, of) {
  assert.equal(own.length, expected.length, of);
  own.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) <= atol, `${of}: ${value} is not ${expected[i]}`));
}

for (const [name, { alpha, beta, eigenvalues, weights }] of Object.entries(STORED)) {
  test(`the eigenvalues of a Jacobi matrix are SciPy's: ${name}`, () => {
    const own = quadrature(alpha, beta);
    const norm = Math.max(...eigenvalues.map(Math.abs), ...beta) || 1;
    near(own.nodes, eigenvalues, 1e-13 * norm, name);
    near([own.weights.reduce((a, b) => a + b)], [1], 1e-12, name);
    if (weights) near(own.weights, weights, 1e-11, name);
  });
}

test("the rule of Chebyshev's polynomials of the second kind is the closed form", () => {
  const size = 24;
  const own = quadrature(Array(size).fill(0), Array(size).fill(0.5));
  const angles = Array.from({ length: size }, (_, k) => ((size - k) * Math.PI) / (size + 1));
  near(own.nodes, angles.map(Math.cos), 1e-14, "nodes");
  near(own.weights, angles.map((angle) => (2 / (size + 1)) * Math.sin(angle) ** 2), 1e-14, "weights");
  // The last component of an eigenvector has the size of the first, and beta says what is left.
  near(own.residuals, own.weights.map((weight) => 0.5 * Math.sqrt(weight)), 1e-14, "residuals");
});

test("Gauss-Legendre integrates what it must exactly, and not the next power", () => {
  const size = 8;
  const beta = Array.from({ length: size }, (_, k) => (k + 1) / Math.sqrt(4 * (k + 1) ** 2 - 1));
  const { nodes, weights } = quadrature(Array(size).fill(0), beta);
  const integral = (power) => nodes.reduce((sum, node, i) => sum + weights[i] * node ** power, 0);
  for (let power = 0; power < 2 * size; power += 2) near([integral(power)], [1 / (power + 1)], 1e-14, `power ${power}`);
  assert.ok(Math.abs(integral(2 * size) - 1 / (2 * size + 1)) > 1e-9);
});

test("merged Ritz values add their weights, and the least bound counts", () => {
  const rule = { nodes: [1, 2, 2, 2, 5], weights: [0.1, 0.2, 0.3, 0.1, 0.3], residuals: [1, 3, 2, 4, 1] };
  const { nodes, weights, residuals, copies } = mergedRule(rule, [1, 3, 2]);
  assert.deepEqual({ nodes, residuals, copies }, { nodes: [1, 2, 5], residuals: [1, 2, 1], copies: [1, 3, 1] });
  near(weights, [0.1, 0.6, 0.3], 1e-15, "weights");
});

test("a rule is kept while coefficients only grow, and made anew where they change", () => {
  const probe = quadratures();
  probe.update({ alpha: [1], beta: [2] });
  const kept = probe.at(1);
  probe.update({ alpha: [1, 3], beta: [2, 1] });
  assert.equal(probe.at(1), kept);
  probe.update({ alpha: [4, 3], beta: [2, 1] });
  assert.deepEqual(probe.at(1).nodes, [4]);
});

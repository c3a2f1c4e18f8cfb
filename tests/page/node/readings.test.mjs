import assert from "node:assert/strict";
import test from "node:test";

import { csvCell, csvOf, tablesOf } from "../../../hessview/page/src/readings.js";
import { escaped, plainText, rounded } from "../../../hessview/page/src/elements.js";

test("cells that a spreadsheet would compute are defused, and quoted where they must be", () => {
  const cells = ["=1+1", "+1", "-x", "@a", "\tq", "plain", 'a "b", c', "two\nlines", -1.5, 0, null];
  const expected = ["'=1+1", "'+1", "'-x", "'@a", "'\tq", "plain", '"a ""b"", c"', '"two\nlines"', -1.5, 0, ""];
  assert.deepEqual(cells.map(csvCell), expected);
});

test("variables of the same dims share a table, without rows in which nothing is measured", () => {
  const record = {
    coords: { probe: [0, 1], step: [0, 1] },
    variables: {
      alpha: { dims: ["probe", "step"], values: [1, 2, null, null] },
      beta: { dims: ["probe", "step"], values: [3, null, null, 0] },
      trace: { dims: ["probe"], values: [null, 9] },
      loss: { dims: [], values: [0.5] },
    },
  };
  assert.deepEqual(tablesOf(record), [
    { name: "probe-step", columns: ["probe", "step", "alpha", "beta"], rows: [[0, 0, 1, 3], [0, 1, 2, null], [1, 1, null, 0]] },
    { name: "probe", columns: ["probe", "trace"], rows: [[1, 9]] },
    { name: "", columns: ["loss"], rows: [[0.5]] },
  ]);
  assert.equal(csvOf(tablesOf(record)[0]), "probe,step,alpha,beta\n0,0,1,3\n0,1,2,\n1,1,,0");
});

test("numbers are written with two digits and a real minus sign", () => {
  const told = [0, 1.26, -1.25, 123.4, 12345, 123456, -0.00012345, 1e-9].map(rounded);
  assert.deepEqual(told, ["0.0", "1.3", "−1.3", "123", "12345", "1.2×10⁵", "−1.2×10⁻⁴", "1×10⁻⁹"]);
});

test("names that plotly escapes come back", () => {
  for (const name of ["<b>&amp;", "a & b", "plain"]) assert.equal(plainText(escaped(name)), name);
  assert.equal(escaped("<a>&"), "&lt;a&gt;&amp;");
});

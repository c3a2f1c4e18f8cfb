import assert from "node:assert/strict";
import test from "node:test";

import { changed, goneBoard, goneState, merged } from "../../../hessview/page/src/board.js";

const running = { state: "running", label: "streaming", message: "", done: 1, total: 2, unit: "steps", left: "soon" };
const done = { ...running, state: "done", label: "done", left: "" };

test("a difference makes the new of the old, and leaves the old as it was", () => {
  const cases = [
    [{ a: 1, b: [1, 2] }, { b: { 1: [3], 2: [4] } }, { a: 1, b: [1, 3, 4] }],
    [[1, 2], [[1]], [1]],
    [{ a: [{ x: null }] }, { a: { 0: { x: [[5]] } } }, { a: [{ x: [5] }] }],
    [{ a: 1 }, {}, { a: 1 }],
    [[1], [{ 0: 1 }], { 0: 1 }],
  ];
  for (const [old, difference, expected] of cases) {
    const before = structuredClone(old);
    assert.deepEqual(changed(old, difference), expected);
    assert.deepEqual(old, before);
  }
});

test("what did not change stays the same object, by which a page knows it", () => {
  const old = { a: { b: 1 }, c: { d: 2 } };
  const made = changed(old, { c: { d: [3] } });
  assert.equal(made.a, old.a);
  assert.notEqual(made.c, old.c);
});

test("a board takes parts and changes, and notices what it missed", () => {
  const board = { head: { order: ["one"] }, parts: { one: { entry: "x", section: "s", revision: 1 } } };
  const told = merged(board, { parts: { two: { entry: "y", revision: 2 } }, changes: { one: { from: 1, to: 3, difference: { entry: ["z"], revision: [3] } } } });
  assert.deepEqual(told.parts, { one: { entry: "z", section: "s", revision: 3 }, two: { entry: "y", revision: 2 } });
  assert.equal(told.head, board.head);
  assert.deepEqual([...told.missed], []);
  const gap = merged(told, { changes: { one: { from: 4, to: 5, difference: { entry: ["?"] } }, three: { from: 1, to: 2, difference: {} } } });
  assert.equal(gap.parts.one.entry, "z");
  assert.deepEqual([...gap.missed], ["one", "three"]);
  const old = merged(gap, { changes: { one: { from: 2, to: 3, difference: { entry: ["old"] } } } });
  assert.deepEqual([...old.missed], ["one", "three"]); // it is known already
  assert.equal(old.parts.one.entry, "z");
  const healed = merged(old, { parts: { one: { entry: "w", revision: 6 } } });
  assert.deepEqual([...healed.missed], ["three"]);
  assert.deepEqual(healed.parts.one, { entry: "w", section: "s", revision: 6 });
});

test("a page whose kernel has gone follows nothing and asks nobody", () => {
  const card = { title: "m", state: "attached", message: "" };
  const state = { theme: {}, card, asking: true, reason: "", notice: null, sections: [{ id: "1", status: running }, { id: "2", status: done }] };
  const gone = goneState(state, "why");
  assert.deepEqual(gone.sections[0].status, { ...running, state: "detached", label: "detached", message: "why", left: "" });
  assert.equal(gone.sections[1], state.sections[1]);
  assert.deepEqual({ asking: gone.asking, reason: gone.reason }, { asking: false, reason: "why" });
  assert.deepEqual(gone.card, { title: "m", state: "lost", message: "why" });
  assert.ok(!("asking" in goneState({ theme: {}, sections: [] }, "why"))); // of a record
});

test("so does a board", () => {
  const parts = { one: { entry: { status: running } }, two: { entry: { status: running }, section: { status: running } } };
  const gone = goneBoard({ head: { card: null, order: [] }, parts }, "why");
  assert.equal(gone.parts.one.entry.status.state, "detached");
  assert.ok(!("section" in gone.parts.one));
  assert.equal(gone.parts.two.section.status.message, "why");
  assert.equal(gone.head.card, null);
});

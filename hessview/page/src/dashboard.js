// The dashboard: the session's card, a form, the list of runs by kind, and the one run that is looked at.

import { formView } from "./asking.js";
import { element, OWN } from "./elements.js";
import { mount } from "./view.js";

/** @import { Board } from "./board.js" */
/** @import { BoardHead, Entry, Page, Section } from "./contract.d.ts" */
/** @import { Ask } from "./figure.js" */
/** @typedef {Entry & { name: string }} Listed */

let dashboards = 0;

/**
 * Show a board inside an element.
 * @param {HTMLElement} host
 * @param {Board} board
 * @param {object} options
 * @param {string} [options.chosen] name of the run to begin with; "" follows the newest
 * @param {Ask} options.send sends a message to the board
 * @param {(chosen: string) => void} options.onChoice is told which run is looked at by choice, "" for the newest
 */
export function mountDashboard(host, board, { chosen = "", send, onChoice }) {
  const prefix = `hess-board-${OWN}-${++dashboards}`;
  const ask = "asking" in board.head ? send : undefined;
  const frame = mount(host, frameState(board.head));
  const list = listView(prefix, pick);
  const form = ask && board.head.form && formView(prefix, board.head.form, (message) => { awaited = true; ask(message); });
  const empty = element("p", { class: "hess-waiting" });
  const shown = element("div");
  frame.root.classList.add("hess-board");
  frame.root.append(...(form ? [form] : []), list.box, empty, shown);
  let awaited = false; // what is asked for here is shown when it comes
  /** @type {Set<string>} */
  let missed = new Set();
  let requested = "";
  /** @type {ReturnType<typeof mount> | null} */
  let page = null;
  /** @type {{ name?: string, theme?: string, section?: Section }} */
  let drawn = {};

  /** @param {string} name */
  function pick(name) {
    chosen = name === board.head.order[0] ? "" : name; // who looks at the newest goes on to the next
    onChoice(chosen);
    show();
  }

  function show() {
    const { head, parts } = board;
    const order = head.order.filter((name) => name in parts);
    const name = order.includes(chosen) ? chosen : (order[0] ?? "");
    const wanted = name && JSON.stringify([name, parts[name].entry.edition]); // of several runs: one ended
    if (name && requested !== wanted) {
      requested = wanted;
      send({ action: "show", run: name }); // also where it is here: it may have changed since
    }
    for (const one of board.missed ?? []) if (!missed.has(one)) send({ action: "show", run: one });
    missed = board.missed ?? missed;
    const section = parts[name]?.section;
    list.update(order.map((one) => ({ name: one, ...parts[one].entry })), name);
    empty.textContent = name ? "Waiting for the kernel to draw this run…" : nothing(head);
    empty.hidden = Boolean(section);
    if (drawn.name !== name || drawn.theme !== JSON.stringify(head.theme)) {
      page?.dispose();
      page = null;
      drawn = { name, theme: JSON.stringify(head.theme) };
    }
    if (section && drawn.section !== section) {
      drawn.section = section;
      const state = { ...frameState(head), card: null, notice: null, sections: [section] };
      if (page) page.update(state);
      else page = mount(shown, state, { ask: section.id ? ask : undefined, place: name }); // several runs have no one to ask
    }
    frame.update(frameState(head)); // last: it also lets all buttons of the page ask, or not
  }

  show();
  return {
    /** @param {Board} next */
    update(next) {
      const { asked, notice } = board.head;
      board = next;
      if (awaited && board.head.asked !== asked) {
        awaited = false;
        pick(board.head.asked);
      } else {
        awaited &&= JSON.stringify(board.head.notice) === JSON.stringify(notice);
        show();
      }
    },
    /** Ask for what is looked at anew. */
    ask() { requested = ""; show(); },
    silence: frame.silence,
    dispose() { page?.dispose(); frame.dispose(); },
  };
}

/**
 * Why there is no run to show.
 * @param {BoardHead} head
 */
function nothing({ card, form, asking }) {
  if (form && asking) return "No run yet. Measure one above, or ask for one in a cell.";
  return card?.state === "watching" ? "No run yet. Runs appear here once they are asked for." : "No run was asked for.";
}

/**
 * @param {BoardHead} head
 * @returns {Page}
 */
function frameState({ theme, card, asking, reason, notice }) {
  return { theme, card, asking, reason, notice, sections: [] };
}

/**
 * The list of runs: a row of kinds, and below it the runs of one kind, the newest first; arrow keys go through it, as
 * through any radio buttons.
 * @param {string} prefix of its names
 * @param {(name: string) => void} onPick
 */
function listView(prefix, onPick) {
  const kinds = element("div", { class: "hess-choice" }), rows = element("div", { class: "hess-runs" });
  const box = element("div", { class: "hess-card hess-list" }, [
    element("fieldset", {}, [element("legend", { class: "hess-unseen" }, "Kind of run"), kinds]),
    element("fieldset", {}, [element("legend", { class: "hess-unseen" }, "Run"), rows]),
  ]);
  /** @type {Map<string, ReturnType<typeof makeKind>>} */
  const ofKind = new Map();
  /** @type {Map<string, ReturnType<typeof makeRun>>} */
  const ofRun = new Map();
  /** @type {Listed[]} */
  let runs = [];

  /** @param {string} kind */
  function makeKind(kind) {
    const text = element("span");
    const pickFirst = () => {
      const first = runs.find((run) => run.kind === kind);
      if (first) onPick(first.name);
    };
    return { ...radio(`${prefix}-kind`, kind, text, pickFirst), text };
  }

  /** @param {string} name */
  function makeRun(name) {
    const label = element("strong"), detail = element("small"), stand = element("small", { class: "hess-stand" });
    const content = element("span", { class: "hess-run" }, [element("span", {}, [label, " ", detail]), stand]);
    return { ...radio(`${prefix}-run`, name, content, onPick), label, detail, stand };
  }

  return {
    box,
    /**
     * @param {Listed[]} next
     * @param {string} chosen
     */
    update(next, chosen) {
      runs = next;
      box.hidden = !runs.length;
      const kind = runs.find((run) => run.name === chosen)?.kind;
      const places = new Map(runs.map((run) => [run.kind, run.place]));
      const ordered = [...places].sort(([, a], [, b]) => a - b).map(([name]) => name);
      arrange(kinds, ofKind, ordered, makeKind);
      for (const [name, { input, text }] of ofKind) {
        const count = runs.filter((run) => run.kind === name).length;
        text.textContent = name === "Comparison" ? name : `${name} ${count}`; // there is but one
        input.checked = name === kind;
      }
      const listed = runs.filter((run) => run.kind === kind);
      const made = arrange(rows, ofRun, listed.map((run) => run.name), makeRun);
      listed.forEach(({ name, label, detail, status }, i) => {
        const line = made[i];
        const far = status.state === "running" ? ` · ${status.done} of ${status.total}` : "";
        line.box.dataset.state = status.state;
        line.label.textContent = label;
        line.detail.textContent = detail;
        line.stand.textContent = status.label + far;
        line.stand.hidden = !status.label; // of several runs
        line.input.checked = name === chosen;
      });
    },
  };
}

/**
 * A radio button that looks like its content.
 * @param {string} group
 * @param {string} value
 * @param {HTMLElement} content
 * @param {(value: string) => void} onPick
 */
function radio(group, value, content, onPick) {
  const input = element("input", { type: "radio", name: group, value, "data-lm-suppress-shortcuts": "true" });
  input.addEventListener("change", () => input.checked && onPick(value));
  return { input, box: element("label", {}, [input, content]) };
}

/**
 * Boxes in the order of the keys; those that are there are kept, and so is the focus.
 * @template {{ box: HTMLElement }} Made
 * @param {HTMLElement} parent
 * @param {Map<string, Made>} known
 * @param {string[]} keys
 * @param {(key: string) => Made} make
 */
function arrange(parent, known, keys, make) {
  for (const [key, { box }] of known) {
    if (keys.includes(key)) continue;
    box.remove();
    known.delete(key);
  }
  return keys.map((key, i) => {
    const made = known.get(key) ?? make(key);
    known.set(key, made);
    if (parent.children[i] !== made.box) parent.insertBefore(made.box, parent.children[i] ?? null);
    return made;
  });
}

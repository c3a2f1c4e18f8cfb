// The dashboard: the session's card, a form, the runs by kind, and the one run that is looked at.

let dashboards = 0;

/** A JSON value with a difference as page/wire.py makes it. */
export function changed(value, difference) {
  if (Array.isArray(difference)) return difference[0];
  if (!Object.keys(difference).length) return value;
  const made = Array.isArray(value) ? [...value] : { ...value };
  for (const [key, one] of Object.entries(difference)) made[key] = changed(made[key], one);
  return made;
}

/**
 * A board (see page/board.py) with what was told of it since.
 * @returns head, parts, and missed: names of runs of which something was not heard
 */
export function merged(board, { head = board.head, parts = {}, changes = {} }) {
  const all = { ...board.parts }, missed = new Set(board.missed);
  for (const [name, part] of Object.entries(parts)) {
    all[name] = { ...all[name], ...part };
    missed.delete(name);
  }
  for (const [name, { from, to, difference }] of Object.entries(changes)) {
    if (all[name]?.revision === from) all[name] = changed(all[name], difference);
    else if (!(all[name]?.revision >= to)) missed.add(name);
  }
  return { head, parts: all, missed };
}

/**
 * Show a board inside an element.
 * @param chosen name of the run to begin with; "" follows the newest
 * @param send sends a message to the board
 * @param onChoice is told which run is looked at by choice, "" for the newest
 * @returns update(board), ask() for what is looked at anew, silence(text) as of `mount`, dispose()
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
  frame.root.append(...[form, list.box, empty, shown].filter(Boolean));
  let awaited = false; // what is asked for here is shown when it comes
  let missed = new Set(), requested = "", page = null, drawn = {};

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
      else page = mount(shown, state, { ask: section.id && ask, place: name }); // several runs have no one to ask
    }
    frame.update(frameState(head)); // last: it also lets all buttons of the page ask, or not
  }

  show();
  return {
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
    ask() { requested = ""; show(); },
    silence: frame.silence,
    dispose() { page?.dispose(); frame.dispose(); },
  };
}

/** Why there is no run to show. */
function nothing({ card, form, asking }) {
  if (form && asking) return "No run yet. Measure one above, or ask for one in a cell.";
  return card?.state === "watching" ? "No run yet. Runs appear here once they are asked for." : "No run was asked for.";
}

function frameState({ theme, card, asking, reason, notice }) {
  return { theme, card, asking, reason, notice, sections: [] };
}

// What a page knows: a board with what was told of it since, and how a state or a board reads once nobody tells more.

/** @import { BoardHead, BoardMessage, Entry, Page, Part, Section, Standing, Status } from "./contract.d.ts" */
/** @typedef {{ head: BoardHead, parts: Record<string, Part>, missed?: Set<string> }} Board missed: names of runs of which something was not heard */

/**
 * A JSON value with a difference as page/wire.py makes it.
 * @param {any} value
 * @param {any} difference
 * @returns {any}
 */
export function changed(value, difference) {
  if (Array.isArray(difference)) return difference[0];
  if (!Object.keys(difference).length) return value;
  const made = Array.isArray(value) ? [...value] : { ...value };
  for (const [key, one] of Object.entries(difference)) made[key] = changed(made[key], one);
  return made;
}

/**
 * A board with what was told of it since.
 * @param {Board} board
 * @param {BoardMessage} message
 * @returns {Board & { missed: Set<string> }}
 */
export function merged(board, { head = board.head, parts = {}, changes = {} }) {
  const all = { ...board.parts }, missed = new Set(board.missed);
  for (const [name, part] of Object.entries(parts)) {
    all[name] = { ...all[name], ...part };
    missed.delete(name);
  }
  for (const [name, { from, to, difference }] of Object.entries(changes)) {
    const revision = all[name]?.revision;
    if (revision === from) all[name] = changed(all[name], difference);
    else if (revision === undefined || revision < to) missed.add(name);
  }
  return { head, parts: all, missed };
}

/**
 * Whether a run goes on.
 * @param {Status} status
 */
export function isUnderWay({ state }) {
  return ["queued", "running"].includes(state);
}

/**
 * A section, or an entry, as of a run that may go on, but not before our eyes.
 * @template {Section | Entry} Told
 * @param {Told} part
 * @param {string} message
 * @returns {Told}
 */
function left(part, message) {
  if (!isUnderWay(part.status)) return part;
  return { ...part, status: { ...part.status, state: "detached", label: "detached", message, left: "" } };
}

/**
 * A page's standing, its card included, once nobody tells more.
 * @template {Standing & Pick<Page, "card">} Told
 * @param {Told} state
 * @param {string} reason
 * @returns {Told}
 */
function goneStanding(state, reason) {
  const { card } = state;
  const gone = card && ["attached", "watching"].includes(card.state) ? { ...card, state: "lost", message: reason } : card;
  return { ...state, ...("asking" in state ? { asking: false, reason } : {}), card: gone };
}

/**
 * A state (see page/state.py) as it reads once nobody tells more, and why nobody does.
 * @param {Page} state
 * @param {string} reason
 * @returns {Page}
 */
export function goneState(state, reason) {
  return { ...goneStanding(state, reason), sections: state.sections.map((section) => left(section, reason)) };
}

/**
 * A board (see page/board.py) likewise.
 * @param {Board} board
 * @param {string} reason
 * @returns {Board}
 */
export function goneBoard({ head, parts }, reason) {
  const made = Object.entries(parts).map(([name, part]) => {
    const { section } = part;
    return [name, { ...part, entry: left(part.entry, reason), ...(section ? { section: left(section, reason) } : {}) }];
  });
  return { head: goneStanding(head, reason), parts: Object.fromEntries(made) };
}

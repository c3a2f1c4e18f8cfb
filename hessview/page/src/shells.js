// What mounts the page: a notebook's widgets, a Panel app, and the offline report.

import { changed, goneBoard, goneState, isUnderWay, merged } from "./board.js";
import { mountDashboard } from "./dashboard.js";
import { kernelOf } from "./kernel.js";
import { turnOf } from "./turns.js";
import { mount } from "./view.js";

/** @import { Board } from "./board.js" */
/** @import { BoardMessage, Page, PageMessage } from "./contract.d.ts" */
/** @import { Model } from "./kernel.js" */
/**
 * What shows a widget's model, as https://anywidget.dev has it.
 * @typedef {object} Shell
 * @property {(options: { model: Model }) => void} [initialize]
 * @property {(options: { model: Model, el: HTMLElement }) => () => void} render
 */

const KERNEL_GONE = "The kernel of this page has ended or was restarted. The page shows what it was told last; run the " +
  "notebook's cells again to follow what goes on.";
const SERVER_GONE = "hessview dashboard has ended or cannot be reached. The page shows what it was told last; start it again, " +
  "and open the address that it prints, to follow what goes on.";

/**
 * Shells of a notebook's widgets, by name; the loader (loader.js) makes one for each widget.
 * @type {Record<string, () => Shell>}
 */
export const shells = { notebook, dashboard };

/**
 * The shell of runs and of cards.
 * @returns {Shell}
 */
function notebook() {
  /** @type {Page} */
  let state;
  let told = 0;
  /** @type {Set<ReturnType<typeof mount>>} */
  const pages = new Set();
  const turn = turnOf(() => pages.forEach((page) => page.update(state)));
  const show = (/** @type {Page} */ next) => { state = next; turn.ask(); };
  return {
    initialize({ model }) {
      const again = () => {
        try {
          model.send({ action: "again" });
        } catch { /* a kernel that has gone is noticed by the page itself */ }
      };
      state = model.get("state");
      told = model.get("revision");
      model.on("msg:custom", (/** @type {PageMessage} */ message) => { // not into the model, which would send it back to the kernel
        if (message.told === undefined || message.told <= told) return;
        if (message.told > told + 1) again(); // a difference from what has not come
        else {
          told = message.told;
          show(changed(state, message.difference));
        }
      });
      model.on("change:state change:revision", () => { // all of it, on a page that was cut off or missed something
        told = model.get("revision");
        show(model.get("state"));
      });
    },
    render({ model, el }) {
      const kernel = kernelOf(model, el, {
        live: () => state.sections.some(({ status }) => isUnderWay(status)),
        seen: () => told,
        onGone: () => show(goneState(state, KERNEL_GONE)),
        onMissed: () => kernel.send({ action: "again" }),
        onSilence: (text) => page.silence(text),
      });
      const page = mount(el, state, "asking" in state ? { ask: kernel.send } : {});
      pages.add(page);
      return () => { pages.delete(page); kernel.stop(); page.dispose(); };
    },
  };
}

/**
 * The shell of dashboards.
 * @returns {Shell}
 */
function dashboard() {
  /** @type {Board} */
  let board;
  let told = 0;
  /** @type {Set<ReturnType<typeof mountDashboard>>} */
  const pages = new Set();
  const turn = turnOf(() => pages.forEach((page) => page.update(board)));
  const show = (/** @type {Board} */ next) => { board = next; turn.ask(); };
  return {
    initialize({ model }) {
      const restored = () => ({ head: model.get("head"), parts: model.get("parts") });
      board = restored();
      told = model.get("revision");
      const ask = () => pages.forEach((page) => page.ask()); // what was missed may be newer
      model.on("msg:custom", (/** @type {BoardMessage} */ message) => { // not into the model, which would send it back to the kernel
        if (message.told === undefined) return;
        const missed = message.told > told + 1;
        told = Math.max(told, message.told);
        show(merged(board, message));
        if (missed) ask();
      });
      model.on("change:head change:parts", () => { // a page that was cut off is given all anew
        told = Math.max(told, model.get("revision"));
        show(restored());
        ask();
      });
    },
    render({ model, el }) {
      const kernel = kernelOf(model, el, {
        live: () => Object.values(board.parts).some(({ entry }) => isUnderWay(entry.status)),
        seen: () => told,
        onGone: () => show(goneBoard(board, KERNEL_GONE)),
        onMissed: () => page.ask(),
        onSilence: (text) => page.silence(text),
      });
      const page = mountDashboard(el, board, {
        chosen: model.get("chosen"),
        send: kernel.send,
        onChoice(chosen) {
          model.set("chosen", chosen);
          try {
            model.save_changes();
          } catch { /* a kernel that has gone forgets it */ }
        },
      });
      pages.add(page);
      return () => { pages.delete(page); kernel.stop(); page.dispose(); };
    },
  };
}

/**
 * A Panel component's model and view, as Bokeh has them.
 * @typedef {object} PanelComponent
 * @property {{ send_msg(message: object): void, on(event: string, heard: (told: any) => void): void,
 *   off(event: string, heard: (told: any) => void): void }} model
 * @property {{ model: { document: { on_event(event: string, heard: () => void): void } } }} view
 * @property {HTMLElement} el
 */

/**
 * The dashboard's shell in a Panel app: it begins empty, asks for the run of its address, and is told.
 * @param {PanelComponent} component
 */
export function render({ model, view, el }) {
  // In the light, through a slot: Plotly's style sheet does not reach into Panel's shadow root.
  const host = document.createElement("div"), around = /** @type {ShadowRoot} */ (el.getRootNode()).host;
  el.append(document.createElement("slot"));
  around.append(host);
  const ground = document.createElement("style"); // of the page around
  document.head.append(ground);
  /** @type {Board | null} */
  let board = null;
  /** @type {ReturnType<typeof mountDashboard> | null} */
  let page = null;
  let cut = false;
  const chosen = new URLSearchParams(location.hash.slice(1)).get("run") ?? "";
  const send = (/** @type {object} */ message) => model.send_msg(message);
  const onChoice = (/** @type {string} */ run) => history.replaceState(null, "", run ? `#run=${encodeURIComponent(run)}` : "#");
  const onMessage = (/** @type {BoardMessage} */ told) => {
    const known = board ?? (told.head ? { head: told.head, parts: {} } : null);
    if (!known) return; // of another page, before this one is answered, which tells all
    board = merged(known, told);
    if (cut) return;
    if (page) page.update(board);
    else {
      const { light, dark } = board.head.theme;
      ground.textContent = `body { margin: 0; background: ${light.page}; } @media (prefers-color-scheme: dark) { body { background: ${dark.page}; } }`;
      page = mountDashboard(host, board, { chosen, send, onChoice });
    }
  };
  const { document: served } = view.model; // Bokeh's, which connects again by itself where it can
  const onLost = () => { cut = true; if (board) page?.update(goneBoard(board, SERVER_GONE)); };
  const onBack = () => { cut = false; if (board) page?.update(board); page?.ask(); };
  served.on_event("connection_lost", onLost);
  served.on_event("client_reconnected", onBack);
  model.on("msg:custom", onMessage);
  model.on("remove", () => { model.off("msg:custom", onMessage); page?.dispose(); host.remove(); ground.remove(); });
  model.on("after_render", () => send({ action: "show", run: chosen }));
}

/** The offline report's shell: mount the page, and let its reader choose light or dark. */
export function report() {
  const find = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
  const page = mount(find("page"), JSON.parse(find("state").textContent ?? ""));
  const button = find("appearance");

  /** @param {string} name */
  function wear(name) {
    page.theme(name);
    document.body.classList.toggle("dark", page.dark);
    button.textContent = page.dark ? "Light" : "Dark";
    button.setAttribute("aria-label", `Switch to ${page.dark ? "light" : "dark"} colours`);
  }

  for (const details of document.querySelectorAll("details")) details.open = true; // a report is read to its end
  let chosen = "";
  button.hidden = false;
  button.addEventListener("click", () => wear((chosen = page.dark ? "light" : "dark")));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => wear(chosen));
  addEventListener("beforeprint", () => wear("light")); // paper is white
  addEventListener("afterprint", () => wear(chosen));
  wear("");
}

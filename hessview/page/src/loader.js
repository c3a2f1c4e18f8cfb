// What every widget brings along (anywidget's _esm). It returns at once, says in a line how its runs stand, and lets the
// page, a hundred times as large, be loaded once for all widgets of a document: from a kernel, without a network.
//
// anywidget 0.11 gives a module two seconds from the making of its model. After that it shows the widget but lets nothing
// reach it that the kernel tells, for good: see `mend`.

/** @import { Answer } from "./contract.d.ts" */
/** @import { Model } from "./kernel.js" */
/** @import { Shell } from "./shells.js" */
/** @typedef {{ shells: Record<string, () => Shell> }} Page the module of a page */
/**
 * The one entry of a page in this document.
 * @typedef {object} Entry
 * @property {Promise<Page>} module
 * @property {(packed: BlobPart) => void} take is given what a kernel sent
 * @property {number} asked when
 * @property {number} patience ms until it is asked for anew
 * @property {boolean} taken
 */
/** @typedef {{ entries: Map<string, Entry>, begun: number, last: Promise<void> }} Shared of all widgets of a document */

const PAGES = Symbol.for("hessview pages"); // of the document, whatever versions of hessview its kernels have
const MS_OF_PATIENCE = 5000; // before the page is asked for anew, then twice as long, and so on
const MS_OF_SILENCE = 4000; // before the widget says that it waits
const MS_OF_QUIET = 300; // without another widget beginning: the page takes the browser for as long
const NOT_FOUND = "Error displaying widget: model not found", VIEW = "application/vnd.jupyter.widget-view+json"; // of JupyterLab
const WAITING = "The page is drawn as soon as the kernel answers, which is busy or has gone. If it has gone, run the notebook's cells again.";
const ALONE = "No kernel: this is how it was stored. Run the notebook's cells to follow what goes on.";

/** @type {Shared} */
const shared = (/** @type {any} */ (document)[PAGES] ??= { entries: new Map(), begun: 0, last: Promise.resolve() });

/**
 * @param {number} ms
 * @returns {Promise<void>}
 */
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/**
 * The entry of a page, made where there is none.
 * @param {string} digest
 * @returns {Entry}
 */
function entryOf(digest) {
  const known = shared.entries.get(digest);
  if (known) return known;
  /** @type {Entry["take"]} */
  let take = () => {};
  const module = new Promise((resolve, reject) => {
    take = (packed) => {
      if (entry.taken) return;
      entry.taken = true;
      imported(packed).then(resolve, (error) => {
        shared.entries.delete(digest); // the next widget tries again
        reject(error);
      });
    };
  });
  module.catch(() => {}); // each widget that waits tells of it
  const entry = { module, take, asked: -Infinity, patience: MS_OF_PATIENCE, taken: false };
  shared.entries.set(digest, entry);
  return entry;
}

/**
 * @param {BlobPart} packed
 * @returns {Promise<Page>}
 */
async function imported(packed) {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const url = URL.createObjectURL(new Blob([await new Response(stream).arrayBuffer()], { type: "text/javascript" }));
  for (let i = 0; i < 40 && performance.now() - shared.begun < MS_OF_QUIET; i++) await pause(50); // let others be in time
  try {
    return await import(/* webpackIgnore: true */ url);
  } finally {
    URL.revokeObjectURL(url);
  }
}

/**
 * The module of a model's page, asked for at its kernel unless it is here, or on its way to another widget.
 * @param {Model} model
 */
async function pageOf(model) {
  const digest = model.get("page");
  const entry = entryOf(digest);
  const onMessage = (/** @type {Answer} */ message, /** @type {BlobPart[]} */ buffers) => { if (message.page === digest) entry.take(buffers[0]); };
  function ask() {
    const now = performance.now();
    if (entry.taken || now - entry.asked < entry.patience) return;
    try {
      model.send({ action: "page" });
    } catch {
      return; // its kernel has gone; another widget's may not have
    }
    entry.patience *= entry.asked > 0 ? 2 : 1; // a slow line is not to be filled with answers
    entry.asked = now;
  }
  model.on("msg:custom", onMessage);
  const timer = setInterval(ask, 1000);
  ask();
  try {
    return await entry.module;
  } finally {
    clearInterval(timer);
    model.off("msg:custom", onMessage);
  }
}

/**
 * Let a model hear its kernel where anywidget has given it up, and ask for what it missed.
 * Its handler waits for a promise that was rejected; that of ipywidgets, which it wraps, does not.
 * @param {Model} model
 */
async function mend(model) {
  try {
    const own = await model.widget_manager.get_model(model.get("name"));
    await pause(0);
    const heard = own._handle_comm_msg({ content: { data: { method: "none" } } });
    await heard.catch(() => {
      const { _handle_comm_msg: handle } = Object.getPrototypeOf(Object.getPrototypeOf(own));
      own.comm.on_msg((/** @type {unknown} */ message) => handle.call(own, message));
      own.comm.send({ method: "request_state" }, own.callbacks());
    });
  } catch { /* another front end: the page says so if it is not told anything */ }
}

/**
 * Let JupyterLab show a widget again that it did not find. After a reload it looks for the model every tenth of a second,
 * two seconds long, but not once more when they are over: where the browser is busy as they end, with what makes the
 * models, it says "model not found" of models that are there, and leaves it at that.
 * @param {Model} model
 * @param {() => boolean} isShown
 */
async function showAgain(model, isShown) {
  for (const ms of [1000, 2000, 4000, 8000, 16000, 32000]) {
    await pause(ms);
    const lost = [...document.querySelectorAll(".jupyter-widgets")].some((node) => node.textContent === NOT_FOUND);
    if (isShown()) return;
    if (!lost) continue;
    try {
      for (const { outputs } of model.widget_manager.context.model.cells) {
        for (let i = 0; i < (outputs?.length ?? 0); i++) {
          const output = outputs.get(i);
          if (output.data[VIEW]?.model_id === model.get("name")) outputs.set(i, output.toJSON());
        }
      }
    } catch { /* another version of JupyterLab: its words stay */ }
  }
}

/**
 * Whether a model has nobody to ask: a notebook that was stored with its widgets.
 * @param {Model} model
 */
async function isAlone(model) {
  try {
    const own = await model.widget_manager.get_model(model.get("name"));
    return !own.comm;
  } catch {
    return false;
  }
}

/**
 * How its runs stand, in words that follow, and the stored page while there is no other; returns how to end that.
 * @param {Model} model
 * @param {HTMLElement} el
 */
function waiting(model, el) {
  const line = document.createElement("p"), reason = document.createElement("p"), still = document.createElement("div");
  line.setAttribute("role", "status");
  line.style.cssText = reason.style.cssText = "margin:10px 20px;font:14px/1.5 system-ui,sans-serif";
  reason.hidden = true;
  el.replaceChildren(line, reason, still);
  const tell = () => { line.textContent = model.get("words"); };
  /** @param {string} text */
  function show(text) {
    reason.textContent = text;
    reason.hidden = false;
    still.innerHTML = model.get("still"); // of page/static_html.py: names are escaped there
  }
  tell();
  model.on("change:words", tell);
  const timer = setTimeout(show, MS_OF_SILENCE, WAITING);
  isAlone(model).then((alone) => { if (alone && el.contains(still)) show(ALONE); });
  return {
    fail(/** @type {unknown} */ error) { show(`The page cannot be shown: ${error}`); },
    end() { clearTimeout(timer); model.off("change:words", tell); },
  };
}

/** @returns {Required<Shell>} */
export default () => {
  /** @type {Promise<Shell>} */
  let shell;
  let shown = false;
  return {
    initialize({ model }) {
      shared.begun = performance.now();
      shell = pageOf(model).then((page) => {
        const made = page.shells[model.get("shell")]();
        made.initialize?.({ model });
        return made;
      });
      shell.catch((error) => console.error("hessview:", error));
      mend(model);
      showAgain(model, () => shown);
    },
    render({ model, el }) {
      shown = true;
      const before = waiting(model, el);
      let over = false, dispose = () => {};
      const draw = async (/** @type {Shell} */ made) => {
        await pause(0); // one widget a task: the others are not kept from hearing
        before.end();
        if (!over) dispose = made.render({ model, el }) ?? dispose;
      };
      shell.then((made) => { shared.last = shared.last.then(() => draw(made)).catch(before.fail); }, before.fail);
      return () => { over = true; before.end(); dispose(); };
    },
  };
};

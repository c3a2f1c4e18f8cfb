// Built from hessview/page/src by `npm run build`; do not edit.

// src/loader.js
var PAGES = /* @__PURE__ */ Symbol.for("hessview pages");
var MS_OF_PATIENCE = 5e3;
var MS_OF_SILENCE = 4e3;
var MS_OF_QUIET = 300;
var NOT_FOUND = "Error displaying widget: model not found";
var VIEW = "application/vnd.jupyter.widget-view+json";
var WAITING = "The page is drawn as soon as the kernel answers, which is busy or has gone. If it has gone, run the notebook's cells again.";
var ALONE = "No kernel: this is how it was stored. Run the notebook's cells to follow what goes on.";
var shared = (
  /** @type {any} */
  document[PAGES] ??= { entries: /* @__PURE__ */ new Map(), begun: 0, last: Promise.resolve() }
);
var pause = (ms) => new Promise((resolve) => {
  setTimeout(resolve, ms);
});
function entryOf(digest) {
  const known = shared.entries.get(digest);
  if (known) return known;
  let take = () => {
  };
  const module = new Promise((resolve, reject) => {
    take = (packed) => {
      if (entry.taken) return;
      entry.taken = true;
      imported(packed).then(resolve, (error) => {
        shared.entries.delete(digest);
        reject(error);
      });
    };
  });
  module.catch(() => {
  });
  const entry = { module, take, asked: -Infinity, patience: MS_OF_PATIENCE, taken: false };
  shared.entries.set(digest, entry);
  return entry;
}
async function imported(packed) {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const url = URL.createObjectURL(new Blob([await new Response(stream).arrayBuffer()], { type: "text/javascript" }));
  for (let i = 0; i < 40 && performance.now() - shared.begun < MS_OF_QUIET; i++) await pause(50);
  try {
    return await import(
      /* webpackIgnore: true */
      url
    );
  } finally {
    URL.revokeObjectURL(url);
  }
}
async function pageOf(model) {
  const digest = model.get("page");
  const entry = entryOf(digest);
  const onMessage = (message, buffers) => {
    if (message.page === digest) entry.take(buffers[0]);
  };
  function ask() {
    const now = performance.now();
    if (entry.taken || now - entry.asked < entry.patience) return;
    try {
      model.send({ action: "page" });
    } catch {
      return;
    }
    entry.patience *= entry.asked > 0 ? 2 : 1;
    entry.asked = now;
  }
  model.on("msg:custom", onMessage);
  const timer = setInterval(ask, 1e3);
  ask();
  try {
    return await entry.module;
  } finally {
    clearInterval(timer);
    model.off("msg:custom", onMessage);
  }
}
async function mend(model) {
  try {
    const own = await model.widget_manager.get_model(model.get("name"));
    await pause(0);
    const heard = own._handle_comm_msg({ content: { data: { method: "none" } } });
    await heard.catch(() => {
      const { _handle_comm_msg: handle } = Object.getPrototypeOf(Object.getPrototypeOf(own));
      own.comm.on_msg((message) => handle.call(own, message));
      own.comm.send({ method: "request_state" }, own.callbacks());
    });
  } catch {
  }
}
async function showAgain(model, isShown) {
  for (const ms of [1e3, 2e3, 4e3, 8e3, 16e3, 32e3]) {
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
    } catch {
    }
  }
}
async function isAlone(model) {
  try {
    const own = await model.widget_manager.get_model(model.get("name"));
    return !own.comm;
  } catch {
    return false;
  }
}
function waiting(model, el) {
  const line = document.createElement("p"), reason = document.createElement("p"), still = document.createElement("div");
  line.setAttribute("role", "status");
  line.style.cssText = reason.style.cssText = "margin:10px 20px;font:14px/1.5 system-ui,sans-serif";
  reason.hidden = true;
  el.replaceChildren(line, reason, still);
  const tell = () => {
    line.textContent = model.get("words");
  };
  function show(text) {
    reason.textContent = text;
    reason.hidden = false;
    still.innerHTML = model.get("still");
  }
  tell();
  model.on("change:words", tell);
  const timer = setTimeout(show, MS_OF_SILENCE, WAITING);
  isAlone(model).then((alone) => {
    if (alone && el.contains(still)) show(ALONE);
  });
  return {
    fail(error) {
      show(`The page cannot be shown: ${error}`);
    },
    end() {
      clearTimeout(timer);
      model.off("change:words", tell);
    }
  };
}
var loader_default = () => {
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
      let over = false, dispose = () => {
      };
      const draw = async (made) => {
        await pause(0);
        before.end();
        if (!over) dispose = made.render({ model, el }) ?? dispose;
      };
      shell.then((made) => {
        shared.last = shared.last.then(() => draw(made)).catch(before.fail);
      }, before.fail);
      return () => {
        over = true;
        before.end();
        dispose();
      };
    }
  };
};
export {
  loader_default as default
};

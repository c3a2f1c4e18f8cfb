// A page whose kernel, or server, has gone: nothing tells it so, and it would look alive for ever.

const KERNEL_GONE = "The kernel of this page has ended or was restarted. The page shows what it was told last; run the " +
  "notebook's cells again to follow what goes on.";
const SERVER_GONE = "hessview dashboard has ended or cannot be reached. The page shows what it was told last; start it again, " +
  "and open the address that it prints, to follow what goes on.";
const MS_BETWEEN_LOOKS = 3000;

const isUnderWay = ({ state }) => ["queued", "running"].includes(state);

/** A section, or an entry, as of a run that may go on, but not before our eyes. */
function left(part, message) {
  if (!part || !isUnderWay(part.status)) return part;
  return { ...part, status: { ...part.status, state: "detached", label: "detached", message, left: "" } };
}

/** A state (see page/state.py) as it reads once nobody tells more, and why nobody does. */
function goneState(state, reason) {
  const followed = ["attached", "watching"].includes(state.card?.state);
  const card = followed ? { ...state.card, state: "lost", message: reason } : state.card;
  const asking = "asking" in state ? { asking: false, reason } : {};
  return { ...state, ...asking, card, sections: (state.sections ?? []).map((section) => left(section, reason)) };
}

/** A board (see page/board.py) likewise. */
function goneBoard({ head, parts }, reason) {
  const made = Object.entries(parts).map(([name, part]) =>
    [name, { ...part, entry: left(part.entry, reason), section: left(part.section, reason) }]);
  return { head: goneState(head, reason), parts: Object.fromEntries(made) };
}

/**
 * Send a widget's messages, and notice when they have nowhere to go.
 * A kernel is looked for while a run is under way, and when somebody comes to the page: who asked more often would keep
 * alive what a server ends because nobody uses it.
 * @param live whether a run is under way
 * @param onGone is told once
 * @returns send(message), stop()
 */
function kernelOf(model, el, live, onGone) {
  let gone = false;
  function send(message) {
    if (gone) return;
    try {
      model.send(message); // throws where JupyterLab has closed the kernel's side
    } catch {
      gone = true;
      stop();
      onGone();
    }
  }
  const look = () => send({ action: "none" });
  const timer = setInterval(() => live() && look(), MS_BETWEEN_LOOKS);
  el.addEventListener("pointerenter", look);
  el.addEventListener("focusin", look);
  model.on("comm_live_update", look); // of JupyterLab, when a kernel is restarted
  function stop() {
    clearInterval(timer);
    el.removeEventListener("pointerenter", look);
    el.removeEventListener("focusin", look);
    model.off("comm_live_update", look);
  }
  return { send, stop };
}

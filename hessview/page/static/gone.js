// A page whose kernel, or server, has gone: nothing tells it so, and it would look alive for ever.

const KERNEL_GONE = "The kernel of this page has ended or was restarted. The page shows what it was told last; run the " +
  "notebook's cells again to follow what goes on.";
const SERVER_GONE = "hessview dashboard has ended or cannot be reached. The page shows what it was told last; start it again, " +
  "and open the address that it prints, to follow what goes on.";
const MS_BETWEEN_LOOKS = 3000;
const LOOKS_IN_VAIN = 4; // before a page says so: a busy machine may take as long

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

/** Why a page may be old: neither what it showed nor that it showed it is a reason to trust it. */
function silenceSince(time) {
  return `This page is not being told anything: it asks every ${MS_BETWEEN_LOOKS / 1000} seconds, and heard last at ` +
    `${time.toLocaleTimeString()}. What it shows may be old. Unless the kernel is busy, reload the page.`;
}

/**
 * Send a widget's messages, and notice when they have nowhere to go, when nothing comes back, and what was missed.
 * A kernel is looked for while a run is under way, and when somebody comes to the page: who asked more often would keep
 * alive what a server ends because nobody uses it. It answers with the number of what it told last.
 * @param live whether a run is under way
 * @param seen number of what was told last
 * @param onGone is told once
 * @param onMissed is told where something was told that has not come
 * @param onSilence is told why the page may be old, "" once it is not
 * @returns send(message), stop()
 */
function kernelOf(model, el, { live, seen, onGone, onMissed, onSilence }) {
  let gone = false, waiting = false; // for an answer
  let unheard = 0, behind = 0; // looks in a row
  let told = 0, last = seen(), heard = new Date();
  let silent = false;

  function send(message) {
    if (gone) return;
    try {
      model.send(message); // throws where JupyterLab has closed the kernel's side
    } catch {
      gone = true;
      stop();
      onSilence("");
      onGone();
    }
  }

  function look() {
    waiting = true;
    send({ action: "look" });
  }

  function judge() {
    const is = Math.max(unheard, behind) >= LOOKS_IN_VAIN;
    if (is !== silent) onSilence(is ? silenceSince(heard) : "");
    silent = is;
  }

  function onAnswer({ revision }) {
    if (revision === undefined) return;
    waiting = false;
    unheard = 0;
    behind = seen() < told ? behind + 1 : 0; // what it had told at the look before
    told = revision;
    if (behind) onMissed();
    else heard = new Date();
    judge();
  }

  function tick() {
    unheard = waiting ? unheard + 1 : 0;
    if (seen() !== last) { // it is told, if not answered
      last = seen();
      heard = new Date();
      unheard = behind = 0;
    }
    judge();
    if (live() || waiting) look();
  }

  const timer = setInterval(tick, MS_BETWEEN_LOOKS);
  el.addEventListener("pointerenter", look);
  el.addEventListener("focusin", look);
  model.on("msg:custom", onAnswer);
  model.on("comm_live_update", look); // of JupyterLab, when a kernel is restarted
  function stop() {
    clearInterval(timer);
    el.removeEventListener("pointerenter", look);
    el.removeEventListener("focusin", look);
    model.off("msg:custom", onAnswer);
    model.off("comm_live_update", look);
  }
  return { send, stop };
}

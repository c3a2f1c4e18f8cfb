// A widget's kernel, which may go: nothing tells a page so, and it would look alive for ever.

/** @import { Answer, Look } from "./contract.d.ts" */

/**
 * A widget's model, as anywidget has it.
 * @typedef {object} Model
 * @property {(name: string) => any} get
 * @property {(name: string, value: unknown) => void} set
 * @property {() => void} save_changes
 * @property {(message: object) => void} send throws where JupyterLab has closed the kernel's side
 * @property {(events: string, heard: (...told: any[]) => void) => void} on
 * @property {(events: string, heard: (...told: any[]) => void) => void} off
 * @property {any} widget_manager of the front end
 */

const MS_BETWEEN_LOOKS = 3000;
const LOOKS_IN_VAIN = 4; // before a page says so: a busy machine may take as long

/**
 * Why a page may be old: neither what it showed nor that it showed it is a reason to trust it.
 * @param {Date} time
 */
function silenceSince(time) {
  return `This page is not being told anything: it asks every ${MS_BETWEEN_LOOKS / 1000} seconds, and heard last at ` +
    `${time.toLocaleTimeString()}. What it shows may be old. Unless the kernel is busy, reload the page.`;
}

/**
 * Send a widget's messages, and notice when they have nowhere to go, when nothing comes back, and what was missed.
 * A kernel is looked for while a run is under way, and when somebody comes to the page: who asked more often would keep
 * alive what a server ends because nobody uses it. It answers with the number of what it told last.
 * @param {Model} model
 * @param {HTMLElement} el
 * @param {object} hears
 * @param {() => boolean} hears.live whether a run is under way
 * @param {() => number} hears.seen number of what was told last
 * @param {() => void} hears.onGone is told once
 * @param {() => void} hears.onMissed is told where something was told that has not come
 * @param {(text: string) => void} hears.onSilence is told why the page may be old, "" once it is not
 */
export function kernelOf(model, el, { live, seen, onGone, onMissed, onSilence }) {
  let gone = false, waiting = false; // for an answer
  let unheard = 0, behind = 0; // looks in a row
  let told = 0, last = seen(), heard = new Date();
  let silent = false;

  /** @param {object} message */
  function send(message) {
    if (gone) return;
    try {
      model.send(message);
    } catch {
      gone = true;
      stop();
      onSilence("");
      onGone();
    }
  }

  function look() {
    waiting = true;
    send(/** @type {Look} */ ({ action: "look" }));
  }

  function judge() {
    const is = Math.max(unheard, behind) >= LOOKS_IN_VAIN;
    if (is !== silent) onSilence(is ? silenceSince(heard) : "");
    silent = is;
  }

  /** @param {Answer} answer */
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

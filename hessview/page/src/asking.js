// Asking the session from the page: buttons that send a message, the line that answers, and the form that asks for a density.

import { element } from "./elements.js";

/** @import { Cancel, Form, Measure, Notice, Standing } from "./contract.d.ts" */
/** @import { Ask } from "./figure.js" */

/**
 * A button that sends a message to the session.
 * @param {Ask | undefined} ask undefined where nobody can be asked, and then there is no button
 * @param {string} label
 * @param {() => Cancel | Measure | null} message makes the message, or null for none
 */
export function askButton(ask, label, message) {
  if (!ask) return null;
  const button = element("button", { type: "button", class: "hess-ask", "data-asks": "" }, label);
  button.addEventListener("click", () => {
    const made = message();
    if (made) ask(made);
  });
  return button;
}

/**
 * Buttons of `askButton` are dead, and say why, while the session cannot be asked.
 * @param {HTMLElement} root
 * @param {Standing} standing
 */
export function allowAsking(root, { asking, reason }) {
  for (const button of /** @type {NodeListOf<HTMLButtonElement>} */ (root.querySelectorAll("[data-asks]"))) {
    button.disabled = !asking;
    button.title = asking ? "" : (reason ?? "");
  }
}

/**
 * The line in which the session answers what was asked from the page.
 * @param {HTMLElement} root
 */
export function noticeView(root) {
  const text = element("span", { role: "status" });
  const dismiss = element("button", { type: "button", class: "hess-ask", "aria-label": "Dismiss" }, "×");
  const line = element("p", { class: "hess-notice" }, [text, dismiss]);
  line.hidden = true;
  root.append(line);
  let known = "";
  dismiss.addEventListener("click", () => { line.hidden = true; });
  return {
    line,
    /** @param {Notice | null | undefined} notice */
    update(notice) {
      const made = JSON.stringify(notice ?? null);
      if (made === known) return;
      known = made;
      line.hidden = !notice?.text;
      line.dataset.tone = notice?.tone ?? "";
      text.textContent = notice?.text ?? "";
    },
  };
}

/**
 * The form that asks for a spectral density, closed at first. What it says is judged by the kernel, which knows the model.
 * @param {string} prefix of its ids
 * @param {Form} defaults
 * @param {(message: Measure) => void} ask
 */
export function formView(prefix, defaults, ask) {
  const field = (/** @type {string} */ name, /** @type {string} */ label, /** @type {HTMLElement} */ input) => {
    for (const [key, value] of Object.entries({ id: `${prefix}-${name}`, name, "data-lm-suppress-shortcuts": "true" })) {
      input.setAttribute(key, value);
    }
    return element("label", {}, [element("span", {}, label), input]);
  };
  const typed = (/** @type {"steps" | "probes" | "epsilon"} */ name, /** @type {string} */ label, /** @type {string} */ mode) =>
    field(name, label, element("input", { value: String(defaults[name]), inputmode: mode, autocomplete: "off" }));
  const options = defaults.operators.map(([value, label]) => element("option", { value }, label));
  const operators = element("select", {}, options);
  const form = element("form", { class: "hess-form" }, [
    typed("steps", "Lanczos steps", "numeric"),
    typed("probes", "Probes", "numeric"),
    typed("epsilon", "ε (or auto)", "text"),
    field("operator", "Operator", operators),
    element("button", { type: "submit", class: "hess-ask hess-go", "data-asks": "" }, "Measure"),
  ]);
  operators.value = defaults.operator;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const said = new FormData(form);
    const [steps, probes, epsilon] = ["steps", "probes", "epsilon"].map((name) => numberOrText(String(said.get(name))));
    ask({ action: "measure", command: { command: "density", steps, probes, epsilon, operator: said.get("operator") } });
  });
  return element("details", { class: "hess-card hess-new" }, [element("summary", {}, "Measure a spectral density"), form]);
}

/**
 * A number where one was typed, or else the text, of which the kernel says what is wrong.
 * @param {string} text
 */
function numberOrText(text) {
  const trimmed = text.trim();
  return trimmed && Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
}

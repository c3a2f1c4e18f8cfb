// The page: what its session holds, a comparison, trainings, runs, in the colours of its surroundings. Three shells mount
// it: the notebook widget, the offline report, and a served dashboard.

import { allowAsking, noticeView } from "./asking.js";
import { element, factRow, OWN } from "./elements.js";
import { sectionView } from "./section.js";
import STYLE from "./view.css";

/** @import { Card, DensityPanel, Page, Section, Theme } from "./contract.d.ts" */
/** @import { Ask, Recolour } from "./figure.js" */

let mounted = 0;

/** Whether the page around us is dark: JupyterLab and VS Code say so, else the system does. */
function surroundingsAreDark() {
  const { dataset, classList } = document.body;
  if (dataset.jpThemeLight) return dataset.jpThemeLight === "false";
  if (dataset.vscodeThemeKind) return !dataset.vscodeThemeKind.includes("light");
  if (classList.contains("vscode-light")) return false;
  return classList.contains("vscode-dark") || matchMedia("(prefers-color-scheme: dark)").matches;
}

/**
 * Colours of a figure, swapped by value from the light palette it was made with.
 * @param {Theme} theme
 * @param {Record<string, string>} palette one of the theme's
 * @returns {Recolour} a function of the figure, and of what its own colours become on a dark ground
 */
function recolouring({ light, dark }, palette) {
  const swap = Object.keys(light).map((name) => /** @type {[string, string]} */ ([light[name], palette[name]]));
  return (figure, own = {}) => {
    const colours = new Map(palette === dark ? [...swap, ...Object.entries(own)] : swap);
    /** @type {(value: any) => any} */
    const walk = (value) => {
      if (typeof value === "string") return colours.get(value) ?? value;
      if (Array.isArray(value)) return value.map(walk);
      if (value && typeof value === "object") {
        return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, walk(entry)]));
      }
      return value;
    };
    return walk(figure);
  };
}

/**
 * Show a state (see page/state.py) inside an element.
 * @param {HTMLElement} host
 * @param {Page} state
 * @param {object} [options]
 * @param {Ask} [options.ask] sends a message to the session (see page/live.py); without it nothing can be asked
 * @param {string} [options.place] under which the choices in its panels are remembered
 */
export function mount(host, state, { ask, place = "" } = {}) {
  const root = element("div", { class: "hessview" });
  // Plotly's rules are the document's, and do not reach into the shadow root of a layout of Panel.
  const plotly = /** @type {HTMLStyleElement | null} */ (document.getElementById("plotly.js-style-global"));
  const rules = [...(plotly?.sheet?.cssRules ?? [])].map((rule) => rule.cssText);
  host.replaceChildren(element("style", {}, [STYLE, ...rules].join("\n")), root);
  const silence = element("p", { class: "hess-silence", role: "status" });
  silence.hidden = true;
  root.append(silence);
  const notice = noticeView(root);
  const prefix = `hess-${OWN}-${++mounted}`;
  const above = element("div", { class: "hess-trainings" }); // sections may join below it, and move nothing
  const top = element("div", { class: "hess-trainings" });
  root.append(top, above);
  /** @type {ReturnType<typeof sectionView>[]} */
  const sections = [];
  /** @type {typeof sections} */
  const trainings = [];
  /** @type {typeof sections} */
  const comparisons = [];
  /** @type {ReturnType<typeof cardView> | null} */
  let card = null;
  let forced = "";

  function paint() {
    const name = forced === "light" || forced === "dark" ? forced : surroundingsAreDark() ? "dark" : "light";
    const palette = state.theme[name];
    if (root.dataset.theme !== name) {
      root.dataset.theme = name;
      for (const [key, colour] of Object.entries(palette)) root.style.setProperty(`--${key}`, colour);
      root.style.setProperty("--font", state.theme.font);
    }
    const recolour = recolouring(state.theme, palette);
    if (state.card) {
      card ??= cardView(notice.line);
      card.update(state.card);
    }
    top.hidden = !state.comparisons?.length; // a training that begins takes its place
    (state.comparisons ?? []).forEach((section, i) => {
      comparisons[i] ??= sectionView(top, `${prefix}-comparison-${i}`, `${place} comparison ${i}`);
      comparisons[i].update(withCoefficients(section, state.sections), recolour);
    });
    (state.trainings ?? []).forEach((section, i) => {
      trainings[i] ??= sectionView(above, `${prefix}-training-${i}`, `${place} training ${i}`);
      trainings[i].update(section, recolour);
    });
    state.sections.forEach((section, i) => {
      sections[i] ??= sectionView(root, `${prefix}-${i}`, `${place} ${i}`, ask);
      sections[i].update(section, recolour);
    });
    notice.update(state.notice);
    allowAsking(root, state);
  }

  const watcher = new MutationObserver(paint);
  watcher.observe(document.body, { attributeFilter: ["data-jp-theme-light", "data-vscode-theme-kind", "class"] });
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", paint);
  paint();
  return {
    root,
    /** @param {Page} next */
    update(next) { state = next; paint(); },
    /** @param {string} name "light", "dark", or "" to follow the surroundings */
    theme(name) { forced = name; paint(); },
    /** @param {string} text why the page may be old, "" once it is not */
    silence(text) { silence.textContent = text; silence.hidden = !text; },
    get dark() { return root.dataset.theme === "dark"; },
    dispose() {
      watcher.disconnect();
      system.removeEventListener("change", paint);
      [...comparisons, ...trainings, ...sections].forEach((section) => section.dispose());
      host.replaceChildren();
    },
  };
}

/**
 * A comparison with the coefficients of its runs, which cross once: in the runs' own sections, if these are there.
 * @param {Section} comparison
 * @param {Section[]} sections
 * @returns {Section}
 */
function withCoefficients({ panels, ...section }, sections) {
  const made = panels.map((panel) => {
    if (panel.kind !== "comparison") return panel;
    const runs = panel.runs.map(({ at, ...run }) => {
      if (at === undefined) return run;
      const { steps, over, probes } = /** @type {DensityPanel} */ (sections[at].panels[0]);
      return { ...run, steps, over, probes };
    });
    return { ...panel, runs };
  });
  return { ...section, panels: made };
}

/**
 * The session's card below an element: what its job holds, and whether it can be asked; its rows open on demand.
 * @param {HTMLElement} above
 */
function cardView(above) {
  const title = element("h2"), subtitle = element("p", { class: "hess-subtitle" });
  const pill = element("span", { class: "hess-pill", role: "status" });
  const message = element("p", { class: "hess-message" }), warning = element("p", { class: "hess-message" });
  const rows = element("dl", { class: "hess-facts hess-wide" });
  const made = element("section", { class: "hess-session", "aria-label": "Session" }, [
    element("header", {}, [element("div", {}, [title, subtitle]), pill]),
    message, warning,
    element("details", { class: "hess-card" }, [element("summary", {}, "What the job holds"), rows]),
  ]);
  above.after(made);
  let known = "";
  return {
    /** @param {Card} card */
    update(card) {
      const text = JSON.stringify(card);
      if (text === known) return;
      known = text;
      made.dataset.state = card.state;
      title.textContent = card.title;
      subtitle.textContent = card.subtitle;
      pill.textContent = card.state;
      message.textContent = card.message;
      message.hidden = !card.message;
      warning.textContent = card.warning;
      warning.hidden = !card.warning;
      rows.replaceChildren(...card.rows.map(factRow));
    },
  };
}

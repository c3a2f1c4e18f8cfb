// One run of a page: where it stands, its tiles, its panels by kind, where its numbers come from.

import { askButton } from "./asking.js";
import { isUnderWay } from "./board.js";
import { comparisonPanel } from "./comparison.js";
import { convergencePanel } from "./convergence.js";
import { couplingPanel } from "./coupling.js";
import { densityPanel } from "./density.js";
import { element, factRow } from "./elements.js";
import { figurePanel, textPanel } from "./figure.js";
import { downloads } from "./readings.js";
import { settingsPanel } from "./settings.js";
import { sweepPanel } from "./sweep.js";
import { trainingPanel } from "./training.js";

/** @import { Panel, Section, Tile } from "./contract.d.ts" */
/** @import { Ask, PanelOptions, PanelView, Recolour } from "./figure.js" */

/**
 * Panels by kind, as page/panels.py names them. A section's panels keep their kinds and places, and so each is told what its
 * kind needs.
 * @type {Record<Panel["kind"], (host: HTMLElement, options: PanelOptions<any>) => PanelView<any>>}
 */
const PANELS = {
  comparison: comparisonPanel,
  convergence: convergencePanel,
  coupling: couplingPanel,
  density: densityPanel,
  figure: (host) => figurePanel(host),
  settings: settingsPanel,
  sweep: sweepPanel,
  text: textPanel,
  training: trainingPanel,
};

/**
 * What was chosen in each panel: a notebook may draw it anew.
 * @type {Map<string, object>}
 */
const remembered = new Map();

/**
 * One run: its elements are made once and filled anew on every update.
 * @param {HTMLElement} root
 * @param {string} id
 * @param {string} position under which the choices in its panels are remembered
 * @param {Ask} [ask]
 */
export function sectionView(root, id, position, ask) {
  const title = element("h2", { id: `${id}-title` }), subtitle = element("p", { class: "hess-subtitle" });
  const pill = element("span", { class: "hess-pill", role: "status" });
  const bar = element("progress", { "aria-label": "Progress" }), left = element("span");
  const message = element("p", { class: "hess-message" });
  const tiles = element("dl", { class: "hess-tiles" });
  const panels = element("div", { class: "hess-panels" });
  const basis = element("dl", { class: "hess-facts" }), rows = element("dl", { class: "hess-facts hess-wide" });
  const readings = element("p", { class: "hess-downloads" });
  const about = { id: "" };
  /** @type {Ask | undefined} */
  const askAbout = ask && ((message) => ask({ run: about.id, ...message })); // of several jobs, the right one
  const cancel = askButton(askAbout, "Cancel", () => ({ action: "cancel" }));
  const progress = element("div", { class: "hess-progress" }, cancel ? [bar, left, cancel] : [bar, left]);
  const details = element("details", { class: "hess-card" }, [
    element("summary", {}, "Uncertainties and provenance"),
    element("h4", {}, "What each number is worth"), basis,
    element("h4", {}, "Where the numbers come from"), rows,
    readings,
  ]);
  const article = element("section", { "aria-labelledby": title.id }, [
    element("header", {}, [element("div", {}, [title, subtitle]), pill]),
    progress, message, tiles, panels, details,
  ]);
  root.append(article);
  /** @type {ReturnType<typeof panelView>[]} */
  const views = [];
  let known = "";

  return {
    /**
     * @param {Section} section
     * @param {Recolour} recolour
     */
    update(section, recolour) {
      const { status } = section;
      about.id = section.id;
      article.dataset.state = status.state;
      title.textContent = section.title;
      subtitle.textContent = section.subtitle;
      pill.hidden = !status.label;
      if (pill.textContent !== status.label) pill.textContent = status.label; // announced on change
      bar.max = status.total;
      bar.value = status.done;
      left.textContent = [`${status.done} of ${status.total} ${status.unit}`, status.left].filter(Boolean).join(" · ");
      progress.hidden = !isUnderWay(status);
      message.textContent = status.message;
      message.hidden = !status.message;
      tiles.replaceChildren(...section.tiles.map(tileView));
      tiles.dataset.count = String(section.tiles.length);
      section.panels.forEach((panel, i) => {
        views[i] ??= panelView(panels, panel.kind, `${id}-${i}`, `${position} ${i} ${panel.kind}`, askAbout);
        const other = panel.shares === undefined ? {} : section.panels[panel.shares];
        views[i].update({ ...other, ...panel }, recolour);
      });
      const found = section.tiles.filter((tile) => tile.basis).map((tile) => [tile.label, tile.basis]);
      const text = JSON.stringify([found, section.provenance]);
      if (text !== known) {
        known = text;
        basis.replaceChildren(...found.map(factRow));
        rows.replaceChildren(...section.provenance.map(factRow));
        details.hidden = !section.provenance.length; // as on a card
      }
      if (section.record && !readings.childElementCount) readings.append("Readings: ", ...downloads(section.id, section.record));
    },
    dispose() { views.forEach((view) => view.dispose()); },
  };
}

/** @param {Tile} tile */
function tileView({ label, value, note, basis, verdict, tone }) {
  const words = [element("strong", {}, value), " ", element("small", {}, note)];
  if (verdict) words.push(" ", element("small", { class: "hess-verdict", "data-tone": tone }, verdict));
  return element("div", { class: "hess-card", title: basis }, [element("dt", {}, label), element("dd", {}, words)]);
}

/**
 * @param {HTMLElement} parent
 * @param {Panel["kind"]} kind
 * @param {string} id
 * @param {string} place under which what is chosen in it is remembered
 * @param {Ask} [ask]
 */
function panelView(parent, kind, id, place, ask) {
  const title = element("h3"), subtitle = element("p", { class: "hess-subtitle" }), body = element("div");
  parent.append(element("div", { class: "hess-card hess-panel" }, [title, subtitle, body]));
  const chosen = remembered.get(place) ?? {};
  remembered.set(place, chosen);
  const view = PANELS[kind](body, { id, chosen, ask });
  return {
    /**
     * @param {Panel} panel
     * @param {Recolour} recolour
     */
    update(panel, recolour) {
      title.textContent = panel.title;
      subtitle.textContent = panel.subtitle;
      view.update(panel, recolour);
    },
    dispose() { view.dispose(); },
  };
}

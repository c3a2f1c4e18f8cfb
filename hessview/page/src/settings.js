// A figure over settings, such as steps or parts of the data, with a slider that picks one of those that were measured,
// and, where the session can be asked, measures at another.

import { askButton } from "./asking.js";
import { choice } from "./controls.js";
import { spectrumView } from "./density.js";
import { element, rounded, tableHead, tableRow } from "./elements.js";
import { figurePanel } from "./figure.js";

/** @import { Blank, Figure, SettingsPanel, SweepPanel } from "./contract.d.ts" */
/** @import { DensityChoice } from "./density.js" */
/** @import { Drawable, PanelOptions, PanelView, Recolour, Trace } from "./figure.js" */
/**
 * What is chosen in it.
 * @typedef {object} SettingsChoice
 * @property {string} mode whether the slider snaps to what is measured
 * @property {number | null} value null: nothing is in front
 * @property {Partial<DensityChoice>} density of the spectrum below
 */
/** @typedef {SettingsPanel | SweepPanel | Blank} Settings */

const SNAPPED = "measured", FREE = "any";
const SAME = 0.01; // relative: a spectrum at this step
const BEYOND = 1; // decades past the measured steps that can be asked for

/**
 * A panel that draws a figure into `host`, one of its settings in front.
 * @param {HTMLElement} host
 * @param {PanelOptions<SettingsChoice> & { beside?: HTMLElement[] }} options with other controls, beside the slider
 * @returns {PanelView<Settings & Partial<Drawable>>}
 */
export function settingsPanel(host, { id, chosen: given, ask, beside = [] }) {
  /** @type {SettingsChoice} */
  const chosen = Object.assign(given, { mode: SNAPPED, value: null, density: {}, ...given });
  const body = element("div"), figure = figurePanel(body);
  const input = element("input", { type: "range", id: `${id}-setting`, "data-lm-suppress-shortcuts": "true" });
  const label = element("label", { for: input.id }), shown = element("output", { for: input.id });
  const all = element("button", { type: "button", class: "hess-quiet", title: "Nothing in front" }, "all");
  const controls = element("div", { class: "hess-controls" }, [
    element("div", { class: "hess-control" }, [label, input, shown, all]), ...beside,
  ]);
  const modes = choice(`${id}-mode`, "Slider", [SNAPPED, FREE], chosen.mode, (mode) => { chosen.mode = mode; pick(); });
  const measure = askButton(ask, "Measure here", () => {
    if (chosen.mode !== FREE || chosen.value === null) return null;
    return { action: "measure", command: { ...panel?.again, epsilons: [chosen.value] } };
  });
  if (measure) controls.append(modes, measure);
  const head = element("tr"), rows = element("tbody");
  const table = element("div", { class: "hess-picked", "aria-live": "polite" }, [element("table", {}, [element("thead", {}, head), rows])]);
  const spectrum = spectrumView(id, chosen.density), elsewhere = element("p", { class: "hess-subtitle" });
  host.append(body, controls, table, elsewhere, spectrum.root);

  /** @type {Settings & Partial<Drawable> | null} */
  let panel = null;
  /** @type {Recolour} */
  let palette = (figure) => figure;
  input.addEventListener("input", pick);
  all.addEventListener("click", () => { chosen.value = null; draw(); });

  /** The panel, where it has settings that are measured. */
  const measured = () => (panel?.figure && "over" in panel && panel.over.values.length ? panel : null);

  function pick() {
    const found = measured();
    if (!found) return;
    const place = Number(input.value);
    chosen.value = chosen.mode === FREE ? Number((10 ** place).toPrecision(3)) : nearest(found.over, place);
    draw();
  }

  function draw() {
    const found = measured();
    controls.hidden = !found;
    table.hidden = !found || chosen.value === null;
    if (found) drawSettings(found);
    else {
      showSpectrum(null, null);
      if (panel) figure.update(panel, palette);
    }
  }

  /** @param {(SettingsPanel | SweepPanel) & Partial<Drawable>} panel */
  function drawSettings(panel) {
    const { over } = panel, at = positionOn(over);
    const ends = [at(over.values[0]), at(over.values[over.values.length - 1])], beyond = chosen.mode === FREE ? BEYOND : 0;
    Object.assign(input, { min: String(ends[0] - beyond), max: String(ends[1] + beyond), step: String((ends[1] - ends[0] + 2 * beyond) / 400 || 0.01) });
    if (chosen.value !== null && chosen.mode === SNAPPED) chosen.value = nearest(over, at(chosen.value));
    const { value } = chosen;
    if (value !== null) input.value = String(at(value));
    showSpectrum(panel, value);
    label.textContent = over.label;
    shown.textContent = value !== null ? rounded(value) : "all";
    input.setAttribute("aria-valuetext", value !== null ? `${over.label} ${rounded(value)}` : "all");
    all.disabled = value === null;
    modes.hidden = !over.askable || !panel.again;
    if (measure) measure.hidden = modes.hidden || chosen.mode !== FREE;
    const place = value !== null ? over.values.indexOf(value) : -1;
    head.hidden = place < 0;
    head.replaceChildren(...tableHead(over.head));
    rows.replaceChildren(...(place < 0 ? [["not measured at this step"]] : over.rows[place]).map(tableRow));
    figure.update(value !== null ? { ...panel, figure: inFront(panel.figure, over.axis, value, at) } : panel, palette);
  }

  /**
   * Below the numbers, the spectrum where one is measured at this setting, or where there are some.
   * @param {SettingsPanel | SweepPanel | null} panel
   * @param {number | null} value
   */
  function showSpectrum(panel, value) {
    const found = (value !== null && panel?.spectra) || [];
    const one = value !== null && found.find((spectrum) => Math.abs(spectrum.at - value) <= SAME * value);
    spectrum.root.hidden = !one;
    elsewhere.hidden = Boolean(one) || !found.length;
    elsewhere.textContent = `Spectra are measured at ${found.map(({ at }) => rounded(at)).join(", ")}.`;
    const words = panel?.over.label.replace(/^./, (first) => first.toLowerCase());
    if (one) spectrum.show(`Spectrum at ${words} ${rounded(one.at)}`, one, panel?.density ?? {}, palette);
  }

  return {
    update(next, recolour) { panel = next; palette = recolour; draw(); },
    dispose() { figure.dispose(); spectrum.dispose(); },
  };
}

/**
 * Where a setting stands on the slider.
 * @param {{ log: boolean }} over
 */
function positionOn({ log }) {
  return (/** @type {number} */ value) => (log ? Math.log10(value) : value);
}

/**
 * The measured setting that is nearest to a place of the slider.
 * @param {{ log: boolean, values: number[] }} over
 * @param {number} place
 */
function nearest(over, place) {
  const at = positionOn(over);
  return over.values.reduce((a, b) => (Math.abs(at(b) - place) < Math.abs(at(a) - place) ? b : a));
}

/**
 * The figure with one setting marked: its curve before the others, its points ringed, a line at it.
 * @param {Figure} figure
 * @param {string} axis
 * @param {number} value
 * @param {(value: number) => number} at
 * @returns {Figure}
 */
function inFront({ data, layout }, axis, value, at) {
  /** @type {Trace[]} */
  const ranked = data.map((trace, place) => ({ ...trace, legendrank: place - data.length })); // the legend keeps its order
  const curves = ranked.filter((trace) => trace.meta.role === "density");
  const dimmed = ranked.map((trace) => (curves.includes(trace) && trace.meta.setting !== value ? { ...trace, opacity: 0.22 } : trace));
  const isFront = (/** @type {Trace} */ trace) => trace.meta.role === "density" && trace.meta.setting === value;
  const ordered = [...dimmed.filter((trace) => !isFront(trace)), ...dimmed.filter(isFront)];
  const rings = data.filter((trace) => ["measured", "distance"].includes(trace.meta.role)).map((trace) => {
    const place = trace.x.indexOf(value), there = place >= 0 && trace.y[place] !== null;
    return {
      type: "scatter", mode: "markers", x: there ? [value] : [], y: there ? [trace.y[place]] : [], showlegend: false, hoverinfo: "skip",
      ...(trace.xaxis ? { xaxis: trace.xaxis, yaxis: trace.yaxis } : {}),
      meta: { role: "picked", direction: trace.meta.direction },
      marker: { size: 16, symbol: "circle-open", color: trace.line.color, line: { color: trace.line.color, width: 2 } },
    };
  });
  const line = {
    type: "line", xref: axis, yref: `${axis.replace("x", "y")} domain`, x0: value, x1: value, y0: 0, y1: 1,
    line: { color: layout.template.layout.font.color, width: 1.25 },
  };
  const range = layout.xaxis.range;
  const widened = axis === "x" && range ? { xaxis: { ...layout.xaxis, range: [Math.min(range[0], at(value)), Math.max(range[1], at(value))] } } : {};
  return { data: [...ordered, ...rings], layout: { ...layout, ...widened, shapes: [...(layout.shapes ?? []), line] } };
}

// A coupling: what its switches move, the matrix' colours and hover and the bars of a row, and its panel. The arrays repeat
// hessview/views/coupling.py and coupling_row.py; a test holds them equal.

import { SCALES } from "./constants.js";
import { choice } from "./controls.js";
import { element, escaped } from "./elements.js";
import { figurePanel } from "./figure.js";

/** @import { Blank, CouplingPanel, Figure } from "./contract.d.ts" */
/** @import { PanelOptions, PanelView, Recolour } from "./figure.js" */
/** @typedef {(number | null)[][]} Numbers by rows */
/** @typedef {{ unit: string, scale: string, block: string | null }} CouplingChoice block null: the first */

const UNITS = ["normalised", "raw"];

/**
 * @param {number | null} value
 * @returns {value is null}
 */
function missing(value) {
  return value === null || !Number.isFinite(value);
}

/**
 * Numbers of all pairs of blocks in a unit: values, spread and noise, as rows.
 * @param {Pick<CouplingPanel, "matrix">} panel
 * @param {string} unit
 * @returns {{ values: Numbers, spread: Numbers, noise: Numbers }}
 */
export function numbersOf({ matrix }, unit) {
  const { frobenius, frobenius_spread, frobenius_noise, coefficient_spread } = matrix;
  if (unit === "raw") return { values: frobenius, spread: frobenius_spread, noise: frobenius_noise };
  const own = frobenius.map((row, i) => (missing(row[i]) ? NaN : Math.sqrt(row[i])));
  const over = (/** @type {Numbers} */ rows) => rows.map((row, i) => row.map((value, j) => (missing(value) ? NaN : value / (own[i] * own[j]))));
  return { values: over(frobenius), spread: coefficient_spread, noise: over(frobenius_noise) };
}

/**
 * The matrix' colours on a scale, and what hovering a cell tells.
 * @param {CouplingPanel} panel
 * @param {string} unit
 * @param {string} scale
 */
export function matrixArrays(panel, unit, scale) {
  const { zmin, zmax, colorbar } = panel.views[`${unit} ${scale}`];
  const { values } = numbersOf(panel, unit), coefficients = numbersOf(panel, "normalised").values;
  const { frobenius, frobenius_spread, frobenius_noise } = panel.matrix;
  const bottom = 10 ** zmin, names = panel.blocks.map(escaped);
  const colour = (/** @type {number | null} */ value) => {
    if (missing(value)) return null;
    return scale === "log" ? Math.log10(Math.max(value, bottom)) : value;
  };
  const told = (/** @type {number} */ i, /** @type {number} */ j) => [
    names[i], names[j], coefficients[i][j], frobenius[i][j], frobenius_spread[i][j], frobenius_noise[i][j],
    panel.words[panel.verdict[i][j]],
  ];
  return {
    z: values.map((row) => row.map(colour)), zmin, zmax, colorbar,
    customdata: values.map((row, i) => row.map((_, j) => told(i, j))),
  };
}

/**
 * The figure of a row: bars by verdict, and the axis they stand on.
 * @param {CouplingPanel} panel
 * @param {number} place
 * @param {string} unit
 * @param {string} scale
 * @returns {Figure}
 */
export function rowFigure(panel, place, unit, scale) {
  const { values, spread, noise } = numbersOf(panel, unit);
  const errors = spread[place].map((value) => value ?? 0), visible = !spread[place].every(missing);
  const customdata = panel.blocks.map((name, j) => [escaped(name), spread[place][j], noise[place][j]]);
  const data = panel.row.data.map((trace) => {
    const among = values[place].map((value, j) => panel.words[panel.verdict[place][j]] === trace.meta.verdict && !missing(value));
    const shape = panel.blocks.map((_, j) => (j === place ? "/" : ""));
    return {
      ...trace, customdata,
      y: values[place].map((value, j) => (among[j] ? value : null)),
      error_y: { ...trace.error_y, array: errors, visible },
      marker: { ...trace.marker, pattern: { ...trace.marker.pattern, shape } },
      showlegend: among.includes(true),
    };
  });
  const { axis } = panel.views[`${unit} ${scale}`];
  return { data, layout: { ...panel.row.layout, yaxis: axis, uirevision: `${unit} ${scale}` } };
}

/**
 * A panel that draws a coupling into `host`: the matrix with its switches, and below it the row of a block, which a click on
 * the block, or the list, chooses.
 * @param {HTMLElement} host
 * @param {PanelOptions<CouplingChoice>} options
 * @returns {PanelView<CouplingPanel | Blank>}
 */
export function couplingPanel(host, { id, chosen: given }) {
  /** @type {CouplingChoice} */
  const chosen = Object.assign(given, { unit: UNITS[0], scale: SCALES[0], block: null, ...given });
  const above = element("div"), below = element("div");
  const list = element("select", { id: `${id}-block`, "data-lm-suppress-shortcuts": "true" });
  const error = element("p", { class: "hess-subtitle", "aria-live": "polite" });
  const controls = element("div", { class: "hess-controls" }, [
    choice(`${id}-unit`, "Numbers", UNITS, chosen.unit, (value) => { chosen.unit = value; draw(); }),
    choice(`${id}-scale`, "Scale", SCALES, chosen.scale, (value) => { chosen.scale = value; draw(); }),
  ]);
  const row = element("div", {}, [
    element("div", { class: "hess-controls" }, [
      element("div", { class: "hess-control" }, [element("label", { for: list.id }, "Row of block"), list]), error,
    ]),
    below,
  ]);
  host.append(above, controls, row);
  const pick = (/** @type {string} */ name) => { chosen.block = name; draw(); };
  const pickPlace = (/** @type {number} */ place) => { if (panel?.figure) pick(panel.blocks[Math.round(place)]); };
  const matrix = figurePanel(above, { clicked: ({ y }) => pickPlace(y) });
  const bars = figurePanel(below, { clicked: ({ x }) => pickPlace(x) });
  list.addEventListener("change", () => pick(list.value));

  /** @type {CouplingPanel | Blank | null} */
  let panel = null;
  /** @type {Recolour} */
  let palette = (figure) => figure;
  let known = "";

  function draw() {
    if (!panel) return;
    controls.hidden = row.hidden = !panel.figure;
    if (panel.figure) drawCoupling(panel);
    else matrix.update(panel, palette);
  }

  /** @param {CouplingPanel} panel */
  function drawCoupling(panel) {
    const names = JSON.stringify(panel.blocks);
    if (names !== known) list.replaceChildren(...panel.blocks.map((name) => element("option", { value: name }, name)));
    known = names;
    const place = Math.max(panel.blocks.indexOf(chosen.block ?? ""), 0), name = panel.blocks[place];
    list.value = name;
    error.textContent = panel.errors[place];
    const made = matrixArrays(panel, chosen.unit, chosen.scale);
    const { data, layout } = panel.figure;
    const around = {
      type: "rect", xref: "x domain", yref: "y", x0: 0, x1: 1, y0: place - 0.5, y1: place + 0.5,
      line: { color: layout.template.layout.title.font.color, width: 1.5 },
    };
    matrix.update({ ...panel, figure: { data, layout: { ...layout, shapes: [around] } }, arrays: { matrix: made } }, palette);
    const title = `Responses of ${name} to each block`;
    const figure = rowFigure(panel, place, chosen.unit, chosen.scale);
    bars.update({ title, subtitle: panel.errors[place], message: "", warning: "", figure }, palette);
  }

  return {
    update(next, recolour) { panel = next; palette = recolour; draw(); },
    dispose() { matrix.dispose(); bars.dispose(); },
  };
}

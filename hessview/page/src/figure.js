// A panel for any figure of hessview/views as it was made: the page sets its size, its colours and its legend. Names inside
// it were escaped where the figure was made.

import { element, escaped, plainText } from "./elements.js";
import { nextFrame } from "./turns.js";

/** @import { Figure, TextPanel, Blank } from "./contract.d.ts" */
/** @typedef {Record<string, any>} Trace of plotly */
/** @typedef {Record<string, any>} Layout of plotly */
/** @typedef {(figure: Figure, own?: Record<string, string>) => Figure} Recolour from the light palette to what is worn; see view.js */
/** @typedef {(message: object) => void} Ask sends a message to the session */

/**
 * What a panel is made with: a prefix of its ids, what is chosen in it, which outlives it, and how to ask, if anybody can.
 * @template Chosen
 * @typedef {{ id: string, chosen: Partial<Chosen>, ask?: Ask }} PanelOptions
 */
/**
 * @template Panel
 * @typedef {{ update(panel: Panel, recolour: Recolour): void, dispose(): void }} PanelView
 */
/**
 * What a figure's panel draws.
 * @typedef {object} Drawable
 * @property {string} title
 * @property {string} [subtitle]
 * @property {string} [message]
 * @property {string} [warning]
 * @property {Figure | null} [figure]
 * @property {Record<string, string>} [dark]
 * @property {Record<string, object>} [arrays] of traces, by role or setting: without colours, large
 */

/** @type {Record<string, string>} */
const DASHES = { dash: "dashed", dot: "dotted" };
/** @type {Record<string, string>} */
const SIGNS = { "x-thin": "×", star: "★", "circle-open": "○" };
const NARROW = 560, BAR = 60; // pixels; a colour bar above the plot needs so much height
const SHORT = 14, LETTER = 15; // characters of a name on a narrow page, and pixels between slanted ones
const TITLE = 92, HEIGHT = 400; // the margin that a figure keeps for its title, and what it leaves

/**
 * What every plot offers; a name such as "$x$" is not to be typeset.
 * @param {string} name
 */
export function plotConfig(name) {
  return {
    displaylogo: false,
    typesetMath: false,
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
    toImageButtonOptions: { filename: `hessview-${name}`, scale: 2 },
  };
}

/**
 * Entries of the legend, in the figure's order and colours.
 * @param {Trace[]} data
 * @param {Trace[]} [shapes]
 */
function figureKey(data, shapes = []) {
  /** @type {Trace[]} */
  const lines = shapes.filter(({ showlegend }) => showlegend).map(({ name, line, fillcolor }) => ({ name, line, fillcolor, mode: "lines" }));
  const named = [...data, ...lines].filter((trace) => trace.name && trace.showlegend !== false);
  return named.sort((a, b) => (a.legendrank ?? 0) - (b.legendrank ?? 0)).map((trace) => {
    const swatch = element("span", { class: "hess-swatch hess-line", "aria-hidden": "true" });
    const { line, marker, mode = "", colorscale, fillcolor, opacity } = trace;
    if (colorscale || fillcolor) { // of one colour
      swatch.classList.replace("hess-line", "hess-area");
      Object.assign(swatch.style, { background: fillcolor ?? colorscale[0][1], opacity });
    } else if (mode.includes("lines")) {
      swatch.style.borderTop = `2px ${DASHES[line.dash] ?? "solid"} ${line.color}`;
      swatch.classList.toggle("hess-dot", mode.includes("markers"));
      swatch.style.color = line.color;
    } else {
      swatch.textContent = SIGNS[marker.symbol] ?? "●";
      swatch.style.color = marker.line?.color ?? marker.color;
    }
    return element("li", {}, [swatch, plainText(trace.name)]);
  });
}

/** @param {string} name */
function shortened(name) {
  return name.length > SHORT ? `…${name.slice(1 - SHORT)}` : name;
}

/** @typedef {HTMLElement & { on(event: string, heard: (told: { points: { x: any, y: any }[] }) => void): void }} Plot */

/**
 * A panel that draws a figure into `host`.
 * @param {HTMLElement} host
 * @param {{ clicked?: (point: { x: any, y: any }) => void }} [options] clicked is told the point of the figure that was
 *   clicked, as plotly has it
 * @returns {PanelView<Drawable>}
 */
export function figurePanel(host, { clicked } = {}) {
  const plot = element("div", { class: "hess-plot", role: "img" });
  const key = element("ul", { class: "hess-key", "aria-label": "Legend" });
  const warning = element("p", { class: "hess-warning" });
  const waiting = element("p", { class: "hess-waiting" });
  host.append(warning, key, plot, waiting);
  /** @type {Drawable | null} */
  let panel = null;
  /** @type {Recolour} */
  let palette = (figure) => figure;
  let across = 0, listening = false;
  const frame = nextFrame(draw);

  function draw() {
    const drawable = Boolean(panel?.figure);
    plot.hidden = key.hidden = !drawable;
    waiting.hidden = drawable;
    waiting.textContent = panel?.message ?? "";
    warning.textContent = panel?.warning ?? "";
    warning.hidden = !panel?.warning;
    across = plot.clientWidth || across; // JupyterLab hides all for a moment when its theme changes
    if (!panel?.figure || !across) return; // not on the page yet: the observer calls again
    const { arrays } = panel, { data: bare, layout } = palette(panel.figure, panel.dark);
    /** @type {Trace[]} */
    const data = bare.map((trace) => ({ ...trace, ...arrays?.[trace.meta.setting ?? trace.meta.role] }));
    const narrow = across < NARROW;
    key.replaceChildren(...figureKey(data, layout.shapes));
    plot.setAttribute("aria-label", [panel.title, panel.subtitle, panel.warning].filter(Boolean).join(". "));
    const bar = narrow && data.some((trace) => trace.colorbar);
    const height = (layout.height ?? HEIGHT + TITLE) - (layout.margin?.t ?? TITLE) + (bar ? BAR : 0);
    plot.style.minHeight = `${height}px`;
    Plotly.react(
      plot,
      narrow ? data.map(slim) : data,
      {
        ...layout,
        ...(narrow ? slimAxes(layout, across) : {}),
        width: across,
        height,
        margin: { l: 56, r: 12, t: 10, b: 44 },
        showlegend: false, // the page's own wraps better
        uirevision: layout.uirevision ?? "same", // a zoom outlives updates
      },
      plotConfig(panel.title.toLowerCase().replaceAll(" ", "-")),
    );
    if (clicked && !listening) /** @type {Plot} */ (/** @type {unknown} */ (plot)).on("plotly_click", ({ points }) => clicked(points[0]));
    listening = true;
  }

  const observer = new ResizeObserver(frame.ask);
  observer.observe(host);
  return {
    update(next, recolour) { panel = next; palette = recolour; frame.ask(); },
    dispose() { observer.disconnect(); frame.drop(); Plotly.purge(plot); },
  };
}

/**
 * On a narrow page a colour bar lies above the plot, where it takes no width.
 * @param {Trace} trace
 */
function slim(trace) {
  if (!trace.colorbar) return trace;
  const title = { ...trace.colorbar.title, side: "top", font: { size: 11 } };
  const lying = { orientation: "h", x: 0, xanchor: "left", len: 0.72, y: 1, yanchor: "bottom", thickness: 8, ypad: 4 };
  return { ...trace, colorbar: { ...trace.colorbar, ...lying, title, tickfont: { size: 10 } } };
}

/**
 * On a narrow page axes speak in a smaller type, and of long and many names a part is left.
 * @param {Layout} layout
 * @param {number} across
 */
function slimAxes(layout, across) {
  const smaller = (/** @type {string} */ name, /** @type {Layout} */ { title, tickvals, ticktext, ...axis }) => {
    const every = name === "xaxis" && ticktext ? Math.ceil((LETTER * ticktext.length) / (0.4 * across)) : 1;
    const kept = (/** @type {unknown} */ _, /** @type {number} */ i) => i % every === 0;
    const names = ticktext && {
      tickvals: tickvals.filter(kept),
      ticktext: ticktext.filter(kept).map((/** @type {string} */ text) => escaped(shortened(plainText(text)))),
    };
    return { ...axis, ...names, title: { ...title, font: { size: 11 } }, tickfont: { size: 10, ...axis.tickfont } };
  };
  const axes = Object.entries(layout).filter(([name]) => /^[xy]axis/.test(name));
  return Object.fromEntries(axes.map(([name, axis]) => [name, smaller(name, axis)]));
}

/**
 * A panel that shows a table made of text.
 * @param {HTMLElement} host
 * @returns {PanelView<TextPanel | Blank>}
 */
export function textPanel(host) {
  const table = element("pre", { class: "hess-text", tabindex: "0" });
  const waiting = element("p", { class: "hess-waiting" });
  host.append(table, waiting);
  return {
    update(panel) {
      const text = "text" in panel ? panel.text : "";
      table.textContent = text;
      table.hidden = !text;
      table.setAttribute("aria-label", panel.title);
      waiting.textContent = panel.message;
      waiting.hidden = Boolean(text);
    },
    dispose() {},
  };
}

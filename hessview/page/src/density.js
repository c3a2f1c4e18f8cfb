// A density: what its controls move, which steps and probes are in, and its panel, which is redrawn with every move of a
// control, without a kernel. The arrays repeat hessview/views/density.py; a test holds them equal.

import { axisFor, between, broaden, defaultSigma, eigenvalueAxis, extent, gridOf } from "./broadening.js";
import { LOCATED } from "./constants.js";
import { axesChoice, chips, slider, widthSlider } from "./controls.js";
import { bottomOf, densityAxis, drawnRows, outermost, sayCopies, seen, spread, unresolved } from "./curves.js";
import { element } from "./elements.js";
import { plotConfig } from "./figure.js";
import { quadraturesOfProbes } from "./quadrature.js";
import { nextFrame } from "./turns.js";

/** @import { Axis, Curve } from "./broadening.js" */
/** @import { DensityPanel, Figure, Probe } from "./contract.d.ts" */
/** @import { Row, Spread } from "./curves.js" */
/** @import { Layout, PanelOptions, PanelView, Recolour, Trace } from "./figure.js" */

/**
 * What is chosen in a density's controls.
 * @typedef {object} DensityChoice
 * @property {string} axis "linear" or "symlog"
 * @property {string} scale of the density: "log" or "linear"
 * @property {number} widening sigma = default * 10^widening
 * @property {number | null} steps null follows the newest
 * @property {number[]} out probes that are left out
 */
/** @typedef {Omit<DensityPanel, "kind" | "again" | "shares">} Density a density's panel, or what another panel shows as one */
/** @typedef {{ [Key in keyof Density]?: Density[Key] | null }} PartOfDensity which may be not there yet */

/**
 * Everything in the figure that moves with the controls: traces by role, and the two axes.
 * @param {ReturnType<typeof drawnRows>} drawn
 * @param {object} options
 * @param {string} options.axis
 * @param {string} options.scale
 * @param {number | null} [options.sigma]
 * @param {number} [options.widening]
 * @param {boolean} [options.over] whether nothing more can arrive
 * @param {number[][] | null} [options.marks] smallest and largest eigenvalue with their uncertainties, of a whole run
 */
export function arrays({ rows, longest }, { axis: name, sigma: width = null, widening = 0, scale, over = false, marks = null }) {
  const nodes = rows.flatMap((row) => row.nodes), axis = axisFor(name, nodes);
  const sigma = width ?? defaultSigma(axis, nodes, longest) * 10 ** widening;
  const at = gridOf(axis, nodes, sigma);
  const curve = (/** @type {Row} */ row) => broaden(axis, row.nodes, row.weights, at, sigma);
  const whole = rows.filter((row) => row.whole), last = rows.filter((row) => !row.whole).at(-1);
  const curves = { ...spread(whole.map(curve)), unfinished: last ? curve(last) : [] };
  const { located, unlocated } = heads(rows.filter((row) => row.whole || row === last), axis, at, curves);
  const markers = [unlocated, located];
  const top = Math.max(...Object.values(curves).map((y) => Math.max(extent(y)[1], 0)));
  const { bottom, floor } = bottomOf(scale, extent(markers.flatMap((head) => head.y))[0], top);
  const eigenvalues = Array.from(at, axis.eigenvalue);
  /** @type {Record<string, string>} */
  const label = {
    low: "", high: "lowest to highest probe",
    mean: whole.length > 1 ? `mean of ${whole.length} probes` : "1 probe",
    unfinished: last ? `probe ${last.probe + 1}, ${over ? "ended " : ""}at step ${last.length}` : "",
  };
  const marked = marks ?? outermost(rows), [least, most] = extent(nodes);
  const [first, end] = seen(axis, at, [Math.min(marked[0][0] - marked[0][1], least), Math.max(marked[1][0] + marked[1][1], most)]);
  /** @type {Record<string, Trace>} */
  const traces = { located, unlocated };
  for (const [role, y] of Object.entries(curves)) {
    traces[role] = y.length
      ? { x: at.slice(first, end), y: y.slice(first, end).map((value) => Math.max(value, floor)), customdata: eigenvalues.slice(first, end) }
      : { x: [], y: [], customdata: [] };
    Object.assign(traces[role], { name: label[role], showlegend: Boolean(y.length && label[role]) });
  }
  traces.extremes = extremeMarks(axis, marked, scale === "log" ? bottom : 0, marks ? "uncertainty" : "residual bound");
  traces.stems = {
    x: markers.flatMap((head) => head.x.flatMap((x) => [x, x, null])),
    y: markers.flatMap((head) => head.y.flatMap((y) => [floor, y, null])),
  };
  return { traces, sigma, xaxis: eigenvalueAxis(axis, nodes), yaxis: densityAxis(scale, bottom, top), ...unresolved(axis) };
}

/**
 * Marks of the extremes on the axis, with error bars along it.
 * @param {Axis} axis
 * @param {number[][]} marked
 * @param {number} floor
 * @param {string} bound
 */
function extremeMarks(axis, marked, floor, bound) {
  const x = marked.map(([value]) => axis.coordinate(value));
  return {
    x, y: [floor, floor], customdata: marked, name: `extremes and their ${bound}`,
    error_x: {
      type: "data", symmetric: false, thickness: 1.5, width: 4,
      array: marked.map(([value, by], i) => axis.coordinate(value + by) - x[i]),
      arrayminus: marked.map(([value, by], i) => x[i] - axis.coordinate(value - by)),
    },
    hovertemplate: `λ %{customdata[0]:.5~g}, ${bound} %{customdata[1]:.2~g}<extra>%{fullData.name}</extra>`,
  };
}

/**
 * Ritz values beyond the unresolved strip, on the curve that each is part of.
 * @param {Row[]} rows
 * @param {Axis} axis
 * @param {Curve} at
 * @param {Spread & { unfinished: Curve | never[] }} curves
 */
function heads(rows, axis, at, curves) {
  const made = { unlocated: marks(), located: marks() };
  for (const { probe, nodes, weights, residuals, copies, whole } of rows) {
    const curve = /** @type {Curve} */ (whole ? curves.mean : curves.unfinished);
    nodes.forEach((node, k) => {
      if (!(Math.abs(node) > axis.scale)) return;
      const head = residuals[k] <= LOCATED * Math.abs(node) ? made.located : made.unlocated;
      const x = axis.coordinate(node);
      head.x.push(x);
      head.y.push(between(at, curve, x));
      head.customdata.push([node, weights[k], residuals[k], probe + 1, Number(whole), copies[k] > 1 ? `, ${copies[k]} copies merged` : ""]);
    });
  }
  for (const head of Object.values(made)) head.showlegend = head.x.length > 0;
  return made;
}

/** @returns {{ x: number[], y: number[], customdata: (number | string)[][], showlegend: boolean }} */
function marks() {
  return { x: [], y: [], customdata: [], showlegend: false };
}

/**
 * Plotly's layout of a density: the figure's own, the page's size, and what the controls move.
 * @param {Layout} layout
 * @param {DensityChoice} chosen
 * @param {number} across
 * @param {ReturnType<typeof arrays>} made
 */
function densityLayout(layout, chosen, across, { xaxis, yaxis, edge, strip }) {
  const [unresolved, ...others] = layout.shapes;
  return {
    ...layout,
    height: across < 560 ? 340 : 400,
    width: across,
    margin: { l: 56, r: 12, t: 8, b: 44 },
    showlegend: false, // the page's own wraps better
    xaxis: { ...layout.xaxis, ...xaxis },
    yaxis: { ...layout.yaxis, ...yaxis },
    shapes: [{ ...unresolved, name: strip, x0: -edge, x1: edge }, ...others],
    uirevision: `${chosen.axis} ${chosen.scale}`, // a zoom outlives updates, not another axis
  };
}

/**
 * A trace with what the controls move; its error bars keep their colour.
 * @param {Trace} trace
 * @param {Trace} moved
 * @returns {Trace}
 */
function withArrays(trace, moved) {
  const made = { ...trace, ...moved };
  return trace.error_x ? { ...made, error_x: { ...trace.error_x, ...moved.error_x } } : made;
}

/**
 * Entries of a density's legend, in the figure's order and colours.
 * @param {Trace[]} data
 * @param {Trace[]} shapes
 */
function densityKey(data, shapes) {
  const named = [...data, ...shapes].filter((entry) => entry.showlegend);
  return named.sort((a, b) => a.legendrank - b.legendrank).map((entry) => {
    const swatch = element("span", { class: "hess-swatch", "aria-hidden": "true" });
    const kind = entry.fillcolor ? "area" : entry.mode;
    swatch.classList.add(`hess-${kind}`);
    if (kind === "area") swatch.style.background = entry.fillcolor;
    if (kind === "lines") swatch.style.borderTop = `2px ${entry.line.dash ? "dotted" : "solid"} ${entry.line.color}`;
    if (kind === "markers") {
      swatch.style.background = entry.marker.color;
      swatch.style.border = `1.5px solid ${entry.marker.line.color}`;
    }
    return element("li", {}, [swatch, entry.name]);
  });
}

/**
 * A panel that draws a density into `host`, with controls that stay as they are on updates.
 * @param {HTMLElement} host
 * @param {PanelOptions<DensityChoice>} options
 * @returns {PanelView<PartOfDensity>}
 */
export function densityPanel(host, { id, chosen: given }) {
  /** @type {DensityChoice} */
  const chosen = Object.assign(given, { axis: "linear", scale: "log", widening: 0, steps: null, out: [], ...given });
  const plot = element("div", { class: "hess-plot", role: "img" });
  const key = element("ul", { class: "hess-key", "aria-label": "Legend" });
  const waiting = element("p", { class: "hess-waiting" });
  const part = element("p", { class: "hess-part" });
  const frame = nextFrame(draw);
  const width = widthSlider(`${id}-sigma`, chosen, frame.ask);
  const steps = slider(
    `${id}-steps`, "Lanczos steps", { min: "1", step: "1" },
    { label: "all", title: "All steps that are measured, and those that arrive" },
    (value) => { chosen.steps = value === Number(steps.input.max) ? null : value; frame.ask(); },
    () => { chosen.steps = null; frame.ask(); },
  );
  const probes = chips("Probes", (text) => `Probe ${text}`, (out) => { chosen.out = out; frame.ask(); });
  const controls = element("div", { class: "hess-controls" }, [
    width.root, steps.root, probes.root, ...axesChoice(id, chosen, frame.ask),
  ]);
  host.append(key, part, plot, waiting, controls);

  /** @type {PartOfDensity} */
  let panel = {};
  /** @type {Recolour} */
  let palette = (figure) => figure;
  let across = 0;
  const known = quadraturesOfProbes();

  function draw() {
    const drawable = Boolean(panel.figure);
    plot.hidden = key.hidden = controls.hidden = !drawable;
    waiting.hidden = drawable;
    waiting.textContent = panel.message ?? "";
    across = plot.clientWidth || across; // JupyterLab hides all for a moment when its theme changes
    part.hidden ||= !drawable;
    if (!drawable || !across) return; // not on the page yet: the observer calls again
    drawDensity(/** @type {Density} */ (panel));
  }

  /** @param {Density} panel */
  function drawDensity(panel) {
    const drawn = drawnRows(panel, chosen, known.rules);
    const shown = showChoice(panel, drawn.rows);
    const made = arrays(drawn, { ...chosen, over: panel.over, marks: shown ? null : panel.marks });
    const words = width.show(made.sigma);
    const { data, layout } = palette(panel.figure);
    const traces = data.map((trace) => withArrays(trace, made.traces[trace.meta.role]));
    const laid = densityLayout(layout, chosen, across, made);
    key.replaceChildren(...densityKey(traces, laid.shapes));
    plot.setAttribute("aria-label", `${[panel.title, panel.subtitle, shown].filter(Boolean).join(". ")}. Kernel width ${words}.`);
    Plotly.react(plot, traces, laid, plotConfig("density"));
  }

  /**
   * Show what is in, and say so where it is a part: the tiles tell of the whole run.
   * @param {Density} panel
   * @param {Row[]} rows
   */
  function showChoice(panel, rows) {
    const most = Math.max(...panel.probes.map(({ alpha }) => alpha.length));
    const count = Math.min(chosen.steps ?? most, most), begun = panel.probes.length;
    steps.input.max = String(most);
    steps.show(count, `${count} of ${most}`, `${count} of ${most} steps`, chosen.steps === null);
    steps.root.hidden = most === 1;
    const known = new Set(panel.probes.map(({ probe }) => probe));
    const entries = panel.all.map((value) => ({ value, text: String(value + 1), dead: !known.has(value) }));
    probes.show(entries, rows.length === begun ? [] : chosen.out);
    probes.root.hidden = entries.length === 1;
    const parts = [];
    if (count < most) parts.push(`${count} of ${most} steps`);
    if (rows.length < begun) parts.push(`${rows.length} of ${begun} probes`);
    const copies = sayCopies(rows), text = parts.length ? `${parts.join(", ")} are drawn${copies && `, ${copies}`}` : "";
    part.textContent = text && `${text}; the numbers above are those of the whole run.`;
    part.hidden = !text;
    return text;
  }

  const observer = new ResizeObserver(frame.ask);
  observer.observe(host);
  return {
    update(next, recolour) {
      panel = next;
      palette = recolour;
      known.update(panel.probes ?? []);
      frame.ask();
    },
    dispose() { observer.disconnect(); frame.drop(); Plotly.purge(plot); },
  };
}

/**
 * The spectrum at one setting of a figure, below it: a density with all its controls.
 * @param {string} id
 * @param {Partial<DensityChoice>} chosen what is chosen in its controls, which stays from setting to setting
 */
export function spectrumView(id, chosen) {
  const title = element("h4"), subtitle = element("p", { class: "hess-subtitle" }), body = element("div");
  const curve = densityPanel(body, { id: `${id}-density`, chosen });
  return {
    root: element("div", { class: "hess-spectrum" }, [title, subtitle, body]),
    /**
     * @param {string} words its title
     * @param {{ subtitle: string, probes?: Probe[] | null, message?: string }} one what it has of its own
     * @param {{ figure?: Figure }} shared what it has in common with others
     * @param {Recolour} recolour
     */
    show(words, one, shared, recolour) {
      title.textContent = words;
      subtitle.textContent = one.subtitle;
      curve.update({ title: words, message: "", ...(one.probes ? shared : {}), ...one }, recolour);
    },
    dispose: curve.dispose,
  };
}

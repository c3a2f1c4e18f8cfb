// Spectra of a sweep over each other, computed in the page. It repeats the arrays of hessview/views/sweep.py; a test holds
// them equal.

import { axisFor, broaden, defaultSigma, eigenvalueAxis, extent, gridOf } from "./broadening.js";
import { AROUND } from "./constants.js";
import { axesChoice, widthSlider } from "./controls.js";
import { bottomOf, densityAxis, drawnRows, faintest, meanOf, outermost, seen, unresolved } from "./curves.js";
import { quadraturesOfProbes } from "./quadrature.js";
import { settingsPanel } from "./settings.js";
import { nextFrame } from "./turns.js";

/** @import { Blank, SweepPanel } from "./contract.d.ts" */
/** @import { PanelOptions, PanelView, Recolour } from "./figure.js" */
/** @import { Rules } from "./quadrature.js" */
/** @import { SettingsChoice } from "./settings.js" */
/** @typedef {{ axis: string, scale: string, sigma?: number | null, widening?: number }} CurveOptions sigma: other than that of the widening */
/** @typedef {SettingsChoice & { axis: string, scale: string, widening: number }} SweepChoice */

/**
 * Curves of the settings, by setting, and both axes.
 * @param {SweepPanel} panel
 * @param {CurveOptions} options
 * @param {(place: number) => Rules | undefined} [rulesOf] gives the quadratures of a setting, by its place in the panel
 */
export function sweptCurves({ spectra, reference, figure }, { axis: name, sigma: width = null, widening = 0, scale }, rulesOf = () => undefined) {
  const parts = spectra.map((one, place) => {
    const { rows, longest } = drawnRows(one, {}, rulesOf(place));
    const whole = rows.filter((row) => row.whole);
    return { setting: figure.data[place].meta.setting, whole, nodes: whole.flatMap((row) => row.nodes), longest };
  });
  const base = parts[reference], axis = axisFor(name, base.nodes);
  const sigma = width ?? defaultSigma(axis, base.nodes, base.longest) * 10 ** widening;
  const [low, high] = extent([0, ...base.nodes]), beyond = AROUND * (high - low);
  const near = parts.flatMap(({ nodes }) => nodes).filter((node) => node >= low - beyond && node <= high + beyond);
  const at = gridOf(axis, near, sigma);
  let top = 0, lowest = Infinity;
  const curves = parts.map(({ whole, nodes }) => {
    const mean = meanOf(whole.map((row) => broaden(axis, row.nodes, row.weights, at, sigma)));
    top = Math.max(top, extent(mean)[1]);
    lowest = Math.min(lowest, faintest(axis, at, mean, nodes));
    return mean;
  });
  const { bottom, floor } = bottomOf(scale, lowest, top);
  const customdata = Array.from(at, axis.eigenvalue);
  const traces = curves.map((curve, place) => {
    const [[low, below], [high, above]] = outermost(parts[place].whole);
    const [first, end] = seen(axis, at, [low - below, high + above]);
    const y = curve.slice(first, end).map((value) => Math.max(value, floor));
    return [parts[place].setting, { x: at.slice(first, end), y, customdata: customdata.slice(first, end) }];
  });
  return {
    traces: Object.fromEntries(traces), sigma, xaxis: eigenvalueAxis(axis, near), yaxis: densityAxis(scale, bottom, top), ...unresolved(axis),
  };
}

/**
 * A settings' panel whose curves have a kernel width and axes of their own.
 * @param {HTMLElement} host
 * @param {PanelOptions<SweepChoice>} options
 * @returns {PanelView<SweepPanel | Blank>}
 */
export function sweepPanel(host, { id, chosen: given, ask }) {
  const chosen = Object.assign(given, { axis: "linear", scale: "log", widening: 0, ...given });
  const frame = nextFrame(draw);
  const width = widthSlider(`${id}-sigma`, chosen, frame.ask);
  const settings = settingsPanel(host, { id, chosen, ask, beside: [width.root, ...axesChoice(id, chosen, frame.ask)] });
  /** @type {Map<number, ReturnType<typeof quadraturesOfProbes>>} */
  const known = new Map();
  /** @type {SweepPanel | Blank | null} */
  let panel = null;
  /** @type {Recolour} */
  let palette = (figure) => figure;

  function draw() {
    if (!panel) return;
    if (!panel.figure) {
      settings.update(panel, palette);
      return;
    }
    const { spectra } = panel;
    const made = sweptCurves(panel, chosen, (place) => known.get(spectra[place].at)?.rules);
    width.show(made.sigma);
    const { data, layout } = panel.figure, [strip, ...others] = layout.shapes;
    settings.update({
      ...panel,
      arrays: made.traces,
      figure: {
        data,
        layout: {
          ...layout,
          xaxis: { ...layout.xaxis, ...made.xaxis },
          yaxis: { ...layout.yaxis, ...made.yaxis },
          shapes: [{ ...strip, name: made.strip, x0: -made.edge, x1: made.edge }, ...others],
          uirevision: `${chosen.axis} ${chosen.scale}`, // a zoom outlives updates, not another axis
        },
      },
    }, palette);
  }

  return {
    update(next, recolour) {
      panel = next;
      palette = recolour;
      for (const { at, probes } of panel.figure ? panel.spectra : []) {
        const own = known.get(at) ?? quadraturesOfProbes();
        known.set(at, own);
        own.update(probes);
      }
      draw();
    },
    dispose() { frame.drop(); settings.dispose(); },
  };
}

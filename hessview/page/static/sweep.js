// Spectra of a sweep over each other, computed in the page. It repeats the arrays of
// hessview/views/sweep.py; a browser test holds them equal.

const AROUND = 0.3; // share of the reference's extent, zero in it, that is shown on either side

/**
 * Curves of the settings, by setting, and both axes.
 * @param rulesOf gives the quadratures of a setting (by its place in the panel)
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
    const { mean } = spread(whole.map((row) => broaden(axis, row.nodes, row.weights, at, sigma)));
    top = mean.reduce((a, b) => Math.max(a, b), top);
    for (const x of nodes.filter((node) => Math.abs(node) > axis.scale).map(axis.coordinate)) {
      if (x >= at[0] && x <= at.at(-1)) lowest = Math.min(lowest, between(at, mean, x));
    }
    return mean;
  });
  const bottom = Math.max(Math.min(lowest, top * 1e-4) / 4, top * ROUNDING), floor = scale === "log" ? bottom / MARGIN : 0;
  const customdata = Array.from(at, axis.eigenvalue);
  const traces = curves.map((curve, place) => {
    const [[low, below], [high, above]] = outermost(parts[place].whole);
    const [first, end] = seen(axis, at, [low - below, high + above]);
    const y = curve.slice(first, end).map((value) => Math.max(value, floor));
    return [parts[place].setting, { x: at.slice(first, end), y, customdata: customdata.slice(first, end) }];
  });
  return {
    traces: Object.fromEntries(traces), sigma, xaxis: xAxis(axis, near), yaxis: yAxis(scale, bottom, top),
    edge: axis.coordinate(axis.scale), strip: `not resolved: |λ| < ${rounded(axis.scale)}`,
  };
}

/** A settings' panel whose curves have a kernel width and axes of their own. */
export function sweepPanel(host, { id, chosen, ask }) {
  Object.assign(chosen, { axis: "linear", scale: "log", widening: 0, ...chosen });
  const width = widthSlider(`${id}-sigma`, chosen, schedule);
  const settings = settingsPanel(host, { id, chosen, ask, beside: [width.root, ...axesChoice(id, chosen, schedule)] });
  const caches = new Map();
  const rulesOf = (place) => (probe, count) => caches.get(panel.spectra[place].at)[probe].at(count);
  let panel = null, palette = null, pending = 0;

  function schedule() {
    if (!pending) pending = requestAnimationFrame(() => { pending = 0; draw(); });
  }

  function draw() {
    if (!panel.figure) return settings.update(panel, palette);
    const { traces, sigma, xaxis, yaxis, edge, strip } = sweptCurves(panel, chosen, rulesOf);
    width.show(sigma);
    const { data, layout } = panel.figure, [unresolved, ...others] = layout.shapes;
    return settings.update({
      ...panel,
      arrays: traces,
      figure: {
        data,
        layout: {
          ...layout,
          xaxis: { ...layout.xaxis, ...xaxis },
          yaxis: { ...layout.yaxis, ...yaxis },
          shapes: [{ ...unresolved, name: strip, x0: -edge, x1: edge }, ...others],
          uirevision: `${chosen.axis} ${chosen.scale}`, // a zoom outlives updates, not another axis
        },
      },
    }, palette);
  }

  return {
    update(next, recolour) {
      panel = next;
      palette = recolour;
      for (const { at, probes } of panel.spectra ?? []) {
        if (!caches.has(at)) caches.set(at, []);
        probes.forEach((probe, place) => (caches.get(at)[place] ??= quadratures()).update(probe));
      }
      draw();
    },
    dispose() { cancelAnimationFrame(pending); settings.dispose(); },
  };
}

// Curvature during training: spectra over the training step, and the one at the step that is chosen.

const LEAST_ROWS = 241, MOST_ROWS = 961, DECADES = 8; // of the heatmap; see views/training.py

/** The heatmap's arrays, and its eigenvalue axis: see views/training.py, which it repeats. */
export function heatmapOf(spectra, { axis: name, sigma: given = null, widening = 0 }, rulesOf = () => undefined) {
  const whole = spectra.map((one, place) => (one.probes ? drawnRows(one, {}, rulesOf(place)).rows.filter((row) => row.whole) : []));
  const nodes = whole.flat().flatMap((row) => row.nodes), axis = axisFor(name, nodes);
  const least = Math.min(...whole.flat().map((row) => row.length));
  const sigma = given ?? defaultSigma(axis, nodes, least) * 10 ** widening, width = axis.width(sigma);
  const [first, last] = extent(nodes.map(axis.coordinate));
  const beyond = Math.max((REACH / 2) * width, PADDING * (last - first)), low = first - beyond, high = last + beyond;
  const wanted = Math.round((POINTS_PER_SIGMA * (high - low)) / width) + 1;
  const count = Math.min(Math.max(wanted, LEAST_ROWS), MOST_ROWS);
  const y = Float64Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));
  const densityAt = (rows, at) => spread(rows.map((row) => broaden(axis, row.nodes, row.weights, at, sigma))).mean;
  const columns = whole.map((rows) => (rows.length ? densityAt(rows, y) : null));
  const largest = Math.max(...columns.filter(Boolean).map((column) => extent(column)[1]));
  const faintest = whole.map((rows) => {
    const outer = rows.flatMap((row) => row.nodes).filter((node) => Math.abs(node) > axis.scale);
    return outer.length ? extent(densityAt(rows, Float64Array.from(outer, axis.coordinate).sort()))[0] : Infinity;
  });
  const zmax = Math.log10(largest), lowest = Math.min(...faintest);
  const zmin = Math.max(lowest < Infinity ? Math.log10(lowest) - 0.5 : -Infinity, zmax - DECADES);
  const colour = (value) => Math.log10(Math.max(value, 10 ** zmin));
  const customdata = Array.from(y, (at) => columns.map(() => axis.eigenvalue(at)));
  const z = Array.from(y, (_, i) => columns.map((column) => column && colour(column[i])));
  const strip = `not resolved: |λ| < ${rounded(axis.scale)}`;
  return { heat: { y, z, customdata, zmin, zmax }, sigma, yaxis: xAxis(axis, nodes), edge: axis.coordinate(axis.scale), strip };
}

/** A panel that draws a training into `host`; a click on the figure chooses a step, as the slider does. */
export function trainingPanel(host, { id, chosen }) {
  Object.assign(chosen, { step: null, density: {}, axis: "symlog", widening: 0, ...chosen }); // null follows the last
  const above = element("div");
  const pick = (step) => { chosen.step = step === panel.steps.at(-1) ? null : step; draw(); };
  const nearest = (at) => panel.steps.reduce((a, b) => (Math.abs(b - at) < Math.abs(a - at) ? b : a));
  const heat = figurePanel(above, { clicked: ({ x }) => pick(nearest(x)) });
  const width = widthSlider(`${id}-sigma`, chosen, schedule), [axis] = axesChoice(id, chosen, schedule);
  const spectrum = spectrumView(id, chosen.density);
  const last = { label: "last", title: "The last training step, and those that arrive" };
  const along = slider(`${id}-step`, "Training step", { min: "0", step: "1" }, last, (place) => pick(panel.steps[place]), () => pick(panel.steps.at(-1)));
  host.append(above, element("div", { class: "hess-controls" }, [along.root, width.root, axis]), spectrum.root);

  const caches = new Map();
  const rulesOf = (place) => (probe, count) => caches.get(panel.steps[place])[probe].at(count);
  let panel = null, palette = null, pending = 0, made = null;

  function schedule() {
    if (!pending) pending = requestAnimationFrame(() => { pending = 0; compute(); draw(); });
  }

  function compute() {
    made = heatmapOf(panel.spectra, chosen, rulesOf);
    width.show(made.sigma);
  }

  function draw() {
    const known = panel.steps.indexOf(chosen.step), place = known < 0 ? panel.steps.length - 1 : known;
    const step = panel.steps[place];
    along.input.max = String(panel.steps.length - 1);
    along.show(place, String(step), `training step ${step}`, place === panel.steps.length - 1);
    const { data, layout } = panel.figure;
    const line = {
      type: "line", xref: "x", yref: "paper", x0: step, x1: step, y0: 0, y1: 1,
      line: { color: layout.template.layout.title.font.color, width: 1.25 },
    };
    const edges = layout.shapes.map((shape, i) => ({ ...shape, name: made.strip, y0: (2 * i - 1) * made.edge, y1: (2 * i - 1) * made.edge }));
    const laid = { ...layout, yaxis: { ...layout.yaxis, ...made.yaxis }, shapes: [...edges, line], uirevision: chosen.axis };
    heat.update({ ...panel, figure: { data, layout: laid }, arrays: { spectra: made.heat } }, palette);
    spectrum.show(`Spectrum at training step ${step}`, panel.spectra[place], panel.density, palette);
  }

  return {
    update(next, recolour) {
      panel = next;
      palette = recolour;
      panel.spectra.forEach(({ probes = [] }, place) => {
        const step = panel.steps[place];
        if (!caches.has(step)) caches.set(step, []);
        probes.forEach((probe, one) => (caches.get(step)[one] ??= quadratures()).update(probe));
      });
      compute();
      draw();
    },
    dispose() { cancelAnimationFrame(pending); heat.dispose(); spectrum.dispose(); },
  };
}

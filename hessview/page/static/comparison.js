// Spectra of several runs over each other, computed in the page. It repeats the arrays of
// hessview/views/compare.py; a browser test holds them equal.

/** The quadratures that make a run's curve: of whole probes, else of the longest. */
function curveRows(run, rules) {
  const { rows, longest } = drawnRows(run, {}, rules);
  const whole = rows.filter((row) => row.whole);
  const furthest = rows.reduce((a, b) => (b.length > a.length ? b : a));
  return { all: rows, shown: whole.length ? whole : [furthest], longest };
}

/** Curves of the runs that are in, by their place, and both axes. */
export function overlay(runs, { axis: name, sigma: width = null, widening = 0, scale, out = [] }, rulesOf = () => undefined) {
  const parts = runs.map((run, place) => ({ place, ...curveRows(run, rulesOf(place)) })).filter(({ place }) => !out.includes(place));
  const nodes = parts.flatMap(({ all }) => all.flatMap((row) => row.nodes)), axis = axisFor(name, nodes);
  for (const part of parts) part.own = defaultSigma(axis, part.all.flatMap((row) => row.nodes), part.longest);
  const fine = parts.filter(({ place }) => !runs[place].coarse);
  const sigma = width ?? Math.max(...(fine.length ? fine : parts).map(({ own }) => own)) * 10 ** widening;
  const at = gridOf(axis, nodes, sigma), curves = new Map();
  let top = 0, lowest = Infinity;
  for (const { place, shown, own } of parts) {
    const wide = runs[place].coarse && width === null ? Math.max(own * 10 ** widening, sigma) : sigma;
    const { mean } = spread(shown.map((row) => broaden(axis, row.nodes, row.weights, at, wide)));
    curves.set(place, mean);
    top = mean.reduce((a, b) => Math.max(a, b), top);
    for (const node of shown.flatMap((row) => row.nodes).filter((one) => Math.abs(one) > axis.scale)) {
      lowest = Math.min(lowest, between(at, mean, axis.coordinate(node)));
    }
  }
  const bottom = Math.max(Math.min(lowest, top * 1e-4) / 4, top * ROUNDING), floor = scale === "log" ? bottom / MARGIN : 0;
  const customdata = Array.from(at, axis.eigenvalue);
  const traces = runs.map(({ ends }, place) => {
    if (!curves.has(place)) return { x: [], y: [], customdata: [], showlegend: false };
    const [first, end] = seen(axis, at, ends);
    const y = curves.get(place).slice(first, end).map((value) => Math.max(value, floor));
    return { x: at.slice(first, end), y, customdata: customdata.slice(first, end), showlegend: true };
  });
  const strip = `not resolved: |λ| < ${rounded(axis.scale)}`;
  return { traces, sigma, xaxis: xAxis(axis, nodes), yaxis: yAxis(scale, bottom, top), edge: axis.coordinate(axis.scale), strip };
}

/** A panel that draws them into `host`, with a table and controls that stay as they are on updates. */
export function comparisonPanel(host, { id, chosen }) {
  Object.assign(chosen, { axis: "linear", scale: "log", widening: 0, out: [], ...chosen });
  const body = element("div"), figure = figurePanel(body), caches = [];
  const rulesOf = (place) => (probe, count) => ((caches[place] ??= [])[probe] ??= quadratures()).at(count);
  const width = widthSlider(`${id}-sigma`, chosen, schedule);
  const runs = chips("Runs", (text) => `Run ${text}`, (out) => { chosen.out = out; schedule(); });
  const controls = element("div", { class: "hess-controls" }, [width.root, ...axesChoice(id, chosen, schedule), runs.root]);
  const head = element("tr"), rows = element("tbody");
  const table = element("div", { class: "hess-picked", tabindex: "0", role: "region", "aria-label": "Distances and extremes" }, [
    element("table", {}, [element("thead", {}, head), rows]),
  ]);
  host.append(body, controls, table);
  let panel = null, palette = null, pending = 0;

  function schedule() {
    if (!pending) pending = requestAnimationFrame(() => { pending = 0; draw(); });
  }

  function draw() {
    const entries = panel.runs.map(({ label }, value) => ({ value, text: label, dead: false }));
    const out = chosen.out.filter((place) => place < entries.length);
    runs.show(entries, out);
    const { traces, sigma, xaxis, yaxis, edge, strip } = overlay(panel.runs, { ...chosen, out }, rulesOf);
    width.show(sigma);
    const { data, layout } = panel.figure;
    figure.update({
      ...panel,
      arrays: { ...traces },
      figure: {
        data: data.map((trace, place) => ({ ...trace, meta: { ...trace.meta, role: place } })),
        layout: {
          ...layout,
          xaxis: { ...layout.xaxis, ...xaxis },
          yaxis: { ...layout.yaxis, ...yaxis },
          shapes: [{ ...layout.shapes[0], name: strip, x0: -edge, x1: edge }],
        },
      },
    }, palette);
  }

  return {
    update(next, recolour) {
      panel = next;
      palette = recolour;
      panel.runs.forEach(({ probes }, place) => {
        const known = (caches[place] ??= []);
        probes.forEach((probe, one) => (known[one] ??= quadratures()).update(probe));
      });
      head.replaceChildren(...panel.head.map((name) => element("th", { scope: "col" }, name)));
      rows.replaceChildren(...panel.rows.map(tableRow));
      schedule();
    },
    dispose() { cancelAnimationFrame(pending); figure.dispose(); },
  };
}

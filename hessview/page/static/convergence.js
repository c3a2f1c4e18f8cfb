// How the extreme Ritz values of a probe settle, computed in the page from its coefficients. It
// repeats the arrays of hessview/views/convergence.py; a browser test holds them equal.

const MOST_TICKS = 6, EDGE = 0.04; // of the bounds' axis: most of them, and the share beyond the outermost
const LAST_DIGIT = Number.EPSILON; // share of the largest Ritz value, below which a bound is rounding

/**
 * Arrays of the figure by role, of the probe at a place in the panel.
 * @param rules gives the quadrature of a probe (by its place) at so many steps
 */
export function settling({ probes, extremes, bounds: stated, asymmetries = {} }, place, rules = freshRules({ probes })) {
  const { probe, alpha } = probes[place];
  const after = alpha.map((_, i) => rules(place, i + 1));
  const floor = roundingOf(after);
  const traces = {};
  for (const end of ["largest", "smallest"]) {
    const x = [], values = [], bounds = [], symbol = [], customdata = [];
    for (let rank = 1; rank <= extremes; rank++) {
      after.forEach(({ nodes, residuals }, i) => {
        const there = rank <= Math.max(nodes.length >> 1, 1), k = end === "largest" ? nodes.length - rank : rank - 1;
        const value = there ? nodes[k] : null, bound = there ? residuals[k] : null;
        x.push(there ? i + 1 : null);
        values.push(value);
        bounds.push(there ? Math.max(bound, floor) : null);
        symbol.push(there && bound <= LOCATED * Math.abs(value) ? "circle" : "circle-open");
        customdata.push([there ? rank : null, bound, value]);
      });
      for (const row of [x, values, bounds]) row.push(null); // no line from one rank to the next
      symbol.push("circle-open");
      customdata.push([null, null, null]);
    }
    traces[end] = { x, y: values, symbol, customdata };
    traces[`${end}_residual`] = { x, y: bounds, symbol, customdata };
    const bound = stated[probe]?.[end], known = bound > 0;
    traces[`${end}_bound`] = { x: known ? [0.5, after.length + 0.5] : [], y: known ? [bound, bound] : [], showlegend: known };
  }
  const skew = (asymmetries[probe] ?? []).slice(0, after.length);
  traces.asymmetry = { x: skew.map((_, i) => i + 1), y: skew, showlegend: skew.some((value) => value > 0) };
  return traces;
}

/** The logarithmic axis of bounds: see views/convergence.py. */
export function boundAxis(traces) {
  const curves = [traces.largest_residual, traces.smallest_residual, traces.largest_bound, traces.smallest_bound, traces.asymmetry];
  const logs = curves.flatMap(({ y }) => y).filter((value) => value > 0).map(Math.log10), [least, most] = extent(logs);
  const low = Math.floor(least), high = Math.max(Math.ceil(most), low + 1), beyond = EDGE * (high - low);
  return { range: [low - beyond, high + beyond], dtick: Math.ceil((high - low) / MOST_TICKS) };
}

/** The bound below which only rounding is left. */
function roundingOf(after) {
  const norm = after.reduce((most, { nodes }) => Math.max(most, Math.abs(nodes[0]), Math.abs(nodes.at(-1))), 0);
  return LAST_DIGIT * (norm || 1);
}

/** A panel that draws them into `host`, of a probe that is chosen in it. */
export function convergencePanel(host, { id, chosen }) {
  Object.assign(chosen, { probe: null, ...chosen }); // null: the one that got furthest
  const body = element("div"), figure = figurePanel(body), caches = [];
  const rules = (place, count) => (caches[place] ??= quadratures()).at(count);
  const picker = slider(
    `${id}-probe`, "Probe", { min: "0", step: "1" },
    { label: "furthest", title: "The probe that got furthest, of equals the first" },
    (place) => pick(panel.probes[place].probe), () => pick(null),
  );
  host.append(body, element("div", { class: "hess-controls" }, [picker.root]));
  let panel = null, palette = null, pending = 0;

  function pick(probe) {
    chosen.probe = probe;
    if (!pending) pending = requestAnimationFrame(() => { pending = 0; draw(); });
  }

  function draw() {
    const { probes } = panel, lengths = probes.map(({ alpha }) => alpha.length);
    const asked = probes.findIndex(({ probe }) => probe === chosen.probe);
    const place = asked >= 0 ? asked : lengths.indexOf(Math.max(...lengths));
    const traces = settling(panel, place, rules);
    const told = `${probes[place].probe + 1}, ${lengths[place]} step${lengths[place] === 1 ? "" : "s"}`;
    const copies = sayCopies([rules(place, lengths[place])]), words = copies ? `${told}, ${copies}` : told;
    picker.input.max = String(probes.length - 1);
    picker.show(place, words, `probe ${words}`, asked < 0);
    picker.root.parentElement.hidden = probes.length === 1;
    const data = panel.figure.data.map((trace) => {
      const { symbol, ...arrays } = traces[trace.meta.role] ?? { x: [null], y: [null] };
      return { ...trace, ...arrays, ...(symbol ? { marker: { ...trace.marker, symbol } } : {}) };
    });
    const { layout } = panel.figure, moved = { ...layout, yaxis3: { ...layout.yaxis3, ...boundAxis(traces) } };
    figure.update({ ...panel, figure: { data, layout: moved } }, palette);
  }

  return {
    update(next, recolour) {
      panel = next;
      palette = recolour;
      panel.probes.forEach((probe, place) => (caches[place] ??= quadratures()).update(probe));
      draw();
    },
    dispose() { cancelAnimationFrame(pending); figure.dispose(); },
  };
}

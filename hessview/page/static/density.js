// What the density's controls move: which steps and probes are in, and the figure's arrays. It
// repeats hessview/views/density.py and what analysis/summary.py says of probes; a browser test holds
// them equal.

const ROUNDING = 1e-14, MARGIN = 1e3, TICKS = 8, LOCATED = 1e-2, ONE_VALUE = 1e-9;

/**
 * The quadratures that are drawn: of probes that are not left out, at the first so many steps.
 * @param rules gives the quadrature of a probe (by its place in the panel) at so many steps
 */
export function drawnRows(panel, { steps = null, out = [] } = {}, rules = freshRules(panel)) {
  const begun = panel.probes.map((probe, place) => ({ ...probe, place }));
  const chosen = begun.filter(({ probe }) => !out.includes(probe));
  const limit = steps ?? panel.steps;
  const rows = (chosen.length ? chosen : begun).map(({ probe, alpha, beta, place }) => {
    const length = Math.min(alpha.length, limit);
    return { probe, length, ...rules(place, length), whole: length === limit || beta[length - 1] === 0 };
  });
  const longest = Math.max(...rows.map(({ length }) => length));
  if (panel.over && !rows.some(({ whole }) => whole)) {
    for (const row of rows) row.whole = row.length === longest;
  }
  return { rows, longest };
}

function freshRules({ probes }) {
  return (place, steps) => ruleAt(probes[place], steps);
}

/** That Ritz values of some rows were merged, "" if none was: see analysis/ritz.py. */
export function sayCopies(rows) {
  const count = rows.flatMap(({ copies }) => copies).reduce((sum, one) => sum + (one > 1 ? one : 0), 0);
  return count ? `${count} copies merged` : "";
}

/**
 * Everything in the figure that moves with the controls: traces by role, and the two axes.
 * @param marks smallest and largest eigenvalue with their uncertainties, of a whole run
 */
export function arrays({ rows, longest }, { axis: name, sigma: width = null, widening = 0, scale, over = false, marks = null }) {
  const nodes = rows.flatMap((row) => row.nodes), axis = axisFor(name, nodes);
  const sigma = width ?? defaultSigma(axis, nodes, longest) * 10 ** widening;
  const at = gridOf(axis, nodes, sigma);
  const curve = (row) => broaden(axis, row.nodes, row.weights, at, sigma);
  const whole = rows.filter((row) => row.whole), last = rows.filter((row) => !row.whole).at(-1);
  const curves = { ...spread(whole.map(curve)), unfinished: last ? curve(last) : [] };
  const traces = heads(rows.filter((row) => row.whole || row === last), axis, at, curves);
  const markers = [traces.unlocated, traces.located];
  const top = Math.max(...Object.values(curves).map((y) => y.reduce((a, b) => Math.max(a, b), 0)));
  const lowest = markers.flatMap((head) => head.y).reduce((a, b) => Math.min(a, b), top * 1e-4);
  const bottom = Math.max(lowest / 4, top * ROUNDING);
  const floor = scale === "log" ? bottom / MARGIN : 0;
  const eigenvalues = Array.from(at, axis.eigenvalue);
  const label = {
    low: "", high: "lowest to highest probe",
    mean: whole.length > 1 ? `mean of ${whole.length} probes` : "1 probe",
    unfinished: last ? `probe ${last.probe + 1}, ${over ? "ended " : ""}at step ${last.length}` : "",
  };
  const marked = marks ?? outermost(rows), [least, most] = extent(nodes);
  const [first, end] = seen(axis, at, [Math.min(marked[0][0] - marked[0][1], least), Math.max(marked[1][0] + marked[1][1], most)]);
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
  return {
    traces, sigma,
    xaxis: xAxis(axis, nodes), yaxis: yAxis(scale, bottom, top),
    edge: axis.coordinate(axis.scale), strip: `not resolved: |λ| < ${rounded(axis.scale)}`,
  };
}

/** The smallest and the largest Ritz value, each with the least residual bound that it has in a probe. */
export function outermost(rows) {
  const drawn = rows.flatMap(({ nodes, residuals }) => nodes.map((node, k) => [node, residuals[k]]));
  const ends = extent(drawn.map(([node]) => node)), same = ONE_VALUE * Math.max(...ends.map(Math.abs));
  return ends.map((end) => [end, Math.min(...drawn.filter(([node]) => Math.abs(node - end) <= same).map(([, by]) => by))]);
}

/** Places of the first point of a grid between two eigenvalues, and of the one after the last. */
export function seen(axis, at, [low, high]) {
  const first = Math.min(firstFrom(at, axis.coordinate(low)), at.length - 1), most = axis.coordinate(high);
  let end = firstFrom(at, most);
  while (end < at.length && at[end] <= most) end++;
  return [first, Math.max(end, first + 1)];
}

/** Marks of the extremes on the axis, with error bars along it. */
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

/** The band's two edges and the mean of the whole probes; empty where there is none. */
function spread(whole) {
  if (!whole.length) return { low: [], high: [], mean: [] };
  const mean = new Float64Array(whole[0].length);
  const low = new Float64Array(whole[0].length).fill(Infinity), high = new Float64Array(whole[0].length);
  for (const row of whole) {
    for (let i = 0; i < row.length; i++) {
      mean[i] += row[i];
      if (row[i] < low[i]) low[i] = row[i];
      if (row[i] > high[i]) high[i] = row[i];
    }
  }
  for (let i = 0; i < mean.length; i++) mean[i] /= whole.length;
  return whole.length > 1 ? { low, high, mean } : { low: [], high: [], mean };
}

/** Ritz values beyond the unresolved strip, on the curve that each is part of. */
function heads(rows, axis, at, curves) {
  const made = { unlocated: marks(), located: marks() };
  for (const { probe, nodes, weights, residuals, copies, whole } of rows) {
    nodes.forEach((node, k) => {
      if (!(Math.abs(node) > axis.scale)) return;
      const head = residuals[k] <= LOCATED * Math.abs(node) ? made.located : made.unlocated;
      const x = axis.coordinate(node);
      head.x.push(x);
      head.y.push(between(at, whole ? curves.mean : curves.unfinished, x));
      head.customdata.push([node, weights[k], residuals[k], probe + 1, Number(whole), copies[k] > 1 ? `, ${copies[k]} copies merged` : ""]);
    });
  }
  for (const head of Object.values(made)) head.showlegend = head.x.length > 0;
  return made;
}

function marks() {
  return { x: [], y: [], customdata: [] };
}

function yAxis(scale, bottom, top) {
  if (scale !== "log") return { type: "linear", range: [0, top * 1.06], dtick: null, tickfont: { size: 12 } };
  const high = top * (top / bottom) ** 0.06;
  const range = [Math.log10(bottom), Math.log10(high)];
  return { type: "log", range, dtick: Math.ceil((range[1] - range[0]) / TICKS) };
}

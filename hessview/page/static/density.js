// The density panel. Its upper half repeats hessview/views/broadening.py and the arrays of
// hessview/views/density.py, so that a slider needs no kernel; a browser test holds them equal.

const AXES = ["linear", "symlog"];
const POINTS_PER_SIGMA = 4, LEAST_POINTS = 501, MOST_POINTS = 4001, PADDING = 0.03, REACH = 5;
const ROUNDING = 1e-14, MARGIN = 1e3, TICKS = 8;
const CUTOFF = 10; // kernel widths; beyond, less than 2e-22 of a node's peak is left

/** The coordinate along which eigenvalues are drawn and smoothed: see broadening.Axis. */
export function axisOf(name, scale) {
  if (name === "linear") {
    return { name, scale, coordinate: (x) => x, eigenvalue: (u) => u, jacobian: () => 1, width: (s) => s };
  }
  return {
    name, scale,
    coordinate: (x) => Math.asinh(x / scale),
    eigenvalue: (u) => scale * Math.sinh(u),
    jacobian: (u) => scale * Math.cosh(u),
    width: (sigma) => sigma / scale,
  };
}

/** Ascending coordinates: evenly spaced, and every node, so that no peak is missed. */
export function gridOf(axis, nodes, sigma) {
  const at = nodes.map(axis.coordinate), width = axis.width(sigma);
  const least = Math.min(...at), most = Math.max(...at);
  const beyond = Math.max(REACH * width, PADDING * (most - least));
  const low = least - beyond, high = most + beyond;
  const wanted = Math.round((POINTS_PER_SIGMA * (high - low)) / width) + 1;
  const points = Math.min(Math.max(wanted, LEAST_POINTS), MOST_POINTS);
  const grid = new Float64Array(points + at.length);
  for (let i = 0; i < points; i++) grid[i] = low + ((high - low) * i) / (points - 1);
  grid.set(at, points);
  return grid.sort();
}

/** Density of one probe per unit of eigenvalue, at each coordinate. */
export function broaden(axis, nodes, weights, at, sigma) {
  const density = new Float64Array(at.length), width = axis.width(sigma);
  const height = 1 / (width * Math.sqrt(2 * Math.PI));
  nodes.forEach((node, k) => {
    const centre = axis.coordinate(node), peak = weights[k] * height;
    for (let i = firstFrom(at, centre - CUTOFF * width); i < at.length; i++) {
      const distance = (at[i] - centre) / width;
      if (distance > CUTOFF) break;
      density[i] += peak * Math.exp(-0.5 * distance * distance);
    }
  });
  return density.map((value, i) => value / axis.jacobian(at[i]));
}

/** Everything in the figure that moves with the controls: arrays by role, and the two axes. */
export function arrays(panel, { axis: name, sigma, scale }) {
  const axis = axisOf(name, panel.scale);
  const nodes = panel.probes.flatMap((probe) => probe.nodes);
  const at = gridOf(axis, nodes, sigma);
  const curve = (probe) => broaden(axis, probe.nodes, probe.weights, at, sigma);
  const whole = panel.probes.filter((probe) => probe.whole).map(curve);
  const partial = panel.probes.filter((probe) => !probe.whole).slice(-1).map(curve)[0] ?? [];
  const over = (fold) => (whole.length ? at.map((_, i) => fold(whole.map((row) => row[i]))) : []);
  const several = whole.length > 1;
  const curves = {
    low: several ? over((row) => Math.min(...row)) : [],
    high: several ? over((row) => Math.max(...row)) : [],
    mean: over((row) => row.reduce((a, b) => a + b) / row.length),
    unfinished: partial,
  };
  const traces = {};
  for (const trace of panel.figure.data.filter((trace) => trace.customdata)) {
    const x = trace.customdata.map((row) => axis.coordinate(row[0]));
    const y = trace.customdata.map((row, i) => between(at, row[4] ? curves.mean : curves.unfinished, x[i]));
    traces[trace.meta.role] = { x, y, customdata: trace.customdata };
  }
  const heads = [traces.unlocated, traces.located];
  const top = Math.max(...Object.values(curves).map((y) => y.reduce((a, b) => Math.max(a, b), 0)));
  const lowest = heads.flatMap((head) => head.y).reduce((a, b) => Math.min(a, b), top * 1e-4);
  const bottom = Math.max(lowest / 4, top * ROUNDING);
  const floor = scale === "log" ? bottom / MARGIN : 0;
  const eigenvalues = Array.from(at, axis.eigenvalue);
  for (const [role, y] of Object.entries(curves)) {
    traces[role] = y.length
      ? { x: at, y: Array.from(y, (value) => Math.max(value, floor)), customdata: eigenvalues }
      : { x: [], y: [], customdata: [] };
  }
  traces.stems = {
    x: heads.flatMap((head) => head.x.flatMap((x) => [x, x, null])),
    y: heads.flatMap((head) => head.y.flatMap((y) => [floor, y, null])),
  };
  return { traces, xaxis: xAxis(axis, nodes), yaxis: yAxis(scale, bottom, top), edge: axis.coordinate(axis.scale) };
}

function xAxis(axis, nodes) {
  if (axis.name === "linear") return { tickmode: "auto" };
  const decade = Math.floor(Math.log10(axis.scale)), outward = [];
  for (let k = decade; k < decade + 4; k++) {
    for (const digit of [1, 3]) outward.push(Number(`${digit}e${k}`));
  }
  const upTo = (end) => outward.filter((value) => value >= axis.scale && value <= end);
  const below = upTo(-Math.min(...nodes)).reverse().map((value) => -value);
  const values = [...below, 0, ...upTo(Math.max(...nodes))];
  return {
    tickmode: "array",
    tickvals: values.map(axis.coordinate),
    ticktext: values.map((value) => String(value).replace("-", "−")),
  };
}

function yAxis(scale, bottom, top) {
  if (scale !== "log") return { type: "linear", range: [0, top * 1.06], dtick: null, tickfont: { size: 12 } };
  const high = top * (top / bottom) ** 0.06;
  const range = [Math.log10(bottom), Math.log10(high)];
  return { type: "log", range, dtick: Math.ceil((range[1] - range[0]) / TICKS) };
}

/** Index of the first entry that is not below the value. */
function firstFrom(at, value) {
  let low = 0, high = at.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Value of a curve at a coordinate, linear between its points. */
function between(at, curve, x) {
  const right = Math.min(Math.max(firstFrom(at, x), 1), at.length - 1), left = right - 1;
  const span = at[right] - at[left];
  const share = span > 0 ? (x - at[left]) / span : 1;
  return curve[left] + share * (curve[right] - curve[left]);
}

/** Entries of the legend, in the figure's order and colours. */
function legend(data, shapes) {
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

/** A panel that draws a density into `host`, with controls that stay as they are on updates. */
export function densityPanel(host, { id, chosen }) {
  Object.assign(chosen, { axis: "linear", scale: "log", widening: 0, ...chosen }); // sigma = default * 10^widening
  const plot = element("div", { class: "hess-plot", role: "img" });
  const key = element("ul", { class: "hess-key", "aria-label": "Legend" });
  const waiting = element("p", { class: "hess-waiting" });
  const slider = element("input", {
    type: "range", id: `${id}-sigma`, min: "-1", max: "1.3", step: "0.01",
    "data-lm-suppress-shortcuts": "true",
  });
  slider.value = String(chosen.widening);
  const shown = element("output", { for: slider.id });
  const auto = element("button", { type: "button", class: "hess-quiet", title: "The width that the number of steps supports" }, "auto");
  const controls = element("div", { class: "hess-controls" }, [
    element("div", { class: "hess-control" }, [element("label", { for: slider.id }, "Kernel width σ"), slider, shown, auto]),
    choice(`${id}-axis`, "Eigenvalue axis", AXES, chosen.axis, (value) => { chosen.axis = value; schedule(); }),
    choice(`${id}-scale`, "Density axis", ["log", "linear"], chosen.scale, (value) => { chosen.scale = value; schedule(); }),
  ]);
  host.append(key, plot, waiting, controls);

  let panel = null, palette = null, pending = 0, across = 0;
  const widen = (value) => { chosen.widening = value; slider.value = String(value); schedule(); };
  slider.addEventListener("input", () => widen(Number(slider.value)));
  auto.addEventListener("click", () => widen(0));

  function schedule() {
    if (!pending) pending = requestAnimationFrame(() => { pending = 0; draw(); });
  }

  function draw() {
    const drawable = Boolean(panel?.figure);
    plot.hidden = key.hidden = controls.hidden = !drawable;
    waiting.hidden = drawable;
    waiting.textContent = panel?.message ?? "";
    across = plot.clientWidth || across; // JupyterLab hides all for a moment when its theme changes
    if (!drawable || !across) return; // not on the page yet: the observer calls again
    const sigma = panel.sigma[chosen.axis] * 10 ** chosen.widening;
    const width = `σ = ${rounded(sigma)}${chosen.axis === "symlog" ? " at λ = 0" : ""}`;
    shown.textContent = width.slice(4);
    slider.setAttribute("aria-valuetext", width);
    auto.disabled = chosen.widening === 0;
    const { traces, xaxis, yaxis, edge } = arrays(panel, { ...chosen, sigma });
    const { data, layout } = palette(panel.figure);
    const [strip, ...others] = layout.shapes;
    key.replaceChildren(...legend(data, layout.shapes));
    plot.setAttribute("aria-label", `${panel.title}. ${panel.subtitle}. Kernel width ${width}.`);
    Plotly.react(
      plot,
      data.map((trace) => ({ ...trace, ...traces[trace.meta.role] })),
      {
        ...layout,
        height: across < 560 ? 340 : 400,
        width: across,
        margin: { l: 56, r: 12, t: 8, b: 44 },
        showlegend: false, // the page's own wraps better
        xaxis: { ...layout.xaxis, ...xaxis },
        yaxis: { ...layout.yaxis, ...yaxis },
        shapes: [{ ...strip, x0: -edge, x1: edge }, ...others],
        uirevision: `${chosen.axis} ${chosen.scale}`, // a zoom outlives updates, not another axis
      },
      plotConfig("density"),
    );
  }

  const observer = new ResizeObserver(schedule);
  observer.observe(plot.parentElement);
  return {
    update(next, recolour) { panel = next; palette = recolour; schedule(); },
    dispose() { observer.disconnect(); cancelAnimationFrame(pending); Plotly.purge(plot); },
  };
}

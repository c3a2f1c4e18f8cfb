// The density panel: what was measured is redrawn with every move of a control, without a kernel.

/** Plotly's layout of a density: the figure's own, the page's size, and what the controls move. */
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

/** A trace with what the controls move; its error bars keep their colour. */
function withArrays(trace, moved) {
  const made = { ...trace, ...moved };
  return trace.error_x ? { ...made, error_x: { ...trace.error_x, ...moved.error_x } } : made;
}

/** A panel that draws a density into `host`, with controls that stay as they are on updates. */
export function densityPanel(host, { id, chosen }) {
  // sigma = default * 10^widening; steps null follows the newest; out: probes that are left out
  Object.assign(chosen, { axis: "linear", scale: "log", widening: 0, steps: null, out: [], ...chosen });
  const plot = element("div", { class: "hess-plot", role: "img" });
  const key = element("ul", { class: "hess-key", "aria-label": "Legend" });
  const waiting = element("p", { class: "hess-waiting" });
  const part = element("p", { class: "hess-part" });
  const width = widthSlider(`${id}-sigma`, chosen, schedule);
  const steps = slider(
    `${id}-steps`, "Lanczos steps", { min: "1", step: "1" },
    { label: "all", title: "All steps that are measured, and those that arrive" },
    (value) => { chosen.steps = value === Number(steps.input.max) ? null : value; schedule(); },
    () => { chosen.steps = null; schedule(); },
  );
  const probes = chips("Probes", (text) => `Probe ${text}`, (out) => { chosen.out = out; schedule(); });
  const controls = element("div", { class: "hess-controls" }, [
    width.root, steps.root, probes.root, ...axesChoice(id, chosen, schedule),
  ]);
  host.append(key, part, plot, waiting, controls);

  let panel = null, palette = null, pending = 0, across = 0;
  const caches = [];
  const rules = (place, count) => (caches[place] ??= quadratures()).at(count);

  function schedule() {
    if (!pending) pending = requestAnimationFrame(() => { pending = 0; draw(); });
  }

  function draw() {
    const drawable = Boolean(panel?.figure);
    plot.hidden = key.hidden = controls.hidden = !drawable;
    waiting.hidden = drawable;
    waiting.textContent = panel?.message ?? "";
    across = plot.clientWidth || across; // JupyterLab hides all for a moment when its theme changes
    part.hidden ||= !drawable;
    if (!drawable || !across) return; // not on the page yet: the observer calls again
    const drawn = drawnRows(panel, chosen, rules);
    const shown = showChoice(drawn);
    const made = arrays(drawn, { ...chosen, over: panel.over, marks: shown ? null : panel.marks });
    const words = width.show(made.sigma);
    const { data, layout } = palette(panel.figure);
    const traces = data.map((trace) => withArrays(trace, made.traces[trace.meta.role]));
    const laid = densityLayout(layout, chosen, across, made);
    key.replaceChildren(...legendOf(traces, laid.shapes));
    plot.setAttribute("aria-label", `${[panel.title, panel.subtitle, shown].filter(Boolean).join(". ")}. Kernel width ${words}.`);
    Plotly.react(plot, traces, laid, plotConfig("density"));
  }

  /** Show what is in, and say so where it is a part: the tiles tell of the whole run. */
  function showChoice({ rows }) {
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

  const observer = new ResizeObserver(schedule);
  observer.observe(plot.parentElement);
  return {
    update(next, recolour) {
      panel = next;
      palette = recolour;
      panel.probes?.forEach((probe, place) => (caches[place] ??= quadratures()).update(probe));
      schedule();
    },
    dispose() { observer.disconnect(); cancelAnimationFrame(pending); Plotly.purge(plot); },
  };
}

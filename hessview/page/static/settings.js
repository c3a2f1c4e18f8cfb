// A figure over settings, such as steps or parts of the data, with a slider that picks one of those
// that were measured, and, where the session can be asked, measures at another.

const SNAPPED = "measured", FREE = "any";
const SAME = 0.01; // relative: a spectrum at this step
const BEYOND = 1; // decades past the measured steps that can be asked for

/**
 * A panel that draws a figure into `host`, one of its settings in front.
 * @param beside other controls, which stand beside the slider
 */
export function settingsPanel(host, { id, chosen, ask, beside = [] }) {
  Object.assign(chosen, { mode: SNAPPED, value: null, density: {}, ...chosen }); // null: nothing is in front
  const body = element("div"), figure = figurePanel(body);
  const input = element("input", { type: "range", id: `${id}-setting`, "data-lm-suppress-shortcuts": "true" });
  const label = element("label", { for: input.id }), shown = element("output", { for: input.id });
  const all = element("button", { type: "button", class: "hess-quiet", title: "Nothing in front" }, "all");
  const controls = element("div", { class: "hess-controls" }, [
    element("div", { class: "hess-control" }, [label, input, shown, all]), ...beside,
  ]);
  const modes = choice(`${id}-mode`, "Slider", [SNAPPED, FREE], chosen.mode, (mode) => { chosen.mode = mode; pick(); });
  const measure = askButton(ask, "Measure here", () => {
    if (chosen.mode !== FREE || chosen.value === null) return null;
    return { action: "measure", command: { ...panel.again, epsilons: [chosen.value] } };
  });
  if (measure) controls.append(modes, measure);
  const head = element("tr"), rows = element("tbody");
  const table = element("div", { class: "hess-picked", "aria-live": "polite" }, [element("table", {}, [element("thead", {}, head), rows])]);
  const spectrum = spectrumView(id, chosen.density), elsewhere = element("p", { class: "hess-subtitle" });
  host.append(body, controls, table, elsewhere, spectrum.root);

  let panel = null, palette = null;
  input.addEventListener("input", pick);
  all.addEventListener("click", () => { chosen.value = null; draw(); });

  const at = (value) => (panel.over.log ? Math.log10(value) : value);
  const nearest = (place) => panel.over.values.reduce((a, b) => (Math.abs(at(b) - place) < Math.abs(at(a) - place) ? b : a));

  function pick() {
    if (!panel?.over?.values.length) return;
    const place = Number(input.value);
    chosen.value = chosen.mode === FREE ? Number((10 ** place).toPrecision(3)) : nearest(place);
    draw();
  }

  function draw() {
    const over = panel.over, drawable = Boolean(over?.values.length);
    controls.hidden = !drawable;
    const picked = drawable && chosen.value !== null;
    table.hidden = !picked;
    if (!drawable) {
      showSpectrum(false);
      return figure.update(panel, palette);
    }
    const ends = [at(over.values[0]), at(over.values.at(-1))], beyond = chosen.mode === FREE ? BEYOND : 0;
    Object.assign(input, { min: String(ends[0] - beyond), max: String(ends[1] + beyond), step: String((ends[1] - ends[0] + 2 * beyond) / 400 || 0.01) });
    if (picked && chosen.mode === SNAPPED) chosen.value = nearest(at(chosen.value));
    if (picked) input.value = String(at(chosen.value));
    showSpectrum(picked);
    label.textContent = over.label;
    shown.textContent = picked ? rounded(chosen.value) : "all";
    input.setAttribute("aria-valuetext", picked ? `${over.label} ${rounded(chosen.value)}` : "all");
    all.disabled = !picked;
    modes.hidden = !over.askable || !panel.again;
    if (measure) measure.hidden = modes.hidden || chosen.mode !== FREE;
    const place = over.values.indexOf(chosen.value);
    head.hidden = place < 0;
    head.replaceChildren(...over.head.map((name) => element("th", { scope: "col" }, name)));
    rows.replaceChildren(...(place < 0 ? [["not measured at this step"]] : over.rows[place]).map(tableRow));
    figure.update(picked ? { ...panel, figure: inFront(panel.figure, over.axis, chosen.value, at) } : panel, palette);
    return undefined;
  }

  /** Below the numbers, the spectrum where one is measured at this setting, or where there are some. */
  function showSpectrum(picked) {
    const found = (picked && panel.spectra) || [];
    const one = found.find((spectrum) => Math.abs(spectrum.at - chosen.value) <= SAME * chosen.value);
    spectrum.root.hidden = !one;
    elsewhere.hidden = Boolean(one) || !found.length;
    elsewhere.textContent = `Spectra are measured at ${found.map(({ at }) => rounded(at)).join(", ")}.`;
    const words = panel.over?.label.replace(/^./, (first) => first.toLowerCase());
    if (one) spectrum.show(`Spectrum at ${words} ${rounded(one.at)}`, one, panel.density, palette);
  }

  return {
    update(next, recolour) { panel = next; palette = recolour; draw(); },
    dispose() { figure.dispose(); spectrum.dispose(); },
  };
}

function tableRow([name, ...cells]) {
  return element("tr", {}, [element("th", { scope: "row" }, name), ...cells.map((cell) => element("td", {}, cell))]);
}

/** The figure with one setting marked: its curve before the others, its points ringed, a line at it. */
function inFront({ data, layout }, axis, value, at) {
  const ranked = data.map((trace, place) => ({ ...trace, legendrank: place - data.length })); // the legend keeps its order
  const curves = ranked.filter((trace) => trace.meta.role === "density");
  const dimmed = ranked.map((trace) => (curves.includes(trace) && trace.meta.setting !== value ? { ...trace, opacity: 0.22 } : trace));
  const isFront = (trace) => trace.meta.role === "density" && trace.meta.setting === value;
  const ordered = [...dimmed.filter((trace) => !isFront(trace)), ...dimmed.filter(isFront)];
  const rings = data.filter((trace) => ["measured", "distance"].includes(trace.meta.role)).map((trace) => {
    const place = trace.x.indexOf(value), there = place >= 0 && trace.y[place] !== null;
    return {
      type: "scatter", mode: "markers", x: there ? [value] : [], y: there ? [trace.y[place]] : [], showlegend: false, hoverinfo: "skip",
      ...(trace.xaxis ? { xaxis: trace.xaxis, yaxis: trace.yaxis } : {}),
      meta: { role: "picked", direction: trace.meta.direction },
      marker: { size: 16, symbol: "circle-open", color: trace.line.color, line: { color: trace.line.color, width: 2 } },
    };
  });
  const line = {
    type: "line", xref: axis, yref: `${axis.replace("x", "y")} domain`, x0: value, x1: value, y0: 0, y1: 1,
    line: { color: layout.template.layout.font.color, width: 1.25 },
  };
  const range = layout.xaxis.range;
  const widened = axis === "x" && range ? { xaxis: { ...layout.xaxis, range: [Math.min(range[0], at(value)), Math.max(range[1], at(value))] } } : {};
  return { data: [...ordered, ...rings], layout: { ...layout, ...widened, shapes: [...(layout.shapes ?? []), line] } };
}

// What panels that draw densities have in common: the kernel's width, both axes, and the legend.

/** The kernel width's slider: a power of ten times what the steps support. */
function widthSlider(id, chosen, schedule) {
  const widen = (value) => { chosen.widening = value; schedule(); };
  const back = { label: "auto", title: "The width that the number of steps supports" };
  const made = slider(id, "Kernel width σ", { min: "-1", max: "1.3", step: "0.01" }, back, widen, () => widen(0));
  return {
    root: made.root,
    show(sigma) {
      const width = `σ = ${rounded(sigma)}${chosen.axis === "symlog" ? " at λ = 0" : ""}`;
      made.show(chosen.widening, width.slice(4), width, chosen.widening === 0);
      return width;
    },
  };
}

/** The choice of both axes. */
function axesChoice(id, chosen, schedule) {
  return [
    choice(`${id}-axis`, "Eigenvalue axis", AXES, chosen.axis, (value) => { chosen.axis = value; schedule(); }),
    choice(`${id}-scale`, "Density axis", ["log", "linear"], chosen.scale, (value) => { chosen.scale = value; schedule(); }),
  ];
}

/** Entries of the legend, in the figure's order and colours. */
function legendOf(data, shapes) {
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

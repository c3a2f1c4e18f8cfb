// The coupling panel: the matrix with its switches, and below it the row of the block that is chosen.

/** A panel that draws a coupling into `host`; a click on a block, or the list, chooses its row. */
export function couplingPanel(host, { id, chosen }) {
  Object.assign(chosen, { unit: "normalised", scale: "log", block: null, ...chosen }); // null: the first
  const above = element("div"), below = element("div");
  const list = element("select", { id: `${id}-block`, "data-lm-suppress-shortcuts": "true" });
  const error = element("p", { class: "hess-subtitle", "aria-live": "polite" });
  const controls = element("div", { class: "hess-controls" }, [
    choice(`${id}-unit`, "Numbers", ["normalised", "raw"], chosen.unit, (value) => { chosen.unit = value; draw(); }),
    choice(`${id}-scale`, "Scale", ["log", "linear"], chosen.scale, (value) => { chosen.scale = value; draw(); }),
  ]);
  const row = element("div", {}, [
    element("div", { class: "hess-controls" }, [
      element("div", { class: "hess-control" }, [element("label", { for: list.id }, "Row of block"), list]), error,
    ]),
    below,
  ]);
  host.append(above, controls, row);
  const pick = (name) => { chosen.block = name; draw(); };
  const matrix = figurePanel(above, { clicked: ({ y }) => pick(panel.blocks[Math.round(y)]) });
  const bars = figurePanel(below, { clicked: ({ x }) => pick(panel.blocks[Math.round(x)]) });
  list.addEventListener("change", () => pick(list.value));

  let panel = null, palette = null, known = "";

  function draw() {
    const drawable = Boolean(panel.figure);
    controls.hidden = row.hidden = !drawable;
    if (!drawable) return matrix.update(panel, palette);
    const names = JSON.stringify(panel.blocks);
    if (names !== known) list.replaceChildren(...panel.blocks.map((name) => element("option", { value: name }, name)));
    known = names;
    const place = Math.max(panel.blocks.indexOf(chosen.block), 0), name = panel.blocks[place];
    list.value = name;
    error.textContent = panel.errors[place];
    const made = matrixArrays(panel, chosen.unit, chosen.scale);
    const { data, layout } = panel.figure;
    const around = {
      type: "rect", xref: "x domain", yref: "y", x0: 0, x1: 1, y0: place - 0.5, y1: place + 0.5,
      line: { color: layout.template.layout.title.font.color, width: 1.5 },
    };
    matrix.update({ ...panel, figure: { data, layout: { ...layout, shapes: [around] } }, arrays: { matrix: made } }, palette);
    const title = `Responses of ${name} to each block`;
    const figure = rowFigure(panel, place, chosen.unit, chosen.scale);
    bars.update({ title, subtitle: panel.errors[place], message: "", warning: "", figure }, palette);
    return undefined;
  }

  return {
    update(next, recolour) { panel = next; palette = recolour; draw(); },
    dispose() { matrix.dispose(); bars.dispose(); },
  };
}

// Curvature during training: spectra over the training step, and the one at the step that is chosen.

/** A panel that draws a training into `host`; a click on the figure chooses a step, as the slider does. */
export function trainingPanel(host, { id, chosen }) {
  Object.assign(chosen, { step: null, density: {}, ...chosen }); // null follows the last
  const above = element("div");
  const pick = (step) => { chosen.step = step === panel.steps.at(-1) ? null : step; draw(); };
  const nearest = (at) => panel.steps.reduce((a, b) => (Math.abs(b - at) < Math.abs(a - at) ? b : a));
  const heat = figurePanel(above, { clicked: ({ x }) => pick(nearest(x)) });
  const spectrum = spectrumView(id, chosen.density);
  const last = { label: "last", title: "The last training step, and those that arrive" };
  const along = slider(`${id}-step`, "Training step", { min: "0", step: "1" }, last, (place) => pick(panel.steps[place]), () => pick(panel.steps.at(-1)));
  host.append(above, element("div", { class: "hess-controls" }, [along.root]), spectrum.root);

  let panel = null, palette = null;

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
    const customdata = panel.eigenvalues.map((value) => panel.steps.map(() => value));
    const shapes = [...(layout.shapes ?? []), line];
    heat.update({ ...panel, figure: { data, layout: { ...layout, shapes } }, arrays: { spectra: { z: panel.z, customdata } } }, palette);
    spectrum.show(`Spectrum at training step ${step}`, panel.spectra[place], panel.density, palette);
  }

  return {
    update(next, recolour) { panel = next; palette = recolour; draw(); },
    dispose() { heat.dispose(); spectrum.dispose(); },
  };
}

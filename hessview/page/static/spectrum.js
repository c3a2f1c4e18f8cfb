// The spectrum at one setting of a figure, below it: a density with all its controls.

/**
 * A spectrum's element.
 * @param chosen what is chosen in its controls, which stays from setting to setting
 * @returns root; show(title, one, shared, recolour): a density's panel, in two parts; dispose()
 */
function spectrumView(id, chosen) {
  const title = element("h4"), subtitle = element("p", { class: "hess-subtitle" }), body = element("div");
  const curve = densityPanel(body, { id: `${id}-density`, chosen });
  return {
    root: element("div", { class: "hess-spectrum" }, [title, subtitle, body]),
    show(words, one, shared, recolour) {
      title.textContent = words;
      subtitle.textContent = one.subtitle;
      curve.update({ title: words, message: "", ...(one.probes ? shared : {}), ...one }, recolour);
    },
    dispose: curve.dispose,
  };
}

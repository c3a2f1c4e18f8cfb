// What lies in the way of using the page; accessible.py evaluates each function in the browser.

({
  problems: () => {
    const found = [];
    const seen = (e) => e.checkVisibility({ visibilityProperty: true }) && e.getBoundingClientRect().width > 0;
    const named = (e) => {
      const words = [e.getAttribute("aria-label"), ...[...(e.labels ?? [])].map((label) => label.textContent)];
      const by = e.getAttribute("aria-labelledby");
      if (by) words.push(document.getElementById(by)?.textContent);
      if (!e.matches("input, select, progress, [role=img]")) words.push(e.textContent);
      return words.some((word) => word?.trim());
    };
    const what = (e) => `${e.tagName.toLowerCase()} ${e.id || e.getAttribute("class") || e.textContent.slice(0, 30)}`;
    const CONTROLS = "input, select, button, textarea, progress, summary, a[href], [tabindex='0'], [role=img]";
    for (const e of document.querySelectorAll(CONTROLS)) if (seen(e) && !named(e)) found.push(`no name: ${what(e)}`);
    for (const e of document.querySelectorAll("fieldset")) {
      if (seen(e) && !e.querySelector("legend")?.textContent.trim()) found.push(`no legend: ${what(e)}`);
    }
    const ids = [...document.querySelectorAll("[id]")].map((e) => e.id).filter((id) => id.startsWith("hess"));
    ids.filter((id, i) => ids.indexOf(id) !== i).forEach((id) => found.push(`two have the id ${id}`));
  
    const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const rgba = (colour) => {
      paint.clearRect(0, 0, 1, 1);
      paint.fillStyle = colour;
      paint.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = paint.getImageData(0, 0, 1, 1).data;
      return [r, g, b, a / 255];
    };
    const over = ([r, g, b, a], [x, y, z]) => [a * r + (1 - a) * x, a * g + (1 - a) * y, a * b + (1 - a) * z, 1];
    const ground = (e) => {
      const layers = [];
      for (let up = e; up; up = up.parentElement) {
        const own = rgba(getComputedStyle(up).backgroundColor);
        if (own[3]) layers.push(own);
        if (own[3] === 1) break;
      }
      return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
    };
    const light = (colour) => {
      const [r, g, b] = colour.map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const e = texts.currentNode.parentElement, text = texts.currentNode.data.trim();
      if (!text || !seen(e) || e.closest("style, script, option, :disabled, .hess-unseen, .modebar")) continue;
      if (e.closest("label")?.querySelector("input:disabled")) continue; // as WCAG has it: what cannot be used
      const style = getComputedStyle(e), behind = ground(e);
      let opacity = 1;
      for (let up = e; up; up = up.parentElement) opacity *= getComputedStyle(up).opacity;
      const [r, g, b, a] = rgba(e instanceof SVGElement ? style.fill : style.color);
      const ends = [light(over([r, g, b, a * opacity], behind)), light(behind)].sort((p, q) => q - p);
      const contrast = (ends[0] + 0.05) / (ends[1] + 0.05), size = parseFloat(style.fontSize);
      const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
      if (contrast < least) found.push(`contrast ${contrast.toFixed(2)}: ${text.slice(0, 40)} (${what(e)})`);
    }
    return found;
  },

  stops: () => {
    const groups = new Set();
    return [...document.querySelectorAll("input, select, button, textarea, summary, a[href], [tabindex='0']")]
      .filter((e) => !e.disabled && e.checkVisibility({ visibilityProperty: true }) && e.getBoundingClientRect().width > 0)
      .filter((e) => e.type !== "radio" || (!groups.has(e.name) && groups.add(e.name))).length;
  },

  focused: () => {
    const e = document.activeElement;
    if (!e || e === document.body) return null;
    let opacity = 1;
    for (let up = e.matches("input") ? e.parentElement : e; up; up = up.parentElement) opacity *= getComputedStyle(up).opacity;
    const shows = (one) => one && opacity > 0.9 && parseFloat(getComputedStyle(one).outlineWidth) >= 2
      && getComputedStyle(one).outlineStyle !== "none" && Number(getComputedStyle(one).opacity) > 0;
    const what = `${e.tagName} ${e.id || e.name || e.textContent.slice(0, 30)}`;
    const again = "tabbed" in e.dataset;
    e.dataset.tabbed = "";
    const box = (e.matches(".hess-choice input, .hess-runs input, .hess-chips input") ? e.nextElementSibling : e).getBoundingClientRect();
    return { what, again, visible: shows(e) || shows(e.nextElementSibling), inside: box.top < innerHeight && box.bottom > 0 };
  },
});

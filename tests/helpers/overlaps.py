"""What lies on what, and what is cut, on the page: a function to evaluate in the browser."""

OVERLAPS = """() => {
  const groups = [".hess-tiles > div", ".hess-tiles dt, .hess-tiles strong, .hess-tiles small",
    ".hess-key li", ".hess-controls input[type=range], .hess-controls label, .hess-controls output,"
    + ".hess-controls button, .hess-controls legend", "header h2, header p, header .hess-pill",
    ".hess-plot .xtick text", ".hess-plot .ytick text", ".hess-facts dt, .hess-facts dd"];
  const found = [];
  for (const group of groups) {
    const boxes = [...document.querySelectorAll(group)].map((e) => [e, e.getBoundingClientRect()])
      .filter(([, box]) => box.width);
    for (const [e, box] of boxes) {
      if (box.left < 0 || box.right > innerWidth + 1) found.push(`${e.textContent} is cut`);
    }
    boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
      const across = Math.min(p.right, q.right) - Math.max(p.left, q.left);
      const down = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
      if (across <= 1 || down <= 1 || a.contains(b)) return;
      found.push(`${a.textContent} lies on ${b.textContent}`);
    }));
  }
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page scrolls sideways");
  return found;
}"""

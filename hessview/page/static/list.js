// The list of a dashboard's runs: a row of kinds, and below it the runs of one kind, the newest first.

/**
 * The list; arrow keys go through it, as through any radio buttons.
 * @returns box, its element; update(runs, chosen)
 */
function listView(prefix, onPick) {
  const kinds = element("div", { class: "hess-choice" }), rows = element("div", { class: "hess-runs" });
  const box = element("div", { class: "hess-card hess-list" }, [
    element("fieldset", {}, [element("legend", { class: "hess-unseen" }, "Kind of run"), kinds]),
    element("fieldset", {}, [element("legend", { class: "hess-unseen" }, "Run"), rows]),
  ]);
  const ofKind = new Map(), ofRun = new Map();
  let runs = [];

  function makeKind(kind) {
    const text = element("span");
    const made = radio(`${prefix}-kind`, kind, text, () => onPick(runs.find((run) => run.kind === kind).name));
    return { ...made, text };
  }

  function makeRun(name) {
    const label = element("strong"), detail = element("small"), stand = element("small", { class: "hess-stand" });
    const content = element("span", { class: "hess-run" }, [element("span", {}, [label, " ", detail]), stand]);
    return { ...radio(`${prefix}-run`, name, content, onPick), label, detail, stand };
  }

  return {
    box,
    update(next, chosen) {
      runs = next;
      box.hidden = !runs.length;
      const kind = runs.find((run) => run.name === chosen)?.kind;
      const places = new Map(runs.map((run) => [run.kind, run.place]));
      arrange(kinds, ofKind, [...places.keys()].sort((a, b) => places.get(a) - places.get(b)), makeKind);
      for (const [name, { input, text }] of ofKind) {
        const count = runs.filter((run) => run.kind === name).length;
        text.textContent = name === "Comparison" ? name : `${name} ${count}`; // there is but one
        input.checked = name === kind;
      }
      const listed = runs.filter((run) => run.kind === kind);
      arrange(rows, ofRun, listed.map((run) => run.name), makeRun);
      for (const { name, label, detail, status } of listed) {
        const made = ofRun.get(name);
        const far = status.state === "running" ? ` · ${status.done} of ${status.total}` : "";
        made.box.dataset.state = status.state;
        made.label.textContent = label;
        made.detail.textContent = detail;
        made.stand.textContent = status.label + far;
        made.stand.hidden = !status.label; // of several runs
        made.input.checked = name === chosen;
      }
    },
  };
}

/** A radio button that looks like its content. */
function radio(group, value, content, onPick) {
  const input = element("input", { type: "radio", name: group, value, "data-lm-suppress-shortcuts": "true" });
  input.addEventListener("change", () => input.checked && onPick(value));
  return { input, box: element("label", {}, [input, content]) };
}

/** Boxes in the order of the keys; those that are there are kept, and so is the focus. */
function arrange(parent, made, keys, make) {
  for (const [key, { box }] of made) {
    if (keys.includes(key)) continue;
    box.remove();
    made.delete(key);
  }
  keys.forEach((key, i) => {
    if (!made.has(key)) made.set(key, make(key));
    const { box } = made.get(key);
    if (parent.children[i] !== box) parent.insertBefore(box, parent.children[i] ?? null);
  });
}

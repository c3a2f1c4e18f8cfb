// Controls that several panels have: sliders, segmented buttons, chips, and the legend below a title.

/** A row of radio buttons that looks like one segmented button. */
function choice(name, legend, values, chosen, onChange) {
  const options = values.map((value) => {
    const input = element("input", { type: "radio", name, value, "data-lm-suppress-shortcuts": "true" });
    input.checked = value === chosen;
    input.addEventListener("change", () => input.checked && onChange(value));
    return element("label", {}, [input, element("span", {}, value)]);
  });
  return element("fieldset", { class: "hess-control" }, [
    element("legend", {}, legend),
    element("div", { class: "hess-choice" }, options),
  ]);
}

/** A slider with its label, the value in words beside it, and a button that brings it back. */
function slider(id, label, range, back, onInput, onBack) {
  const input = element("input", { type: "range", id, "data-lm-suppress-shortcuts": "true", ...range });
  const shown = element("output", { for: id });
  const button = element("button", { type: "button", class: "hess-quiet", title: back.title }, back.label);
  input.addEventListener("input", () => onInput(Number(input.value)));
  button.addEventListener("click", onBack);
  return {
    root: element("div", { class: "hess-control" }, [element("label", { for: id }, label), input, shown, button]),
    input,
    /** Show a value: in words, as they are spoken, and whether it is where the button brings it. */
    show(value, words, spoken, isBack) {
      input.value = String(value);
      shown.textContent = words;
      input.setAttribute("aria-valuetext", spoken);
      button.disabled = isBack;
    },
  };
}

/**
 * Small buttons, each in or out, of which one always stays in, and a button that brings all back.
 * @param words says which button it is, to those who hear it
 * @param onChange takes the values that are out
 */
function chips(legend, words, onChange) {
  const row = element("div", { class: "hess-chips" }), boxes = [];
  const all = element("button", { type: "button", class: "hess-quiet" }, "all");
  const root = element("fieldset", { class: "hess-control" }, [element("legend", {}, legend), row, all]);
  all.addEventListener("click", () => onChange([]));

  function add() {
    const box = element("input", { type: "checkbox", "data-lm-suppress-shortcuts": "true" });
    box.addEventListener("change", () => {
      if (!boxes.some((other) => other.checked)) box.checked = true; // nothing would be left to draw
      else onChange(boxes.filter((other) => !other.disabled && !other.checked).map((other) => Number(other.value)));
    });
    row.append(element("label", {}, [box, element("span")]));
    return box;
  }

  return {
    root,
    /** Show entries { value, text, dead }: dead ones cannot be chosen yet. */
    show(entries, out) {
      while (boxes.length > entries.length) boxes.pop().parentElement.remove();
      entries.forEach(({ value, text, dead }, i) => {
        const box = (boxes[i] ??= add());
        box.value = String(value);
        box.disabled = dead;
        box.checked = !dead && !out.includes(value);
        box.setAttribute("aria-label", words(text));
        box.nextElementSibling.textContent = text;
      });
      all.disabled = !out.length;
    },
  };
}

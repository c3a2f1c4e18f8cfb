// Controls that several panels have: sliders, segmented buttons, chips, the kernel's width, and the choice of axes.

import { AXES, SCALES } from "./constants.js";
import { element, rounded } from "./elements.js";

/**
 * A row of radio buttons that looks like one segmented button.
 * @param {string} name
 * @param {string} legend
 * @param {string[]} values
 * @param {string} chosen
 * @param {(value: string) => void} onChange
 */
export function choice(name, legend, values, chosen, onChange) {
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

/**
 * A slider with its label, the value in words beside it, and a button that brings it back.
 * @param {string} id
 * @param {string} label
 * @param {Record<string, string>} range min, max and step
 * @param {{ label: string, title: string }} back
 * @param {(value: number) => void} onInput
 * @param {() => void} onBack
 */
export function slider(id, label, range, back, onInput, onBack) {
  const input = element("input", { type: "range", id, "data-lm-suppress-shortcuts": "true", ...range });
  const shown = element("output", { for: id });
  const button = element("button", { type: "button", class: "hess-quiet", title: back.title }, back.label);
  input.addEventListener("input", () => onInput(Number(input.value)));
  button.addEventListener("click", onBack);
  return {
    root: element("div", { class: "hess-control" }, [element("label", { for: id }, label), input, shown, button]),
    input,
    /**
     * Show a value: in words, as they are spoken, and whether it is where the button brings it.
     * @param {number} value
     * @param {string} words
     * @param {string} spoken
     * @param {boolean} isBack
     */
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
 * @param {string} legend
 * @param {(text: string) => string} words says which button it is, to those who hear it
 * @param {(out: number[]) => void} onChange takes the values that are out
 */
export function chips(legend, words, onChange) {
  /** @type {{ label: HTMLElement, box: HTMLInputElement, name: HTMLElement }[]} */
  const made = [];
  const row = element("div", { class: "hess-chips" });
  const all = element("button", { type: "button", class: "hess-quiet" }, "all");
  const root = element("fieldset", { class: "hess-control" }, [element("legend", {}, legend), row, all]);
  all.addEventListener("click", () => onChange([]));

  function add() {
    const box = element("input", { type: "checkbox", "data-lm-suppress-shortcuts": "true" });
    const name = element("span"), label = element("label", {}, [box, name]);
    box.addEventListener("change", () => {
      const boxes = made.map((one) => one.box);
      if (!boxes.some((other) => other.checked)) box.checked = true; // nothing would be left to draw
      else onChange(boxes.filter((other) => !other.disabled && !other.checked).map((other) => Number(other.value)));
    });
    row.append(label);
    return { label, box, name };
  }

  return {
    root,
    /**
     * Show entries; dead ones cannot be chosen yet.
     * @param {{ value: number, text: string, dead: boolean }[]} entries
     * @param {number[]} out
     */
    show(entries, out) {
      for (const { label } of made.splice(entries.length)) label.remove();
      entries.forEach(({ value, text, dead }, i) => {
        const { box, name } = (made[i] ??= add());
        box.value = String(value);
        box.disabled = dead;
        box.checked = !dead && !out.includes(value);
        box.setAttribute("aria-label", words(text));
        name.textContent = text;
      });
      all.disabled = !out.length;
    },
  };
}

/**
 * The kernel width's slider: a power of ten times what the steps support.
 * @param {string} id
 * @param {{ widening: number, axis: string }} chosen
 * @param {() => void} schedule
 */
export function widthSlider(id, chosen, schedule) {
  const widen = (/** @type {number} */ value) => { chosen.widening = value; schedule(); };
  const back = { label: "auto", title: "The width that the number of steps supports" };
  const made = slider(id, "Kernel width σ", { min: "-1", max: "1.3", step: "0.01" }, back, widen, () => widen(0));
  return {
    root: made.root,
    /**
     * Show a width.
     * @param {number} sigma
     * @returns {string} the width in words
     */
    show(sigma) {
      const width = `σ = ${rounded(sigma)}${chosen.axis === "symlog" ? " at λ = 0" : ""}`;
      made.show(chosen.widening, width.slice(4), width, chosen.widening === 0);
      return width;
    },
  };
}

/**
 * The choice of the eigenvalue axis.
 * @param {string} id
 * @param {{ axis: string }} chosen
 * @param {() => void} schedule
 */
export function axisChoice(id, chosen, schedule) {
  return choice(`${id}-axis`, "Eigenvalue axis", AXES, chosen.axis, (value) => { chosen.axis = value; schedule(); });
}

/**
 * The choice of both axes.
 * @param {string} id
 * @param {{ axis: string, scale: string }} chosen
 * @param {() => void} schedule
 */
export function axesChoice(id, chosen, schedule) {
  const onScale = (/** @type {string} */ value) => { chosen.scale = value; schedule(); };
  return [axisChoice(id, chosen, schedule), choice(`${id}-scale`, "Density axis", SCALES, chosen.scale, onScale)];
}

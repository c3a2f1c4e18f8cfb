// Elements of the document, and numbers and names as their text. Every name that comes from outside reaches the document
// through textContent only.

/** Each widget of a notebook has a module of its own, and all share one document: part of the ids of this one's elements. */
export const OWN = Math.random().toString(36).slice(2, 8);

/**
 * Element with attributes and children; strings become text.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string>} [attributes]
 * @param {Node | string | (Node | string)[]} [children]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, children = []) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...[children].flat());
  return made;
}

/**
 * A fact: its name and its value.
 * @param {(Node | string)[]} fact
 */
export function factRow([name, value]) {
  return element("div", {}, [element("dt", {}, name), element("dd", {}, value)]);
}

/**
 * A row of a table, headed by its first cell.
 * @param {string[]} row
 */
export function tableRow([name, ...cells]) {
  return element("tr", {}, [element("th", { scope: "row" }, name), ...cells.map((cell) => element("td", {}, cell))]);
}

/**
 * Cells of a table's head.
 * @param {string[]} names
 */
export function tableHead(names) {
  return names.map((name) => element("th", { scope: "col" }, name));
}

/**
 * Two significant digits, with a real minus sign and power of ten.
 * @param {number} value
 */
export function rounded(value) {
  const [mantissa, power] = value.toExponential(1).split("e").map(Number);
  if (power > -4 && power < 5) return value.toFixed(Math.max(1 - power, 0)).replace("-", "−");
  const raised = String(power).replace(/./g, (sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]);
  return `${String(mantissa).replace("-", "−")}×10${raised}`;
}

/** @type {Record<string, string>} */
const ENTITIES = { "&lt;": "<", "&gt;": ">", "&amp;": "&" };

/**
 * The text of a name that was escaped for plotly.
 * @param {string} name
 */
export function plainText(name) {
  return name.replace(/&(lt|gt|amp);/g, (entity) => ENTITIES[entity]);
}

/**
 * A name that plotly shows as it is: see plainText.
 * @param {string} name
 */
export function escaped(name) {
  return name.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

// The page's functions without a browser: evaluates what it is sent, a line {"script", "given"} each, where `page` has all
// that the page's modules export. Numbers that JSON has not travel as {"$number": their name}.

import { createInterface } from "node:readline";

const SOURCES = "../../../hessview/page/src";
const NAMES = [
  "board", "broadening", "comparison", "constants", "convergence", "coupling", "curves", "density", "elements", "quadrature",
  "readings", "sweep", "training",
];
const modules = await Promise.all(NAMES.map((name) => import(`${SOURCES}/${name}.js`)));
globalThis.page = Object.assign({}, ...modules);

function plain(_, value) {
  if (typeof value === "number" && !Number.isFinite(value)) return { $number: String(value) };
  if (ArrayBuffer.isView(value)) return Array.from(value);
  return value instanceof Set ? [...value] : value;
}

for await (const line of createInterface({ input: process.stdin })) {
  const { script, given } = JSON.parse(line);
  let told;
  try {
    told = { value: (0, eval)(`(${script})`)(given) ?? null };
  } catch (error) {
    told = { error: error.stack };
  }
  process.stdout.write(`${JSON.stringify(told, plain)}\n`);
}

// Downloads of a run's readings: all of them as JSON, and as CSV one table for each set of dims.

import { element } from "./elements.js";

/** @import { Readings } from "./contract.d.ts" */
/** @typedef {number | string | null} Cell */
/** @typedef {{ name: string, columns: string[], rows: Cell[][] }} Table */

/**
 * Tables of a record: name, columns and rows of each set of dims, without what was not measured.
 * @param {Pick<Readings, "coords" | "variables">} record
 * @returns {Table[]}
 */
export function tablesOf({ coords, variables }) {
  /** @type {Map<string, { name: string, dims: string[], names: string[], columns: Cell[][] }>} */
  const tables = new Map();
  for (const [name, { dims, values }] of Object.entries(variables)) {
    const key = dims.join("-"), table = tables.get(key) ?? { name: key, dims, names: [], columns: [] };
    tables.set(key, table);
    table.names.push(name);
    table.columns.push(values);
  }
  return [...tables.values()].map(({ name, dims, names, columns }) => {
    /** @type {Cell[][]} */
    const nowhere = [[]];
    const places = dims.reduce((rows, dim) => rows.flatMap((row) => coords[dim].map((at) => [...row, at])), nowhere);
    const rows = places.map((place, i) => [...place, ...columns.map((values) => values[i])]);
    const measured = rows.filter((row) => row.slice(dims.length).some((cell) => cell !== null));
    return { name, columns: [...dims, ...names], rows: measured };
  });
}

/**
 * A cell of a CSV file, quoted where it must be; text that a spreadsheet would compute is defused.
 * @param {Cell} cell
 */
export function csvCell(cell) {
  if (typeof cell !== "string") return cell ?? "";
  const text = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * A table as a CSV file.
 * @param {Pick<Table, "columns" | "rows">} table
 */
export function csvOf({ columns, rows }) {
  return [columns, ...rows].map((row) => row.map(csvCell).join(",")).join("\n");
}

/**
 * Download links for a run's readings; a file is made when its link is followed.
 * @param {string} id of the run
 * @param {Readings} record
 */
export function downloads(id, record) {
  const run = `hessview-${id.replace(/[^\w.-]/g, "_") || "run"}`;
  const all = tablesOf(record), filled = all.filter(({ rows }) => rows.length > 0);
  const tables = filled.length > 0 ? filled : all, several = tables.length > 1; // an empty one would look like a loss
  const files = tables.map((table) => ({
    label: several ? `CSV by ${table.name.replaceAll("-", ", ")}` : "CSV",
    file: several ? `${run}-${table.name}.csv` : `${run}.csv`,
    type: "text/csv",
    text: () => csvOf(table),
  }));
  files.push({ label: "JSON", file: `${run}.json`, type: "application/json", text: () => JSON.stringify(record) });
  return files.map(({ label, file, type, text }) => {
    const link = element("a", { href: "#", download: file }, label);
    link.addEventListener("click", () => {
      link.href = URL.createObjectURL(new Blob([text()], { type }));
      setTimeout(() => URL.revokeObjectURL(link.href), 1e4);
    });
    return link;
  });
}

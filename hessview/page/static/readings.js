// Downloads of a run's readings: all of them as JSON, and as CSV one table for each set of dims.

/** Tables of a record: name, columns and rows of each set of dims, without what was not measured. */
export function tablesOf({ coords, variables }) {
  const tables = new Map();
  for (const [name, { dims, values }] of Object.entries(variables)) {
    const key = dims.join("-");
    if (!tables.has(key)) tables.set(key, { name: key, dims, names: [], columns: [] });
    tables.get(key).names.push(name);
    tables.get(key).columns.push(values);
  }
  return [...tables.values()].map(({ name, dims, names, columns }) => {
    const places = dims.reduce((rows, dim) => rows.flatMap((row) => coords[dim].map((at) => [...row, at])), [[]]);
    const rows = places.map((place, i) => [...place, ...columns.map((values) => values[i])]);
    const measured = rows.filter((row) => row.slice(dims.length).some((cell) => cell !== null));
    return { name, columns: [...dims, ...names], rows: measured };
  });
}

/** A cell of a CSV file, quoted where it must be; text that a spreadsheet would compute is defused. */
export function csvCell(cell) {
  if (typeof cell !== "string") return cell ?? "";
  const text = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Download links for a run's readings; a file is made when its link is followed. */
function links({ id, record }) {
  const run = `hessview-${id.replace(/[^\w.-]/g, "_") || "run"}`;
  const all = tablesOf(record), filled = all.filter(({ rows }) => rows.length > 0);
  const tables = filled.length > 0 ? filled : all, several = tables.length > 1; // an empty one would look like a loss
  const files = tables.map(({ name, columns, rows }) => ({
    label: several ? `CSV by ${name.replaceAll("-", ", ")}` : "CSV",
    file: several ? `${run}-${name}.csv` : `${run}.csv`,
    type: "text/csv",
    text: () => [columns, ...rows].map((row) => row.map(csvCell).join(",")).join("\n"),
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

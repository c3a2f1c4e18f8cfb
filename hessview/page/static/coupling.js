// What the switches of a coupling move: the matrix' colours and hover, and the bars of a row. It
// repeats hessview/views/coupling.py and coupling_row.py; a browser test holds them equal.

const missing = (value) => value === null || !Number.isFinite(value);

/** Numbers of all pairs of blocks in a unit: values, spread and noise, as rows. */
export function numbersOf({ matrix }, unit) {
  const { frobenius, frobenius_spread, frobenius_noise, coefficient_spread } = matrix;
  if (unit === "raw") return { values: frobenius, spread: frobenius_spread, noise: frobenius_noise };
  const own = frobenius.map((row, i) => (missing(row[i]) ? NaN : Math.sqrt(row[i])));
  const over = (rows) => rows.map((row, i) => row.map((value, j) => (missing(value) ? NaN : value / (own[i] * own[j]))));
  return { values: over(frobenius), spread: coefficient_spread, noise: over(frobenius_noise) };
}

/** The matrix' colours on a scale, and what hovering a cell tells. */
export function matrixArrays(panel, unit, scale) {
  const { zmin, zmax, colorbar } = panel.views[`${unit} ${scale}`];
  const { values } = numbersOf(panel, unit), coefficients = numbersOf(panel, "normalised").values;
  const { frobenius, frobenius_spread, frobenius_noise } = panel.matrix;
  const bottom = 10 ** zmin, names = panel.blocks.map(escaped);
  const colour = (value) => {
    if (missing(value)) return null;
    return scale === "log" ? Math.log10(Math.max(value, bottom)) : value;
  };
  const told = (i, j) => [
    names[i], names[j], coefficients[i][j], frobenius[i][j], frobenius_spread[i][j], frobenius_noise[i][j],
    panel.words[panel.verdict[i][j]],
  ];
  return {
    z: values.map((row) => row.map(colour)), zmin, zmax, colorbar,
    customdata: values.map((row, i) => row.map((_, j) => told(i, j))),
  };
}

/** The figure of a row: bars by verdict, and the axis they stand on. */
export function rowFigure(panel, place, unit, scale) {
  const { values, spread, noise } = numbersOf(panel, unit);
  const errors = spread[place].map((value) => value ?? 0), visible = !spread[place].every(missing);
  const customdata = panel.blocks.map((name, j) => [escaped(name), spread[place][j], noise[place][j]]);
  const data = panel.row.data.map((trace) => {
    const among = values[place].map((value, j) => panel.words[panel.verdict[place][j]] === trace.meta.verdict && !missing(value));
    const shape = panel.blocks.map((_, j) => (j === place ? "/" : ""));
    return {
      ...trace, customdata,
      y: values[place].map((value, j) => (among[j] ? value : null)),
      error_y: { ...trace.error_y, array: errors, visible },
      marker: { ...trace.marker, pattern: { ...trace.marker.pattern, shape } },
      showlegend: among.includes(true),
    };
  });
  const { axis } = panel.views[`${unit} ${scale}`];
  return { data, layout: { ...panel.row.layout, yaxis: axis, uirevision: `${unit} ${scale}` } };
}

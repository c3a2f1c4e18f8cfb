// Panels by kind, as page/panels.py names them. Each is made of its element and { id, chosen, ask },
// and gives update(panel, recolour) and dispose().

const PANELS = {
  comparison: comparisonPanel,
  convergence: convergencePanel,
  coupling: couplingPanel,
  density: densityPanel,
  figure: figurePanel,
  settings: settingsPanel,
  sweep: sweepPanel,
  text: textPanel,
  training: trainingPanel,
};

// What the built page offers to those who load it; hessview/page/module.py says who does.

export { merged } from "./board.js";
export { mountDashboard } from "./dashboard.js";
export { render, report, shells } from "./shells.js";
export { mount } from "./view.js";

// Written by `python -m hessview.page.generate` from where Python draws the same; do not edit.

export const AXES = ["linear", "symlog"];
export const SCALES = ["log", "linear"];
export const RESOLUTION = 0.01;
export const POINTS_PER_WIDTH = 3.0;
export const FLAT_WIDTH = 0.001;
export const POINTS_PER_SIGMA = 4;
export const LEAST_POINTS = 501;
export const MOST_POINTS = 4001;
export const LEAST_APART = 0.02;
export const PADDING = 0.03;
export const REACH = 5.0;
export const TICKS = 8;
export const ROUNDING = 1e-14;
export const ONE_VALUE = 1e-09;
export const MARGIN = 1000.0;
export const LOCATED = 0.01;
export const BOUND_TICKS = 6;
export const BOUND_EDGE = 0.04;
export const LAST_DIGIT = 2.220446049250313e-16;
export const AROUND = 0.3;
export const LEAST_ROWS = 241;
export const MOST_ROWS = 961;
export const DECADES = 8;

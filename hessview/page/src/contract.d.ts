// Written by `python -m hessview.page.generate` from contract.py; do not edit.

/** A Plotly figure, without the arrays that the page computes. */
export interface Figure {
  /** Traces, each with meta.role, by which the page knows it. */
  data: Record<string, any>[];
  /** The layout, without a title. */
  layout: Record<string, any>;
}

/** Lanczos coefficients of a probe's leading steps, in full precision. */
export interface Probe {
  /** Its number, from 0. */
  probe: number;
  /** Diagonal of its Jacobi matrix. */
  alpha: number[];
  /** Off-diagonal, of the same length: the last is the norm of the residual left. */
  beta: number[];
  /** After each step, which Ritz values are copies, as `analysis.ritz.merges_of` has it; where all vectors are kept there are none. */
  merged?: number[][];
}

/** What every spectrum is computed from. */
export interface Coefficients {
  /** Steps asked of each probe. */
  steps: number;
  /** Whether nothing more can arrive. */
  over: boolean;
  /** Those that are begun. */
  probes: Probe[];
}

/** What every panel has. */
export interface Head {
  /** What it shows. */
  title: string;
  /** Of what, and how it was measured. */
  subtitle: string;
  /** Why there is nothing to draw, "" if there is. */
  message: string;
  /** The command that was asked for, None if it is not known. */
  again?: Record<string, any> | null;
  /** Place in the section of a panel whose values this one uses as well. */
  shares?: number;
}

/** A panel of which nothing is measured yet. */
export interface Blank {
  /** What it shows. */
  title: string;
  /** Of what, and how it was measured. */
  subtitle: string;
  /** Why there is nothing to draw, "" if there is. */
  message: string;
  /** The command that was asked for, None if it is not known. */
  again?: Record<string, any> | null;
  /** Place in the section of a panel whose values this one uses as well. */
  shares?: number;
  /** What it will be. */
  kind: "convergence" | "coupling" | "density" | "figure" | "settings" | "sweep" | "text";
  /** Not there. */
  figure?: null;
}

/** A table made of text. */
export interface TextBody {
  /** Its lines. */
  text: string;
}

/** A density of which any steps and probes can be drawn. */
export interface DensityBody {
  /** Steps asked of each probe. */
  steps: number;
  /** Whether nothing more can arrive. */
  over: boolean;
  /** Those that are begun. */
  probes: Probe[];
  /** What was measured how. */
  subtitle: string;
  /** The density's figure. */
  figure: Figure;
  /** Smallest and largest eigenvalue of the whole run, each with its uncertainty. */
  marks: number[][];
  /** Probes that were asked for. */
  all: number[];
}

/** How near an eigenvalue must be to an extreme Ritz value, the products' errors included. */
export interface Bounds {
  /** Of the largest one. */
  largest?: number | null;
  /** Of the smallest one. */
  smallest?: number | null;
}

/** How the extremes of any probe settle; the density beside it has the coefficients. */
export interface ConvergenceBody {
  /** What is drawn. */
  subtitle: string;
  /** The figure. */
  figure: Figure;
  /** How many of each end are drawn. */
  extremes: number;
  /** Of each step of a probe, by the probe's number; None where there is none. */
  asymmetries: Record<string, (number | null)[]>;
  /** By the probe's number. */
  bounds: Record<string, Bounds>;
}

/** A density without what it has in common with others. */
export interface SpectrumWithoutFigure {
  /** Steps asked of each probe. */
  steps: number;
  /** Whether nothing more can arrive. */
  over: boolean;
  /** Those that are begun. */
  probes: Probe[];
  /** What was measured how. */
  subtitle: string;
  /** As of a density. */
  marks: number[][];
  /** As of a density. */
  all: number[];
}

/** The spectrum at a setting. */
export interface SpectrumAt {
  /** Steps asked of each probe. */
  steps: number;
  /** Whether nothing more can arrive. */
  over: boolean;
  /** Those that are begun. */
  probes: Probe[];
  /** What was measured how. */
  subtitle: string;
  /** As of a density. */
  marks: number[][];
  /** As of a density. */
  all: number[];
  /** The setting. */
  at: number;
}

/** The spectrum at a training step. */
export interface SpectrumOfRun {
  /** Steps asked of each probe. */
  steps: number;
  /** Whether nothing more can arrive. */
  over: boolean;
  /** Those that are begun. */
  probes: Probe[];
  /** What was measured how. */
  subtitle: string;
  /** As of a density. */
  marks: number[][];
  /** As of a density. */
  all: number[];
  /** "". */
  message: string;
}

/** A training step at which nothing is measured yet. */
export interface NoSpectrum {
  /** That it is so. */
  message: string;
  /** "". */
  subtitle: string;
  /** Not there. */
  probes?: null;
}

/** What the spectra of a panel have in common. */
export interface Shared {
  /** The density's figure. */
  figure?: Figure;
}

/** Spectra at the settings of a figure. */
export interface Spectra {
  /** What they have in common. */
  density: Shared;
  /** One for each setting of which one is measured, ascending. */
  spectra: SpectrumAt[];
}

/** The settings over which a slider moves, and the numbers at each. */
export interface Over {
  /** What is set. */
  label: string;
  /** The axis of the figure that shows it. */
  axis: string;
  /** Whether it is logarithmic. */
  log: boolean;
  /** Whether another setting can be measured. */
  askable: boolean;
  /** The measured settings, ascending. */
  values: number[];
  /** Names of the columns. */
  head: string[];
  /** For each value, rows of text. */
  rows: string[][][];
}

/** A figure as it was made. */
export interface FigureBody {
  /** What was measured how. */
  subtitle: string;
  /** The figure. */
  figure: Figure;
  /** What is to be known before it is read, "". */
  warning: string;
  /** What some of its colours become on a dark ground. */
  dark: Record<string, string>;
}

/** A figure over settings, of which one can be put in front. */
export interface SettingsBody {
  /** What was measured how. */
  subtitle: string;
  /** The figure. */
  figure: Figure;
  /** What is to be known before it is read, "". */
  warning: string;
  /** What some of its colours become on a dark ground. */
  dark: Record<string, string>;
  /** The settings. */
  over: Over;
  /** What the spectra at them have in common. */
  density?: Shared;
  /** Spectra at some of them. */
  spectra?: SpectrumAt[];
}

/** Spectra over each other, at the settings of a sweep. */
export interface SweepBody {
  /** What was measured how. */
  subtitle: string;
  /** The figure. */
  figure: Figure;
  /** What is to be known before it is read, "". */
  warning: string;
  /** What some of its colours become on a dark ground. */
  dark: Record<string, string>;
  /** What the spectra at them have in common. */
  density: Shared;
  /** Spectra at some of them. */
  spectra: SpectrumAt[];
  /** The settings. */
  over: Over;
  /** Place of the one from which distances are measured. */
  reference: number;
}

/** Numbers of all pairs of blocks, as rows. */
export interface CouplingMatrix {
  /** Squared norms, or what stands for them. */
  frobenius: ((number | null)[])[];
  /** Their spread over the probes. */
  frobenius_spread: ((number | null)[])[];
  /** Their noise. */
  frobenius_noise: ((number | null)[])[];
  /** Spread of the coefficients. */
  coefficient_spread: ((number | null)[])[];
}

/** How a coupling is drawn in a unit and on a scale. */
export interface CouplingView {
  /** Number of the lightest colour. */
  zmin: number;
  /** Number of the darkest. */
  zmax: number;
  /** Plotly's colour bar. */
  colorbar: Record<string, any>;
  /** Plotly's axis of a row. */
  axis: Record<string, any>;
}

/** A coupling, and any row of it, in either unit and on either scale. */
export interface CouplingBody {
  /** What a coefficient is. */
  subtitle: string;
  /** Why the whole is not to be believed, "". */
  warning: string;
  /** Names of the blocks. */
  blocks: string[];
  /** Their numbers. */
  matrix: CouplingMatrix;
  /** The verdicts. */
  words: string[];
  /** Of each cell, its place among the words. */
  verdict: number[][];
  /** By "normalised log" and so on. */
  views: Record<string, CouplingView>;
  /** The matrix' figure. */
  figure: Figure;
  /** A row's figure. */
  row: Figure;
  /** Of each block, what is said beside its row. */
  errors: string[];
}

/** A density. */
export interface DensityPanel {
  /** What it shows. */
  title: string;
  /** What was measured how. */
  subtitle: string;
  /** "". */
  message: string;
  /** The command that was asked for, None if it is not known. */
  again?: Record<string, any> | null;
  /** Place in the section of a panel whose values this one uses as well. */
  shares?: number;
  /** Steps asked of each probe. */
  steps: number;
  /** Whether nothing more can arrive. */
  over: boolean;
  /** Those that are begun. */
  probes: Probe[];
  /** The density's figure. */
  figure: Figure;
  /** As of a density. */
  marks: number[][];
  /** As of a density. */
  all: number[];
  /** "density". */
  kind: "density";
}

/** The extremes' convergence. */
export interface ConvergencePanel {
  /** What it shows. */
  title: string;
  /** What is drawn. */
  subtitle: string;
  /** Why there is nothing to draw, "" if there is. */
  message: string;
  /** The command that was asked for, None if it is not known. */
  again?: Record<string, any> | null;
  /** Place in the section of a panel whose values this one uses as well. */
  shares?: number;
  /** The density's figure. */
  figure: Figure;
  /** How many of each end are drawn. */
  extremes: number;
  /** Of each step of a probe, by the probe's number; None where there is none. */
  asymmetries: Record<string, (number | null)[]>;
  /** By the probe's number. */
  bounds: Record<string, Bounds>;
  /** "convergence". */
  kind: "convergence";
}

/** A figure without controls. */
export interface FigurePanel {
  /** What it shows. */
  title: string;
  /** What was measured how. */
  subtitle: string;
  /** Why there is nothing to draw, "" if there is. */
  message: string;
  /** The command that was asked for, None if it is not known. */
  again?: Record<string, any> | null;
  /** Place in the section of a panel whose values this one uses as well. */
  shares?: number;
  /** The figure. */
  figure: Figure;
  /** What is to be known before it is read, "". */
  warning: string;
  /** What some of its colours become on a dark ground. */
  dark: Record<string, string>;
  /** "figure". */
  kind: "figure";
}

/** A figure over settings. */
export interface SettingsPanel {
  /** What it shows. */
  title: string;
  /** What was measured how. */
  subtitle: string;
  /** Why there is nothing to draw, "" if there is. */
  message: string;
  /** The command that was asked for, None if it is not known. */
  again?: Record<string, any> | null;
  /** Place in the section of a panel whose values this one uses as well. */
  shares?: number;
  /** The figure. */
  figure: Figure;
  /** What is to be known before it is read, "". */
  warning: string;
  /** What some of its colours become on a dark ground. */
  dark: Record<string, string>;
  /** The settings. */
  over: Over;
  /** What the spectra at them have in common. */
  density?: Shared;
  /** Spectra at some of them. */
  spectra?: SpectrumAt[];
  /** "settings". */
  kind: "settings";
}

/** A sweep. */
export interface SweepPanel {
  /** What it shows. */
  title: string;
  /** What was measured how. */
  subtitle: string;
  /** Why there is nothing to draw, "" if there is. */
  message: string;
  /** The command that was asked for, None if it is not known. */
  again?: Record<string, any> | null;
  /** Place in the section of a panel whose values this one uses as well. */
  shares?: number;
  /** The figure. */
  figure: Figure;
  /** What is to be known before it is read, "". */
  warning: string;
  /** What some of its colours become on a dark ground. */
  dark: Record<string, string>;
  /** What the spectra at them have in common. */
  density: Shared;
  /** Spectra at some of them. */
  spectra: SpectrumAt[];
  /** The settings. */
  over: Over;
  /** Place of the one from which distances are measured. */
  reference: number;
  /** "sweep". */
  kind: "sweep";
}

/** A coupling. */
export interface CouplingPanel {
  /** What it shows. */
  title: string;
  /** What a coefficient is. */
  subtitle: string;
  /** Why there is nothing to draw, "" if there is. */
  message: string;
  /** The command that was asked for, None if it is not known. */
  again?: Record<string, any> | null;
  /** Place in the section of a panel whose values this one uses as well. */
  shares?: number;
  /** Why the whole is not to be believed, "". */
  warning: string;
  /** Names of the blocks. */
  blocks: string[];
  /** Their numbers. */
  matrix: CouplingMatrix;
  /** The verdicts. */
  words: string[];
  /** Of each cell, its place among the words. */
  verdict: number[][];
  /** By "normalised log" and so on. */
  views: Record<string, CouplingView>;
  /** The matrix' figure. */
  figure: Figure;
  /** A row's figure. */
  row: Figure;
  /** Of each block, what is said beside its row. */
  errors: string[];
  /** "coupling". */
  kind: "coupling";
}

/** A table made of text. */
export interface TextPanel {
  /** What it shows. */
  title: string;
  /** Of what, and how it was measured. */
  subtitle: string;
  /** Why there is nothing to draw, "" if there is. */
  message: string;
  /** The command that was asked for, None if it is not known. */
  again?: Record<string, any> | null;
  /** Place in the section of a panel whose values this one uses as well. */
  shares?: number;
  /** Its lines. */
  text: string;
  /** "text". */
  kind: "text";
}

/** A run of a comparison: its coefficients, or where they stand. */
export interface ComparedRun {
  /** Its name. */
  label: string;
  /** Whether it has too few steps for the others' kernel width. */
  coarse: boolean;
  /** Eigenvalues between which its spectrum was seen. */
  ends: number[];
  /** Place of the section of the page whose first panel holds its coefficients; if there is none, they are here. */
  at?: number;
  /** As of coefficients. */
  steps?: number;
  /** As of coefficients. */
  over?: boolean;
  /** As of coefficients. */
  probes?: Probe[];
}

/** Spectra of several runs over each other. */
export interface ComparisonPanel {
  /** What it shows. */
  title: string;
  /** Of what, and how it was measured. */
  subtitle: string;
  /** Why there is nothing to draw, "" if there is. */
  message: string;
  /** The command that was asked for, None if it is not known. */
  again?: Record<string, any> | null;
  /** Place in the section of a panel whose values this one uses as well. */
  shares?: number;
  /** "comparison". */
  kind: "comparison";
  /** The figure. */
  figure: Figure;
  /** What the curves' colours become on a dark ground. */
  dark: Record<string, string>;
  /** The runs, in the order of the figure's traces. */
  runs: ComparedRun[];
  /** Names of the table's columns. */
  head: string[];
  /** The table. */
  rows: string[][];
}

/** Spectra over the training step. */
export interface TrainingPanel {
  /** What it shows. */
  title: string;
  /** Of what, and how it was measured. */
  subtitle: string;
  /** Why there is nothing to draw, "" if there is. */
  message: string;
  /** The command that was asked for, None if it is not known. */
  again?: Record<string, any> | null;
  /** Place in the section of a panel whose values this one uses as well. */
  shares?: number;
  /** "training". */
  kind: "training";
  /** The heatmap and the curves above it. */
  figure: Figure;
  /** Training steps, ascending. */
  steps: number[];
  /** What the spectra have in common. */
  density: Shared;
  /** That at each training step. */
  spectra: (SpectrumOfRun | NoSpectrum)[];
}

/** How a page looks. */
export interface Theme {
  /** Colours by what they mean, on a light ground; figures come in these. */
  light: Record<string, string>;
  /** The same on a dark ground. */
  dark: Record<string, string>;
  /** CSS font family. */
  font: string;
}

/** Where a run stands. */
export interface Status {
  /** "queued", "running", how it ended, "detached" or "unfinished". */
  state: string;
  /** The state in a word, "" where several runs are told of. */
  label: string;
  /** Why it ended early, or is not followed, "". */
  message: string;
  /** Readings that it has. */
  done: number;
  /** Readings that it can have. */
  total: number;
  /** What a reading is. */
  unit: string;
  /** How long it will take, in words, "" if unknown. */
  left: string;
}

/** A headline number, as plain text. */
export interface Tile {
  /** What the number is. */
  label: string;
  /** The number. */
  value: string;
  /** Its uncertainty, or why there is none. */
  note: string;
  /** How the uncertainty was obtained, at length. */
  basis: string;
  /** Whether it is to be believed, "" where that goes without saying. */
  verdict: string;
  /** Colour of the verdict, as the theme names it. */
  tone: string;
}

/** A variable of a record. */
export interface Variable {
  /** Names of its dims. */
  dims: string[];
  /** Its values, flat, the last dim fastest. */
  values: (number | string | null)[];
}

/** Every reading of a run in full precision, for downloads. */
export interface Readings {
  /** Places along each dim. */
  coords: Record<string, (number | string | null)[]>;
  /** Variables by name. */
  variables: Record<string, Variable>;
  /** What is known of the run. */
  attrs: Record<string, any>;
}

/** A run, or several that are told of together. */
export interface Section {
  /** The run, "" of several. */
  id: string;
  /** Name of the model. */
  title: string;
  /** What the numbers are about. */
  subtitle: string;
  /** Where it stands. */
  status: Status;
  /** Headline numbers. */
  tiles: Tile[];
  /** Figures; none on a card. */
  panels: (Blank | ComparisonPanel | ConvergencePanel | CouplingPanel | DensityPanel | FigurePanel | SettingsPanel | SweepPanel | TextPanel | TrainingPanel)[];
  /** Rows of where the numbers come from. */
  provenance: string[][];
  /** Every reading, where the page stays as it is. */
  record?: Readings;
}

/** What a session's job holds, as plain text. */
export interface Card {
  /** Name of the model. */
  title: string;
  /** Its size. */
  subtitle: string;
  /** "attached", "watching", "detached", "ended" or "lost". */
  state: string;
  /** Why it is lost, "". */
  message: string;
  /** Of versions that differ, "". */
  warning: string;
  /** What the job holds. */
  rows: string[][];
}

/** What a session answered to what was asked from a page. */
export interface Notice {
  /** The answer. */
  text: string;
  /** Its colour, as the theme names it. */
  tone: string;
}

/** Whether a page can ask; nothing at all where there is no session. */
export interface Standing {
  /** Whether it can at this moment. */
  asking?: boolean;
  /** Why not, "". */
  reason?: string;
  /** What was answered last. */
  notice?: Notice | null;
}

/** What a page tells of runs. */
export interface Sections {
  /** One for each run, or for several that measured the same at other settings. */
  sections: Section[];
  /** One for each training of which there are spectra at several training steps. */
  trainings?: Section[];
  /** One at most, of all other density runs. */
  comparisons?: Section[];
}

/** The state of a page. */
export interface Page {
  /** Whether it can at this moment. */
  asking?: boolean;
  /** Why not, "". */
  reason?: string;
  /** What was answered last. */
  notice?: Notice | null;
  /** One for each run, or for several that measured the same at other settings. */
  sections: Section[];
  /** One for each training of which there are spectra at several training steps. */
  trainings?: Section[];
  /** One at most, of all other density runs. */
  comparisons?: Section[];
  /** Names of the models. */
  title?: string;
  /** How it looks. */
  theme: Theme;
  /** The session's card. */
  card?: Card | null;
}

/** A line of a dashboard's list. */
export interface Entry {
  /** Kind of run. */
  kind: string;
  /** Place of the kind among kinds. */
  place: number;
  /** How much was asked for. */
  label: string;
  /** Of what, and when. */
  detail: string;
  /** Where it stands. */
  status: Status;
  /** Of several runs, a number that changes when one joins. */
  edition?: number;
}

/** A run of a board. */
export interface Part {
  /** Its line of the list. */
  entry: Entry;
  /** What the line opens, if some page looks at it. */
  section?: Section;
  /** Number of its last change. */
  revision?: number;
}

/** What the form offers that asks for a density. */
export interface Form {
  /** Unless changed. */
  steps: number;
  /** Unless changed. */
  probes: number;
  /** Unless changed. */
  epsilon: number | string;
  /** Unless changed. */
  operator: string;
  /** Names of operators, and how each is called. */
  operators: string[][];
}

/** All of a board that is not about one run. */
export interface BoardHead {
  /** Whether it can at this moment. */
  asking?: boolean;
  /** Why not, "". */
  reason?: string;
  /** What was answered last. */
  notice?: Notice | null;
  /** How the page looks. */
  theme: Theme;
  /** The session's card, None of records. */
  card: Card | null;
  /** None where nothing can be asked for. */
  form: Form | null;
  /** Names of the parts, the newest run first. */
  order: string[];
  /** Name of the part that was asked for from a page last, "". */
  asked: string;
}

export interface Change {
  from: number;
  to: number;
  difference: any;
}

/** What is told of a page. */
export interface PageMessage {
  /** What became different, as `page.wire.change` makes it. */
  difference: any;
  /** Number of the message. */
  told: number;
}

/** What is told of a board. */
export interface BoardMessage {
  /** The head, if it changed. */
  head?: BoardHead;
  /** Parts by name; one without section leaves that as it was. */
  parts?: Record<string, Part>;
  /** Changes of parts, by name. */
  changes?: Record<string, Change>;
  /** Number of the message, in a notebook. */
  told?: number;
}

/** A page asks whether its kernel lives, for all that it shows, or for its own source. */
export interface Look {
  /** "look" is answered with the number of what was told last, "again" with all traits, "page" with the page's digest and source. */
  action: "look" | "again" | "page";
}

/** A page of a board looks at a run. */
export interface Show {
  /** "show". */
  action: "show";
  /** Name of the part, "" for the newest. */
  run: string;
}

/** A page asks for a run to be stopped. */
export interface Cancel {
  /** "cancel". */
  action: "cancel";
  /** The run. */
  run?: string;
}

/** A page asks for a run. */
export interface Measure {
  /** "measure". */
  action: "measure";
  /** The command. */
  command: Record<string, any>;
  /** The run beside whose figure it is asked for. */
  run?: string;
}

/** What a kernel answers to a widget. */
export interface Answer {
  /** Digest of a page; its source is the message's buffer. */
  page?: string;
  /** Number of what was told last. */
  revision?: number;
}

/** A panel, by its kind. */
export type Panel = Blank | ComparisonPanel | ConvergencePanel | CouplingPanel | DensityPanel | FigurePanel | SettingsPanel | SweepPanel | TextPanel | TrainingPanel;


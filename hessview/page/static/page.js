// Built from hessview/page/src by `npm run build`; do not edit.
"use strict";
var hessview = (() => {
  var __defProp = Object.defineProperty;
  var __getOwnPropDesc = Object.getOwnPropertyDescriptor;
  var __getOwnPropNames = Object.getOwnPropertyNames;
  var __hasOwnProp = Object.prototype.hasOwnProperty;
  var __export = (target, all) => {
    for (var name in all)
      __defProp(target, name, { get: all[name], enumerable: true });
  };
  var __copyProps = (to, from, except, desc) => {
    if (from && typeof from === "object" || typeof from === "function") {
      for (let key of __getOwnPropNames(from))
        if (!__hasOwnProp.call(to, key) && key !== except)
          __defProp(to, key, { get: () => from[key], enumerable: !(desc = __getOwnPropDesc(from, key)) || desc.enumerable });
    }
    return to;
  };
  var __toCommonJS = (mod) => __copyProps(__defProp({}, "__esModule", { value: true }), mod);

  // src/page.js
  var page_exports = {};
  __export(page_exports, {
    merged: () => merged,
    mount: () => mount,
    mountDashboard: () => mountDashboard,
    render: () => render,
    report: () => report,
    shells: () => shells
  });

  // src/board.js
  function changed(value, difference) {
    if (Array.isArray(difference)) return difference[0];
    if (!Object.keys(difference).length) return value;
    const made = Array.isArray(value) ? [...value] : { ...value };
    for (const [key, one] of Object.entries(difference)) made[key] = changed(made[key], one);
    return made;
  }
  function merged(board, { head = board.head, parts = {}, changes = {} }) {
    const all = { ...board.parts }, missed = new Set(board.missed);
    for (const [name, part] of Object.entries(parts)) {
      all[name] = { ...all[name], ...part };
      missed.delete(name);
    }
    for (const [name, { from, to, difference }] of Object.entries(changes)) {
      const revision = all[name]?.revision;
      if (revision === from) all[name] = changed(all[name], difference);
      else if (revision === void 0 || revision < to) missed.add(name);
    }
    return { head, parts: all, missed };
  }
  function isUnderWay({ state }) {
    return ["queued", "running"].includes(state);
  }
  function left(part, message) {
    if (!isUnderWay(part.status)) return part;
    return { ...part, status: { ...part.status, state: "detached", label: "detached", message, left: "" } };
  }
  function goneStanding(state, reason) {
    const { card } = state;
    const gone = card && ["attached", "watching"].includes(card.state) ? { ...card, state: "lost", message: reason } : card;
    return { ...state, ..."asking" in state ? { asking: false, reason } : {}, card: gone };
  }
  function goneState(state, reason) {
    return { ...goneStanding(state, reason), sections: state.sections.map((section) => left(section, reason)) };
  }
  function goneBoard({ head, parts }, reason) {
    const made = Object.entries(parts).map(([name, part]) => {
      const { section } = part;
      return [name, { ...part, entry: left(part.entry, reason), ...section ? { section: left(section, reason) } : {} }];
    });
    return { head: goneStanding(head, reason), parts: Object.fromEntries(made) };
  }

  // src/elements.js
  var OWN = Math.random().toString(36).slice(2, 8);
  function element(tag, attributes = {}, children = []) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...[children].flat());
    return made;
  }
  function factRow([name, value]) {
    return element("div", {}, [element("dt", {}, name), element("dd", {}, value)]);
  }
  function tableRow([name, ...cells]) {
    return element("tr", {}, [element("th", { scope: "row" }, name), ...cells.map((cell) => element("td", {}, cell))]);
  }
  function tableHead(names) {
    return names.map((name) => element("th", { scope: "col" }, name));
  }
  function rounded(value) {
    const [mantissa, power] = value.toExponential(1).split("e").map(Number);
    if (power > -4 && power < 5) return value.toFixed(Math.max(1 - power, 0)).replace("-", "−");
    const raised = String(power).replace(/./g, (sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]);
    return `${String(mantissa).replace("-", "−")}×10${raised}`;
  }
  var ENTITIES = { "&lt;": "<", "&gt;": ">", "&amp;": "&" };
  function plainText(name) {
    return name.replace(/&(lt|gt|amp);/g, (entity) => ENTITIES[entity]);
  }
  function escaped(name) {
    return name.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  }

  // src/asking.js
  function askButton(ask, label, message) {
    if (!ask) return null;
    const button = element("button", { type: "button", class: "hess-ask", "data-asks": "" }, label);
    button.addEventListener("click", () => {
      const made = message();
      if (made) ask(made);
    });
    return button;
  }
  function allowAsking(root, { asking, reason }) {
    for (
      const button of
      /** @type {NodeListOf<HTMLButtonElement>} */
      root.querySelectorAll("[data-asks]")
    ) {
      button.disabled = !asking;
      button.title = asking ? "" : reason ?? "";
    }
  }
  function noticeView(root) {
    const text = element("span", { role: "status" });
    const dismiss = element("button", { type: "button", class: "hess-ask", "aria-label": "Dismiss" }, "×");
    const line = element("p", { class: "hess-notice" }, [text, dismiss]);
    line.hidden = true;
    root.append(line);
    let known = "";
    dismiss.addEventListener("click", () => {
      line.hidden = true;
    });
    return {
      line,
      /** @param {Notice | null | undefined} notice */
      update(notice) {
        const made = JSON.stringify(notice ?? null);
        if (made === known) return;
        known = made;
        line.hidden = !notice?.text;
        line.dataset.tone = notice?.tone ?? "";
        text.textContent = notice?.text ?? "";
      }
    };
  }
  function formView(prefix, defaults, ask) {
    const field = (name, label, input) => {
      for (const [key, value] of Object.entries({ id: `${prefix}-${name}`, name, "data-lm-suppress-shortcuts": "true" })) {
        input.setAttribute(key, value);
      }
      return element("label", {}, [element("span", {}, label), input]);
    };
    const typed = (name, label, mode) => field(name, label, element("input", { value: String(defaults[name]), inputmode: mode, autocomplete: "off" }));
    const options = defaults.operators.map(([value, label]) => element("option", { value }, label));
    const operators = element("select", {}, options);
    const form = element("form", { class: "hess-form" }, [
      typed("steps", "Lanczos steps", "numeric"),
      typed("probes", "Probes", "numeric"),
      typed("epsilon", "ε (or auto)", "text"),
      field("operator", "Operator", operators),
      element("button", { type: "submit", class: "hess-ask hess-go", "data-asks": "" }, "Measure")
    ]);
    operators.value = defaults.operator;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const said = new FormData(form);
      const [steps, probes, epsilon] = ["steps", "probes", "epsilon"].map((name) => numberOrText(String(said.get(name))));
      ask({ action: "measure", command: { command: "density", steps, probes, epsilon, operator: said.get("operator") } });
    });
    return element("details", { class: "hess-card hess-new" }, [element("summary", {}, "Measure a spectral density"), form]);
  }
  function numberOrText(text) {
    const trimmed = text.trim();
    return trimmed && Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
  }

  // src/constants.js
  var AXES = ["linear", "symlog"];
  var SCALES = ["log", "linear"];
  var RESOLUTION = 0.01;
  var POINTS_PER_WIDTH = 3;
  var FLAT_WIDTH = 1e-3;
  var POINTS_PER_SIGMA = 4;
  var LEAST_POINTS = 501;
  var MOST_POINTS = 4001;
  var LEAST_APART = 0.02;
  var PADDING = 0.03;
  var REACH = 5;
  var TICKS = 8;
  var ROUNDING = 1e-14;
  var ONE_VALUE = 1e-9;
  var MARGIN = 1e3;
  var LOCATED = 0.01;
  var BOUND_TICKS = 6;
  var BOUND_EDGE = 0.04;
  var LAST_DIGIT = 2220446049250313e-31;
  var AROUND = 0.3;
  var LEAST_ROWS = 241;
  var MOST_ROWS = 961;
  var DECADES = 8;

  // src/broadening.js
  var CUTOFF = 10;
  function axisOf(name, scale) {
    if (name === "linear") {
      return { name, scale, coordinate: (x) => x, eigenvalue: (u) => u, jacobian: () => 1, width: (s) => s };
    }
    return {
      name,
      scale,
      coordinate: (x) => Math.asinh(x / scale),
      eigenvalue: (u) => scale * Math.sinh(u),
      jacobian: (u) => scale * Math.cosh(u),
      width: (sigma) => sigma / scale
    };
  }
  function axisFor(name, nodes) {
    const largest = nodes.reduce((most, node) => Math.max(most, Math.abs(node)), 0);
    return axisOf(name, largest ? RESOLUTION * largest : 1);
  }
  function defaultSigma(axis, nodes, steps) {
    const [low, high] = extent(nodes.map(axis.coordinate));
    const largest = Math.max(Math.abs(low), Math.abs(high));
    const flat = high - low <= 64 * Number.EPSILON * largest;
    const width = flat ? largest ? FLAT_WIDTH * largest : 1 : (high - low) / (POINTS_PER_WIDTH * steps);
    return axis.name === "linear" ? width : width * axis.scale;
  }
  function gridOf(axis, nodes, sigma) {
    const at = Float64Array.from(nodes, axis.coordinate).sort(), width = axis.width(sigma);
    const least = at[0], most = at[at.length - 1];
    const beyond = Math.max(REACH * width, PADDING * (most - least));
    const low = least - beyond, high = most + beyond;
    const cell = (value) => Math.round((value - least) / (LEAST_APART * width));
    const apart = at.filter((value, i) => i === 0 || cell(value) > cell(at[i - 1]));
    const wanted = Math.round(POINTS_PER_SIGMA * (high - low) / width) + 1;
    const points = Math.min(Math.max(wanted, LEAST_POINTS), MOST_POINTS);
    const grid = new Float64Array(points + apart.length);
    for (let i = 0; i < points; i++) grid[i] = low + (high - low) * i / (points - 1);
    grid.set(apart, points);
    return grid.sort();
  }
  function broaden(axis, nodes, weights, at, sigma) {
    const density = new Float64Array(at.length), width = axis.width(sigma);
    const height = 1 / (width * Math.sqrt(2 * Math.PI));
    nodes.forEach((node, k) => {
      const centre = axis.coordinate(node), peak = weights[k] * height;
      for (let i = firstFrom(at, centre - CUTOFF * width); i < at.length; i++) {
        const distance = (at[i] - centre) / width;
        if (distance > CUTOFF) break;
        density[i] += peak * Math.exp(-0.5 * distance * distance);
      }
    });
    return axis.name === "linear" ? density : density.map((value, i) => value / axis.jacobian(at[i]));
  }
  function eigenvalueAxis(axis, nodes) {
    if (axis.name === "linear") return { tickmode: "auto" };
    const decade = Math.floor(Math.log10(axis.scale));
    const outward = [];
    for (let k = decade; k < decade + 4; k++) {
      for (const digit of [1, 3]) outward.push(Number(`${digit}e${k}`));
    }
    const [low, high] = extent(nodes);
    const upTo = (end) => outward.filter((value) => value >= axis.scale && value <= end);
    const values = [...upTo(-low).reverse().map((value) => -value), 0, ...upTo(high)];
    return {
      tickmode: "array",
      tickvals: values.map(axis.coordinate),
      ticktext: values.map((value) => general(value).replaceAll("-", "−"))
    };
  }
  function general(value) {
    const size = Math.abs(value);
    if (size === 0 || size >= 1e-4 && size < 1e6) return String(value);
    return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
  }
  function extent(values) {
    let low = Infinity, high = -Infinity;
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return [low, high];
  }
  function firstFrom(at, value) {
    let low = 0, high = at.length;
    while (low < high) {
      const middle = low + high >> 1;
      if (at[middle] < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }
  function between(at, curve, x) {
    const right = Math.min(Math.max(firstFrom(at, x), 1), at.length - 1), left2 = right - 1;
    const span = at[right] - at[left2];
    const share = span > 0 ? (x - at[left2]) / span : 1;
    return curve[left2] + share * (curve[right] - curve[left2]);
  }

  // src/controls.js
  function choice(name, legend, values, chosen, onChange) {
    const options = values.map((value) => {
      const input = element("input", { type: "radio", name, value, "data-lm-suppress-shortcuts": "true" });
      input.checked = value === chosen;
      input.addEventListener("change", () => input.checked && onChange(value));
      return element("label", {}, [input, element("span", {}, value)]);
    });
    return element("fieldset", { class: "hess-control" }, [
      element("legend", {}, legend),
      element("div", { class: "hess-choice" }, options)
    ]);
  }
  function slider(id, label, range, back, onInput, onBack) {
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
      }
    };
  }
  function chips(legend, words, onChange) {
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
        if (!boxes.some((other) => other.checked)) box.checked = true;
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
          const { box, name } = made[i] ??= add();
          box.value = String(value);
          box.disabled = dead;
          box.checked = !dead && !out.includes(value);
          box.setAttribute("aria-label", words(text));
          name.textContent = text;
        });
        all.disabled = !out.length;
      }
    };
  }
  function widthSlider(id, chosen, schedule) {
    const widen = (value) => {
      chosen.widening = value;
      schedule();
    };
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
      }
    };
  }
  function axisChoice(id, chosen, schedule) {
    return choice(`${id}-axis`, "Eigenvalue axis", AXES, chosen.axis, (value) => {
      chosen.axis = value;
      schedule();
    });
  }
  function axesChoice(id, chosen, schedule) {
    const onScale = (value) => {
      chosen.scale = value;
      schedule();
    };
    return [axisChoice(id, chosen, schedule), choice(`${id}-scale`, "Density axis", SCALES, chosen.scale, onScale)];
  }

  // src/quadrature.js
  var MOST_SWEEPS = 60;
  function quadrature(alpha, beta) {
    const size = alpha.length;
    let scale = 0;
    for (const entry of [...alpha, ...beta.slice(0, -1)]) scale = Math.max(scale, Math.abs(entry));
    scale ||= 1;
    const d = Float64Array.from(alpha, (entry) => entry / scale), e = Float64Array.from(beta, (entry) => entry / scale);
    const first = new Float64Array(size), last = new Float64Array(size);
    first[0] = last[size - 1] = 1;
    e[size - 1] = 0;
    for (let l = 0; l < size; l++) {
      for (let sweeps = 0; ; sweeps++) {
        const end = blockEnd(d, e, l);
        if (end === l) break;
        if (sweeps === MOST_SWEEPS) throw new Error("the eigenvalues of a Jacobi matrix did not settle");
        sweep(d, e, first, last, l, end);
      }
    }
    const order = Array.from(d.keys()).sort((i, j) => d[i] - d[j]);
    return {
      nodes: order.map((i) => d[i] * scale),
      weights: order.map((i) => first[i] ** 2),
      residuals: order.map((i) => Math.abs(beta[size - 1] * last[i]))
    };
  }
  function mergedRule({ nodes, weights, residuals }, groups = []) {
    const heads2 = nodes.map((_, i) => i);
    for (let i = 0; i < groups.length; i += 3) heads2.fill(groups[i + 2], groups[i], groups[i] + groups[i + 1]);
    const added = new Float64Array(nodes.length), least = new Float64Array(nodes.length).fill(Infinity), copies = heads2.map(() => 0);
    heads2.forEach((head, i) => {
      added[head] += weights[i];
      least[head] = Math.min(least[head], residuals[i]);
      copies[head]++;
    });
    const kept = heads2.map((_, i) => i).filter((i) => copies[i] > 0);
    const of = (values) => kept.map((i) => values[i]);
    return { nodes: of(nodes), weights: of(added), residuals: of(least), copies: of(copies) };
  }
  function ruleAt({ alpha, beta, merged: merged2 }, steps) {
    return mergedRule(quadrature(alpha.slice(0, steps), beta.slice(0, steps)), merged2?.[steps - 1]);
  }
  function blockEnd(d, e, l) {
    let end = l;
    while (end < d.length - 1) {
      const scale = Math.abs(d[end]) + Math.abs(d[end + 1]);
      if (Math.abs(e[end]) + scale === scale) break;
      end++;
    }
    return end;
  }
  function sweep(d, e, first, last, l, end) {
    let g = (d[l + 1] - d[l]) / (2 * e[l]), r = Math.sqrt(g * g + 1);
    g = d[end] - d[l] + e[l] / (g + (g >= 0 ? r : -r));
    let s = 1, c = 1, p = 0;
    for (let i = end - 1; i >= l; i--) {
      let f = s * e[i];
      const b = c * e[i];
      r = Math.sqrt(f * f + g * g);
      e[i + 1] = r;
      if (r === 0) {
        d[i + 1] -= p;
        e[end] = 0;
        return;
      }
      s = f / r;
      c = g / r;
      g = d[i + 1] - p;
      r = (d[i] - g) * s + 2 * c * b;
      p = s * r;
      d[i + 1] = g + p;
      g = c * r - b;
      f = first[i + 1];
      first[i + 1] = s * first[i] + c * f;
      first[i] = c * first[i] - s * f;
      f = last[i + 1];
      last[i + 1] = s * last[i] + c * f;
      last[i] = c * last[i] - s * f;
    }
    d[l] -= p;
    e[l] = g;
    e[end] = 0;
  }
  function quadratures() {
    let probe = { alpha: [], beta: [] };
    let known = /* @__PURE__ */ new Map();
    const begins = (longer, shorter) => shorter.every((value, i) => value === longer[i]);
    return {
      /**
       * Take the coefficients measured so far.
       * @param {Jacobi} next
       */
      update(next) {
        if (!begins(next.alpha, probe.alpha) || !begins(next.beta, probe.beta)) known = /* @__PURE__ */ new Map();
        probe = next;
      },
      /**
       * What the first so many steps tell.
       * @param {number} steps
       */
      at(steps) {
        const found = known.get(steps) ?? ruleAt(probe, steps);
        known.set(steps, found);
        return found;
      }
    };
  }
  function quadraturesOfProbes() {
    const known = [];
    return {
      /** @param {Jacobi[]} probes as they are now */
      update(probes) {
        probes.forEach((probe, place) => (known[place] ??= quadratures()).update(probe));
      },
      /** @type {Rules} */
      rules: (place, steps) => known[place].at(steps)
    };
  }
  function freshRules(probes) {
    return (place, steps) => ruleAt(probes[place], steps);
  }

  // src/curves.js
  function drawnRows(panel, { steps = null, out = [] } = {}, rules = freshRules(panel.probes)) {
    const begun = panel.probes.map((probe, place) => ({ ...probe, place }));
    const chosen = begun.filter(({ probe }) => !out.includes(probe));
    const limit = steps ?? panel.steps;
    const rows = (chosen.length ? chosen : begun).map(({ probe, alpha, beta, place }) => {
      const length = Math.min(alpha.length, limit);
      return { probe, length, ...rules(place, length), whole: length === limit || beta[length - 1] === 0 };
    });
    const longest = Math.max(...rows.map(({ length }) => length));
    if (panel.over && !rows.some(({ whole }) => whole)) {
      for (const row of rows) row.whole = row.length === longest;
    }
    return { rows, longest };
  }
  function rowsOfCurve(rows) {
    const whole = rows.filter((row) => row.whole);
    return whole.length ? whole : [rows.reduce((a, b) => b.length > a.length ? b : a)];
  }
  function sayCopies(rows) {
    const count = rows.flatMap(({ copies }) => copies).reduce((sum, one) => sum + (one > 1 ? one : 0), 0);
    return count ? `${count} copies merged` : "";
  }
  function outermost(rows) {
    const drawn = rows.flatMap(({ nodes, residuals }) => nodes.map((node, k) => [node, residuals[k]]));
    const ends = extent(drawn.map(([node]) => node)), same = ONE_VALUE * Math.max(...ends.map(Math.abs));
    return ends.map((end) => [end, Math.min(...drawn.filter(([node]) => Math.abs(node - end) <= same).map(([, by]) => by))]);
  }
  function seen(axis, at, [low, high]) {
    const first = Math.min(firstFrom(at, axis.coordinate(low)), at.length - 1), most = axis.coordinate(high);
    let end = firstFrom(at, most);
    while (end < at.length && at[end] <= most) end++;
    return [first, Math.max(end, first + 1)];
  }
  function spread(whole) {
    if (!whole.length) return { low: [], high: [], mean: [] };
    const mean = meanOf(whole);
    if (whole.length === 1) return { low: [], high: [], mean };
    const low = new Float64Array(mean.length).fill(Infinity), high = new Float64Array(mean.length);
    for (const row of whole) {
      for (let i = 0; i < row.length; i++) {
        if (row[i] < low[i]) low[i] = row[i];
        if (row[i] > high[i]) high[i] = row[i];
      }
    }
    return { low, high, mean };
  }
  function meanOf(curves) {
    const mean = new Float64Array(curves[0].length);
    for (const row of curves) for (let i = 0; i < row.length; i++) mean[i] += row[i];
    for (let i = 0; i < mean.length; i++) mean[i] /= curves.length;
    return mean;
  }
  function faintest(axis, at, curve, nodes) {
    let lowest = Infinity;
    for (const x of nodes.filter((node) => Math.abs(node) > axis.scale).map(axis.coordinate)) {
      if (x >= at[0] && x <= at[at.length - 1]) lowest = Math.min(lowest, between(at, curve, x));
    }
    return lowest;
  }
  function bottomOf(scale, lowest, top) {
    const bottom = Math.max(Math.min(lowest, top * 1e-4) / 4, top * ROUNDING);
    return { bottom, floor: scale === "log" ? bottom / MARGIN : 0 };
  }
  function densityAxis(scale, bottom, top) {
    if (scale !== "log") return { type: "linear", range: [0, top * 1.06], dtick: null, tickfont: { size: 12 } };
    const high = top * (top / bottom) ** 0.06;
    const range = [Math.log10(bottom), Math.log10(high)];
    return { type: "log", range, dtick: Math.ceil((range[1] - range[0]) / TICKS) };
  }
  function unresolved(axis) {
    return { edge: axis.coordinate(axis.scale), strip: `not resolved: |λ| < ${rounded(axis.scale)}` };
  }

  // src/turns.js
  var turns = /* @__PURE__ */ new Set();
  function turnOf(draw) {
    return {
      ask() {
        if (turns.size === 0) requestAnimationFrame(takeTurn);
        turns.add(draw);
      },
      drop() {
        turns.delete(draw);
      }
    };
  }
  function takeTurn() {
    const [draw] = turns;
    turns.delete(draw);
    if (turns.size > 0) requestAnimationFrame(takeTurn);
    draw?.();
  }
  function nextFrame(draw) {
    let pending = 0;
    return {
      ask() {
        if (!pending) pending = requestAnimationFrame(() => {
          pending = 0;
          draw();
        });
      },
      drop() {
        cancelAnimationFrame(pending);
      }
    };
  }

  // src/figure.js
  var DASHES = { dash: "dashed", dot: "dotted" };
  var SIGNS = { "x-thin": "×", star: "★", "circle-open": "○" };
  var NARROW = 560;
  var BAR = 60;
  var SHORT = 14;
  var LETTER = 15;
  var TITLE = 92;
  var HEIGHT = 400;
  function plotConfig(name) {
    return {
      displaylogo: false,
      typesetMath: false,
      modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
      toImageButtonOptions: { filename: `hessview-${name}`, scale: 2 }
    };
  }
  function figureKey(data, shapes = []) {
    const lines = shapes.filter(({ showlegend }) => showlegend).map(({ name, line, fillcolor }) => ({ name, line, fillcolor, mode: "lines" }));
    const named = [...data, ...lines].filter((trace) => trace.name && trace.showlegend !== false);
    return named.sort((a, b) => (a.legendrank ?? 0) - (b.legendrank ?? 0)).map((trace) => {
      const swatch = element("span", { class: "hess-swatch hess-line", "aria-hidden": "true" });
      const { line, marker, mode = "", colorscale, fillcolor, opacity } = trace;
      if (colorscale || fillcolor) {
        swatch.classList.replace("hess-line", "hess-area");
        Object.assign(swatch.style, { background: fillcolor ?? colorscale[0][1], opacity });
      } else if (mode.includes("lines")) {
        swatch.style.borderTop = `2px ${DASHES[line.dash] ?? "solid"} ${line.color}`;
        swatch.classList.toggle("hess-dot", mode.includes("markers"));
        swatch.style.color = line.color;
      } else {
        swatch.textContent = SIGNS[marker.symbol] ?? "●";
        swatch.style.color = marker.line?.color ?? marker.color;
      }
      return element("li", {}, [swatch, plainText(trace.name)]);
    });
  }
  function shortened(name) {
    return name.length > SHORT ? `…${name.slice(1 - SHORT)}` : name;
  }
  function figurePanel(host, { clicked } = {}) {
    const plot = element("div", { class: "hess-plot", role: "img" });
    const key = element("ul", { class: "hess-key", "aria-label": "Legend" });
    const warning = element("p", { class: "hess-warning" });
    const waiting = element("p", { class: "hess-waiting" });
    host.append(warning, key, plot, waiting);
    let panel = null;
    let palette = (figure) => figure;
    let across = 0, listening = false;
    const frame = nextFrame(draw);
    function draw() {
      const drawable = Boolean(panel?.figure);
      plot.hidden = key.hidden = !drawable;
      waiting.hidden = drawable;
      waiting.textContent = panel?.message ?? "";
      warning.textContent = panel?.warning ?? "";
      warning.hidden = !panel?.warning;
      across = plot.clientWidth || across;
      if (!panel?.figure || !across) return;
      const { arrays: arrays2 } = panel, { data: bare, layout } = palette(panel.figure, panel.dark);
      const data = bare.map((trace) => ({ ...trace, ...arrays2?.[trace.meta.setting ?? trace.meta.role] }));
      const narrow = across < NARROW;
      key.replaceChildren(...figureKey(data, layout.shapes));
      plot.setAttribute("aria-label", [panel.title, panel.subtitle, panel.warning].filter(Boolean).join(". "));
      const bar = narrow && data.some((trace) => trace.colorbar);
      const height = (layout.height ?? HEIGHT + TITLE) - (layout.margin?.t ?? TITLE) + (bar ? BAR : 0);
      plot.style.minHeight = `${height}px`;
      Plotly.react(
        plot,
        narrow ? data.map(slim) : data,
        {
          ...layout,
          ...narrow ? slimAxes(layout, across) : {},
          width: across,
          height,
          margin: { l: 56, r: 12, t: 10, b: 44 },
          showlegend: false,
          // the page's own wraps better
          uirevision: layout.uirevision ?? "same"
          // a zoom outlives updates
        },
        plotConfig(panel.title.toLowerCase().replaceAll(" ", "-"))
      );
      if (clicked && !listening) /** @type {unknown} */
      plot.on("plotly_click", ({ points }) => clicked(points[0]));
      listening = true;
    }
    const observer = new ResizeObserver(frame.ask);
    observer.observe(host);
    return {
      update(next, recolour) {
        panel = next;
        palette = recolour;
        frame.ask();
      },
      dispose() {
        observer.disconnect();
        frame.drop();
        Plotly.purge(plot);
      }
    };
  }
  function slim(trace) {
    if (!trace.colorbar) return trace;
    const title = { ...trace.colorbar.title, side: "top", font: { size: 11 } };
    const lying = { orientation: "h", x: 0, xanchor: "left", len: 0.72, y: 1, yanchor: "bottom", thickness: 8, ypad: 4 };
    return { ...trace, colorbar: { ...trace.colorbar, ...lying, title, tickfont: { size: 10 } } };
  }
  function slimAxes(layout, across) {
    const smaller = (name, { title, tickvals, ticktext, ...axis }) => {
      const every = name === "xaxis" && ticktext ? Math.ceil(LETTER * ticktext.length / (0.4 * across)) : 1;
      const kept = (_, i) => i % every === 0;
      const names = ticktext && {
        tickvals: tickvals.filter(kept),
        ticktext: ticktext.filter(kept).map((text) => escaped(shortened(plainText(text))))
      };
      return { ...axis, ...names, title: { ...title, font: { size: 11 } }, tickfont: { size: 10, ...axis.tickfont } };
    };
    const axes = Object.entries(layout).filter(([name]) => /^[xy]axis/.test(name));
    return Object.fromEntries(axes.map(([name, axis]) => [name, smaller(name, axis)]));
  }
  function textPanel(host) {
    const table = element("pre", { class: "hess-text", tabindex: "0" });
    const waiting = element("p", { class: "hess-waiting" });
    host.append(table, waiting);
    return {
      update(panel) {
        const text = "text" in panel ? panel.text : "";
        table.textContent = text;
        table.hidden = !text;
        table.setAttribute("aria-label", panel.title);
        waiting.textContent = panel.message;
        waiting.hidden = Boolean(text);
      },
      dispose() {
      }
    };
  }

  // src/comparison.js
  function overlay(runs, { axis: name, sigma: width = null, widening = 0, scale, out = [] }, rulesOf = () => void 0) {
    const included = runs.flatMap((run, place) => out.includes(place) ? [] : [{ run, place }]).map(({ run, place }) => {
      const { rows, longest } = drawnRows(run, {}, rulesOf(place));
      return { place, coarse: run.coarse, nodes: rows.flatMap((row) => row.nodes), shown: rowsOfCurve(rows), longest };
    });
    const nodes = included.flatMap((part) => part.nodes), axis = axisFor(name, nodes);
    const parts = included.map((part) => ({ ...part, own: defaultSigma(axis, part.nodes, part.longest) }));
    const fine = parts.filter(({ coarse }) => !coarse);
    const sigma = width ?? Math.max(...(fine.length ? fine : parts).map(({ own }) => own)) * 10 ** widening;
    const at = gridOf(axis, nodes, sigma);
    const curves = /* @__PURE__ */ new Map();
    let top = 0, lowest = Infinity;
    for (const { place, coarse, shown, own } of parts) {
      const wide = coarse && width === null ? Math.max(own * 10 ** widening, sigma) : sigma;
      const mean = meanOf(shown.map((row) => broaden(axis, row.nodes, row.weights, at, wide)));
      curves.set(place, mean);
      top = Math.max(top, extent(mean)[1]);
      lowest = Math.min(lowest, faintest(axis, at, mean, shown.flatMap((row) => row.nodes)));
    }
    const { bottom, floor } = bottomOf(scale, lowest, top);
    const customdata = Array.from(at, axis.eigenvalue);
    const traces = runs.map(({ ends }, place) => {
      const curve = curves.get(place);
      if (!curve) return { x: [], y: [], customdata: [], showlegend: false };
      const [first, end] = seen(axis, at, ends);
      const y = curve.slice(first, end).map((value) => Math.max(value, floor));
      return { x: at.slice(first, end), y, customdata: customdata.slice(first, end), showlegend: true };
    });
    return { traces, sigma, xaxis: eigenvalueAxis(axis, nodes), yaxis: densityAxis(scale, bottom, top), ...unresolved(axis) };
  }
  function comparisonPanel(host, { id, chosen: given }) {
    const chosen = Object.assign(given, { axis: "linear", scale: "log", widening: 0, out: [], ...given });
    const body = element("div"), figure = figurePanel(body), frame = nextFrame(draw);
    const known = [];
    const width = widthSlider(`${id}-sigma`, chosen, frame.ask);
    const runs = chips("Runs", (text) => `Run ${text}`, (out) => {
      chosen.out = out;
      frame.ask();
    });
    const controls = element("div", { class: "hess-controls" }, [width.root, ...axesChoice(id, chosen, frame.ask), runs.root]);
    const head = element("tr"), rows = element("tbody");
    const table = element("div", { class: "hess-picked", tabindex: "0", role: "region", "aria-label": "Distances and extremes" }, [
      element("table", {}, [element("thead", {}, head), rows])
    ]);
    host.append(body, controls, table);
    let panel = null;
    let palette = (figure2) => figure2;
    function draw() {
      if (!panel) return;
      const entries = panel.runs.map(({ label }, value) => ({ value, text: label, dead: false }));
      const out = chosen.out.filter((place) => place < entries.length);
      runs.show(entries, out);
      const { traces, sigma, xaxis, yaxis, edge, strip } = overlay(panel.runs, { ...chosen, out }, (place) => known[place].rules);
      width.show(sigma);
      const { data, layout } = panel.figure;
      figure.update({
        ...panel,
        arrays: Object.fromEntries(traces.map((arrays2, place) => [place, arrays2])),
        figure: {
          data: data.map((trace, place) => ({ ...trace, meta: { ...trace.meta, role: place } })),
          layout: {
            ...layout,
            xaxis: { ...layout.xaxis, ...xaxis },
            yaxis: { ...layout.yaxis, ...yaxis },
            shapes: [{ ...layout.shapes[0], name: strip, x0: -edge, x1: edge }]
          }
        }
      }, palette);
    }
    return {
      update(next, recolour) {
        panel = next;
        palette = recolour;
        panel.runs.forEach(({ probes }, place) => (known[place] ??= quadraturesOfProbes()).update(probes));
        head.replaceChildren(...tableHead(panel.head));
        rows.replaceChildren(...panel.rows.map(tableRow));
        frame.ask();
      },
      dispose() {
        frame.drop();
        figure.dispose();
      }
    };
  }

  // src/convergence.js
  var ENDS = ["largest", "smallest"];
  function settling({ probes, extremes, bounds: stated, asymmetries = {} }, place, rules = freshRules(probes)) {
    const { probe, alpha } = probes[place];
    const after = alpha.map((_, i) => rules(place, i + 1));
    const floor = roundingOf(after);
    const traces = {};
    for (const end of ENDS) {
      const x = [];
      const values = [];
      const bounds = [];
      const customdata = [];
      const symbol = [];
      for (let rank = 1; rank <= extremes; rank++) {
        after.forEach(({ nodes, residuals }, i) => {
          const there = rank <= Math.max(nodes.length >> 1, 1), k = end === "largest" ? nodes.length - rank : rank - 1;
          x.push(there ? i + 1 : null);
          values.push(there ? nodes[k] : null);
          bounds.push(there ? Math.max(residuals[k], floor) : null);
          symbol.push(there && residuals[k] <= LOCATED * Math.abs(nodes[k]) ? "circle" : "circle-open");
          customdata.push(there ? [rank, residuals[k], nodes[k]] : [null, null, null]);
        });
        for (const row of [x, values, bounds]) row.push(null);
        symbol.push("circle-open");
        customdata.push([null, null, null]);
      }
      traces[end] = { x, y: values, symbol, customdata };
      traces[`${end}_residual`] = { x, y: bounds, symbol, customdata };
      const bound = stated[probe]?.[end] ?? 0, known = bound > 0;
      traces[`${end}_bound`] = { x: known ? [0.5, after.length + 0.5] : [], y: known ? [bound, bound] : [], showlegend: known };
    }
    const skew = (asymmetries[probe] ?? []).slice(0, after.length);
    traces.asymmetry = { x: skew.map((_, i) => i + 1), y: skew, showlegend: skew.some((value) => value !== null && value > 0) };
    return traces;
  }
  function boundAxis(traces) {
    const curves = [traces.largest_residual, traces.smallest_residual, traces.largest_bound, traces.smallest_bound, traces.asymmetry];
    const logs = curves.flatMap(({ y }) => y).filter((value) => value > 0).map(Math.log10), [least, most] = extent(logs);
    const low = Math.floor(least), high = Math.max(Math.ceil(most), low + 1), beyond = BOUND_EDGE * (high - low);
    return { range: [low - beyond, high + beyond], dtick: Math.ceil((high - low) / BOUND_TICKS) };
  }
  function roundingOf(after) {
    const norm = after.reduce((most, { nodes }) => Math.max(most, Math.abs(nodes[0]), Math.abs(nodes[nodes.length - 1])), 0);
    return LAST_DIGIT * (norm || 1);
  }
  function convergencePanel(host, { id, chosen: given }) {
    const chosen = Object.assign(given, { probe: null, ...given });
    const body = element("div"), figure = figurePanel(body), frame = nextFrame(draw);
    const known = quadraturesOfProbes();
    const pick = (probe) => {
      chosen.probe = probe;
      frame.ask();
    };
    const picker = slider(
      `${id}-probe`,
      "Probe",
      { min: "0", step: "1" },
      { label: "furthest", title: "The probe that got furthest, of equals the first" },
      (place) => pick(panel?.probes[place].probe ?? null),
      () => pick(null)
    );
    const controls = element("div", { class: "hess-controls" }, [picker.root]);
    host.append(body, controls);
    let panel = null;
    let palette = (figure2) => figure2;
    function draw() {
      if (!panel) return;
      const { probes } = panel, lengths = probes.map(({ alpha }) => alpha.length);
      const asked = probes.findIndex(({ probe }) => probe === chosen.probe);
      const place = asked >= 0 ? asked : lengths.indexOf(Math.max(...lengths));
      const traces = settling(panel, place, known.rules);
      const told = `${probes[place].probe + 1}, ${lengths[place]} step${lengths[place] === 1 ? "" : "s"}`;
      const copies = sayCopies([known.rules(place, lengths[place])]), words = copies ? `${told}, ${copies}` : told;
      picker.input.max = String(probes.length - 1);
      picker.show(place, words, `probe ${words}`, asked < 0);
      controls.hidden = probes.length === 1;
      const data = panel.figure.data.map((trace) => {
        const { symbol, ...arrays2 } = traces[trace.meta.role] ?? { x: [null], y: [null] };
        return { ...trace, ...arrays2, ...symbol ? { marker: { ...trace.marker, symbol } } : {} };
      });
      const { layout } = panel.figure, moved = { ...layout, yaxis3: { ...layout.yaxis3, ...boundAxis(traces) } };
      figure.update({ ...panel, figure: { data, layout: moved } }, palette);
    }
    return {
      update(next, recolour) {
        panel = next;
        palette = recolour;
        known.update(panel.probes);
        draw();
      },
      dispose() {
        frame.drop();
        figure.dispose();
      }
    };
  }

  // src/coupling.js
  var UNITS = ["normalised", "raw"];
  function missing(value) {
    return value === null || !Number.isFinite(value);
  }
  function numbersOf({ matrix }, unit) {
    const { frobenius, frobenius_spread, frobenius_noise, coefficient_spread } = matrix;
    if (unit === "raw") return { values: frobenius, spread: frobenius_spread, noise: frobenius_noise };
    const own = frobenius.map((row, i) => missing(row[i]) ? NaN : Math.sqrt(row[i]));
    const over = (rows) => rows.map((row, i) => row.map((value, j) => missing(value) ? NaN : value / (own[i] * own[j])));
    return { values: over(frobenius), spread: coefficient_spread, noise: over(frobenius_noise) };
  }
  function matrixArrays(panel, unit, scale) {
    const { zmin, zmax, colorbar } = panel.views[`${unit} ${scale}`];
    const { values } = numbersOf(panel, unit), coefficients = numbersOf(panel, "normalised").values;
    const { frobenius, frobenius_spread, frobenius_noise } = panel.matrix;
    const bottom = 10 ** zmin, names = panel.blocks.map(escaped);
    const colour = (value) => {
      if (missing(value)) return null;
      return scale === "log" ? Math.log10(Math.max(value, bottom)) : value;
    };
    const told = (i, j) => [
      names[i],
      names[j],
      coefficients[i][j],
      frobenius[i][j],
      frobenius_spread[i][j],
      frobenius_noise[i][j],
      panel.words[panel.verdict[i][j]]
    ];
    return {
      z: values.map((row) => row.map(colour)),
      zmin,
      zmax,
      colorbar,
      customdata: values.map((row, i) => row.map((_, j) => told(i, j)))
    };
  }
  function rowFigure(panel, place, unit, scale) {
    const { values, spread: spread2, noise } = numbersOf(panel, unit);
    const errors = spread2[place].map((value) => value ?? 0), visible = !spread2[place].every(missing);
    const customdata = panel.blocks.map((name, j) => [escaped(name), spread2[place][j], noise[place][j]]);
    const data = panel.row.data.map((trace) => {
      const among = values[place].map((value, j) => panel.words[panel.verdict[place][j]] === trace.meta.verdict && !missing(value));
      const shape = panel.blocks.map((_, j) => j === place ? "/" : "");
      return {
        ...trace,
        customdata,
        y: values[place].map((value, j) => among[j] ? value : null),
        error_y: { ...trace.error_y, array: errors, visible },
        marker: { ...trace.marker, pattern: { ...trace.marker.pattern, shape } },
        showlegend: among.includes(true)
      };
    });
    const { axis } = panel.views[`${unit} ${scale}`];
    return { data, layout: { ...panel.row.layout, yaxis: axis, uirevision: `${unit} ${scale}` } };
  }
  function couplingPanel(host, { id, chosen: given }) {
    const chosen = Object.assign(given, { unit: UNITS[0], scale: SCALES[0], block: null, ...given });
    const above = element("div"), below = element("div");
    const list = element("select", { id: `${id}-block`, "data-lm-suppress-shortcuts": "true" });
    const error = element("p", { class: "hess-subtitle", "aria-live": "polite" });
    const controls = element("div", { class: "hess-controls" }, [
      choice(`${id}-unit`, "Numbers", UNITS, chosen.unit, (value) => {
        chosen.unit = value;
        draw();
      }),
      choice(`${id}-scale`, "Scale", SCALES, chosen.scale, (value) => {
        chosen.scale = value;
        draw();
      })
    ]);
    const row = element("div", {}, [
      element("div", { class: "hess-controls" }, [
        element("div", { class: "hess-control" }, [element("label", { for: list.id }, "Row of block"), list]),
        error
      ]),
      below
    ]);
    host.append(above, controls, row);
    const pick = (name) => {
      chosen.block = name;
      draw();
    };
    const pickPlace = (place) => {
      if (panel?.figure) pick(panel.blocks[Math.round(place)]);
    };
    const matrix = figurePanel(above, { clicked: ({ y }) => pickPlace(y) });
    const bars = figurePanel(below, { clicked: ({ x }) => pickPlace(x) });
    list.addEventListener("change", () => pick(list.value));
    let panel = null;
    let palette = (figure) => figure;
    let known = "";
    function draw() {
      if (!panel) return;
      controls.hidden = row.hidden = !panel.figure;
      if (panel.figure) drawCoupling(panel);
      else matrix.update(panel, palette);
    }
    function drawCoupling(panel2) {
      const names = JSON.stringify(panel2.blocks);
      if (names !== known) list.replaceChildren(...panel2.blocks.map((name2) => element("option", { value: name2 }, name2)));
      known = names;
      const place = Math.max(panel2.blocks.indexOf(chosen.block ?? ""), 0), name = panel2.blocks[place];
      list.value = name;
      error.textContent = panel2.errors[place];
      const made = matrixArrays(panel2, chosen.unit, chosen.scale);
      const { data, layout } = panel2.figure;
      const around = {
        type: "rect",
        xref: "x domain",
        yref: "y",
        x0: 0,
        x1: 1,
        y0: place - 0.5,
        y1: place + 0.5,
        line: { color: layout.template.layout.title.font.color, width: 1.5 }
      };
      matrix.update({ ...panel2, figure: { data, layout: { ...layout, shapes: [around] } }, arrays: { matrix: made } }, palette);
      const title = `Responses of ${name} to each block`;
      const figure = rowFigure(panel2, place, chosen.unit, chosen.scale);
      bars.update({ title, subtitle: panel2.errors[place], message: "", warning: "", figure }, palette);
    }
    return {
      update(next, recolour) {
        panel = next;
        palette = recolour;
        draw();
      },
      dispose() {
        matrix.dispose();
        bars.dispose();
      }
    };
  }

  // src/density.js
  function arrays({ rows, longest }, { axis: name, sigma: width = null, widening = 0, scale, over = false, marks: marks2 = null }) {
    const nodes = rows.flatMap((row) => row.nodes), axis = axisFor(name, nodes);
    const sigma = width ?? defaultSigma(axis, nodes, longest) * 10 ** widening;
    const at = gridOf(axis, nodes, sigma);
    const curve = (row) => broaden(axis, row.nodes, row.weights, at, sigma);
    const whole = rows.filter((row) => row.whole), last = rows.filter((row) => !row.whole).at(-1);
    const curves = { ...spread(whole.map(curve)), unfinished: last ? curve(last) : [] };
    const { located, unlocated } = heads(rows.filter((row) => row.whole || row === last), axis, at, curves);
    const markers = [unlocated, located];
    const top = Math.max(...Object.values(curves).map((y) => Math.max(extent(y)[1], 0)));
    const { bottom, floor } = bottomOf(scale, extent(markers.flatMap((head) => head.y))[0], top);
    const eigenvalues = Array.from(at, axis.eigenvalue);
    const label = {
      low: "",
      high: "lowest to highest probe",
      mean: whole.length > 1 ? `mean of ${whole.length} probes` : "1 probe",
      unfinished: last ? `probe ${last.probe + 1}, ${over ? "ended " : ""}at step ${last.length}` : ""
    };
    const marked = marks2 ?? outermost(rows), [least, most] = extent(nodes);
    const [first, end] = seen(axis, at, [Math.min(marked[0][0] - marked[0][1], least), Math.max(marked[1][0] + marked[1][1], most)]);
    const traces = { located, unlocated };
    for (const [role, y] of Object.entries(curves)) {
      traces[role] = y.length ? { x: at.slice(first, end), y: y.slice(first, end).map((value) => Math.max(value, floor)), customdata: eigenvalues.slice(first, end) } : { x: [], y: [], customdata: [] };
      Object.assign(traces[role], { name: label[role], showlegend: Boolean(y.length && label[role]) });
    }
    traces.extremes = extremeMarks(axis, marked, scale === "log" ? bottom : 0, marks2 ? "uncertainty" : "residual bound");
    traces.stems = {
      x: markers.flatMap((head) => head.x.flatMap((x) => [x, x, null])),
      y: markers.flatMap((head) => head.y.flatMap((y) => [floor, y, null]))
    };
    return { traces, sigma, xaxis: eigenvalueAxis(axis, nodes), yaxis: densityAxis(scale, bottom, top), ...unresolved(axis) };
  }
  function extremeMarks(axis, marked, floor, bound) {
    const x = marked.map(([value]) => axis.coordinate(value));
    return {
      x,
      y: [floor, floor],
      customdata: marked,
      name: `extremes and their ${bound}`,
      error_x: {
        type: "data",
        symmetric: false,
        thickness: 1.5,
        width: 4,
        array: marked.map(([value, by], i) => axis.coordinate(value + by) - x[i]),
        arrayminus: marked.map(([value, by], i) => x[i] - axis.coordinate(value - by))
      },
      hovertemplate: `λ %{customdata[0]:.5~g}, ${bound} %{customdata[1]:.2~g}<extra>%{fullData.name}</extra>`
    };
  }
  function heads(rows, axis, at, curves) {
    const made = { unlocated: marks(), located: marks() };
    for (const { probe, nodes, weights, residuals, copies, whole } of rows) {
      const curve = (
        /** @type {Curve} */
        whole ? curves.mean : curves.unfinished
      );
      nodes.forEach((node, k) => {
        if (!(Math.abs(node) > axis.scale)) return;
        const head = residuals[k] <= LOCATED * Math.abs(node) ? made.located : made.unlocated;
        const x = axis.coordinate(node);
        head.x.push(x);
        head.y.push(between(at, curve, x));
        head.customdata.push([node, weights[k], residuals[k], probe + 1, Number(whole), copies[k] > 1 ? `, ${copies[k]} copies merged` : ""]);
      });
    }
    for (const head of Object.values(made)) head.showlegend = head.x.length > 0;
    return made;
  }
  function marks() {
    return { x: [], y: [], customdata: [], showlegend: false };
  }
  function densityLayout(layout, chosen, across, { xaxis, yaxis, edge, strip }) {
    const [unresolved2, ...others] = layout.shapes;
    return {
      ...layout,
      height: across < 560 ? 340 : 400,
      width: across,
      margin: { l: 56, r: 12, t: 8, b: 44 },
      showlegend: false,
      // the page's own wraps better
      xaxis: { ...layout.xaxis, ...xaxis },
      yaxis: { ...layout.yaxis, ...yaxis },
      shapes: [{ ...unresolved2, name: strip, x0: -edge, x1: edge }, ...others],
      uirevision: `${chosen.axis} ${chosen.scale}`
      // a zoom outlives updates, not another axis
    };
  }
  function withArrays(trace, moved) {
    const made = { ...trace, ...moved };
    return trace.error_x ? { ...made, error_x: { ...trace.error_x, ...moved.error_x } } : made;
  }
  function densityKey(data, shapes) {
    const named = [...data, ...shapes].filter((entry) => entry.showlegend);
    return named.sort((a, b) => a.legendrank - b.legendrank).map((entry) => {
      const swatch = element("span", { class: "hess-swatch", "aria-hidden": "true" });
      const kind = entry.fillcolor ? "area" : entry.mode;
      swatch.classList.add(`hess-${kind}`);
      if (kind === "area") swatch.style.background = entry.fillcolor;
      if (kind === "lines") swatch.style.borderTop = `2px ${entry.line.dash ? "dotted" : "solid"} ${entry.line.color}`;
      if (kind === "markers") {
        swatch.style.background = entry.marker.color;
        swatch.style.border = `1.5px solid ${entry.marker.line.color}`;
      }
      return element("li", {}, [swatch, entry.name]);
    });
  }
  function densityPanel(host, { id, chosen: given }) {
    const chosen = Object.assign(given, { axis: "linear", scale: "log", widening: 0, steps: null, out: [], ...given });
    const plot = element("div", { class: "hess-plot", role: "img" });
    const key = element("ul", { class: "hess-key", "aria-label": "Legend" });
    const waiting = element("p", { class: "hess-waiting" });
    const part = element("p", { class: "hess-part" });
    const frame = nextFrame(draw);
    const width = widthSlider(`${id}-sigma`, chosen, frame.ask);
    const steps = slider(
      `${id}-steps`,
      "Lanczos steps",
      { min: "1", step: "1" },
      { label: "all", title: "All steps that are measured, and those that arrive" },
      (value) => {
        chosen.steps = value === Number(steps.input.max) ? null : value;
        frame.ask();
      },
      () => {
        chosen.steps = null;
        frame.ask();
      }
    );
    const probes = chips("Probes", (text) => `Probe ${text}`, (out) => {
      chosen.out = out;
      frame.ask();
    });
    const controls = element("div", { class: "hess-controls" }, [
      width.root,
      steps.root,
      probes.root,
      ...axesChoice(id, chosen, frame.ask)
    ]);
    host.append(key, part, plot, waiting, controls);
    let panel = {};
    let palette = (figure) => figure;
    let across = 0;
    const known = quadraturesOfProbes();
    function draw() {
      const drawable = Boolean(panel.figure);
      plot.hidden = key.hidden = controls.hidden = !drawable;
      waiting.hidden = drawable;
      waiting.textContent = panel.message ?? "";
      across = plot.clientWidth || across;
      part.hidden ||= !drawable;
      if (!drawable || !across) return;
      drawDensity(
        /** @type {Density} */
        panel
      );
    }
    function drawDensity(panel2) {
      const drawn = drawnRows(panel2, chosen, known.rules);
      const shown = showChoice(panel2, drawn.rows);
      const made = arrays(drawn, { ...chosen, over: panel2.over, marks: shown ? null : panel2.marks });
      const words = width.show(made.sigma);
      const { data, layout } = palette(panel2.figure);
      const traces = data.map((trace) => withArrays(trace, made.traces[trace.meta.role]));
      const laid = densityLayout(layout, chosen, across, made);
      key.replaceChildren(...densityKey(traces, laid.shapes));
      plot.setAttribute("aria-label", `${[panel2.title, panel2.subtitle, shown].filter(Boolean).join(". ")}. Kernel width ${words}.`);
      Plotly.react(plot, traces, laid, plotConfig("density"));
    }
    function showChoice(panel2, rows) {
      const most = Math.max(...panel2.probes.map(({ alpha }) => alpha.length));
      const count = Math.min(chosen.steps ?? most, most), begun = panel2.probes.length;
      steps.input.max = String(most);
      steps.show(count, `${count} of ${most}`, `${count} of ${most} steps`, chosen.steps === null);
      steps.root.hidden = most === 1;
      const known2 = new Set(panel2.probes.map(({ probe }) => probe));
      const entries = panel2.all.map((value) => ({ value, text: String(value + 1), dead: !known2.has(value) }));
      probes.show(entries, rows.length === begun ? [] : chosen.out);
      probes.root.hidden = entries.length === 1;
      const parts = [];
      if (count < most) parts.push(`${count} of ${most} steps`);
      if (rows.length < begun) parts.push(`${rows.length} of ${begun} probes`);
      const copies = sayCopies(rows), text = parts.length ? `${parts.join(", ")} are drawn${copies && `, ${copies}`}` : "";
      part.textContent = text && `${text}; the numbers above are those of the whole run.`;
      part.hidden = !text;
      return text;
    }
    const observer = new ResizeObserver(frame.ask);
    observer.observe(host);
    return {
      update(next, recolour) {
        panel = next;
        palette = recolour;
        known.update(panel.probes ?? []);
        frame.ask();
      },
      dispose() {
        observer.disconnect();
        frame.drop();
        Plotly.purge(plot);
      }
    };
  }
  function spectrumView(id, chosen) {
    const title = element("h4"), subtitle = element("p", { class: "hess-subtitle" }), body = element("div");
    const curve = densityPanel(body, { id: `${id}-density`, chosen });
    return {
      root: element("div", { class: "hess-spectrum" }, [title, subtitle, body]),
      /**
       * @param {string} words its title
       * @param {{ subtitle: string, probes?: Probe[] | null, message?: string }} one what it has of its own
       * @param {{ figure?: Figure }} shared what it has in common with others
       * @param {Recolour} recolour
       */
      show(words, one, shared, recolour) {
        title.textContent = words;
        subtitle.textContent = one.subtitle;
        curve.update({ title: words, message: "", ...one.probes ? shared : {}, ...one }, recolour);
      },
      dispose: curve.dispose
    };
  }

  // src/readings.js
  function tablesOf({ coords, variables }) {
    const tables = /* @__PURE__ */ new Map();
    for (const [name, { dims, values }] of Object.entries(variables)) {
      const key = dims.join("-"), table = tables.get(key) ?? { name: key, dims, names: [], columns: [] };
      tables.set(key, table);
      table.names.push(name);
      table.columns.push(values);
    }
    return [...tables.values()].map(({ name, dims, names, columns }) => {
      const nowhere = [[]];
      const places = dims.reduce((rows2, dim) => rows2.flatMap((row) => coords[dim].map((at) => [...row, at])), nowhere);
      const rows = places.map((place, i) => [...place, ...columns.map((values) => values[i])]);
      const measured = rows.filter((row) => row.slice(dims.length).some((cell) => cell !== null));
      return { name, columns: [...dims, ...names], rows: measured };
    });
  }
  function csvCell(cell) {
    if (typeof cell !== "string") return cell ?? "";
    const text = /^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }
  function csvOf({ columns, rows }) {
    return [columns, ...rows].map((row) => row.map(csvCell).join(",")).join("\n");
  }
  function downloads(id, record) {
    const run = `hessview-${id.replace(/[^\w.-]/g, "_") || "run"}`;
    const all = tablesOf(record), filled = all.filter(({ rows }) => rows.length > 0);
    const tables = filled.length > 0 ? filled : all, several = tables.length > 1;
    const files = tables.map((table) => ({
      label: several ? `CSV by ${table.name.replaceAll("-", ", ")}` : "CSV",
      file: several ? `${run}-${table.name}.csv` : `${run}.csv`,
      type: "text/csv",
      text: () => csvOf(table)
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

  // src/settings.js
  var SNAPPED = "measured";
  var FREE = "any";
  var SAME = 0.01;
  var BEYOND = 1;
  function settingsPanel(host, { id, chosen: given, ask, beside = [] }) {
    const chosen = Object.assign(given, { mode: SNAPPED, value: null, density: {}, ...given });
    const body = element("div"), figure = figurePanel(body);
    const input = element("input", { type: "range", id: `${id}-setting`, "data-lm-suppress-shortcuts": "true" });
    const label = element("label", { for: input.id }), shown = element("output", { for: input.id });
    const all = element("button", { type: "button", class: "hess-quiet", title: "Nothing in front" }, "all");
    const controls = element("div", { class: "hess-controls" }, [
      element("div", { class: "hess-control" }, [label, input, shown, all]),
      ...beside
    ]);
    const modes = choice(`${id}-mode`, "Slider", [SNAPPED, FREE], chosen.mode, (mode) => {
      chosen.mode = mode;
      pick();
    });
    const measure = askButton(ask, "Measure here", () => {
      if (chosen.mode !== FREE || chosen.value === null) return null;
      return { action: "measure", command: { ...panel?.again, epsilons: [chosen.value] } };
    });
    if (measure) controls.append(modes, measure);
    const head = element("tr"), rows = element("tbody");
    const table = element("div", { class: "hess-picked", "aria-live": "polite" }, [element("table", {}, [element("thead", {}, head), rows])]);
    const spectrum = spectrumView(id, chosen.density), elsewhere = element("p", { class: "hess-subtitle" });
    host.append(body, controls, table, elsewhere, spectrum.root);
    let panel = null;
    let palette = (figure2) => figure2;
    input.addEventListener("input", pick);
    all.addEventListener("click", () => {
      chosen.value = null;
      draw();
    });
    const measured = () => panel?.figure && "over" in panel && panel.over.values.length ? panel : null;
    function pick() {
      const found = measured();
      if (!found) return;
      const place = Number(input.value);
      chosen.value = chosen.mode === FREE ? Number((10 ** place).toPrecision(3)) : nearest(found.over, place);
      draw();
    }
    function draw() {
      const found = measured();
      controls.hidden = !found;
      table.hidden = !found || chosen.value === null;
      if (found) drawSettings(found);
      else {
        showSpectrum(null, null);
        if (panel) figure.update(panel, palette);
      }
    }
    function drawSettings(panel2) {
      const { over } = panel2, at = positionOn(over);
      const ends = [at(over.values[0]), at(over.values[over.values.length - 1])], beyond = chosen.mode === FREE ? BEYOND : 0;
      Object.assign(input, { min: String(ends[0] - beyond), max: String(ends[1] + beyond), step: String((ends[1] - ends[0] + 2 * beyond) / 400 || 0.01) });
      if (chosen.value !== null && chosen.mode === SNAPPED) chosen.value = nearest(over, at(chosen.value));
      const { value } = chosen;
      if (value !== null) input.value = String(at(value));
      showSpectrum(panel2, value);
      label.textContent = over.label;
      shown.textContent = value !== null ? rounded(value) : "all";
      input.setAttribute("aria-valuetext", value !== null ? `${over.label} ${rounded(value)}` : "all");
      all.disabled = value === null;
      modes.hidden = !over.askable || !panel2.again;
      if (measure) measure.hidden = modes.hidden || chosen.mode !== FREE;
      const place = value !== null ? over.values.indexOf(value) : -1;
      head.hidden = place < 0;
      head.replaceChildren(...tableHead(over.head));
      rows.replaceChildren(...(place < 0 ? [["not measured at this step"]] : over.rows[place]).map(tableRow));
      figure.update(value !== null ? { ...panel2, figure: inFront(panel2.figure, over.axis, value, at) } : panel2, palette);
    }
    function showSpectrum(panel2, value) {
      const found = value !== null && panel2?.spectra || [];
      const one = value !== null && found.find((spectrum2) => Math.abs(spectrum2.at - value) <= SAME * value);
      spectrum.root.hidden = !one;
      elsewhere.hidden = Boolean(one) || !found.length;
      elsewhere.textContent = `Spectra are measured at ${found.map(({ at }) => rounded(at)).join(", ")}.`;
      const words = panel2?.over.label.replace(/^./, (first) => first.toLowerCase());
      if (one) spectrum.show(`Spectrum at ${words} ${rounded(one.at)}`, one, panel2?.density ?? {}, palette);
    }
    return {
      update(next, recolour) {
        panel = next;
        palette = recolour;
        draw();
      },
      dispose() {
        figure.dispose();
        spectrum.dispose();
      }
    };
  }
  function positionOn({ log }) {
    return (value) => log ? Math.log10(value) : value;
  }
  function nearest(over, place) {
    const at = positionOn(over);
    return over.values.reduce((a, b) => Math.abs(at(b) - place) < Math.abs(at(a) - place) ? b : a);
  }
  function inFront({ data, layout }, axis, value, at) {
    const ranked = data.map((trace, place) => ({ ...trace, legendrank: place - data.length }));
    const curves = ranked.filter((trace) => trace.meta.role === "density");
    const dimmed = ranked.map((trace) => curves.includes(trace) && trace.meta.setting !== value ? { ...trace, opacity: 0.22 } : trace);
    const isFront = (trace) => trace.meta.role === "density" && trace.meta.setting === value;
    const ordered = [...dimmed.filter((trace) => !isFront(trace)), ...dimmed.filter(isFront)];
    const rings = data.filter((trace) => ["measured", "distance"].includes(trace.meta.role)).map((trace) => {
      const place = trace.x.indexOf(value), there = place >= 0 && trace.y[place] !== null;
      return {
        type: "scatter",
        mode: "markers",
        x: there ? [value] : [],
        y: there ? [trace.y[place]] : [],
        showlegend: false,
        hoverinfo: "skip",
        ...trace.xaxis ? { xaxis: trace.xaxis, yaxis: trace.yaxis } : {},
        meta: { role: "picked", direction: trace.meta.direction },
        marker: { size: 16, symbol: "circle-open", color: trace.line.color, line: { color: trace.line.color, width: 2 } }
      };
    });
    const line = {
      type: "line",
      xref: axis,
      yref: `${axis.replace("x", "y")} domain`,
      x0: value,
      x1: value,
      y0: 0,
      y1: 1,
      line: { color: layout.template.layout.font.color, width: 1.25 }
    };
    const range = layout.xaxis.range;
    const widened = axis === "x" && range ? { xaxis: { ...layout.xaxis, range: [Math.min(range[0], at(value)), Math.max(range[1], at(value))] } } : {};
    return { data: [...ordered, ...rings], layout: { ...layout, ...widened, shapes: [...layout.shapes ?? [], line] } };
  }

  // src/sweep.js
  function sweptCurves({ spectra, reference, figure }, { axis: name, sigma: width = null, widening = 0, scale }, rulesOf = () => void 0) {
    const parts = spectra.map((one, place) => {
      const { rows, longest } = drawnRows(one, {}, rulesOf(place));
      const whole = rows.filter((row) => row.whole);
      return { setting: figure.data[place].meta.setting, whole, nodes: whole.flatMap((row) => row.nodes), longest };
    });
    const base = parts[reference], axis = axisFor(name, base.nodes);
    const sigma = width ?? defaultSigma(axis, base.nodes, base.longest) * 10 ** widening;
    const [low, high] = extent([0, ...base.nodes]), beyond = AROUND * (high - low);
    const near = parts.flatMap(({ nodes }) => nodes).filter((node) => node >= low - beyond && node <= high + beyond);
    const at = gridOf(axis, near, sigma);
    let top = 0, lowest = Infinity;
    const curves = parts.map(({ whole, nodes }) => {
      const mean = meanOf(whole.map((row) => broaden(axis, row.nodes, row.weights, at, sigma)));
      top = Math.max(top, extent(mean)[1]);
      lowest = Math.min(lowest, faintest(axis, at, mean, nodes));
      return mean;
    });
    const { bottom, floor } = bottomOf(scale, lowest, top);
    const customdata = Array.from(at, axis.eigenvalue);
    const traces = curves.map((curve, place) => {
      const [[low2, below], [high2, above]] = outermost(parts[place].whole);
      const [first, end] = seen(axis, at, [low2 - below, high2 + above]);
      const y = curve.slice(first, end).map((value) => Math.max(value, floor));
      return [parts[place].setting, { x: at.slice(first, end), y, customdata: customdata.slice(first, end) }];
    });
    return {
      traces: Object.fromEntries(traces),
      sigma,
      xaxis: eigenvalueAxis(axis, near),
      yaxis: densityAxis(scale, bottom, top),
      ...unresolved(axis)
    };
  }
  function sweepPanel(host, { id, chosen: given, ask }) {
    const chosen = Object.assign(given, { axis: "linear", scale: "log", widening: 0, ...given });
    const frame = nextFrame(draw);
    const width = widthSlider(`${id}-sigma`, chosen, frame.ask);
    const settings = settingsPanel(host, { id, chosen, ask, beside: [width.root, ...axesChoice(id, chosen, frame.ask)] });
    const known = /* @__PURE__ */ new Map();
    let panel = null;
    let palette = (figure) => figure;
    function draw() {
      if (!panel) return;
      if (!panel.figure) {
        settings.update(panel, palette);
        return;
      }
      const { spectra } = panel;
      const made = sweptCurves(panel, chosen, (place) => known.get(spectra[place].at)?.rules);
      width.show(made.sigma);
      const { data, layout } = panel.figure, [strip, ...others] = layout.shapes;
      settings.update({
        ...panel,
        arrays: made.traces,
        figure: {
          data,
          layout: {
            ...layout,
            xaxis: { ...layout.xaxis, ...made.xaxis },
            yaxis: { ...layout.yaxis, ...made.yaxis },
            shapes: [{ ...strip, name: made.strip, x0: -made.edge, x1: made.edge }, ...others],
            uirevision: `${chosen.axis} ${chosen.scale}`
            // a zoom outlives updates, not another axis
          }
        }
      }, palette);
    }
    return {
      update(next, recolour) {
        panel = next;
        palette = recolour;
        for (const { at, probes } of panel.figure ? panel.spectra : []) {
          const own = known.get(at) ?? quadraturesOfProbes();
          known.set(at, own);
          own.update(probes);
        }
        draw();
      },
      dispose() {
        frame.drop();
        settings.dispose();
      }
    };
  }

  // src/training.js
  function heatmapOf(spectra, { axis: name, sigma: given = null, widening = 0 }, rulesOf = () => void 0) {
    const whole = spectra.map((one, place) => one.probes ? drawnRows(one, {}, rulesOf(place)).rows.filter((row) => row.whole) : []);
    const nodes = whole.flat().flatMap((row) => row.nodes), axis = axisFor(name, nodes);
    const least = Math.min(...whole.flat().map((row) => row.length));
    const sigma = given ?? defaultSigma(axis, nodes, least) * 10 ** widening, width = axis.width(sigma);
    const [first, last] = extent(nodes.map(axis.coordinate));
    const beyond = Math.max(REACH / 2 * width, PADDING * (last - first)), low = first - beyond, high = last + beyond;
    const wanted = Math.round(POINTS_PER_SIGMA * (high - low) / width) + 1;
    const count = Math.min(Math.max(wanted, LEAST_ROWS), MOST_ROWS);
    const y = Float64Array.from({ length: count }, (_, i) => low + (high - low) * i / (count - 1));
    const densityAt = (rows, at) => meanOf(rows.map((row) => broaden(axis, row.nodes, row.weights, at, sigma)));
    const columns = whole.map((rows) => rows.length ? densityAt(rows, y) : null);
    const largest = Math.max(...columns.map((column) => column ? extent(column)[1] : -Infinity));
    const faintest2 = whole.map((rows) => {
      const outer = rows.flatMap((row) => row.nodes).filter((node) => Math.abs(node) > axis.scale);
      return outer.length ? extent(densityAt(rows, Float64Array.from(outer, axis.coordinate).sort()))[0] : Infinity;
    });
    const zmax = Math.log10(largest), lowest = Math.min(...faintest2);
    const zmin = Math.max(lowest < Infinity ? Math.log10(lowest) - 0.5 : -Infinity, zmax - DECADES);
    const colour = (value) => Math.log10(Math.max(value, 10 ** zmin));
    const customdata = Array.from(y, (at) => columns.map(() => axis.eigenvalue(at)));
    const z = Array.from(y, (_, i) => columns.map((column) => column && colour(column[i])));
    return { heat: { y, z, customdata, zmin, zmax }, sigma, yaxis: eigenvalueAxis(axis, nodes), ...unresolved(axis) };
  }
  function trainingPanel(host, { id, chosen: given }) {
    const chosen = Object.assign(given, { step: null, density: {}, axis: "symlog", widening: 0, ...given });
    const above = element("div");
    const frame = nextFrame(() => {
      compute();
      draw();
    });
    const heat = figurePanel(above, { clicked: ({ x }) => pick(nearest2(x)) });
    const width = widthSlider(`${id}-sigma`, chosen, frame.ask), axis = axisChoice(id, chosen, frame.ask);
    const spectrum = spectrumView(id, chosen.density);
    const last = { label: "last", title: "The last training step, and those that arrive" };
    const along = slider(
      `${id}-step`,
      "Training step",
      { min: "0", step: "1" },
      last,
      (place) => pick(stepsOf()[place]),
      () => pick(stepsOf().at(-1))
    );
    host.append(above, element("div", { class: "hess-controls" }, [along.root, width.root, axis]), spectrum.root);
    const known = /* @__PURE__ */ new Map();
    let panel = null;
    let palette = (figure) => figure;
    let made = null;
    const stepsOf = () => panel?.steps ?? [];
    const nearest2 = (at) => stepsOf().reduce((a, b) => Math.abs(b - at) < Math.abs(a - at) ? b : a);
    function pick(step) {
      chosen.step = step === void 0 || step === stepsOf().at(-1) ? null : step;
      draw();
    }
    function compute() {
      if (!panel) return;
      const { spectra, steps } = panel;
      made = heatmapOf(spectra, chosen, (place) => known.get(steps[place])?.rules);
      width.show(made.sigma);
    }
    function draw() {
      if (!panel || !made) return;
      const { edge, heat: arrays2, strip, yaxis } = made, { steps } = panel;
      const place = (chosen.step === null ? steps.length : steps.indexOf(chosen.step) + 1 || steps.length) - 1;
      const step = steps[place];
      along.input.max = String(steps.length - 1);
      along.show(place, String(step), `training step ${step}`, place === steps.length - 1);
      const { data, layout } = panel.figure;
      const line = {
        type: "line",
        xref: "x",
        yref: "paper",
        x0: step,
        x1: step,
        y0: 0,
        y1: 1,
        line: { color: layout.template.layout.title.font.color, width: 1.25 }
      };
      const edges = layout.shapes.map((shape, i) => ({ ...shape, name: strip, y0: (2 * i - 1) * edge, y1: (2 * i - 1) * edge }));
      const laid = { ...layout, yaxis: { ...layout.yaxis, ...yaxis }, shapes: [...edges, line], uirevision: chosen.axis };
      heat.update({ ...panel, figure: { data, layout: laid }, arrays: { spectra: arrays2 } }, palette);
      spectrum.show(`Spectrum at training step ${step}`, panel.spectra[place], panel.density, palette);
    }
    return {
      update(next, recolour) {
        const { spectra, steps } = next;
        panel = next;
        palette = recolour;
        spectra.forEach(({ probes }, place) => {
          const own = known.get(steps[place]) ?? quadraturesOfProbes();
          known.set(steps[place], own);
          own.update(probes ?? []);
        });
        compute();
        draw();
      },
      dispose() {
        frame.drop();
        heat.dispose();
        spectrum.dispose();
      }
    };
  }

  // src/section.js
  var PANELS = {
    comparison: comparisonPanel,
    convergence: convergencePanel,
    coupling: couplingPanel,
    density: densityPanel,
    figure: (host) => figurePanel(host),
    settings: settingsPanel,
    sweep: sweepPanel,
    text: textPanel,
    training: trainingPanel
  };
  var remembered = /* @__PURE__ */ new Map();
  function sectionView(root, id, position, ask) {
    const title = element("h2", { id: `${id}-title` }), subtitle = element("p", { class: "hess-subtitle" });
    const pill = element("span", { class: "hess-pill", role: "status" });
    const bar = element("progress", { "aria-label": "Progress" }), left2 = element("span");
    const message = element("p", { class: "hess-message" });
    const tiles = element("dl", { class: "hess-tiles" });
    const panels = element("div", { class: "hess-panels" });
    const basis = element("dl", { class: "hess-facts" }), rows = element("dl", { class: "hess-facts hess-wide" });
    const readings = element("p", { class: "hess-downloads" });
    const about = { id: "" };
    const askAbout = ask && ((message2) => ask({ run: about.id, ...message2 }));
    const cancel = askButton(askAbout, "Cancel", () => ({ action: "cancel" }));
    const progress = element("div", { class: "hess-progress" }, cancel ? [bar, left2, cancel] : [bar, left2]);
    const details = element("details", { class: "hess-card" }, [
      element("summary", {}, "Uncertainties and provenance"),
      element("h4", {}, "What each number is worth"),
      basis,
      element("h4", {}, "Where the numbers come from"),
      rows,
      readings
    ]);
    const article = element("section", { "aria-labelledby": title.id }, [
      element("header", {}, [element("div", {}, [title, subtitle]), pill]),
      progress,
      message,
      tiles,
      panels,
      details
    ]);
    root.append(article);
    const views = [];
    let known = "";
    return {
      /**
       * @param {Section} section
       * @param {Recolour} recolour
       */
      update(section, recolour) {
        const { status } = section;
        about.id = section.id;
        article.dataset.state = status.state;
        title.textContent = section.title;
        subtitle.textContent = section.subtitle;
        pill.hidden = !status.label;
        if (pill.textContent !== status.label) pill.textContent = status.label;
        bar.max = status.total;
        bar.value = status.done;
        left2.textContent = [`${status.done} of ${status.total} ${status.unit}`, status.left].filter(Boolean).join(" · ");
        progress.hidden = !isUnderWay(status);
        message.textContent = status.message;
        message.hidden = !status.message;
        tiles.replaceChildren(...section.tiles.map(tileView));
        tiles.dataset.count = String(section.tiles.length);
        section.panels.forEach((panel, i) => {
          views[i] ??= panelView(panels, panel.kind, `${id}-${i}`, `${position} ${i} ${panel.kind}`, askAbout);
          const other = panel.shares === void 0 ? {} : section.panels[panel.shares];
          views[i].update({ ...other, ...panel }, recolour);
        });
        const found = section.tiles.filter((tile) => tile.basis).map((tile) => [tile.label, tile.basis]);
        const text = JSON.stringify([found, section.provenance]);
        if (text !== known) {
          known = text;
          basis.replaceChildren(...found.map(factRow));
          rows.replaceChildren(...section.provenance.map(factRow));
          details.hidden = !section.provenance.length;
        }
        if (section.record && !readings.childElementCount) readings.append("Readings: ", ...downloads(section.id, section.record));
      },
      dispose() {
        views.forEach((view) => view.dispose());
      }
    };
  }
  function tileView({ label, value, note, basis, verdict, tone }) {
    const words = [element("strong", {}, value), " ", element("small", {}, note)];
    if (verdict) words.push(" ", element("small", { class: "hess-verdict", "data-tone": tone }, verdict));
    return element("div", { class: "hess-card", title: basis }, [element("dt", {}, label), element("dd", {}, words)]);
  }
  function panelView(parent, kind, id, place, ask) {
    const title = element("h3"), subtitle = element("p", { class: "hess-subtitle" }), body = element("div");
    parent.append(element("div", { class: "hess-card hess-panel" }, [title, subtitle, body]));
    const chosen = remembered.get(place) ?? {};
    remembered.set(place, chosen);
    const view = PANELS[kind](body, { id, chosen, ask });
    return {
      /**
       * @param {Panel} panel
       * @param {Recolour} recolour
       */
      update(panel, recolour) {
        title.textContent = panel.title;
        subtitle.textContent = panel.subtitle;
        view.update(panel, recolour);
      },
      dispose() {
        view.dispose();
      }
    };
  }

  // src/view.css
  var view_default = `/* The class stands twice to outweigh JupyterLab's rules for rendered HTML. Where the page around leaves the width to us, as
   Panel's layouts do, a container would have none. */
.hessview.hessview { container-type: inline-size; contain-intrinsic-inline-size: 760px; box-sizing: border-box; max-width: 1180px; margin: 0 auto; padding: 20px;
  border-radius: 12px; background: var(--page); color: var(--ink); font: 14px/1.45 var(--font); text-align: left;

  &[data-theme="dark"] { color-scheme: dark; }
  &[data-theme="light"] { color-scheme: light; }
  *, *::before { box-sizing: border-box; }
  [hidden][hidden][hidden] { display: none; }
  :is(dl, dt, dd, ul, li) { float: none; width: auto; }
  h2, h3, p, dl, dt, dd, fieldset { margin: 0; padding: 0; border: 0; }
  section + section { margin-top: 36px; }
  .hess-trainings > section { margin-bottom: 36px; }
  .hess-spectrum { margin-top: 14px; }
  header { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: center; justify-content: space-between; margin: 0 2px 14px; }
  header > div { min-width: 0; flex: 1 1 260px; }
  h2 { font-size: 20px; line-height: 1.3; font-weight: 680; letter-spacing: -0.01em; color: var(--ink); overflow-wrap: anywhere; }
  :is(strong, small, span, output) { unicode-bidi: isolate; } /* a name that turns its text around turns no other */
  :is(h2, .hess-subtitle, .hess-run > span:first-child, .hess-tiles small:not(.hess-verdict)) {
    display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden; } /* provenance has it whole */
  h3 { font-size: 15px; line-height: 1.4; font-weight: 640; color: var(--ink); }
  .hess-subtitle { color: var(--muted); font-size: 13px; overflow-wrap: anywhere; }
  .hess-card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }

  .hess-pill { display: inline-flex; align-items: center; gap: 8px; padding: 4px 12px; border: 1px solid var(--line);
    border-radius: 99px; background: var(--card); color: var(--ink); font-size: 13px; font-weight: 550; white-space: nowrap; }
  .hess-pill::before { content: ""; width: 8px; height: 8px; border-radius: 50%; background: var(--state); }
  section { --state: var(--muted); }
  section[data-state="running"] { --state: var(--accent); }
  section:is([data-state="done"], [data-state="attached"], [data-state="watching"]) { --state: var(--good); }
  section:is([data-state="cancelled"], [data-state="unfinished"], [data-state="detached"]) { --state: var(--warn); }
  section:is([data-state="failed"], [data-state="lost"]) { --state: var(--bad); }
  section[data-state="running"] .hess-pill::before { animation: hess-breathe 1.6s ease-in-out infinite; }

  .hess-progress { display: flex; flex-wrap: wrap; gap: 4px 14px; align-items: center; margin: 0 2px 14px; color: var(--muted);
    font-size: 13px; font-variant-numeric: tabular-nums; }
  progress { appearance: none; flex: 1 1 200px; height: 6px; border: 0; border-radius: 3px; background: var(--line); overflow: hidden; }
  progress::-webkit-progress-bar { background: var(--line); }
  progress::-webkit-progress-value { background: var(--accent); transition: width 0.2s; }
  progress::-moz-progress-bar { background: var(--accent); }
  .hess-message { margin-bottom: 14px; padding: 10px 14px; border: 1px solid var(--line); border-left: 4px solid var(--state);
    border-radius: 8px; background: var(--card); color: var(--ink); white-space: pre-wrap; overflow-wrap: anywhere; }

  :is(.hess-notice, .hess-silence) { position: sticky; top: 8px; z-index: 2; display: flex; gap: 14px; align-items: start; justify-content: space-between;
    margin-bottom: 14px; padding: 10px 14px; border: 1px solid var(--line); border-left: 4px solid var(--accent); border-radius: 8px;
    background: var(--card); color: var(--ink); box-shadow: 0 4px 16px #0002; white-space: pre-wrap; overflow-wrap: anywhere; }
  .hess-notice[data-tone="good"] { border-left-color: var(--good); }
  :is(.hess-notice[data-tone="warn"], .hess-silence) { border-left-color: var(--warn); }
  .hess-notice[data-tone="bad"] { border-left-color: var(--bad); }

  .hess-tiles { display: grid; grid-template-columns: 1fr 1fr 1fr 1.1fr 1.1fr 1.25fr; gap: 10px; margin-bottom: 12px; }
  .hess-tiles:not([data-count="6"]) { grid-template-columns: repeat(auto-fit, minmax(165px, 1fr)); }
  .hess-tiles > div { padding: 11px 14px; min-width: 0; }
  dt { color: var(--muted); font-size: 12px; font-weight: 500; line-height: 1.4; }
  dd { margin: 3px 0 0; }
  dd strong { display: block; color: var(--ink); font-size: 18px; line-height: 1.3; font-weight: 660; font-variant-numeric: tabular-nums; }
  dd small { overflow-wrap: anywhere; }
  .hess-verdict { display: block; font-weight: 600; }
  .hess-verdict[data-tone="good"] { color: var(--good); }
  .hess-verdict[data-tone="warn"] { color: var(--warn); }
  .hess-verdict[data-tone="bad"] { color: var(--bad); }
  dd small:not(.hess-verdict) { color: var(--muted); font-size: 12px; font-variant-numeric: tabular-nums; }

  &.hess-board { max-width: 1220px; }
  & .hessview.hessview { max-width: none; padding: 0; background: none; border-radius: 0; }
  .hess-session { margin-bottom: 14px; }
  .hess-new { margin: 0 0 12px; }
  .hess-form { display: grid; grid-template-columns: repeat(auto-fit, minmax(116px, 1fr)); gap: 10px 14px; align-items: end; padding: 2px 0 16px; }
  .hess-form label { display: grid; gap: 4px; min-width: 0; color: var(--muted); font-size: 12px; font-weight: 500; }
  .hess-form :is(input, select) { width: 100%; height: 34px; min-width: 0; padding: 6px 10px; border: 1px solid var(--line); border-radius: 7px; background: var(--page);
    color: var(--ink); font: inherit; font-size: 14px; }
  .hess-go.hess-go { padding: 7px 14px; border-color: var(--accent); background: var(--accent); color: var(--card); font-size: 14px; font-weight: 600; }
  .hess-list { margin-bottom: 20px; padding: 12px; }
  .hess-list fieldset + fieldset { margin-top: 10px; }
  .hess-list .hess-choice { flex-wrap: wrap; }
  .hess-unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .hess-runs { max-height: 176px; overflow-y: auto; display: grid; gap: 2px; }
  .hess-runs label { position: relative; cursor: pointer; border-radius: 7px; --state: var(--muted); }
  .hess-runs label[data-state="running"] { --state: var(--accent); }
  .hess-runs label[data-state="done"] { --state: var(--good); }
  .hess-runs label:is([data-state="cancelled"], [data-state="detached"]) { --state: var(--warn); }
  .hess-runs label[data-state="failed"] { --state: var(--bad); }
  .hess-runs input { position: absolute; inset: 0; margin: 0; opacity: 0; cursor: pointer; }
  .hess-form label:has(select) { grid-column: span 2; }
  .hess-run { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 16px; justify-content: space-between; padding: 5px 10px; border-radius: 7px; }
  .hess-run strong { color: var(--ink); font-weight: 600; }
  .hess-run small { color: var(--muted); font-size: 12.5px; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
  .hess-stand::before { content: ""; display: inline-block; width: 8px; height: 8px; margin-right: 7px; border-radius: 50%; background: var(--state); }
  .hess-runs input:hover + .hess-run { background: var(--grid); }
  .hess-runs input:checked + .hess-run { background: var(--grid); box-shadow: inset 3px 0 0 var(--accent); }
  .hess-runs input:focus-visible + .hess-run { outline: 2px solid var(--accent); outline-offset: -2px; }

  .hess-panels { display: grid; gap: 12px; }
  .hess-panel { padding: 16px 18px 14px; min-width: 0; }
  .hess-plot { margin: 4px -6px 0; min-height: 340px; }
  .modebar-btn.modebar-btn:focus-visible { outline: 2px solid var(--accent); } /* Plotly's is black, also on dark */
  .hess-key { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 10px 0 0; padding: 0; list-style: none; color: var(--muted); font-size: 12.5px; }
  .hess-key li { display: inline-flex; align-items: center; gap: 7px; margin: 0; }
  .hess-swatch { flex: none; width: 20px; display: block; }
  .hess-area { height: 11px; border-radius: 2px; }
  .hess-markers { width: 8px; height: 8px; border-radius: 50%; }
  .hess-line { position: relative; text-align: center; line-height: 1; }
  .hess-dot::after { content: ""; position: absolute; left: 7px; top: -4px; width: 6px; height: 6px; border-radius: 50%; background: currentColor; }
  .hess-warning { margin-top: 10px; padding: 8px 12px; border: 1px solid var(--line); border-left: 4px solid var(--bad); border-radius: 8px;
    color: var(--ink); font-size: 13px; }
  .hess-text { margin: 10px 0 0; padding: 0; overflow-x: auto; background: none; color: var(--ink); white-space: pre;
    font: 12.5px/1.6 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
  .hess-waiting { padding: 64px 8px; text-align: center; color: var(--muted); }
  .hess-controls { display: flex; flex-wrap: wrap; gap: 12px 28px; align-items: center; margin-top: 8px; padding-top: 12px;
    border-top: 1px solid var(--line); font-size: 13px; color: var(--muted); }
  .hess-control { display: flex; gap: 10px; align-items: center; min-width: 0; }
  fieldset legend { float: left; padding: 0; font-size: 13px; color: var(--muted); }
  input[type="range"] { width: 180px; min-width: 90px; margin: 0; accent-color: var(--accent); }
  output { min-width: 4.2em; color: var(--ink); font-weight: 620; font-variant-numeric: tabular-nums; white-space: nowrap; }
  :is(.hess-quiet, .hess-ask) { padding: 2px 9px; border: 1px solid var(--line); border-radius: 6px; background: transparent; color: var(--ink);
    font: inherit; font-size: 12px; cursor: pointer; }
  :is(.hess-quiet, .hess-ask):disabled { color: var(--muted); opacity: 0.7; cursor: default; }
  .hess-choice { display: inline-flex; border: 1px solid var(--line); border-radius: 7px; overflow: hidden; }
  .hess-choice label { position: relative; cursor: pointer; }
  .hess-choice input { position: absolute; inset: 0; margin: 0; opacity: 0; cursor: pointer; }
  .hess-choice span { display: block; padding: 4px 12px; color: var(--ink); }
  .hess-choice input:checked + span { background: var(--accent); color: var(--card); font-weight: 600; }
  .hess-chips { display: flex; flex-wrap: wrap; gap: 4px; }
  .hess-chips label { position: relative; cursor: pointer; }
  .hess-chips input { position: absolute; inset: 0; margin: 0; opacity: 0; cursor: pointer; }
  .hess-chips span { display: block; min-width: 24px; padding: 1px 5px; border: 1px solid var(--line); border-radius: 99px; text-align: center;
    font-size: 12px; font-variant-numeric: tabular-nums; }
  .hess-chips input:checked + span { border-color: var(--accent); background: var(--accent); color: var(--card); font-weight: 600; }
  .hess-chips input:disabled { cursor: default; }
  .hess-chips input:disabled + span { border-style: dashed; opacity: 0.6; }
  .hess-chips input:focus-visible + span { outline: 2px solid var(--ink); outline-offset: 1px; }
  .hess-part { margin-top: 8px; color: var(--warn); font-size: 13px; }

  :is(input, select, button, a, summary, pre, .hess-picked):focus-visible, .hess-choice input:focus-visible + span {
    outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 5px; }
  .hess-choice input:focus-visible + span { outline-color: var(--ink); outline-offset: -3px; }

  .hess-control select { max-width: 100%; min-width: 0; padding: 3px 8px; border: 1px solid var(--line); border-radius: 7px;
    background: var(--card); color: var(--ink); font: inherit; }
  .hess-picked { margin-top: 12px; overflow-x: auto; font-size: 13px; font-variant-numeric: tabular-nums; }
  .hess-picked table { border-collapse: collapse; margin: 0; }
  .hess-picked :is(th, td) { padding: 3px 20px 3px 0; border: 0; background: none; color: var(--ink); text-align: left; font-weight: 400; white-space: nowrap; }
  .hess-picked thead th { color: var(--muted); }

  details { margin-top: 12px; padding: 0 18px; }
  summary { padding: 12px 0; cursor: pointer; font-weight: 600; color: var(--ink); }
  h4 { margin: 4px 0 6px; font-size: 13px; font-weight: 600; color: var(--ink); }
  .hess-facts { margin-bottom: 16px; font-size: 13px; }
  .hess-facts > div { display: grid; grid-template-columns: 11.5em 1fr; gap: 0 14px; padding: 5px 0; border-top: 1px solid var(--line); break-inside: avoid; }
  .hess-facts dt { font-size: 13px; line-height: 1.45; }
  .hess-facts dd { margin: 0; min-width: 0; color: var(--ink); overflow-wrap: anywhere; white-space: pre-wrap; font-variant-numeric: tabular-nums; }
  .hess-downloads { margin-bottom: 14px; color: var(--muted); }
  .hess-downloads:empty { display: none; }
  .hess-downloads a { margin-right: 12px; color: var(--accent); }

  @container (min-width: 860px) { .hess-wide { columns: 2; column-gap: 36px; } }
  @container (max-width: 900px) { .hess-tiles { grid-template-columns: repeat(3, 1fr); } }
  @container (max-width: 520px) {
    .hess-tiles.hess-tiles { grid-template-columns: repeat(2, 1fr); gap: 8px; }
    .hess-panel { padding: 14px 12px 12px; }
    .hess-control { flex-wrap: wrap; }
    input[type="range"] { width: 130px; }
    .hess-facts > div { grid-template-columns: 9.5em 1fr; }
  }
  @media (prefers-reduced-motion: reduce) { *, *::before { animation: none !important; transition: none !important; } }
  @media print {
    & { max-width: none; padding: 0; background: none; }
    .hess-controls, .hess-downloads { display: none; }
    .hess-card, .hess-tiles { break-inside: avoid; }
    details.hess-card { break-inside: auto; }
  }
}

@keyframes hess-breathe { 50% { opacity: 0.25; } }
`;

  // src/view.js
  var mounted = 0;
  function surroundingsAreDark() {
    const { dataset, classList } = document.body;
    if (dataset.jpThemeLight) return dataset.jpThemeLight === "false";
    if (dataset.vscodeThemeKind) return !dataset.vscodeThemeKind.includes("light");
    if (classList.contains("vscode-light")) return false;
    return classList.contains("vscode-dark") || matchMedia("(prefers-color-scheme: dark)").matches;
  }
  function recolouring({ light, dark }, palette) {
    const swap = Object.keys(light).map((name) => (
      /** @type {[string, string]} */
      [light[name], palette[name]]
    ));
    return (figure, own = {}) => {
      const colours = new Map(palette === dark ? [...swap, ...Object.entries(own)] : swap);
      const walk = (value) => {
        if (typeof value === "string") return colours.get(value) ?? value;
        if (Array.isArray(value)) return value.map(walk);
        if (value && typeof value === "object") {
          return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, walk(entry)]));
        }
        return value;
      };
      return walk(figure);
    };
  }
  function mount(host, state, { ask, place = "" } = {}) {
    const root = element("div", { class: "hessview" });
    const plotly = (
      /** @type {HTMLStyleElement | null} */
      document.getElementById("plotly.js-style-global")
    );
    const rules = [...plotly?.sheet?.cssRules ?? []].map((rule) => rule.cssText);
    host.replaceChildren(element("style", {}, [view_default, ...rules].join("\n")), root);
    const silence = element("p", { class: "hess-silence", role: "status" });
    silence.hidden = true;
    root.append(silence);
    const notice = noticeView(root);
    const prefix = `hess-${OWN}-${++mounted}`;
    const above = element("div", { class: "hess-trainings" });
    const top = element("div", { class: "hess-trainings" });
    root.append(top, above);
    const sections = [];
    const trainings = [];
    const comparisons = [];
    let card = null;
    let forced = "";
    function paint() {
      const name = forced === "light" || forced === "dark" ? forced : surroundingsAreDark() ? "dark" : "light";
      const palette = state.theme[name];
      if (root.dataset.theme !== name) {
        root.dataset.theme = name;
        for (const [key, colour] of Object.entries(palette)) root.style.setProperty(`--${key}`, colour);
        root.style.setProperty("--font", state.theme.font);
      }
      const recolour = recolouring(state.theme, palette);
      if (state.card) {
        card ??= cardView(notice.line);
        card.update(state.card);
      }
      top.hidden = !state.comparisons?.length;
      (state.comparisons ?? []).forEach((section, i) => {
        comparisons[i] ??= sectionView(top, `${prefix}-comparison-${i}`, `${place} comparison ${i}`);
        comparisons[i].update(withCoefficients(section, state.sections), recolour);
      });
      (state.trainings ?? []).forEach((section, i) => {
        trainings[i] ??= sectionView(above, `${prefix}-training-${i}`, `${place} training ${i}`);
        trainings[i].update(section, recolour);
      });
      state.sections.forEach((section, i) => {
        sections[i] ??= sectionView(root, `${prefix}-${i}`, `${place} ${i}`, ask);
        sections[i].update(section, recolour);
      });
      notice.update(state.notice);
      allowAsking(root, state);
    }
    const watcher = new MutationObserver(paint);
    watcher.observe(document.body, { attributeFilter: ["data-jp-theme-light", "data-vscode-theme-kind", "class"] });
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", paint);
    paint();
    return {
      root,
      /** @param {Page} next */
      update(next) {
        state = next;
        paint();
      },
      /** @param {string} name "light", "dark", or "" to follow the surroundings */
      theme(name) {
        forced = name;
        paint();
      },
      /** @param {string} text why the page may be old, "" once it is not */
      silence(text) {
        silence.textContent = text;
        silence.hidden = !text;
      },
      get dark() {
        return root.dataset.theme === "dark";
      },
      dispose() {
        watcher.disconnect();
        system.removeEventListener("change", paint);
        [...comparisons, ...trainings, ...sections].forEach((section) => section.dispose());
        host.replaceChildren();
      }
    };
  }
  function withCoefficients({ panels, ...section }, sections) {
    const made = panels.map((panel) => {
      if (panel.kind !== "comparison") return panel;
      const runs = panel.runs.map(({ at, ...run }) => {
        if (at === void 0) return run;
        const { steps, over, probes } = (
          /** @type {DensityPanel} */
          sections[at].panels[0]
        );
        return { ...run, steps, over, probes };
      });
      return { ...panel, runs };
    });
    return { ...section, panels: made };
  }
  function cardView(above) {
    const title = element("h2"), subtitle = element("p", { class: "hess-subtitle" });
    const pill = element("span", { class: "hess-pill", role: "status" });
    const message = element("p", { class: "hess-message" }), warning = element("p", { class: "hess-message" });
    const rows = element("dl", { class: "hess-facts hess-wide" });
    const made = element("section", { class: "hess-session", "aria-label": "Session" }, [
      element("header", {}, [element("div", {}, [title, subtitle]), pill]),
      message,
      warning,
      element("details", { class: "hess-card" }, [element("summary", {}, "What the job holds"), rows])
    ]);
    above.after(made);
    let known = "";
    return {
      /** @param {Card} card */
      update(card) {
        const text = JSON.stringify(card);
        if (text === known) return;
        known = text;
        made.dataset.state = card.state;
        title.textContent = card.title;
        subtitle.textContent = card.subtitle;
        pill.textContent = card.state;
        message.textContent = card.message;
        message.hidden = !card.message;
        warning.textContent = card.warning;
        warning.hidden = !card.warning;
        rows.replaceChildren(...card.rows.map(factRow));
      }
    };
  }

  // src/dashboard.js
  var dashboards = 0;
  function mountDashboard(host, board, { chosen = "", send, onChoice }) {
    const prefix = `hess-board-${OWN}-${++dashboards}`;
    const ask = "asking" in board.head ? send : void 0;
    const frame = mount(host, frameState(board.head));
    const list = listView(prefix, pick);
    const form = ask && board.head.form && formView(prefix, board.head.form, (message) => {
      awaited = true;
      ask(message);
    });
    const empty = element("p", { class: "hess-waiting" });
    const shown = element("div");
    frame.root.classList.add("hess-board");
    frame.root.append(...form ? [form] : [], list.box, empty, shown);
    let awaited = false;
    let missed = /* @__PURE__ */ new Set();
    let requested = "";
    let page = null;
    let drawn = {};
    function pick(name) {
      chosen = name === board.head.order[0] ? "" : name;
      onChoice(chosen);
      show();
    }
    function show() {
      const { head, parts } = board;
      const order = head.order.filter((name2) => name2 in parts);
      const name = order.includes(chosen) ? chosen : order[0] ?? "";
      const wanted = name && JSON.stringify([name, parts[name].entry.edition]);
      if (name && requested !== wanted) {
        requested = wanted;
        send({ action: "show", run: name });
      }
      for (const one of board.missed ?? []) if (!missed.has(one)) send({ action: "show", run: one });
      missed = board.missed ?? missed;
      const section = parts[name]?.section;
      list.update(order.map((one) => ({ name: one, ...parts[one].entry })), name);
      empty.textContent = name ? "Waiting for the kernel to draw this run…" : nothing(head);
      empty.hidden = Boolean(section);
      if (drawn.name !== name || drawn.theme !== JSON.stringify(head.theme)) {
        page?.dispose();
        page = null;
        drawn = { name, theme: JSON.stringify(head.theme) };
      }
      if (section && drawn.section !== section) {
        drawn.section = section;
        const state = { ...frameState(head), card: null, notice: null, sections: [section] };
        if (page) page.update(state);
        else page = mount(shown, state, { ask: section.id ? ask : void 0, place: name });
      }
      frame.update(frameState(head));
    }
    show();
    return {
      /** @param {Board} next */
      update(next) {
        const { asked, notice } = board.head;
        board = next;
        if (awaited && board.head.asked !== asked) {
          awaited = false;
          pick(board.head.asked);
        } else {
          awaited &&= JSON.stringify(board.head.notice) === JSON.stringify(notice);
          show();
        }
      },
      /** Ask for what is looked at anew. */
      ask() {
        requested = "";
        show();
      },
      silence: frame.silence,
      dispose() {
        page?.dispose();
        frame.dispose();
      }
    };
  }
  function nothing({ card, form, asking }) {
    if (form && asking) return "No run yet. Measure one above, or ask for one in a cell.";
    return card?.state === "watching" ? "No run yet. Runs appear here once they are asked for." : "No run was asked for.";
  }
  function frameState({ theme, card, asking, reason, notice }) {
    return { theme, card, asking, reason, notice, sections: [] };
  }
  function listView(prefix, onPick) {
    const kinds = element("div", { class: "hess-choice" }), rows = element("div", { class: "hess-runs" });
    const box = element("div", { class: "hess-card hess-list" }, [
      element("fieldset", {}, [element("legend", { class: "hess-unseen" }, "Kind of run"), kinds]),
      element("fieldset", {}, [element("legend", { class: "hess-unseen" }, "Run"), rows])
    ]);
    const ofKind = /* @__PURE__ */ new Map();
    const ofRun = /* @__PURE__ */ new Map();
    let runs = [];
    function makeKind(kind) {
      const text = element("span");
      const pickFirst = () => {
        const first = runs.find((run) => run.kind === kind);
        if (first) onPick(first.name);
      };
      return { ...radio(`${prefix}-kind`, kind, text, pickFirst), text };
    }
    function makeRun(name) {
      const label = element("strong"), detail = element("small"), stand = element("small", { class: "hess-stand" });
      const content = element("span", { class: "hess-run" }, [element("span", {}, [label, " ", detail]), stand]);
      return { ...radio(`${prefix}-run`, name, content, onPick), label, detail, stand };
    }
    return {
      box,
      /**
       * @param {Listed[]} next
       * @param {string} chosen
       */
      update(next, chosen) {
        runs = next;
        box.hidden = !runs.length;
        const kind = runs.find((run) => run.name === chosen)?.kind;
        const places = new Map(runs.map((run) => [run.kind, run.place]));
        const ordered = [...places].sort(([, a], [, b]) => a - b).map(([name]) => name);
        arrange(kinds, ofKind, ordered, makeKind);
        for (const [name, { input, text }] of ofKind) {
          const count = runs.filter((run) => run.kind === name).length;
          text.textContent = name === "Comparison" ? name : `${name} ${count}`;
          input.checked = name === kind;
        }
        const listed = runs.filter((run) => run.kind === kind);
        const made = arrange(rows, ofRun, listed.map((run) => run.name), makeRun);
        listed.forEach(({ name, label, detail, status }, i) => {
          const line = made[i];
          const far = status.state === "running" ? ` · ${status.done} of ${status.total}` : "";
          line.box.dataset.state = status.state;
          line.label.textContent = label;
          line.detail.textContent = detail;
          line.stand.textContent = status.label + far;
          line.stand.hidden = !status.label;
          line.input.checked = name === chosen;
        });
      }
    };
  }
  function radio(group, value, content, onPick) {
    const input = element("input", { type: "radio", name: group, value, "data-lm-suppress-shortcuts": "true" });
    input.addEventListener("change", () => input.checked && onPick(value));
    return { input, box: element("label", {}, [input, content]) };
  }
  function arrange(parent, known, keys, make) {
    for (const [key, { box }] of known) {
      if (keys.includes(key)) continue;
      box.remove();
      known.delete(key);
    }
    return keys.map((key, i) => {
      const made = known.get(key) ?? make(key);
      known.set(key, made);
      if (parent.children[i] !== made.box) parent.insertBefore(made.box, parent.children[i] ?? null);
      return made;
    });
  }

  // src/kernel.js
  var MS_BETWEEN_LOOKS = 3e3;
  var LOOKS_IN_VAIN = 4;
  function silenceSince(time) {
    return `This page is not being told anything: it asks every ${MS_BETWEEN_LOOKS / 1e3} seconds, and heard last at ${time.toLocaleTimeString()}. What it shows may be old. Unless the kernel is busy, reload the page.`;
  }
  function kernelOf(model, el, { live, seen: seen2, onGone, onMissed, onSilence }) {
    let gone = false, waiting = false;
    let unheard = 0, behind = 0;
    let told = 0, last = seen2(), heard = /* @__PURE__ */ new Date();
    let silent = false;
    function send(message) {
      if (gone) return;
      try {
        model.send(message);
      } catch {
        gone = true;
        stop();
        onSilence("");
        onGone();
      }
    }
    function look() {
      waiting = true;
      send(
        /** @type {Look} */
        { action: "look" }
      );
    }
    function judge() {
      const is = Math.max(unheard, behind) >= LOOKS_IN_VAIN;
      if (is !== silent) onSilence(is ? silenceSince(heard) : "");
      silent = is;
    }
    function onAnswer({ revision }) {
      if (revision === void 0) return;
      waiting = false;
      unheard = 0;
      behind = seen2() < told ? behind + 1 : 0;
      told = revision;
      if (behind) onMissed();
      else heard = /* @__PURE__ */ new Date();
      judge();
    }
    function tick() {
      unheard = waiting ? unheard + 1 : 0;
      if (seen2() !== last) {
        last = seen2();
        heard = /* @__PURE__ */ new Date();
        unheard = behind = 0;
      }
      judge();
      if (live() || waiting) look();
    }
    const timer = setInterval(tick, MS_BETWEEN_LOOKS);
    el.addEventListener("pointerenter", look);
    el.addEventListener("focusin", look);
    model.on("msg:custom", onAnswer);
    model.on("comm_live_update", look);
    function stop() {
      clearInterval(timer);
      el.removeEventListener("pointerenter", look);
      el.removeEventListener("focusin", look);
      model.off("msg:custom", onAnswer);
      model.off("comm_live_update", look);
    }
    return { send, stop };
  }

  // src/shells.js
  var KERNEL_GONE = "The kernel of this page has ended or was restarted. The page shows what it was told last; run the notebook's cells again to follow what goes on.";
  var SERVER_GONE = "hessview dashboard has ended or cannot be reached. The page shows what it was told last; start it again, and open the address that it prints, to follow what goes on.";
  var shells = { notebook, dashboard };
  function notebook() {
    let state;
    let told = 0;
    const pages = /* @__PURE__ */ new Set();
    const turn = turnOf(() => pages.forEach((page) => page.update(state)));
    const show = (next) => {
      state = next;
      turn.ask();
    };
    return {
      initialize({ model }) {
        const again = () => {
          try {
            model.send({ action: "again" });
          } catch {
          }
        };
        state = model.get("state");
        told = model.get("revision");
        model.on("msg:custom", (message) => {
          if (message.told === void 0 || message.told <= told) return;
          if (message.told > told + 1) again();
          else {
            told = message.told;
            show(changed(state, message.difference));
          }
        });
        model.on("change:state change:revision", () => {
          told = model.get("revision");
          show(model.get("state"));
        });
      },
      render({ model, el }) {
        const kernel = kernelOf(model, el, {
          live: () => state.sections.some(({ status }) => isUnderWay(status)),
          seen: () => told,
          onGone: () => show(goneState(state, KERNEL_GONE)),
          onMissed: () => kernel.send({ action: "again" }),
          onSilence: (text) => page.silence(text)
        });
        const page = mount(el, state, "asking" in state ? { ask: kernel.send } : {});
        pages.add(page);
        return () => {
          pages.delete(page);
          kernel.stop();
          page.dispose();
        };
      }
    };
  }
  function dashboard() {
    let board;
    let told = 0;
    const pages = /* @__PURE__ */ new Set();
    const turn = turnOf(() => pages.forEach((page) => page.update(board)));
    const show = (next) => {
      board = next;
      turn.ask();
    };
    return {
      initialize({ model }) {
        const restored = () => ({ head: model.get("head"), parts: model.get("parts") });
        board = restored();
        told = model.get("revision");
        const ask = () => pages.forEach((page) => page.ask());
        model.on("msg:custom", (message) => {
          if (message.told === void 0) return;
          const missed = message.told > told + 1;
          told = Math.max(told, message.told);
          show(merged(board, message));
          if (missed) ask();
        });
        model.on("change:head change:parts", () => {
          told = Math.max(told, model.get("revision"));
          show(restored());
          ask();
        });
      },
      render({ model, el }) {
        const kernel = kernelOf(model, el, {
          live: () => Object.values(board.parts).some(({ entry }) => isUnderWay(entry.status)),
          seen: () => told,
          onGone: () => show(goneBoard(board, KERNEL_GONE)),
          onMissed: () => page.ask(),
          onSilence: (text) => page.silence(text)
        });
        const page = mountDashboard(el, board, {
          chosen: model.get("chosen"),
          send: kernel.send,
          onChoice(chosen) {
            model.set("chosen", chosen);
            try {
              model.save_changes();
            } catch {
            }
          }
        });
        pages.add(page);
        return () => {
          pages.delete(page);
          kernel.stop();
          page.dispose();
        };
      }
    };
  }
  function render({ model, view, el }) {
    const host = document.createElement("div"), around = (
      /** @type {ShadowRoot} */
      el.getRootNode().host
    );
    el.append(document.createElement("slot"));
    around.append(host);
    const ground = document.createElement("style");
    document.head.append(ground);
    let board = null;
    let page = null;
    let cut = false;
    const chosen = new URLSearchParams(location.hash.slice(1)).get("run") ?? "";
    const send = (message) => model.send_msg(message);
    const onChoice = (run) => history.replaceState(null, "", run ? `#run=${encodeURIComponent(run)}` : "#");
    const onMessage = (told) => {
      const known = board ?? (told.head ? { head: told.head, parts: {} } : null);
      if (!known) return;
      board = merged(known, told);
      if (cut) return;
      if (page) page.update(board);
      else {
        const { light, dark } = board.head.theme;
        ground.textContent = `body { margin: 0; background: ${light.page}; } @media (prefers-color-scheme: dark) { body { background: ${dark.page}; } }`;
        page = mountDashboard(host, board, { chosen, send, onChoice });
      }
    };
    const { document: served } = view.model;
    const onLost = () => {
      cut = true;
      if (board) page?.update(goneBoard(board, SERVER_GONE));
    };
    const onBack = () => {
      cut = false;
      if (board) page?.update(board);
      page?.ask();
    };
    served.on_event("connection_lost", onLost);
    served.on_event("client_reconnected", onBack);
    model.on("msg:custom", onMessage);
    model.on("remove", () => {
      model.off("msg:custom", onMessage);
      page?.dispose();
      host.remove();
      ground.remove();
    });
    model.on("after_render", () => send({ action: "show", run: chosen }));
  }
  function report() {
    const find = (id) => (
      /** @type {HTMLElement} */
      document.getElementById(id)
    );
    const page = mount(find("page"), JSON.parse(find("state").textContent ?? ""));
    const button = find("appearance");
    function wear(name) {
      page.theme(name);
      document.body.classList.toggle("dark", page.dark);
      button.textContent = page.dark ? "Light" : "Dark";
      button.setAttribute("aria-label", `Switch to ${page.dark ? "light" : "dark"} colours`);
    }
    for (const details of document.querySelectorAll("details")) details.open = true;
    let chosen = "";
    button.hidden = false;
    button.addEventListener("click", () => wear(chosen = page.dark ? "light" : "dark"));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => wear(chosen));
    addEventListener("beforeprint", () => wear("light"));
    addEventListener("afterprint", () => wear(chosen));
    wear("");
  }
  return __toCommonJS(page_exports);
})();

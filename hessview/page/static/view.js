// The page: header, progress, tiles, panels by kind, provenance. Three shells mount it: the
// notebook widget, the offline report, and a served dashboard. Every name that comes from outside
// reaches the document through textContent only.

const remembered = new Map(); // what was chosen in each panel: a notebook may draw it anew
let mounted = 0;
// Each widget of a notebook has a module of its own, and all share one document.
const OWN = Math.random().toString(36).slice(2, 8);

/** Element with attributes and children; strings become text. */
function element(tag, attributes = {}, children = []) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...[children].flat());
  return made;
}

/** Two significant digits, with a real minus sign and power of ten. */
function rounded(value) {
  const [mantissa, power] = value.toExponential(1).split("e").map(Number);
  if (power > -4 && power < 5) return value.toFixed(Math.max(1 - power, 0)).replace("-", "−");
  const raised = String(power).replace(/./g, (sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]);
  return `${String(mantissa).replace("-", "−")}×10${raised}`;
}

/** Whether the page around us is dark: JupyterLab and VS Code say so, else the system does. */
function surroundingsAreDark() {
  const { dataset, classList } = document.body;
  if (dataset.jpThemeLight) return dataset.jpThemeLight === "false";
  if (dataset.vscodeThemeKind) return !dataset.vscodeThemeKind.includes("light");
  if (classList.contains("vscode-light")) return false;
  return classList.contains("vscode-dark") || matchMedia("(prefers-color-scheme: dark)").matches;
}

/**
 * Colours of a figure, swapped by value from the light palette it was made with.
 * @returns a function of the figure, and of what its own colours become on a dark ground
 */
function recolouring({ light, dark }, palette) {
  const swap = Object.keys(light).map((name) => [light[name], palette[name]]);
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

/**
 * Show a state (see page/state.py) inside an element.
 * @param ask sends a message to the session (see page/live.py); without it nothing can be asked
 * @param place under which the choices in its panels are remembered
 * @returns root, its element; update(state), theme("light" | "dark" | "" to follow the surroundings), silence(why the page may
 *   be old, "" once it is not), dispose()
 */
export function mount(host, state, { ask, place = "" } = {}) {
  const root = element("div", { class: "hessview" });
  // Plotly's rules are the document's, and do not reach into the shadow root of a layout of Panel.
  const plotly = document.getElementById("plotly.js-style-global")?.sheet.cssRules ?? [];
  host.replaceChildren(element("style", {}, [STYLE, ...[...plotly].map((rule) => rule.cssText)].join("\n")), root);
  const silence = element("p", { class: "hess-silence", role: "status" });
  silence.hidden = true;
  root.append(silence);
  const notice = noticeView(root);
  const prefix = `hess-${OWN}-${++mounted}`;
  const above = element("div", { class: "hess-trainings" }); // sections may join below it, and move nothing
  const top = element("div", { class: "hess-trainings" });
  root.append(top, above);
  const sections = [], trainings = [], comparisons = [];
  let card = null, forced = "";

  function paint() {
    const name = forced || (surroundingsAreDark() ? "dark" : "light");
    const palette = state.theme[name];
    if (root.dataset.theme !== name) {
      root.dataset.theme = name;
      for (const [key, colour] of Object.entries(palette)) root.style.setProperty(`--${key}`, colour);
      root.style.setProperty("--font", state.theme.font);
    }
    const recolour = recolouring(state.theme, palette);
    if (state.card) card ??= cardView(notice.line);
    card?.update(state.card);
    top.hidden = !state.comparisons?.length; // a training that begins takes its place
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
    update(next) { state = next; paint(); },
    theme(name) { forced = name; paint(); },
    silence(text) { silence.textContent = text; silence.hidden = !text; },
    get dark() { return root.dataset.theme === "dark"; },
    dispose() {
      watcher.disconnect();
      system.removeEventListener("change", paint);
      [...comparisons, ...trainings, ...sections].forEach((section) => section.dispose());
      host.replaceChildren();
    },
  };
}

/** A comparison with the coefficients of its runs, which cross once: in the runs' own sections, if these are there. */
function withCoefficients({ panels: [panel], ...section }, sections) {
  const runs = panel.runs.map(({ at, ...run }) => (at === undefined ? run : { ...sections[at].panels[0], ...run }));
  return { ...section, panels: [{ ...panel, runs }] };
}

/** One run: its elements are made once and filled anew on every update. */
function sectionView(root, id, position, ask) {
  const title = element("h2", { id: `${id}-title` }), subtitle = element("p", { class: "hess-subtitle" });
  const pill = element("span", { class: "hess-pill", role: "status" });
  const bar = element("progress", { "aria-label": "Progress" }), left = element("span");
  const message = element("p", { class: "hess-message" });
  const tiles = element("dl", { class: "hess-tiles" });
  const panels = element("div", { class: "hess-panels" });
  const basis = element("dl", { class: "hess-facts" }), rows = element("dl", { class: "hess-facts hess-wide" });
  const downloads = element("p", { class: "hess-downloads" });
  const about = { id: "" };
  const askAbout = ask && ((message) => ask({ run: about.id, ...message })); // of several jobs, the right one
  const cancel = askButton(askAbout, "Cancel", () => ({ action: "cancel" }));
  const progress = element("div", { class: "hess-progress" }, [bar, left, cancel].filter(Boolean));
  const details = element("details", { class: "hess-card" }, [
    element("summary", {}, "Uncertainties and provenance"),
    element("h4", {}, "What each number is worth"), basis,
    element("h4", {}, "Where the numbers come from"), rows,
    downloads,
  ]);
  const article = element("section", { "aria-labelledby": title.id }, [
    element("header", {}, [element("div", {}, [title, subtitle]), pill]),
    progress, message, tiles, panels, details,
  ]);
  root.append(article);
  const views = [];
  let known = "";

  function update(section, recolour) {
    const { status } = section;
    about.id = section.id;
    article.dataset.state = status.state;
    title.textContent = section.title;
    subtitle.textContent = section.subtitle;
    pill.hidden = !status.label;
    if (pill.textContent !== status.label) pill.textContent = status.label; // announced on change
    bar.max = status.total;
    bar.value = status.done;
    left.textContent = [`${status.done} of ${status.total} ${status.unit}`, status.left].filter(Boolean).join(" · ");
    progress.hidden = !["queued", "running"].includes(status.state);
    message.textContent = status.message;
    message.hidden = !status.message;
    tiles.replaceChildren(...section.tiles.map(tileView));
    tiles.dataset.count = section.tiles.length;
    section.panels.forEach((panel, i) => {
      views[i] ??= panelView(panels, panel.kind, `${id}-${i}`, `${position} ${i} ${panel.kind}`, askAbout);
      views[i].update({ ...section.panels[panel.shares], ...panel }, recolour);
    });
    const found = section.tiles.filter((tile) => tile.basis).map((tile) => [tile.label, tile.basis]);
    const text = JSON.stringify([found, section.provenance]);
    if (text !== known) {
      known = text;
      basis.replaceChildren(...found.map(rowView));
      rows.replaceChildren(...section.provenance.map(rowView));
      details.hidden = !section.provenance.length; // as on a card
    }
    if (section.record && !downloads.childElementCount) downloads.append("Readings: ", ...links(section));
  }

  return { update, dispose: () => views.forEach((view) => view.dispose()) };
}

/** A fact: its name and its value. */
function rowView([name, value]) {
  return element("div", {}, [element("dt", {}, name), element("dd", {}, value)]);
}

function tileView({ label, value, note, basis, verdict, tone }) {
  const words = [element("strong", {}, value), " ", element("small", {}, note)];
  if (verdict) words.push(" ", element("small", { class: "hess-verdict", "data-tone": tone }, verdict));
  return element("div", { class: "hess-card", title: basis }, [element("dt", {}, label), element("dd", {}, words)]);
}

function panelView(parent, kind, id, place, ask) {
  const title = element("h3"), subtitle = element("p", { class: "hess-subtitle" }), body = element("div");
  parent.append(element("div", { class: "hess-card hess-panel" }, [title, subtitle, body]));
  if (!remembered.has(place)) remembered.set(place, {});
  const view = PANELS[kind](body, { id, chosen: remembered.get(place), ask });
  return {
    update(panel, recolour) {
      title.textContent = panel.title;
      subtitle.textContent = panel.subtitle;
      view.update(panel, recolour);
    },
    dispose: view.dispose,
  };
}

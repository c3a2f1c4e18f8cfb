// The form that asks for a spectral density. What it says is judged by the kernel, which knows the model.

/** The form, closed at first, as an element. */
function formView(prefix, defaults, ask) {
  const field = (name, label, input) => {
    for (const [key, value] of Object.entries({ id: `${prefix}-${name}`, name, "data-lm-suppress-shortcuts": "true" })) {
      input.setAttribute(key, value);
    }
    return element("label", {}, [element("span", {}, label), input]);
  };
  const typed = (name, label, mode) =>
    field(name, label, element("input", { value: defaults[name], inputmode: mode, autocomplete: "off" }));
  const options = defaults.operators.map(([value, label]) => element("option", { value }, label));
  const form = element("form", { class: "hess-form" }, [
    typed("steps", "Lanczos steps", "numeric"),
    typed("probes", "Probes", "numeric"),
    typed("epsilon", "Step ε (or auto)", "text"),
    field("operator", "Operator", element("select", {}, options)),
    element("button", { type: "submit", class: "hess-ask hess-go", "data-asks": "" }, "Measure"),
  ]);
  form.elements.operator.value = defaults.operator;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const said = Object.fromEntries(new FormData(form));
    const [steps, probes, epsilon] = [said.steps, said.probes, said.epsilon].map(numberOrText);
    ask({ action: "measure", command: { command: "density", steps, probes, epsilon, operator: said.operator } });
  });
  return element("details", { class: "hess-card hess-new" }, [element("summary", {}, "Measure a spectral density"), form]);
}

/** A number where one was typed, or else the text, of which the kernel says what is wrong. */
function numberOrText(text) {
  const trimmed = text.trim();
  return trimmed && Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
}

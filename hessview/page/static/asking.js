// Asking the session from the page: buttons that send a message, and the line that answers.

/**
 * A button that sends a message to the session.
 * @param ask sends it; undefined where nobody can be asked, and then there is no button
 * @param message makes the message, of page/live.py's form, or null for none
 * @returns the button, or null
 */
export function askButton(ask, label, message) {
  if (!ask) return null;
  const button = element("button", { type: "button", class: "hess-ask", "data-asks": "" }, label);
  button.addEventListener("click", () => {
    const made = message();
    if (made) ask(made);
  });
  return button;
}

/** Buttons of `askButton` are dead, and say why, while the session cannot be asked. */
function allowAsking(root, { asking, reason }) {
  for (const button of root.querySelectorAll("[data-asks]")) {
    button.disabled = !asking;
    button.title = asking ? "" : reason;
  }
}

/** The line in which the session answers what was asked from the page. */
function noticeView(root) {
  const text = element("span", { role: "status" });
  const dismiss = element("button", { type: "button", class: "hess-ask", "aria-label": "Dismiss" }, "×");
  const line = element("p", { class: "hess-notice" }, [text, dismiss]);
  line.hidden = true;
  root.append(line);
  let known = "";
  dismiss.addEventListener("click", () => { line.hidden = true; });
  return {
    line,
    update(notice) {
      const made = JSON.stringify(notice ?? null);
      if (made === known) return;
      known = made;
      line.hidden = !notice?.text;
      line.dataset.tone = notice?.tone ?? "";
      text.textContent = notice?.text ?? "";
    },
  };
}

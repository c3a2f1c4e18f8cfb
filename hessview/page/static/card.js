// The session's card: what its job holds, and whether it can be asked.

/** A card below an element; its rows open on demand. */
function cardView(above) {
  const title = element("h2"), subtitle = element("p", { class: "hess-subtitle" });
  const pill = element("span", { class: "hess-pill", role: "status" });
  const message = element("p", { class: "hess-message" }), warning = element("p", { class: "hess-message" });
  const rows = element("dl", { class: "hess-facts hess-wide" });
  const made = element("section", { class: "hess-session", "aria-label": "Session" }, [
    element("header", {}, [element("div", {}, [title, subtitle]), pill]),
    message, warning,
    element("details", { class: "hess-card" }, [element("summary", {}, "What the job holds"), rows]),
  ]);
  above.after(made);
  let known = "";
  return {
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
      rows.replaceChildren(...card.rows.map(rowView));
    },
  };
}

/** The shell of dashboards. */
shells.dashboard = () => {
  let board = null, told = 0;
  const pages = new Set();
  const turn = turnOf(() => pages.forEach((page) => page.update(board)));
  const show = (next) => { board = next; turn.ask(); };
  return {
    initialize({ model }) {
      const restored = () => ({ head: model.get("head"), parts: model.get("parts") });
      board = restored();
      told = model.get("revision");
      const ask = () => pages.forEach((page) => page.ask()); // what was missed may be newer
      model.on("msg:custom", (message) => { // not into the model, which would send it back to the kernel
        if (!("told" in message)) return;
        const missed = message.told > told + 1;
        told = Math.max(told, message.told);
        show(merged(board, message));
        if (missed) ask();
      });
      model.on("change:head change:parts", () => { // a page that was cut off is given all anew
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
        onSilence: (text) => page.silence(text),
      });
      const page = mountDashboard(el, board, {
        chosen: model.get("chosen"),
        send: kernel.send,
        onChoice(chosen) {
          model.set("chosen", chosen);
          try { model.save_changes(); } catch {} // a kernel that has gone forgets it
        },
      });
      pages.add(page);
      return () => { pages.delete(page); kernel.stop(); page.dispose(); };
    },
  };
};

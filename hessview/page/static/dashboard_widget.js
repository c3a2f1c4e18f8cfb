/** The dashboard's shell in a notebook, made for each widget: https://anywidget.dev */
export default () => {
  let board = null;
  const pages = new Set();
  return {
    initialize({ model }) {
      board = { head: model.get("head"), parts: model.get("parts") };
      const show = (next) => {
        board = next;
        for (const page of pages) page.update(board);
      };
      const onMessage = (told) => show(merged(board, told)); // not into the model, which would send it back to the kernel
      const onRestore = () => { // a page that was cut off is given all anew
        show({ head: model.get("head"), parts: model.get("parts") });
        for (const page of pages) page.ask(); // what was told meanwhile may be newer
      };
      model.on("msg:custom", onMessage);
      model.on("change:head change:parts", onRestore);
      return () => { model.off("msg:custom", onMessage); model.off("change:head change:parts", onRestore); };
    },
    render({ model, el }) {
      const live = () => Object.values(board.parts).some(({ entry }) => isUnderWay(entry.status));
      const kernel = kernelOf(model, el, live, () => page.update((board = goneBoard(board, KERNEL_GONE))));
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

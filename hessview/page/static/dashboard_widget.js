/** The dashboard's shell in a notebook, made for each widget: https://anywidget.dev */
export default () => {
  let board = null;
  const pages = new Set();
  return {
    initialize({ model }) {
      board = { head: model.get("head"), parts: model.get("parts") };
      const onMessage = (told) => {
        board = merged(board, told); // not into the model, which would send it back to the kernel
        for (const page of pages) page.update(board);
      };
      model.on("msg:custom", onMessage);
      return () => model.off("msg:custom", onMessage);
    },
    render({ model, el }) {
      const page = mountDashboard(el, board, {
        chosen: model.get("chosen"),
        send: (message) => model.send(message),
        onChoice(chosen) {
          model.set("chosen", chosen);
          model.save_changes();
        },
      });
      pages.add(page);
      return () => { pages.delete(page); page.dispose(); };
    },
  };
};

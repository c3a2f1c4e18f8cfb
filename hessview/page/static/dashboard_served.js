/** The dashboard's shell in a Panel app: it begins empty, asks for the run of its address, and is told. */
export function render({ model, view, el }) {
  // In the light, through a slot: Plotly's style sheet does not reach into Panel's shadow root.
  const host = document.createElement("div"), around = el.getRootNode().host;
  el.append(document.createElement("slot"));
  around.append(host);
  const ground = document.createElement("style"); // of the page around
  document.head.append(ground);
  let board = { head: null, parts: {} }, page = null;
  const chosen = new URLSearchParams(location.hash.slice(1)).get("run") ?? "";
  const send = (message) => model.send_msg(message);
  const onChoice = (run) => history.replaceState(null, "", run ? `#run=${encodeURIComponent(run)}` : "#");
  const onMessage = (told) => {
    board = merged(board, told);
    if (cut) return;
    if (page) page.update(board);
    else if (board.head) {
      const { light, dark } = board.head.theme;
      ground.textContent = `body { margin: 0; background: ${light.page}; } @media (prefers-color-scheme: dark) { body { background: ${dark.page}; } }`;
      page = mountDashboard(host, board, { chosen, send, onChoice });
    }
  };
  const { document: served } = view.model; // Bokeh's, which connects again by itself where it can
  let cut = false;
  const onLost = () => { cut = true; page?.update(goneBoard(board, SERVER_GONE)); };
  const onBack = () => { cut = false; page?.update(board); page?.ask(); };
  served.on_event("connection_lost", onLost);
  served.on_event("client_reconnected", onBack);
  model.on("msg:custom", onMessage);
  model.on("remove", () => { model.off("msg:custom", onMessage); page?.dispose(); host.remove(); ground.remove(); });
  model.on("after_render", () => send({ action: "show", run: chosen }));
}

/** The shell of runs and of cards. */
shells.notebook = () => ({
  render({ model, el }) {
    let state = model.get("state");
    const turn = turnOf(() => page.update(state));
    const onChange = () => { state = model.get("state"); turn.ask(); };
    const kernel = kernelOf(model, el, {
      live: () => state.sections.some(({ status }) => isUnderWay(status)),
      seen: () => model.get("revision"),
      onGone() { state = goneState(state, KERNEL_GONE); turn.ask(); },
      onMissed: () => kernel.send({ action: "again" }),
      onSilence: (text) => page.silence(text),
    });
    const page = mount(el, state, "asking" in state ? { ask: kernel.send } : {});
    model.on("change:state", onChange);
    return () => { model.off("change:state", onChange); turn.drop(); kernel.stop(); page.dispose(); };
  },
});

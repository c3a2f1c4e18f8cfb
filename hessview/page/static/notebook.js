/** The notebook's shell: https://anywidget.dev */
export default {
  render({ model, el }) {
    let state = model.get("state");
    const live = () => state.sections.some(({ status }) => isUnderWay(status));
    const kernel = kernelOf(model, el, live, () => page.update((state = goneState(state, KERNEL_GONE))));
    const page = mount(el, state, "asking" in state ? { ask: kernel.send } : {});
    const onChange = () => page.update((state = model.get("state")));
    model.on("change:state", onChange);
    return () => { model.off("change:state", onChange); kernel.stop(); page.dispose(); };
  },
};

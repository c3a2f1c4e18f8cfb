/** The notebook's shell: https://anywidget.dev */
export default {
  render({ model, el }) {
    const state = model.get("state");
    const page = mount(el, state, "asking" in state ? { ask: (message) => model.send(message) } : {});
    const onChange = () => page.update(model.get("state"));
    model.on("change:state", onChange);
    return () => { model.off("change:state", onChange); page.dispose(); };
  },
};

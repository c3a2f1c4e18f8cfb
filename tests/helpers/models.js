// Models whose kernels answer when the test says so; each has a module of its own, as anywidget has it.
async (loader) => {
  window.asked = []; // [kernel, message]
  window.loads = 0; // of pages
  window.models = [];

  /** What ipywidgets and anywidget have of a model; anywidget's waits for a promise that may be rejected. */
  const ownOf = (comm) => ({
    comm,
    handled: [],
    callbacks: () => ({}),
    __proto__: {
      async _handle_comm_msg() { if (window.givenUp) throw Error("Failed to initialize model."); },
      __proto__: { _handle_comm_msg(message) { this.handled.push(message); } },
    },
  });

  /** A comm that remembers. */
  window.comm = () => ({
    sent: [],
    heard: null,
    on_msg(heard) { this.heard = heard; },
    send(message) { this.sent.push(message); },
  });

  /** A widget of a kernel, with these values of its traits; returns its place in `models`. */
  window.widget = async (kernel, traits = {}, comm = window.comm()) => {
    const listeners = [];
    const values = { page: "one", shell: "plain", name: kernel, words: "queued", still: "<b>stored</b>", ...traits };
    const own = ownOf(comm);
    const model = {
      own,
      get: (name) => values[name],
      set(name, value) {
        values[name] = value;
        model.trigger(`change:${name}`);
      },
      send(message) {
        if (window.gone === kernel) throw Error("gone");
        window.asked.push([kernel, message]);
      },
      on: (name, heard) => listeners.push([name, heard]),
      off: (name, heard) => listeners.splice(listeners.findIndex((one) => one[1] === heard), 1),
      trigger: (name, ...told) => [...listeners].forEach(([one, heard]) => { if (one === name) heard(...told); }),
      widget_manager: { get_model: async () => own },
      answer(digest, bytes) {
        model.trigger("msg:custom", { page: digest }, [new DataView(Uint8Array.from(bytes).buffer)]);
      },
      listening: () => listeners.length,
    };
    const url = URL.createObjectURL(new Blob([loader], { type: "text/javascript" }));
    const made = (await import(url)).default();
    const el = document.body.appendChild(document.createElement("div"));
    made.initialize({ model });
    model.dispose = made.render({ model, el });
    return window.models.push(model) - 1;
  };
}

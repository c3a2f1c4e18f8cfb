// What shows a widget's model in a notebook, by name: makers of { initialize({ model }), render({ model, el }) }, as
// https://anywidget.dev has them. The loader (loader.js) makes one for each widget.
export const shells = {};

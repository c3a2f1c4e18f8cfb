"""A report's page as Chromium shows it: what is drawn, and its sliders."""

import numpy as np

CURVES = """(place) => Object.fromEntries(
  document.querySelectorAll(".hess-plot")[place]._fullData.map((trace) => [trace.meta.role,
     {x: Array.from(trace.x ?? []), y: Array.from(trace.y ?? [])}]))"""
SLIDE = """async ([slider, position, place]) => {
  const plot = document.querySelectorAll(".hess-plot")[place];
  const redrawn = new Promise((resolve) => plot.once("plotly_afterplot", resolve));
  slider.value = position;
  slider.dispatchEvent(new Event("input", { bubbles: true }));
  await redrawn;
}"""


def drawn(page, place=0):
    """Curves of a plot of the page, by role, once they are drawn."""
    page.wait_for_function(
        "(place) => document.querySelectorAll('.hess-plot')[place]?._fullData", arg=place
    )
    return {
        role: {axis: np.array(values, dtype=float) for axis, values in curve.items()}
        for role, curve in page.evaluate(CURVES, place).items()
    }


def move(page, name, position, place=0):
    """Move a slider, and wait until the plot is drawn anew."""
    drawn(page, place)
    slider = page.get_by_role("slider", name=name).first.element_handle()
    page.evaluate(SLIDE, [slider, str(position), place])

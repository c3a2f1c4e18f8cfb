"""What keeps people from using the page: names, contrast (WCAG 2.2, AA), focus, reach by Tab."""

from pathlib import Path

SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8").rstrip().removesuffix(";")


def problems(page):
    """What is wrong with the page as it stands, in words; [] if nothing is."""
    return _run(page, "problems") + _by_tab(page)


def _by_tab(page):
    page.evaluate("() => { document.body.tabIndex = -1; document.body.focus(); }")  # from the top
    stops, found, reached = _run(page, "stops"), [], 0
    while reached <= stops:
        page.keyboard.press("Tab")
        focused = _run(page, "focused")
        if focused is None or focused["again"]:
            break
        reached += 1
        if not focused["visible"]:
            found.append(f"focus cannot be seen: {focused['what']}")
        if not focused["inside"]:
            found.append(f"focus is off the screen: {focused['what']}")
    if reached != stops:
        found.append(f"Tab reaches {reached} of {stops} controls")
    return found


def _run(page, name):
    return page.evaluate(f"() => {SCRIPT[SCRIPT.index('({') :]}.{name}()")

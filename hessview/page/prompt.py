"""Hearing a page while the kernel runs a cell."""

import contextlib
from typing import Any


def hear_while_busy(widget: Any) -> None:
    """Let what a page says be heard at once, and not after the cell that waits for the run.

    JupyterLab sends a widget's messages to a thread of their own, a subshell. ipykernel 7.4
    leads them back to the shell that spoke to the page last, for the sake of cells that await an
    answer; no cell awaits one of ours, and that shell is the busy one. It documents no way to
    decline that, and the attribute is private: where it is unknown it has no effect. ipykernel 7.0
    to 7.3 need none; without subshells, a click waits until the cell is through.

    Args:
        widget: Widget whose handlers may run on any thread.
    """
    with contextlib.suppress(AttributeError):  # no comm, or one that takes no attributes
        widget.comm._reply_subshell_for = lambda data, sent_to: sent_to

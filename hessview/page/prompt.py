"""Hearing a page while the kernel runs a cell."""

from typing import Any


def hear_while_busy(widget: Any) -> None:
    """Let what a page says be heard at once, and not after the cell that waits for the run.

    JupyterLab sends a widget's messages to a thread of their own, a subshell. ipykernel 7.4
    leads them back to the shell that spoke to the page last, for the sake of cells that await an
    answer; no cell awaits one of ours, and that shell is the busy one.

    Args:
        widget: Widget whose handlers may run on any thread.
    """
    if widget.comm is not None:  # elsewhere, and in other versions, the attribute is without effect
        widget.comm._reply_subshell_for = lambda data, sent_to: sent_to

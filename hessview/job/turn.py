"""One job at a time on a module that several jobs of a process share."""

import threading
import weakref

from torch import nn

_TURNS: "weakref.WeakKeyDictionary[nn.Module, threading.Lock]" = weakref.WeakKeyDictionary()


def turn(module: nn.Module) -> threading.Lock:
    """The lock to hold while a module's parameters may move.

    Two sessions of `hessview.local` on one module have a thread each; a product of one would be
    made at the parameters that the other has displaced.

    Args:
        module: Any module; those within it, and around it, have locks of their own.
    """
    return _TURNS.setdefault(module, threading.Lock())

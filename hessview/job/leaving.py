"""How the processes of a job end: a rank, and torchrun when it is interrupted.

An interrupt of `torchrun -m hessview.job` is met by torchrun's process, in which no code of a job
runs; it would print 25 lines. torchrun loads plug-ins that offer ways for hosts to find each
other ("torchrun.handlers" among Python's entry points). hessview offers one that finds nobody,
so that this module is loaded there, and ends such a job in one line; in torchruns of anything
else it does nothing.
"""

import logging
import os
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, NoReturn


def leave(status: int = 0) -> NoReturn:
    """End this process at once, without taking the interpreter down first.

    gloo's threads outlive `destroy_process_group`. Where one of them lets go of its last tensor
    while the interpreter is ending, the process aborts ("terminate called without an active
    exception"): seen at one exit in ten on a busy machine, also of scripts without hessview,
    and torchrun then calls a job failed that had done all its work. So call this last, once
    everything is closed.

    Args:
        status: The exit status.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


_JOB = "hessview.job"
_TALKATIVE = (
    "torch.distributed.elastic.agent.server.api",
    "torch.distributed.elastic.multiprocessing.api",
)


def plug_in() -> Callable[[Any], NoReturn]:
    """Called by torchrun as it starts; offers a rendezvous that is not meant to be used."""
    if _JOB in sys.argv[1:]:
        for name in _TALKATIVE:  # their levels are set after this; a filter stays
            logging.getLogger(name).addFilter(_is_not_about_the_end)
        sys.excepthook = _in_one_line
    return _no_rendezvous


def _is_not_about_the_end(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    return "death signal" not in text and "closing signal" not in text


def _no_rendezvous(_: object) -> NoReturn:
    raise ValueError('"hessview" is no rendezvous backend; use the default, or "c10d".')


def _in_one_line(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Say of a signal that it ended the job; leave all else to Python."""
    from torch.distributed.elastic.multiprocessing import SignalException

    if not isinstance(error, SignalException):
        sys.__excepthook__(kind, error, trace)
        return
    signal_name = getattr(error.sigval, "name", str(error.sigval))
    sys.stderr.write(f"hessview: the job was ended by {signal_name}; its record is kept.\n")

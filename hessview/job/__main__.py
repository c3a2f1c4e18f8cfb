"""The job by itself: torchrun --nproc-per-node N -m hessview.job --model NAME --run-dir DIR."""

import os
import signal

from hessview.job.leaving import leave
from hessview.job.status import Printed


def main() -> int:
    """Say at once what takes its time, load torch, and be a rank of a job."""
    printed = Printed()
    if "RANK" in os.environ:
        # A rank that still loads has nothing to finish, and needs no traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        printed("loading torch")
    from hessview.job.alone import serve_alone

    return serve_alone(printed=printed)


if __name__ == "__main__":
    leave(main())

"""A rank of a job by itself, started by torchrun -m hessview.job."""

import argparse
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

from hessview.errors import HessviewError, JobError
from hessview.job.job import Job
from hessview.job.meeting import in_words
from hessview.job.models import build
from hessview.job.serve import interface_of_rank_0, shared_directory
from hessview.job.status import Printed, starting, told
from hessview.record.job_options import DTYPES, JobOptions, add_options, add_place, options_from
from hessview.transport.liveness import Process
from hessview.transport.run_directory import RunDirectory

_OWNER = "HESSVIEW_OWNER"
"""Environment variable that names the process with which the job ends: `Process`, as JSON."""

_GRACE = 1.0  # seconds for rank 0 to say why the job ends


def serve_alone(argv: Sequence[str] | None = None, *, printed: Printed | None = None) -> int:
    """Build the model on all ranks and serve it until the job is stopped.

    Args:
        argv: Arguments; None takes those of the process.
        printed: Prints what the job is doing until it is ready; None begins to count now.

    Returns:
        Exit code: 0, or 2 for a refusal that was told in one line.
    """
    printed = printed or Printed()
    parser = argparse.ArgumentParser(
        prog="torchrun -m hessview.job",
        description="Serve a model that the ranks of a torchrun share to notebooks.",
    )
    add_options(parser, model="--model")
    add_place(parser)
    arguments = parser.parse_args(argv)
    if "RANK" not in os.environ:
        parser.error(
            "it was not started by torchrun; use: torchrun --nproc-per-node 2 -m hessview.job ..."
        )
    find_last(os.getcwd())
    rank = int(os.environ["RANK"])
    directory: RunDirectory | None = None
    status = 0
    try:
        options = JobOptions(model=arguments.model, **options_from(arguments))
        printed("joining the ranks")
        with contextlib.ExitStack() as stack:
            device = stack.enter_context(_process_group(options.dtype))
            mesh = init_device_mesh(device, (dist.get_world_size(),), mesh_dim_names=("shard",))
            interface = interface_of_rank_0(arguments.listen)
            directory = shared_directory(arguments.run_dir)
            stack.enter_context(told(printed))
            if rank == 0:
                stack.enter_context(told(directory.say_starting))
            starting(f"loading {options.model}")
            objective = build(options, mesh)
            with Job(objective, directory, listen=interface) as job:
                if rank == 0:
                    print(f"hessview: ready; attach with hessview.attach({arguments.run_dir!r})")
                    sys.stdout.flush()
                job.run(until=_why_to_end())
    except HessviewError as error:
        # The same on all ranks. torchrun ends the others once one has ended: rank 0 reports first.
        status = 2  # `hessview launch` takes it for a refusal, and adds nothing
        if rank == 0:
            print(f"hessview: {error}", file=sys.stderr, flush=True)
        _leave_word(directory, rank, error)
        time.sleep(0 if rank == 0 else _GRACE)
    except Exception as error:
        _leave_word(directory, rank, error)
        raise
    return status


def find_last(folder: str) -> None:
    """Have --model my_module:build find the user's file, but every library its own modules.

    Python puts the folder first, for `-m`, so that a file kernels.py in it would be imported by
    transformers in place of a package of that name.

    Args:
        folder: Where the job was started.
    """
    if sys.path and sys.path[0] in ("", folder):
        del sys.path[0]
    if folder not in sys.path:
        sys.path.append(folder)


class _process_group:
    """Joins the ranks on the device of this machine, and leaves on the way out."""

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype

    def __enter__(self) -> str:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda":
            count, local_rank = torch.cuda.device_count(), int(os.environ["LOCAL_RANK"])
            if local_rank >= count:
                raise JobError(
                    f"rank {local_rank} of this host has no GPU of its own, there are {count}; use "
                    f"--nproc-per-node {count}."
                )
            torch.cuda.set_device(local_rank)
            _check_precision(self._dtype)
        dist.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo")
        return device

    def __exit__(self, *_: object) -> None:
        dist.destroy_process_group()


def _check_precision(dtype: str) -> None:
    # A GPU that only emulates bfloat16 multiplies no matrices in it.
    if dtype == "bfloat16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise JobError(
            f"dtype 'bfloat16' is not known to this host's {torch.cuda.get_device_name()}, which "
            f"computes in {', '.join(sorted({*DTYPES} - {'bfloat16'}))}; use --dtype float32."
        )


def _why_to_end() -> Callable[[], str]:
    """Make SIGINT and SIGTERM, of any rank, a wish that is granted at the next safe point.

    The job ends as well once nobody is left who would end it.
    """
    signals: list[int] = []
    torchrun = os.getppid()

    def note(number: int, _: object) -> None:
        signals.append(number)

    signal.signal(signal.SIGINT, note)
    signal.signal(signal.SIGTERM, note)
    owner = Process.from_json(json.loads(os.environ[_OWNER])) if _OWNER in os.environ else None

    def why() -> str:
        if signals:
            return "it was asked to stop"
        if os.getppid() != torchrun:
            return "torchrun is gone"
        if owner is not None and owner.life() == "gone":
            return "the process that launched it is gone"
        return ""

    return why


def _leave_word(directory: RunDirectory | None, rank: int, error: BaseException) -> None:
    """Write why this rank ends where a kernel will look for it.

    Only once the directory is this job's: another job may live in it.
    """
    if directory is not None:
        with contextlib.suppress(OSError, JobError):  # a full disk, say; the error itself counts
            directory.record_failure(rank, in_words(error))

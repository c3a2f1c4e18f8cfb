"""Serving an objective to notebooks, from a user's script."""

import contextlib
import os
import signal
import sys

import torch.distributed as dist

from hessview import interrupts
from hessview.job import meeting
from hessview.job.control import agree
from hessview.job.job import Job
from hessview.job.objective import Objective
from hessview.job.status import told
from hessview.transport.interface import Interface, private_interface
from hessview.transport.run_directory import RunDirectory


def serve(
    objective: Objective,
    run_dir: str | os.PathLike[str],
    *,
    evaluation: bool = False,
    listen: str | None = None,
) -> Job:
    """Serve an objective to notebooks; called by all ranks together.

    Use it as a context manager around a loop that calls `Job.poll`, or call `Job.run`. A
    measurement leaves parameters, gradients, buffers, modes and random states as it found them,
    to the last bit: training goes on as if nobody had asked.

    Args:
        objective: What is differentiated.
        run_dir: Where the record goes and where kernels find the job; rank 0 makes it.
        evaluation: Whether to put the module into evaluation mode for each measurement, for
            loops in which it is in training mode, with dropout or batch normalisation.
        listen: Network interface of rank 0's host, such as "eth1", on which kernels on other hosts
            can call; all hosts must see the run directory. By default only kernels on rank 0's
            host can, and no port is opened. See "Who can reach a job" in the README.

    Returns:
        The job, to be polled.

    Raises:
        InputError: `listen` names no private interface.
        ObjectiveError: The objective cannot be differentiated as it is.
        RunDirectoryError: The run directory is not safe.
        JobError: Another job lives in the run directory.
    """
    job: Job | None = None
    directory: RunDirectory | None = None
    rank_0 = not dist.is_initialized() or dist.get_rank() == 0
    try:
        with interrupts.held(stops=(signal.SIGINT,)):
            interface = interface_of_rank_0(listen)
            directory = shared_directory(run_dir)
            with told(directory.say_starting) if rank_0 else contextlib.nullcontext():
                job = Job(objective, directory, evaluation=evaluation, listen=interface)
    except BaseException:
        if job is not None:  # an interrupt waited until it was made
            job.__exit__(*sys.exc_info())
        elif directory is not None:
            directory.close()
        raise
    return job


def interface_of_rank_0(listen: str | None) -> Interface | None:
    """Where rank 0 listens, None on the others or if it does not; called by all together.

    Args:
        listen: Name of a network interface of rank 0's host.

    Raises:
        InputError: It is none, or public; raised on all ranks alike.
    """
    rank = meeting.rank()
    with agree():
        return private_interface(listen) if rank == 0 and listen is not None else None


def shared_directory(run_dir: str | os.PathLike[str]) -> RunDirectory:
    """The run directory, made by rank 0 and opened by the others; called by all together.

    Raises:
        RunDirectoryError: It is not safe; raised on all ranks alike.
        JobError: Another job lives in it; raised on all ranks alike.
    """
    directory: RunDirectory | None = None
    rank = meeting.rank()
    with agree():
        if rank == 0:
            directory = RunDirectory.create(run_dir)
    with agree():
        return directory or RunDirectory.open(run_dir)

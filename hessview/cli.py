"""The command line: demo, launch, report."""

import argparse
import logging
import os
import pathlib
import sys
from collections.abc import Sequence

from hessview.errors import HessviewError, JobError

_REFUSED = 2  # exit code of a rank when rank 0 has said in one line why there is no job


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; errors that hessview raises on purpose are printed in one line.

    Args:
        argv: Arguments; None takes those of the process.

    Returns:
        Exit code: 0, 1 for an error, 130 after an interrupt.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        status: int = arguments.command(arguments)
    except HessviewError as error:
        print(f"hessview: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("hessview: interrupted", file=sys.stderr)
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hessview", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="spectrum of a real language model, sharded over ranks")
    demo.add_argument("--quick", action="store_true", help="a small GPT, trained on the spot")
    demo.add_argument("--out", type=pathlib.Path, default=pathlib.Path("hessview-demo"))
    demo.add_argument("--ranks", type=int, default=2)
    demo.add_argument("--steps", type=int, help="Lanczos steps per probe")
    demo.add_argument("--probes", type=int, help="random probe vectors")
    demo.add_argument("--tokens", type=int, help="tokens of the data set, over all ranks")
    demo.set_defaults(command=_demo)

    launch = commands.add_parser("launch", help="start a job with torchrun, to attach to")
    launch.add_argument(
        "model",
        help="smollm2, tiny, a Hugging Face name or local folder of a "
        "causal language model, or package.module:function",
    )
    launch.add_argument("--run-dir", required=True, help="record and meeting point")
    launch.add_argument("--ranks", type=int, default=2)
    launch.add_argument("--text", help="UTF-8 text file (default: prose that ships with Python)")
    launch.add_argument("--tokens", type=int, help="tokens of the data set, over all ranks")
    launch.add_argument("--length", type=int, help="tokens per sequence")
    launch.add_argument("--batch", type=int, help="sequences per batch")
    launch.add_argument("--dtype", help="float32, float64, or bfloat16 over float32 shards")
    launch.add_argument("--seed", type=int)
    launch.set_defaults(command=_launch)

    report = commands.add_parser("report", help="write a report of a run directory")
    report.add_argument("run_dir")
    report.add_argument("--out", type=pathlib.Path, help="default: RUN_DIR/report.html")
    report.set_defaults(command=_report)
    return parser


def _demo(arguments: argparse.Namespace) -> int:
    from hessview.demo import demo

    return demo(
        arguments.out,
        quick=arguments.quick,
        ranks=arguments.ranks,
        steps=arguments.steps,
        probes=arguments.probes,
        tokens=arguments.tokens,
    )


def _launch(arguments: argparse.Namespace) -> int:
    from hessview.session.launch import job_arguments, job_environment

    options = {
        name: getattr(arguments, name)
        for name in ("text", "tokens", "length", "batch", "dtype", "seed")
    }
    command = job_arguments(arguments.model, ranks=arguments.ranks, **options)
    os.environ.update(job_environment())  # before torch is loaded, which reads some of it
    return _torchrun([*command, "--run-dir", arguments.run_dir])


def _torchrun(arguments: Sequence[str]) -> int:
    """Be torchrun, but for the pages that it writes when a rank fails."""
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        torchrun(list(arguments))
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode != _REFUSED:  # otherwise rank 0 has said why
            raise JobError(
                f"rank {rank} ended with exit code {failure.exitcode} (negative: by a signal); "
                "its own output, above, says why, if it could."
            ) from error
        return 1
    except SignalException:
        return 130
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from hessview.data.store import open_runs
    from hessview.page.report import report

    runs = open_runs(arguments.run_dir)
    out = arguments.out or pathlib.Path(arguments.run_dir) / "report.html"
    print(f"wrote {report(runs, out)}")
    return 0

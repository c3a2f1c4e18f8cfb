"""The command line: demo, lab, launch, plan, bench, jobs, dashboard, report."""

import argparse
import contextlib
import json
import logging
import os
import pathlib
import signal
import sys
from collections.abc import Sequence
from typing import Any

from hessview._version import __version__
from hessview.errors import HessviewError, InputError, JobError
from hessview.wording import counted

_DEFAULT = "(default: %(default)s)"
_REFUSED = 2  # exit code of a rank when rank 0 has said in one line why there is no job


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; errors that hessview raises on purpose are printed in one line.

    Args:
        argv: Arguments; None takes those of the process.

    Returns:
        Exit code: 0, 1 for an error, 130 after an interrupt.
    """
    parser = _parser()
    arguments, further = parser.parse_known_args(argv)
    if further and not hasattr(arguments, "further"):
        parser.error(f"unrecognized arguments: {' '.join(further)}")
    arguments.further = further
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
    parser.add_argument("--version", action="version", version=f"hessview {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="spectrum of a real language model, sharded over ranks")
    demo.add_argument("--quick", action="store_true", help="a small GPT, trained on the spot")
    demo.add_argument(
        "--out", type=pathlib.Path, default=pathlib.Path("hessview-demo"), help=_DEFAULT
    )
    demo.add_argument("--ranks", type=int, default=2, help=_DEFAULT)
    demo.add_argument("--steps", type=int, help="Lanczos steps per probe")
    demo.add_argument("--probes", type=int, help="random probe vectors")
    demo.add_argument("--tokens", type=int, help="tokens of the data set, over all ranks")
    demo.set_defaults(command=_demo)

    lab = commands.add_parser("lab", help="JupyterLab, opened at the first notebook")
    lab.add_argument("notebook", nargs="?", type=pathlib.Path, help="open this one instead")
    lab.epilog = "Further options go to jupyter lab, such as --no-browser or --port 9000."
    lab.set_defaults(command=_lab, further=True)

    launch = commands.add_parser("launch", help="start a job with torchrun, to attach to")
    launch.add_argument(
        "model",
        help="smollm2, tiny, a Hugging Face name or local folder of a "
        "causal language model, or package.module:function",
    )
    launch.add_argument("--run-dir", required=True, help="record and meeting point")
    launch.add_argument(
        "--listen",
        metavar="INTERFACE",
        help="private network interface for notebooks on other hosts (default: none)",
    )
    _add_job_options(launch)
    launch.set_defaults(command=_launch)

    plan = commands.add_parser("plan", help="what a model needs on N ranks, without any")
    plan.add_argument("model", help="as for launch; of language models no weights are loaded")
    plan.add_argument("--ranks", type=int, required=True, help="processes that share the model")
    plan.add_argument("--steps", type=int, default=64, help=f"Lanczos steps per probe {_DEFAULT}")
    plan.add_argument("--probes", type=int, default=4, help=f"random probe vectors {_DEFAULT}")
    plan.add_argument("--operator", default="hessian", metavar="NAME", help=_DEFAULT)
    plan.add_argument("--window", type=int, help="Lanczos vectors that are kept (default: all)")
    _add_sizes(plan)
    plan.add_argument("--memory", type=float, metavar="GIB", help="of a rank: says if it fits")
    time = plan.add_mutually_exclusive_group()
    time.add_argument("--gradient-seconds", type=float, help="of a gradient there: says how long")
    time.add_argument("--bench", type=pathlib.Path, help="the same, from bench --json's file")
    plan.add_argument("--json", action="store_true", help="print JSON, sizes in bytes")
    plan.set_defaults(command=_plan)

    bench = commands.add_parser("bench", help="what gradients and products cost here, as ratios")
    bench.add_argument("model", help="as for launch")
    _add_job_options(bench)
    bench.add_argument("--run-dir", help="default: runs/MODEL-TIME")
    bench.add_argument("--operators", nargs="+", default=["hessian"], metavar="NAME", help=_DEFAULT)
    bench.add_argument(
        "--depths", nargs="+", type=int, default=[1, 10, 50], metavar="STEP", help=_DEFAULT
    )
    bench.add_argument("--repetitions", type=int, default=5, help=_DEFAULT)
    bench.add_argument("--json", type=pathlib.Path, help="write the numbers to this file as well")
    bench.set_defaults(command=_bench)

    jobs = commands.add_parser("jobs", help="list jobs, their state, and who is attached")
    jobs.add_argument("folder", nargs="?", default="runs", help="looked through (default: runs)")
    jobs.set_defaults(command=_jobs)

    dashboard = commands.add_parser("dashboard", help="show a run directory, live, in a browser")
    dashboard.add_argument("run_dir")
    dashboard.add_argument("--port", type=int, default=0, help="default: a free one")
    dashboard.add_argument("--no-browser", action="store_true", help="only print the address")
    dashboard.add_argument(
        "--attach", action="store_true", help="attach to the job, to measure and cancel as well"
    )
    dashboard.set_defaults(command=_dashboard)

    report = commands.add_parser("report", help="write a report of a run directory")
    report.add_argument("run_dir")
    report.add_argument("--out", type=pathlib.Path, help="default: RUN_DIR/report.html")
    report.set_defaults(command=_report)
    return parser


def _add_job_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--ranks", type=int, default=2, help=_DEFAULT)
    parser.add_argument("--text", help="UTF-8 text file (default: prose that ships with Python)")
    _add_sizes(parser)
    parser.add_argument("--seed", type=int)


def _add_sizes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tokens", type=int, help="tokens of the data set, over all ranks")
    parser.add_argument("--length", type=int, help="tokens per sequence")
    parser.add_argument("--batch", type=int, help="sequences per batch")
    parser.add_argument("--dtype", help="float32, float64, or bfloat16 over float32 shards")


_SIZES = ("ranks", "tokens", "length", "batch", "dtype")


def _job_options(arguments: argparse.Namespace) -> dict[str, Any]:
    return {name: getattr(arguments, name) for name in (*_SIZES, "text", "seed")}


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


def _lab(arguments: argparse.Namespace) -> int:
    from hessview.demo import lab

    lab(arguments.notebook, arguments.further)


def _launch(arguments: argparse.Namespace) -> int:
    from hessview.session.launch import job_arguments, job_environment

    command = job_arguments(arguments.model, **_job_options(arguments))
    os.environ.update(job_environment())  # before torch is loaded, which reads some of it
    if arguments.listen is not None:
        command += ["--listen", arguments.listen]
    return _torchrun([*command, "--run-dir", arguments.run_dir])


def _torchrun(arguments: Sequence[str]) -> int:
    """Be torchrun, but for the pages that it writes when a rank fails."""
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    def interrupted(number: int, frame: object) -> None:
        # As SIGTERM: ranks that still import would answer SIGINT by a traceback each.
        raise SignalException("interrupted", signal.SIGTERM)

    _silence("torch.distributed.elastic")
    before = signal.signal(signal.SIGINT, interrupted)
    try:
        torchrun(["--signals-to-handle", "SIGTERM,SIGHUP,SIGQUIT", *arguments])
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
    finally:
        signal.signal(signal.SIGINT, before)
        _end_children()
    return 0


def _end_children() -> None:
    """End ranks that torchrun had started, and not noted yet, when it was interrupted."""
    import psutil

    children = psutil.Process().children(recursive=True)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children, timeout=5)


def _silence(name: str) -> None:
    """Silence a logger and those below it, which may have levels of their own."""
    below = [each for each in logging.root.manager.loggerDict if each.startswith(f"{name}.")]
    for each in [name, *below]:
        logging.getLogger(each).setLevel(logging.CRITICAL)


def _plan(arguments: argparse.Namespace) -> int:
    from hessview.planning import plan, timed

    sys.path.insert(0, os.getcwd())  # so that my_module:build finds the user's file, as in a job
    names = (*_SIZES, "steps", "probes", "operator", "memory", "gradient_seconds")
    found = plan(
        arguments.model,
        reorthogonalize="full" if arguments.window is None else arguments.window,
        **{name: getattr(arguments, name) for name in names},
    )
    if arguments.bench is not None:
        found = timed(found, arguments.bench)
    print(found.to_json() if arguments.json else found)
    return 0


def _bench(arguments: argparse.Namespace) -> int:
    from hessview.analysis.benchmark import benchmark, format_benchmark
    from hessview.record.commands import Benchmark
    from hessview.record.validation import whole
    from hessview.session.launch import launch

    whole("repetitions", arguments.repetitions, 1)
    Benchmark(operators=tuple(arguments.operators), depths=tuple(arguments.depths))
    if arguments.json:  # before minutes go into measuring
        try:
            arguments.json.open("a").close()
        except OSError as error:
            raise InputError(
                f"{arguments.json} cannot be written ({error}); choose another."
            ) from error
    with launch(arguments.model, run_dir=arguments.run_dir, **_job_options(arguments)) as session:
        run = session.benchmark(
            operators=arguments.operators,
            depths=arguments.depths,
            repetitions=arguments.repetitions,
        )
        ratios = benchmark(run.wait())
        job = session.job
        print(f"{job.model}: {job.parameters:,} parameters on {counted(job.world_size, 'rank')}")
    print(format_benchmark(ratios))
    if arguments.json:
        arguments.json.write_text(json.dumps(ratios.to_dict(), indent=1))
        print(f"wrote {arguments.json}")
    return 0


def _jobs(arguments: argparse.Namespace) -> int:
    from hessview.session.jobs import format_jobs, jobs

    entries = jobs(arguments.folder)
    print(format_jobs(entries) if entries else f"no run directory under {arguments.folder}")
    return 0


def _dashboard(arguments: argparse.Namespace) -> int:
    from hessview.page.dashboard import board_of
    from hessview.page.served import serve_dashboard
    from hessview.session.connect import attach

    source = attach(arguments.run_dir) if arguments.attach else arguments.run_dir
    serve_dashboard(board_of(source), port=arguments.port, browser=not arguments.no_browser)
    return 0


def _report(arguments: argparse.Namespace) -> int:
    from hessview.analysis.store import open_runs
    from hessview.page.report import report

    runs = open_runs(arguments.run_dir)
    out = arguments.out or pathlib.Path(arguments.run_dir) / "report.html"
    print(f"wrote {report(runs, out)}")
    return 0

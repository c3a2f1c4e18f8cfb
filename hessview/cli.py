"""The command line: demo, lab, launch, plan, bench, jobs, dashboard, report, completion."""

import argparse
import contextlib
import dataclasses
import json
import logging
import os
import pathlib
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from hessview._version import __version__
from hessview.errors import HessviewError, InputError, JobError
from hessview.record.commands import Benchmark, Density
from hessview.record.job_options import (
    DTYPES,
    RANKS,
    add_options,
    add_place,
    names_of,
    options_from,
)
from hessview.record.operator_facts import OPERATORS
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


class _Parser(argparse.ArgumentParser):
    """A command line whose help ends with examples."""

    def __init__(self, *, examples: Sequence[str] = (), **options: Any) -> None:
        lines = "\n".join(f"  hessview {example}" for example in examples)
        options = {"epilog": f"examples:\n{lines}", **options}
        super().__init__(**options, formatter_class=argparse.RawDescriptionHelpFormatter)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="hessview",
        description=__doc__,
        examples=["demo --quick", "plan smollm2 --ranks 8 --memory 16", "jobs", "COMMAND --help"],
    )
    parser.add_argument("--version", action="version", version=f"hessview {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    demo = commands.add_parser(
        "demo",
        help="spectrum of a real language model, sharded over ranks",
        examples=["demo", "demo --quick --ranks 4 --out quick"],
    )
    demo.add_argument("--quick", action="store_true", help="a small GPT, trained on the spot")
    demo.add_argument(
        "--out", type=pathlib.Path, default=pathlib.Path("hessview-demo"), help=_DEFAULT
    )
    _add_ranks(demo)
    demo.add_argument("--steps", type=int, help="Lanczos steps per probe")
    demo.add_argument("--probes", type=int, help="random probe vectors")
    demo.add_argument("--tokens", type=int, help="tokens of the data set, over all ranks")
    demo.set_defaults(command=_demo)

    lab = commands.add_parser(
        "lab",
        help="JupyterLab, opened at the first notebook",
        description="Further options go to jupyter lab.",
        examples=["lab", "lab mine.ipynb --no-browser --port 9000"],
    )
    lab.add_argument("notebook", nargs="?", type=pathlib.Path, help="open this one instead")
    lab.set_defaults(command=_lab, further=True)

    launch = commands.add_parser(
        "launch",
        help="start a job with torchrun, to attach to",
        examples=[
            "launch smollm2 --ranks 2 --run-dir runs/smol",
            "launch my_module:build --run-dir runs/mine --listen eth1",
        ],
    )
    add_options(launch)
    _add_ranks(launch)
    add_place(launch)
    launch.set_defaults(command=_launch)

    plan = commands.add_parser(
        "plan",
        help="what a model needs on N ranks, without any",
        description="Of language models no weights are loaded.",
        examples=[
            "plan HuggingFaceTB/SmolLM2-1.7B --ranks 64 --memory 80",
            "plan smollm2 --ranks 8 --window 16 --bench bench.json",
        ],
    )
    add_options(plan, planned=True)
    plan.add_argument("--ranks", type=int, required=True, help="processes that share the model")
    plan.add_argument(
        "--steps", type=int, default=Density.steps, help=f"Lanczos steps per probe {_DEFAULT}"
    )
    plan.add_argument(
        "--probes", type=int, default=Density.probes, help=f"random probe vectors {_DEFAULT}"
    )
    _add_operators(plan, "--operator", default=Density.operator)
    plan.add_argument("--window", type=int, help="Lanczos vectors that are kept (default: all)")
    plan.add_argument("--memory", type=float, metavar="GIB", help="of a rank: says if it fits")
    time = plan.add_mutually_exclusive_group()
    time.add_argument("--gradient-seconds", type=float, help="of a gradient there: says how long")
    time.add_argument("--bench", type=pathlib.Path, help="the same, from bench --json's file")
    _add_json(plan)
    plan.set_defaults(command=_plan)

    bench = commands.add_parser(
        "bench",
        help="what gradients and products cost here, as ratios",
        examples=[
            "bench smollm2 --ranks 2 --json bench.json",
            "bench tiny --operators hessian gauss_newton --repetitions 5",
        ],
    )
    add_options(bench)
    _add_ranks(bench)
    bench.add_argument("--run-dir", help="default: runs/MODEL-TIME")
    _add_operators(bench, "--operators", nargs="+", default=list(Benchmark.operators))
    bench.add_argument(
        "--depths",
        nargs="+",
        type=int,
        default=list(Benchmark.depths),
        metavar="STEP",
        help=f"Lanczos steps that are timed {_DEFAULT}",
    )
    bench.add_argument(
        "--repetitions",
        type=int,
        default=Benchmark.probes,
        help=f"how often everything is timed {_DEFAULT}",
    )
    _add_json(bench)
    bench.set_defaults(command=_bench)

    jobs = commands.add_parser(
        "jobs",
        help="list jobs, their state, and who is attached",
        examples=["jobs", "jobs /scratch/runs --json"],
    )
    jobs.add_argument("folder", nargs="?", default="runs", help="looked through (default: runs)")
    _add_json(jobs)
    jobs.set_defaults(command=_jobs)

    dashboard = commands.add_parser(
        "dashboard",
        help="show a run directory, live, in a browser",
        examples=["dashboard runs/smol", "dashboard runs/smol --attach --port 9001 --no-browser"],
    )
    dashboard.add_argument("run_dir")
    dashboard.add_argument("--port", type=int, default=0, help="default: a free one")
    dashboard.add_argument("--no-browser", action="store_true", help="only print the address")
    dashboard.add_argument(
        "--attach", action="store_true", help="attach to the job, to measure and cancel as well"
    )
    dashboard.set_defaults(command=_dashboard)

    report = commands.add_parser(
        "report",
        help="write a report of a run directory",
        examples=["report runs/smol", "report runs/smol --out smol.html"],
    )
    report.add_argument("run_dir")
    report.add_argument("--out", type=pathlib.Path, help="default: RUN_DIR/report.html")
    report.set_defaults(command=_report)

    completion = commands.add_parser(
        "completion",
        help="print what makes a shell complete hessview's commands and options",
        description="For bash or zsh; put the line below into ~/.bashrc or ~/.zshrc.",
        epilog='example:\n  eval "$(hessview completion bash)"',
    )
    completion.add_argument("shell", choices=("bash", "zsh"))
    completion.set_defaults(command=_completion)
    return parser


def _add_ranks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ranks", type=int, default=RANKS, help=f"processes that share the model {_DEFAULT}"
    )


def _add_operators(parser: argparse.ArgumentParser, name: str, **options: Any) -> None:
    names = ", ".join(OPERATORS)
    parser.add_argument(
        name, metavar="NAME", help=f"{names}, or package.module:name {_DEFAULT}", **options
    )


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json",
        nargs="?",
        const="-",
        metavar="FILE",
        help="write the numbers as JSON, sizes in bytes: to this file besides, or else alone to "
        "the standard output",
    )


def _check_json(path: str | None) -> None:
    """Refuse a file that cannot be written, before minutes go into measuring."""
    if path not in (None, "-"):
        try:
            pathlib.Path(path).open("a").close()
        except OSError as error:
            raise InputError(f"{path} cannot be written ({error}); choose another.") from error


def _print(text: str, path: str | None, numbers: Callable[[], str]) -> None:
    """Print what was found, or its numbers.

    Args:
        text: For people to read.
        path: What stood behind --json.
        numbers: The same as JSON.
    """
    print(numbers() if path == "-" else text)
    if path not in (None, "-"):
        pathlib.Path(path).write_text(numbers())
        print(f"wrote {path}")


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

    options = options_from(arguments)
    command = job_arguments(arguments.model, ranks=arguments.ranks, **options)
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
    below = [
        logger_name
        for logger_name in logging.root.manager.loggerDict
        if logger_name.startswith(f"{name}.")
    ]
    for logger_name in [name, *below]:
        logging.getLogger(logger_name).setLevel(logging.CRITICAL)


def _plan(arguments: argparse.Namespace) -> int:
    from hessview.planning import plan, timed

    sys.path.insert(0, os.getcwd())  # so that my_module:build finds the user's file, as in a job
    _check_json(arguments.json)
    names = ("ranks", "steps", "probes", "operator", "memory", "gradient_seconds")
    planned = plan(
        arguments.model,
        reorthogonalize="full" if arguments.window is None else arguments.window,
        **options_from(arguments, names),
        **options_from(arguments, names_of(planned=True)),
    )
    if arguments.bench is not None:
        planned = timed(planned, arguments.bench)
    _print(str(planned), arguments.json, planned.to_json)
    return 0


def _bench(arguments: argparse.Namespace) -> int:
    from hessview.analysis.benchmark import benchmark, format_benchmark
    from hessview.session.launch import launch

    Benchmark(
        operators=tuple(arguments.operators),
        depths=tuple(arguments.depths),
        probes=arguments.repetitions,
    )
    _check_json(arguments.json)
    options = {"ranks": arguments.ranks, **options_from(arguments)}
    with launch(arguments.model, run_dir=arguments.run_dir, **options) as session:
        run = session.benchmark(
            operators=arguments.operators,
            depths=arguments.depths,
            repetitions=arguments.repetitions,
        )
        ratios = benchmark(run.wait())
        job = session.job
    ranks = counted(job.world_size, "rank")
    text = f"{job.model}: {job.parameters:,} parameters on {ranks}\n{format_benchmark(ratios)}"
    _print(text, arguments.json, lambda: json.dumps(ratios.to_dict(), indent=1))
    return 0


def _jobs(arguments: argparse.Namespace) -> int:
    from hessview.session.jobs import format_jobs, jobs

    _check_json(arguments.json)
    entries = jobs(arguments.folder)
    text = format_jobs(entries) if entries else f"no run directory under {arguments.folder}"

    def numbers() -> str:
        return json.dumps([dataclasses.asdict(entry) for entry in entries], indent=1, default=str)

    _print(text, arguments.json, numbers)
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


# One script for both shells: zsh reads bash's by bashcompinit.
_SCRIPT = """\
[ -n "$ZSH_VERSION" ] && autoload -U +X bashcompinit && bashcompinit
_hessview() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" words=""
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="{commands}"
    else
        case "${{COMP_WORDS[1]}} $before" in
{values}
            *) case "${{COMP_WORDS[1]}}" in
{options}
            esac ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -F _hessview hessview"""


def _completion(arguments: argparse.Namespace) -> int:
    completed = {"operator": OPERATORS, "operators": OPERATORS, "dtype": DTYPES}
    (commands,) = (
        action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    options, values = [], []
    for command, parser in commands.choices.items():
        flags = [flag for action in parser._actions for flag in action.option_strings]
        options.append(f'            {command}) words="{" ".join(flags)}" ;;')
        for action in parser._actions:
            words = action.choices or completed.get(action.dest, ())
            for option in action.option_strings or [command]:
                if words:
                    values.append(f'        "{command} {option}") words="{" ".join(words)}" ;;')
    print(
        _SCRIPT.format(
            commands=" ".join(commands.choices),
            values="\n".join(values),
            options="\n".join(options),
        )
    )
    return 0

"""The demo (a real model on two ranks, its spectrum, a report), and JupyterLab at the notebooks."""

import contextlib
import os
import pathlib
import shutil
import signal
import sys
import threading
import urllib.parse
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from tqdm import tqdm

from hessview.analysis.headline import headline, rounding
from hessview.analysis.ritz import ritz
from hessview.analysis.summary import format_summary
from hessview.errors import InputError, RecordError
from hessview.page.report import report
from hessview.record.commands import Density
from hessview.session.launch import job_environment, launch
from hessview.session.run import Run
from hessview.wording import counted

_HERE = pathlib.Path(__file__).parent
_SHIPPED = (_HERE / "_notebooks", _HERE.parent / "notebooks")  # a wheel's, or the repository's


def lab(notebook: pathlib.Path | None = None, options: Sequence[str] = ()) -> NoReturn:
    """Become JupyterLab on 127.0.0.1, opened at a notebook; returns only if it cannot start.

    Without a notebook, those of hessview are copied into `hessview-notebooks` in this folder
    (files that are there already stay as they are) and the first is opened.

    Args:
        notebook: The notebook to open.
        options: Further arguments of `jupyter lab`, such as `--no-browser`.

    Raises:
        InputError: There is no such notebook.
    """
    if notebook is None:
        notebook = _copied(pathlib.Path("hessview-notebooks"))
    elif not notebook.is_file():
        raise InputError(f"there is no notebook {notebook}; pass the path of an .ipynb file.")
    # A notebook's terminal and `!` commands find torchrun and hessview there.
    path = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    sys.stdout.flush()
    os.execve(
        sys.executable,
        [
            *(sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1"),
            f"--ServerApp.root_dir={notebook.resolve().parent}",
            f"--LabApp.default_url=/lab/tree/{urllib.parse.quote(notebook.name)}",
            *options,
        ],
        {**os.environ, **job_environment(), "PATH": path},
    )


def _copied(folder: pathlib.Path) -> pathlib.Path:
    """Copy what is not in the folder yet; gives the first notebook."""
    shipped = next(
        folder_of_notebooks for folder_of_notebooks in _SHIPPED if folder_of_notebooks.is_dir()
    )
    names = sorted(path.name for path in shipped.glob("*.ipynb"))
    folder.mkdir(exist_ok=True)
    for name in names:
        if not (folder / name).exists():
            shutil.copyfile(shipped / name, folder / name)
    return folder / names[0]


# What fits 6 minutes (90 s) on two cores.
_FULL: dict[str, Any] = {"model": "smollm2", "length": 256, "batch": 1, "tokens": 512}
_QUICK: dict[str, Any] = {"model": "tiny", "length": 128, "batch": 4, "tokens": 2048}
_SIZES = {False: (10, 1), True: (20, 3)}  # steps and probes, by quick


def demo(
    out: pathlib.Path,
    *,
    quick: bool = False,
    ranks: int = 2,
    steps: int | None = None,
    probes: int | None = None,
    tokens: int | None = None,
) -> int:
    """Measure a spectral density on a job of several ranks, and report it.

    An interrupt ends the job and keeps what was measured.

    Args:
        out: Folder for the report and the run directory.
        quick: A GPT of under a million parameters, trained on the spot, instead of
            SmolLM2-135M.
        ranks: How many processes share the model.
        steps: Lanczos steps per probe.
        probes: Random probe vectors.
        tokens: Tokens of the data set, over all ranks.

    Returns:
        Exit code: 0, or 130 after an interrupt.

    Raises:
        HessviewError: The demo could not run, or its run failed.
    """
    options = dict(_QUICK if quick else _FULL)
    if tokens is not None:
        options["tokens"] = tokens
    default = _SIZES[quick]
    command = Density(
        steps=default[0] if steps is None else steps,
        probes=default[1] if probes is None else probes,
    )
    run_dir = out / "run"
    run: Run | None = None
    status = 0
    with _terminated_as_interrupted():
        try:
            work = "trains a small GPT" if quick else "loads SmolLM2-135M"
            print(
                f"torchrun starts {counted(ranks, 'rank')}; rank 0 {work} and all share it ...",
                flush=True,
            )
            with launch(ranks=ranks, run_dir=run_dir, **options) as session:
                job = session.job
                print(
                    f"attached over torch.distributed.rpc: {job.parameters:,} parameters in "
                    f"{counted(len(job.blocks), 'block')} on {counted(job.world_size, 'rank')}, "
                    f"loss {job.loss:.3f} over {job.weight:,.0f} {job.weight_unit}",
                    flush=True,
                )
                run = session.submit(command)
                _watch(run)
        except KeyboardInterrupt:
            print("\ninterrupted; the job has ended, what was measured is kept", flush=True)
            status = 130
        finally:
            if run is not None:
                _tell(run, out)
    return status


def _watch(run: Run) -> None:
    """Show a progress bar with the time left until the run is over; raises as `Run.wait`."""
    moved = threading.Event()
    unsubscribe = run.on_change(moved.set)
    total = run.command.total
    # In a terminal the bar moves often; a file gets a line now and then.
    pace = 0.1 if sys.stdout.isatty() else 15.0
    with tqdm(total=total, unit="step", file=sys.stdout, ncols=100, mininterval=pace) as bar:
        bar.set_postfix_str("choosing epsilon along the first direction")
        over = False
        while not over:
            moved.wait(0.5)
            moved.clear()
            try:
                run.wait(timeout=0)
                over = True
            except TimeoutError:
                pass
            finally:
                _show(run, bar)
    unsubscribe()


def _show(run: Run, bar: "tqdm[Any]") -> None:
    dataset = run.dataset
    measured_steps = int(dataset.alpha.notnull().sum())
    if measured_steps > bar.n:
        nodes = ritz(dataset).node
        extremes = f"eigenvalues {float(nodes.min()):.3g} to {float(nodes.max()):.3g}"
        if measured_steps == run.command.total:
            extremes += ", measured anew"
        bar.set_postfix_str(extremes, refresh=False)
        bar.update(measured_steps - bar.n)
    elif sys.stdout.isatty():
        bar.refresh()


def _tell(run: Run, out: pathlib.Path) -> None:
    try:
        table = format_summary(headline(run.dataset))
    except RecordError:
        print("nothing was measured yet, so there is no report")
        return
    path = report(run, out / "report.html")
    print(f"\n{table}\n")
    if note := rounding(run.dataset):
        print(f"note: {note}\n")
    print(f"report: {path}  (open it in a browser; it needs no network)")
    print(f"record: {out / 'run'}  (in Python: hessview.open_runs({str(out / 'run')!r}))")


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Treat SIGTERM like an interrupt, so that no process is left behind."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

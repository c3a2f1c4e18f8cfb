"""Every reader of a run directory, and what each must hold to whatever lies in it."""

import contextlib
import dataclasses
import io
import json
import os
import random
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

import hessview
from helpers.damage import EPOCH, HOSTILE, IDENTITY, ODD, Damage, hostile
from hessview import errors
from hessview.page.board import Board
from hessview.record.collect import collect
from hessview.record.events import JobStarted
from hessview.record.log import EventLog
from hessview.record.measurements import MEASUREMENTS
from hessview.session import connect as attach
from hessview.session import launch
from hessview.session.jobs import format_jobs, jobs
from hessview.transport.diagnosis import known_loss
from hessview.transport.files import Claim
from hessview.transport.liveness import Process
from hessview.transport.mailbox import Desk, Mailbox
from hessview.transport.rpc import claim_job
from hessview.transport.run_directory import RunDirectory

# What is in no way of a job that lives, or that is starting, whatever it holds.
HARMLESS = {*ODD, "job.log", "job.lock", f"knock-{IDENTITY}"} - {f"release-{IDENTITY}"}


class Wrong(AssertionError):
    """A reader gave what it must not."""


@dataclasses.dataclass(frozen=True)
class Line:
    """What an undamaged line says; of a reading, where each number belongs that was measured."""

    kind: str
    run: str
    needs_job: bool
    places: list[tuple[str, Any]]


def understand(record: bytes, whole: dict[str, xr.Dataset]) -> dict[bytes, Line]:
    """The lines of an undamaged record, read by `json` alone."""
    found = {}
    for line in record.splitlines():
        event = json.loads(line)["event"]
        places = []
        if event["kind"] == "reading":
            for name, value in event["values"].items():
                dims = whole[event["run"]][name].dims
                where = tuple(event["index"].get(dim, slice(None)) for dim in dims)
                mask = np.zeros(whole[event["run"]][name].shape, dtype=bool)
                mask[where] = np.isfinite(np.array(value, dtype=float))
                places.append((name, mask))
        command = event.get("command", {})
        # In a record of 0.1.0, the job's line alone names the blocks.
        named = command.get("blocks", "no coupling") or event.get("blocks")
        found[line] = Line(event["kind"], event["run"], not named, places)
    return found


def compare(
    found: dict[str, xr.Dataset],
    whole: dict[str, xr.Dataset],
    damage: Damage,
    lines: dict[bytes, Line],
) -> int:
    """Hold every number to the undamaged record, and miss none whose own lines are whole.

    Returns:
        How many numbers were compared.
    """
    compared = 0
    kept = [lines[line] for line in set((damage.record or b"").split(b"\n")) if line in lines]
    job = any(line.kind == "job_started" for line in kept) and not damage.forged
    queued = {
        line.run for line in kept if line.kind == "run_queued" and (job or not line.needs_job)
    } - damage.touched
    expected: dict[tuple[str, str], Any] = {}
    for line in kept:
        for name, mask in line.places if line.run in queued else ():
            known = expected.get((line.run, name))
            expected[line.run, name] = mask if known is None else known | mask
    for run in queued - found.keys():
        if damage.record is not None:
            raise Wrong(f"run {run!r} is missing, and its own line is whole")
    for run, ds in found.items():
        if run in damage.touched:
            continue
        if run not in whole:
            raise Wrong(f"run {run!r} was never measured")
        for name, array in ds.data_vars.items():
            truth, values = whole[run].variables[name].values, array.values
            if truth.shape != values.shape:
                if not values.size and run not in queued:
                    continue  # no blocks: see `understand`
                raise Wrong(f"{run} {name}: shape {values.shape} for {truth.shape}")
            there = np.isfinite(values)
            if not np.array_equal(values[there], truth[there]):
                raise Wrong(f"{run} {name}: another number than was measured")
            wanted = expected.get((run, str(name)))
            if wanted is not None and not there[wanted].all():
                raise Wrong(f"{run} {name}: numbers lie whole in the record, and are missing")
            compared += int(there.sum())
    return compared


def harmless(damage: Damage) -> bool:
    """Whether a job's state shows as if nothing was damaged."""
    lives = damage.state in ("waiting", "held") and not damage.gone
    # A job that is not ready yet is only told by starting.json; one that is needs it no more.
    files = {*HARMLESS, "starting.json"} if lives else HARMLESS
    return bool(damage.files) and damage.files <= files


def printable(text: str) -> None:
    if not text.replace("\n", "").isprintable():
        raise Wrong(f"it steers the terminal: {text[:200]!r}")
    if len(text) > 30_000:
        raise Wrong(f"nobody reads {len(text):,} characters: {text[:200]!r}")


class Readers:
    """The readers, each called with a run directory and what was done to it.

    Args:
        whole: The undamaged datasets, by run.
        lines: The undamaged lines of the record (`understand`).
        healthy: A run directory that nobody touches, beside the damaged one.
        living: A process that lives.
    """

    def __init__(
        self, whole: dict[str, xr.Dataset], lines: dict[bytes, Line], healthy: Path, living: Process
    ) -> None:
        self.whole, self.lines, self.healthy, self.living = whole, lines, healthy, living
        self.compared = 0
        self.undamaged: dict[tuple[str, bool, bool], str] = {}
        """How `claim_job` refuses, by state of the job, whether it is gone, and `force`."""
        self.all: dict[str, tuple[int, Callable[[Path, Damage], None]]] = {
            "open_runs": (16, self.open_runs),
            "watch": (8, self.watch),
            "jobs": (8, self.jobs),
            "report": (1, self.report),
            "dashboard": (2, self.dashboard),
            "attach": (8, self.attach),
            "wait": (3, self.wait),
            "launched": (3, self.launched),
            "start": (5, self.start),
        }

    def _hold(self, found: dict[str, xr.Dataset], damage: Damage) -> None:
        self.compared += compare(found, self.whole, damage, self.lines)

    def open_runs(self, folder: Path, damage: Damage) -> None:
        tree = hessview.open_runs(folder)
        self._hold({str(n): node.to_dataset() for n, node in tree.children.items()}, damage)

    def watch(self, folder: Path, damage: Damage) -> None:
        with hessview.watch(folder) as session:
            self._hold({run.id: run.dataset for run in session.runs}, damage)
            for run in session.runs:
                assert run.state, run.command
                assert isinstance(run.error, str)
            assert repr(session)
            assert "<" in session._repr_html_()

    def jobs(self, folder: Path, damage: Damage) -> None:
        entries = {entry.path.name: entry for entry in jobs(folder.parent.parent)}
        healthy = entries[self.healthy.name]
        if healthy.runs != len(self.whole):
            raise Wrong(f"the healthy job has {healthy.runs} runs")
        printable(format_jobs(entries.values()))
        entry = entries.get(folder.name)
        if harmless(damage):
            # Of a job that died while it was starting, the one before is told.
            states = {"starting": ["ended" if damage.gone else "starting"], "ended": ["ended"]}
            lives = ["dead"] if damage.gone else ["idle", "measuring"]
            if entry is None or entry.state not in states.get(damage.state, lives):
                raise Wrong(f"a job that is {damage.state}, gone {damage.gone}, is {entry}")

    def report(self, folder: Path, damage: Damage) -> None:
        tree = hessview.open_runs(folder)
        runs = list(tree.children)
        shown = damage.chance.sample(runs, min(3, len(runs)))
        hessview.report([tree[run] for run in shown], folder / "report.html")

    def dashboard(self, folder: Path, damage: Damage) -> None:
        with hessview.watch(folder) as session:
            found = {run.id: run.dataset for run in session.runs}
            self._hold(found, damage)
            board = Board(session)
            try:
                json.dumps([board.head, board.parts], allow_nan=False)
            finally:
                board.close()

    def attach(self, folder: Path, damage: Damage) -> None:
        """What a kernel reads while it attaches, and while it is attached."""
        force = damage.chance.random() < 0.5
        try:
            self._attach(folder, force)
            found = "nothing"
        except errors.HessviewError as error:
            found = type(error).__name__
            raise
        finally:
            expected = self.undamaged.get((damage.state, damage.gone, force))
            if harmless(damage) and expected and found != expected:
                raise Wrong(f"{found}, where an undamaged directory gives {expected}")

    def _attach(self, folder: Path, force: bool) -> None:
        directory = RunDirectory.open(folder)
        claim = Claim(identity=IDENTITY, process=self.living, since=1.0)
        directory.failures(), directory.ranks("gone"), directory.ranks("alive")
        directory.read_release(claim), directory.read_knock(claim)
        job = directory.read_job()
        known_loss(directory, job, claim)
        directory.read_claim(EPOCH)
        claim_job(directory, force=force)

    def wait(self, folder: Path, damage: Damage) -> None:
        """What a kernel prints while it waits for a job that is starting."""
        with contextlib.redirect_stdout(io.StringIO()) as told:
            try:
                attach._wait_for_job(folder, 0.03)
            finally:
                printable(told.getvalue())

    def launched(self, folder: Path, damage: Damage) -> None:
        """What `hessview.launch` reads of a job that ended, or does not begin."""
        directory = RunDirectory.open(folder)
        code = damage.chance.choice([None, 1])
        process: Any = types.SimpleNamespace(poll=lambda: code, returncode=code, pid=os.getpid())
        launched = launch._Launched(process, directory)
        with contextlib.redirect_stdout(io.StringIO()) as told:
            try:
                launched.wait_until_ready(0.03)
            except errors.HessviewError as error:
                printable(str(error))
                raise
            finally:
                printable(told.getvalue())
                launch._open_log(directory).close()

    def start(self, folder: Path, damage: Damage) -> None:
        """A new job in the directory of one that is gone; what was measured stays."""
        directory = RunDirectory.create(folder)
        try:
            log = EventLog("third", directory.events_path)
            log.append(next(e.payload for e in log.events if isinstance(e.payload, JobStarted)))
            log.close()
            found = collect(EventLog("fourth", directory.events_path).events)
            self._hold({run: found.dataset(run) for run in found.runs}, damage)
            epoch = directory.read_job().epoch
            directory.read_claim(epoch)
        except StopIteration:
            pass
        finally:
            directory.close()


COMMAND = [{"command": name} for name in MEASUREMENTS]


def ask_desk(chance: random.Random) -> None:
    """Calls at a `Desk`: each is answered, and nothing that is recorded cannot be read."""
    mailbox = Mailbox(EventLog("job"))
    desk = Desk(mailbox)
    desk.open("right")
    for _ in range(40):
        token: Any = chance.choice(["right"] * 6 + ["wrong", "é", "\ud800", None, 5, b"right"])
        operation: Any = chance.choice(["submit"] * 6 + ["cancel", "ping", "dance", None, 5, []])
        command: Any = dict(chance.choice(COMMAND))
        for _ in range(chance.choice([0, 1, 1, 2])):
            fields = ["probes", "steps", "seed", "epsilon", "epsilons", "fractions", "operator"]
            fields += ["subset", "blocks", "top", "reference", "operators", "depths", "tolerance"]
            fields += ["quantity", "reorthogonalize", "error_every", "command", "newer"]
            more = [[1e-3, 1e-2], [0.5, 1.0], 7, 10**7, "hessian", [["a", "x*"], ["b", "y*"]]]
            command[chance.choice(fields)] = chance.choice([*HOSTILE, *more])
        body: Any = {"run": chance.choice(["a", "b", "c1", *HOSTILE]), "command": command}
        if chance.random() < 0.1:
            body = hostile(chance)
        text: Any = json.dumps(body)
        if chance.random() < 0.05:
            text = chance.choice(["", "{", "[" * 100_000, None, 5, " " * 5_000_000])
        before = len(mailbox.events(0, 0))
        answer = json.loads(desk.answer(token, operation, text))
        if "error" in answer:
            if not issubclass(getattr(errors, answer["error"]), errors.HessviewError):
                raise Wrong(f"{answer}")
            if len(mailbox.events(0, 0)) != before:
                raise Wrong(f"refused and recorded: {answer}, {text}")
        elif token != "right":
            raise Wrong(f"token {token!r} was taken")
    collector = collect(mailbox.events(0, 0))
    for run in {event.run for event in mailbox.events(0, 0)}:
        if why := collector.why_left_out(run):
            raise Wrong(why)
        if collector.dataset(run).nbytes > 1 << 27:
            raise Wrong(f"{collector.command(run)} allocates before anything is measured")

"""Runs cases of the fuzzer in a process of its own, bounded in time and memory.

PYTHONPATH=tests python tests/fuzz/worker.py SEED FIRST CASES prints a JSON line for each case
that failed, and one of counts.
"""

import collections
import itertools
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

CPU_SECONDS = 2.0
MEMORY = 500 << 20
STATES = ("waiting", "held", "ended", "starting")
WALL_SECONDS = 60  # a reader that waits for ever; a busy machine may take long otherwise


def limit() -> None:
    def stop(number: int, frame: Any) -> None:
        raise TimeoutError(f"{signal.Signals(number).name}: it takes too long")

    signal.signal(signal.SIGPROF, stop)
    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    signal.alarm(WALL_SECONDS)


def unlimit() -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.alarm(0)


def main(seed: int, first: int, cases: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HESSVIEW_FUZZ_FOLDER"] = folder
        other = subprocess.Popen(["sleep", "100000"])
        try:
            run(Path(folder), other.pid, seed, first, cases)
        finally:
            other.kill()
            other.wait()


def run(top: Path, pid: int, seed: int, first: int, cases: int) -> None:
    import psutil

    import hessview
    from helpers.damage import OLD, Damage, make, now, parts
    from helpers.readers import Readers, ask_desk, understand
    from hessview.errors import HessviewError, RecordWarning
    from hessview.page.report import report
    from hessview.session import connect as attach
    from hessview.session import launch, session
    from hessview.transport import rpc as claiming
    from hessview.transport.liveness import Process, _host_identity, _started
    from hessview.transport.run_directory import RunDirectory

    claiming._CLAIM_PATIENCE, session._FIRST = 0.05, 0.2  # only so that it is quick
    attach._LOOK = launch._LOOK = 0.01
    living = Process(pid=pid, started=_started(psutil.Process(pid)), **_host_identity())
    records = {
        f"{version}-{place}": part
        for version, record in (("0.1.0", OLD.read_bytes()), ("now", now()))
        for place, part in enumerate(parts(record))
    }
    readers = {}
    for name, record in records.items():
        healthy = top / name / "healthy"
        make(healthy, record, living, "waiting")
        tree = hessview.open_runs(healthy)
        whole = {str(n): node.to_dataset() for n, node in tree.children.items()}
        readers[name] = Readers(whole, understand(record, whole), healthy, living)
    dead = Process(**{**vars(living), "started": 1.0})
    refusals = {}
    for state, gone, force in itertools.product(STATES, (False, True), (False, True)):
        folder = top / "undamaged"
        make(folder, record, dead if gone else living, state)
        try:
            claiming.claim_job(RunDirectory.open(folder), force=force)
        except HessviewError as refusal:
            refusals[state, gone, force] = type(refusal).__name__
        shutil.rmtree(folder)
    for one in readers.values():
        one.undamaged = refusals
    report(tree, top / "report.html")  # loads what is loaded late
    own = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (own + MEMORY, resource.RLIM_INFINITY))
    counts: collections.Counter[str] = collections.Counter()
    slowest, worst, largest, hungriest = 0.0, "", 0, ""
    for case in range(first, first + cases):
        chance = random.Random(f"{seed}/{case}")
        version = chance.choice(list(records))
        gone, state = chance.random() < 0.2, chance.choice(STATES)
        damage = Damage(records[version], chance, state, gone=gone)
        folder = top / version / "deep" / "run"
        table = readers[version].all
        reader = chance.choices(["desk", *table], [4, *(weight for weight, _ in table.values())])[0]
        error, before, held = "", resource.getrusage(resource.RUSAGE_SELF), 0
        try:
            if reader != "desk":
                damage.gone = reader == "start" or gone
                make(folder, records[version], dead if damage.gone else living, state)
                damage.apply(folder)
            limit()
            held = memory(reset=True)
            before = resource.getrusage(resource.RUSAGE_SELF)
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                if reader == "desk":
                    ask_desk(chance)
                else:
                    table[reader][1](folder, damage)
            counts[f"{reader}: data"] += 1
            for one in told:
                if not issubclass(one.category, RecordWarning):
                    error = f"{one.category.__name__}: {one.message} ({one.filename}:{one.lineno})"
        except HessviewError as refusal:
            counts[f"{reader}: {type(refusal).__name__}"] += 1
            if len(str(refusal)) < 30 or len(str(refusal)) > 3000:
                error = f"no cure, or a page: {str(refusal)[:300]}"
        except BaseException as wrong:
            last = wrong.__traceback__
            while last and last.tb_next:
                last = last.tb_next
            where = f"{last.tb_frame.f_code.co_filename}:{last.tb_lineno}" if last else ""
            error = f"{type(wrong).__name__}: {str(wrong)[:300]} ({where})"
        finally:
            unlimit()
            after = resource.getrusage(resource.RUSAGE_SELF)
            spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            if spent > slowest:
                slowest, worst = spent, f"{case} {reader}{damage.says}"
            taken = memory() - held
            if taken > largest:
                largest, hungriest = taken, f"{case} {reader}{damage.says}"
            shutil.rmtree(folder.parent, ignore_errors=True)
        if error:
            counts["failed"] += 1
            what = {"case": case, "reader": reader, "version": version, "damage": damage.says}
            print(json.dumps({**what, "error": error}), flush=True)
    compared = sum(one.compared for one in readers.values())
    result = {"counts": dict(sorted(counts.items())), "compared": compared}
    bounds = {"slowest": round(slowest, 2), "which": worst}
    bounds |= {"largest": round(largest / 2**20), "of": hungriest}
    print(json.dumps({**result, **bounds}), flush=True)


def memory(*, reset: bool = False) -> int:
    """Most bytes that this process held since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:4]))
    os._exit(0)

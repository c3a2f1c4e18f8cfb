"""A run directory, and the ways in which it may be damaged; all chances are a seed's."""

import copy
import dataclasses
import json
import os
import random
import socket
import time
import zlib
from pathlib import Path
from typing import Any

from helpers.folders import TESTS
from hessview.record.commands import Coupling
from hessview.record.events import JobStarted, RunQueued
from hessview.record.log import FILENAME, EventLog, read_events
from hessview.record.measurements import command_from_json
from hessview.transport.files import Claim, Failure, JobFile, Starting
from hessview.transport.liveness import Process

OLD = TESTS / "records" / "0.1.0" / FILENAME
DEEP = "[" * 100_000 + "]" * 100_000
IDENTITY = "ab" * 16
EPOCH = 3

HOSTILE: list[Any] = [
    *(None, True, -1, 0, 0.5, 2**31, 2**62, 2**64, 10**30, 1e308, -1e308, 5e-324, 1e-308),
    *(float("nan"), float("inf"), "", "x", "../../x", "a/b", ".", "\ud800", "\0", "<b>", "é" * 300),
    *([], {}, [None], [[["x"]]], {"a": {"b": []}}, ["x"] * 1000, [0.5] * 5000, "y" * 70_000),
]


def hostile(chance: random.Random) -> Any:
    """One of them, that nobody else has: damage goes on within it."""
    return copy.deepcopy(chance.choice(HOSTILE))


SMALL = [
    *("job.json", f"claim-{EPOCH}", "rank-0.json", "rank-1.json", "failure-0.json"),
    *("starting.json", "starting.json"),
]
TEXTS = [f"release-{IDENTITY}", f"knock-{IDENTITY}", "job.log"]
"""Files of no form: why a claim is over, the name of a talk, and what torchrun printed."""
ODD = [
    *("starting-0.json", "starting.json.json", ".starting.json", "Starting.json", "job.log.1"),
    *("rank-x.json", "rank-0.json.json", "rank--1.json", "failure-.json", "failure-1e3.json"),
    *("claim-x", f"claim-{10**20}", f"release-{IDENTITY}", f"knock-{IDENTITY}", "store-x"),
    *("rank-99999999999999999999.json", ".x.tmp", "job.lock", "rank-²³.json"),
]


def now() -> bytes:
    """The record as today's job writes it: that of 0.1.0, and a second job with one more run."""
    path = Path(os.environ["HESSVIEW_FUZZ_FOLDER"]) / "made.jsonl"
    path.unlink(missing_ok=True)
    events = read_events(OLD)
    job = next(event.payload for event in events if isinstance(event.payload, JobStarted))
    log = EventLog("first", path)
    for event in events:
        payload = event.payload
        if isinstance(payload, RunQueued):
            command = command_from_json(payload.command)
            if isinstance(command, Coupling) and not command.blocks:
                payload = dataclasses.replace(payload, blocks=list(job.blocks))
        log.append(payload, event.run)
    log.close()
    log = EventLog("second", path)
    log.append(job)
    first = next(event.run for event in events if event.run)
    for event in events:
        if event.run == first:
            log.append(event.payload, "again")
    log.close()
    return path.read_bytes()


def parts(record: bytes, runs: int = 3) -> list[bytes]:
    """The record in parts of a few runs each: a reader takes as long as there are runs."""
    lines = record.splitlines(keepends=True)
    owners = [json.loads(line)["event"]["run"] for line in lines]
    names = list(dict.fromkeys(owner for owner in owners if owner))
    groups = [{"", *names[at : at + runs]} for at in range(0, len(names), runs)]
    return [
        b"".join(line for line, owner in zip(lines, owners, strict=True) if owner in group)
        for group in groups
    ]


def make(folder: Path, record: bytes, living: Process, state: str) -> None:
    """A run directory with a job (of a living process), a claim on it, and ranks.

    In the state "starting" the job of before has ended, and the next one is loading its model.
    """
    folder.mkdir(mode=0o700, parents=True)
    (folder / FILENAME).write_bytes(record)
    claim = Claim(identity=IDENTITY, process=living, since=time.time())
    published = "ended" if state == "starting" else state
    job = JobFile(job="second", process=living, epoch=EPOCH, token="t" * 64, state=published)
    files = {
        "job.json": dataclasses.asdict(job),
        f"claim-{EPOCH}": dataclasses.asdict(claim),
        "rank-0.json": dataclasses.asdict(living),
        "rank-1.json": dataclasses.asdict(living),
    }
    if state == "starting":
        files["starting.json"] = starting(living)
    for name, data in files.items():
        (folder / name).write_text(json.dumps(data))
    (folder / "job.log").write_text("hessview: [   2 s] loading smollm2 ...\nTraceback\n")


def failure() -> dict[str, Any]:
    return dataclasses.asdict(
        Failure(rank=0, error="RunDirectoryError: it cannot be written; free disk space.", time=1.0)
    )


def starting(process: Process) -> dict[str, Any]:
    now = Starting(process=process, phase="loading smollm2", began=time.time() - 1)
    return dataclasses.asdict(now)


class Damage:
    """What one case does to a run directory.

    `says` tells it; `touched` are runs whose numbers may differ since somebody forged an event of
    theirs, `forged` whether an event of the job was; `record` are the record's bytes afterwards,
    None where there is no such file any more; `files` are the names of what was changed. The
    job was in `state` before, and `gone` if its process is.
    """

    def __init__(
        self, record: bytes, chance: random.Random, state: str = "waiting", *, gone: bool = False
    ) -> None:
        self.chance = chance
        self.state, self.gone = state, gone
        self.files: set[str] = set()
        self.record: bytes | None = record
        self.touched: set[str] = set()
        self.forged = False
        self.says = ""

    def apply(self, folder: Path) -> None:
        kind = self.chance.choices(
            [self.bytes, self.form, self.small, self.text, self.place], weights=[5, 6, 5, 1, 3]
        )[0]
        kind(folder)

    def bytes(self, folder: Path) -> None:
        """The record byte by byte, by accident."""
        self.files.add(FILENAME)
        for _ in range(self.chance.choice([1, 1, 1, 2, 5])):
            self.record = self._bytes(self.record or b"")
        (folder / FILENAME).write_bytes(self.record or b"")

    def _bytes(self, data: bytes) -> bytes:
        chance, lines = self.chance, data.splitlines(keepends=True)
        if not lines:
            return data
        at, line = chance.randrange(len(data)), chance.randrange(len(lines))
        kinds = [
            *("flip", "flip", "cut", "double", "swap", "delete", "join", "nul", "bom", "long"),
            *("latin", "insert", "shuffle", "zeros", "blank", "tear", "first"),
        ]
        kind = chance.choice(kinds)
        self.says += f" {kind} at byte {at}, line {line + 1}"
        match kind:
            case "flip":
                return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
            case "cut":
                return data[:at]
            case "double":
                lines.insert(chance.randrange(len(lines)), lines[line])
            case "swap":
                other = chance.randrange(len(lines))
                lines[line], lines[other] = lines[other], lines[line]
            case "delete":
                del lines[line]
            case "join":
                lines[line] = lines[line].rstrip(b"\n")
            case "nul":
                return data[:at] + b"\0" * chance.randrange(1, 5000) + data[at:]
            case "bom":
                return b"\xef\xbb\xbf" + data
            case "long":
                lines.insert(line, b"x" * chance.choice([100_000, 5_000_000]) + b"\n")
            case "latin":
                return data[:at] + b"\xe9\xff" + data[at:]
            case "insert":
                return data[:at] + chance.randbytes(chance.randrange(1, 50)) + data[at:]
            case "shuffle":
                chance.shuffle(lines)
            case "zeros":
                return data + b"\0" * chance.choice([10, 100_000, 6_000_000])
            case "blank":
                lines.insert(line, b"\n" * chance.randrange(1, 100))
            case "tear":
                lines[line] = lines[line][: chance.randrange(len(lines[line]))] + b"\n"
            case "first":
                lines[0] = b"?" + lines[0][1:]
        return b"".join(lines)

    def form(self, folder: Path) -> None:
        """An event that fits its checksum and not its form, as somebody may have written it."""
        self.files.add(FILENAME)
        lines = (self.record or b"").splitlines(keepends=True)
        for _ in range(self.chance.choice([1, 1, 2])):
            line = self.chance.randrange(len(lines))
            event = json.loads(lines[line])["event"]
            if not isinstance(event, dict):
                continue
            if isinstance(event.get("run"), str) and event["run"]:
                self.touched.add(event["run"])
            else:
                self.forged = True
            text = self._forged(event)
            self.says += f" forged line {line + 1} of {event.get('run')}"
            body = text.encode("utf-8", "surrogatepass")
            lines[line] = b'{"crc32": "%08x", "event": ' % zlib.crc32(body) + body + b"}\n"
            if not body.startswith(b"{"):
                break
        self.record = b"".join(lines)
        (folder / FILENAME).write_bytes(self.record)

    def _forged(self, event: dict[str, Any]) -> str:
        chance, event = self.chance, copy.deepcopy(event)
        if chance.random() < 0.05:
            return DEEP
        if chance.random() < 0.05:
            return json.dumps(hostile(chance))
        if chance.random() < 0.05:
            return "1" + "0" * 5000
        if chance.random() < 0.1:
            event["kind"] = chance.choice(
                ["job_started", "run_queued", "run_started", "reading", "run_ended", "job_ended"]
            )
            return json.dumps(event)
        self._change(event)
        if isinstance(event.get("run"), str):
            self.touched.add(event["run"])
        return json.dumps(event)

    def _change(self, value: Any) -> None:
        """Put something hostile somewhere into a JSON object."""
        chance = self.chance
        keys = list(value) if isinstance(value, dict) else list(range(len(value)))
        if not keys:
            return
        key = chance.choice(keys)
        deeper = isinstance(value[key], dict | list) and value[key] and chance.random() < 0.75
        if deeper:
            self._change(value[key])
        elif chance.random() < 0.1 and isinstance(value, dict):
            del value[key]
            self.says += f" without {key!r}"
        elif chance.random() < 0.1 and isinstance(value, dict):
            value[chance.choice(["newer", "", "\ud800", "seq", "state", "run"])] = hostile(chance)
        else:
            value[key] = hostile(chance)
            self.says += f" {key!r} = {str(value[key])[:20]!r}"

    def small(self, folder: Path) -> None:
        """A small file beside the record, damaged, newer, or by an odd name."""
        chance = self.chance
        name = chance.choice(SMALL)
        path = folder / name
        data = json.loads(path.read_text()) if path.exists() else self._absent(folder, name)
        text: bytes
        match chance.choice(["change", "change", "change", "flip", "whole", "more", "cut"]):
            case "change":
                for _ in range(chance.choice([1, 2])):
                    self._change(data)
                text = json.dumps(data).encode()
            case "flip":
                raw = bytearray(json.dumps(data).encode())
                raw[chance.randrange(len(raw))] = chance.randrange(256)
                text = bytes(raw)
            case "whole":
                whole = [
                    b"",
                    b"\xff\xfe",
                    b"5",
                    b"[]",
                    b"null",
                    DEEP.encode(),
                    b"{",
                    b" " * 3_000_000,
                ]
                text = chance.choice(whole)
            case "more":
                text = json.dumps({**data, "of_a_newer_version": hostile(chance)}).encode()
            case _:
                raw = json.dumps(data).encode()
                text = raw[: chance.randrange(len(raw))]
        if chance.random() < 0.2:
            name = chance.choice(ODD)
        (folder / name).write_bytes(text)
        self.files.add(name)
        self.says += f" in {name}"

    def _absent(self, folder: Path, name: str) -> dict[str, Any]:
        """What a file may hold that is not there in the job's present state."""
        if name.startswith("failure"):
            return failure()
        process = json.loads((folder / "job.json").read_text())["process"]
        return starting(Process(**process))

    def text(self, folder: Path) -> None:
        """A file that holds words, with others than were meant."""
        chance = self.chance
        name = chance.choice(TEXTS)
        line = chance.choice(["hessview: ready", "hessview: \x1b[2J\a", "Traceback", "x" * 70_000])
        words: list[bytes] = [
            *(b"", b"\n", b"\xff\xfe\x00", b"\x1b[2J\x1b]0;x\a", b"../../job.json", DEEP.encode()),
            *(b"a" * 129, "\u202e".encode(), b"\0" * 9_000_000, b"\n" * 3_000_000),
            *(line.encode() * 3, f"{line}\n".encode() * 40, b"t" * 64),
        ]
        (folder / name).write_bytes(chance.choice(words))
        self.files.add(name)
        self.says += f" words in {name}"

    def place(self, folder: Path) -> None:
        """Something that is no file where one belongs."""
        chance = self.chance
        name = chance.choice([FILENAME, FILENAME, *SMALL, *SMALL, *TEXTS, *ODD, "job.lock"])
        path = folder / name
        self.files.add(name)
        path.unlink(missing_ok=True)
        kind = chance.choice(
            ["pipe", "folder", "full folder", "socket", "zero", "sparse", "nowhere", "loop", "none"]
        )
        match kind:
            case "pipe":
                os.mkfifo(path)
            case "folder":
                path.mkdir()
            case "full folder":
                path.mkdir()
                (path / "x").touch()
            case "socket":
                here = os.getcwd()
                os.chdir(folder)  # the name of a socket is short
                with socket.socket(socket.AF_UNIX) as one:
                    one.bind(name)
                os.chdir(here)
            case "zero":
                path.symlink_to("/dev/zero")
            case "sparse":
                with path.open("wb") as file:
                    if name == FILENAME and chance.random() < 0.5:
                        file.write(self.record or b"")
                    else:
                        self.record = None if name == FILENAME else self.record
                    file.truncate(10 << 30)
            case "nowhere":
                path.symlink_to(folder / "nothing")
            case "loop":
                path.symlink_to(path)
        if name == FILENAME and kind != "sparse":
            self.record = None
        self.says += f" {kind} as {name}"

"""The run directory: where a job leaves its record and says how it can be reached.

    events.jsonl        the record, see `hessview.record.log`
    starting.json       what a job that is not ready yet is doing, see `hessview.transport.files`
    job.json            the job's state, replaced as a whole, see `hessview.transport.files`
    job.lock            locked by rank 0 as long as its process lives
    claim-<epoch>       the one kernel that the job serves in this epoch
    release-<claim>     that kernel leaves, or another one takes over
    knock-<claim>       that kernel wants to talk; holds the name of the talk
    store-<talk>        where the two meet to open their link for a talk
    rank-<rank>.json    which process a rank is
    failure-<rank>.json what a rank died of

The directory belongs to one user and nobody else can look into it (mode 0700): whoever
can read job.json can run code in the job.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import pathlib
import re
import time
import uuid
from collections.abc import Iterator

from hessview.errors import JobError, JobNotFoundError, RunDirectoryError
from hessview.record.log import FILENAME
from hessview.record.validation import check_name, checked, plain, told
from hessview.transport.files import Claim, Failure, JobFile, Starting
from hessview.transport.liveness import Life, Process
from hessview.transport.trust import (
    JOB,
    LOCK,
    check_safe,
    check_there,
    damaged,
    read_object,
    read_small,
)


class RunDirectory:
    """A run directory that was found safe; made by `create` or `open`.

    Args:
        path: The directory.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.events_path = path / FILENAME
        self._lock = _JobLock(path / LOCK)

    @classmethod
    def create(cls, path: str | os.PathLike[str]) -> "RunDirectory":
        """Make a run directory for a job, or take that of a job that has ended.

        Only rank 0 does so, and holds the directory until its process ends.

        Args:
            path: The directory; missing parents are made too.

        Returns:
            The directory, with what an earlier job left in it, except for its record, removed.

        Raises:
            RunDirectoryError: Of another user, open to others, a link, not a directory, or
                not writable.
            JobError: A job lives in it.
        """
        directory = cls(pathlib.Path(path).absolute())
        try:
            directory.path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                directory.path.mkdir(mode=0o700)
        except OSError as error:
            raise RunDirectoryError(
                f"run directory {directory.path} cannot be made ({error}); choose another."
            ) from error
        check_safe(directory.path)
        directory.refuse_second_job()
        directory._take_lock()
        directory._remove(
            *("claim-*", "release-*", "knock-*", "store-*", "rank-*", "failure-*", ".*.tmp"),
            Starting.FILENAME,
        )
        return directory

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "RunDirectory":
        """A run directory that a job made.

        Args:
            path: The directory.

        Returns:
            The directory; it may hold no living job.

        Raises:
            RunDirectoryError: There is none, or it is of another user, open to others, a link, or
                not a directory.
        """
        directory = cls(pathlib.Path(path).absolute())
        check_there(directory.path)
        check_safe(directory.path)
        return directory

    def read_job(self) -> JobFile:
        """What the job last said of itself.

        Raises:
            JobNotFoundError: No job was started here.
            JobError: The job is of another protocol version.
            RunDirectoryError: The file is damaged.
        """
        cure = "if its job has ended, delete job.json and start the job again"
        try:
            data = read_object(self.job_path, cure)
        except FileNotFoundError as error:
            raise JobNotFoundError(
                f"run directory {self.path} holds no job (there is no job.json); start one with "
                f"--run-dir {self.path}."
            ) from error
        try:
            return JobFile.from_json(data)
        except ValueError as error:
            raise damaged(self.job_path, error, cure) from error

    @property
    def job_path(self) -> pathlib.Path:
        """The job file, which rank 0 touches as a sign of life."""
        return self.path / JOB

    def claim_path(self, epoch: int) -> pathlib.Path:
        """The claim on an epoch, which its kernel touches as a sign of life."""
        return self.path / f"claim-{epoch}"

    def publish(self, job: JobFile) -> None:
        """Replace job.json; readers see the old or the new one, never a part."""
        self._replace(JOB, job.to_json())
        self._remove(Starting.FILENAME)

    def say_starting(self, phase: str) -> None:
        """Tell what the job of this process is doing until it is published.

        Args:
            phase: In words, such as "loading smollm2".
        """
        starting = Starting(process=Process.current(), phase=phase, began=time.time())
        self._replace(Starting.FILENAME, starting.to_json())

    def claim(self, epoch: int, claim: Claim) -> bool:
        """Claim an epoch of the job, which only one can.

        Args:
            epoch: The epoch, from job.json.
            claim: Who claims it.

        Returns:
            Whether the epoch is now this claim's.
        """
        draft = self._write(claim.to_json())
        try:
            # link(2) fails where the name exists, and the name never shows a half-written file.
            os.link(draft, self.claim_path(epoch))
        except FileExistsError:
            return False
        finally:
            draft.unlink()
        return True

    def read_claim(self, epoch: int) -> Claim | None:
        """Who claimed an epoch, None if nobody did.

        Raises:
            RunDirectoryError: The claim cannot be read; its job drops it.
        """
        path = self.claim_path(epoch)
        cure = "its job drops it within some seconds: attach again, or delete it if none does"
        try:
            return Claim.from_json(read_object(path, cure))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise damaged(path, error, cure) from error

    def release(self, claim: Claim, reason: str) -> None:
        """Tell the job to serve a claim no longer; the first reason given stands."""
        draft = self._write(reason)
        try:
            with contextlib.suppress(FileExistsError):
                os.link(draft, self.path / f"release-{claim.identity}")
        finally:
            draft.unlink()

    def read_release(self, claim: Claim) -> str | None:
        """Why a claim shall be served no longer, None if it shall."""
        try:
            reason = read_small(self.path / f"release-{claim.identity}", "")
            return told(reason) or "it was released"
        except FileNotFoundError:
            return None
        except RunDirectoryError:  # it is there, which is what counts
            return "it was released, in words that cannot be read"

    def store_path(self, talk: str) -> pathlib.Path:
        """File through which the job and a kernel find each other for a talk."""
        return self.path / f"store-{talk}"

    def knock(self, claim: Claim, talk: str) -> None:
        """Ask the job to open its end of the link for a talk."""
        self._replace(f"knock-{claim.identity}", talk, durable=False)

    def read_knock(self, claim: Claim) -> str | None:
        """Name of the talk that a claim's kernel wants, None if it wants none."""
        try:
            return check_name("talk", read_small(self.path / f"knock-{claim.identity}", ""))
        except (FileNotFoundError, RunDirectoryError, ValueError):  # or nothing that names a talk
            return None

    def end_talk(self, claim: Claim) -> None:
        """Tell the job that a talk is over."""
        self._remove(f"knock-{claim.identity}")

    def forget_talk(self, talk: str) -> None:
        """Remove what a talk left behind."""
        self._remove(f"store-{talk}")

    def forget(self, epoch: int, claim: Claim | None) -> None:
        """Remove what a claim left behind, once a later epoch is published.

        Args:
            epoch: The epoch that it claimed.
            claim: The claim, None for one that cannot be read.
        """
        self._remove(f"claim-{epoch}")
        if claim is not None:
            self._remove(f"release-{claim.identity}", f"knock-{claim.identity}")

    def record_rank(self, rank: int) -> None:
        """Record which process a rank is, so that its death can be noticed.

        At the end of a job, the other ranks wait until rank 0 has said that it ended.

        Args:
            rank: The rank of this process.
        """
        self._replace(f"rank-{rank}.json", json.dumps(dataclasses.asdict(Process.current())))

    def record_failure(self, rank: int, error: BaseException | str) -> None:
        """Record the error that ends a rank, before it ends; any rank may do so.

        Args:
            rank: The rank that ends.
            error: Its error.
        """
        failure = Failure.of(rank, error)
        self._replace(f"failure-{rank}.json", json.dumps(dataclasses.asdict(failure)))

    def failures(self) -> list[Failure]:
        """The errors that ended ranks of the job, the earliest first.

        Word that cannot be read counts where its rank is gone, and not against one that lives.
        """
        failures, unread = [], []
        for rank, path in self._by_rank("failure"):
            try:
                failures.append(checked(Failure, read_object(path, "")))
            except (OSError, RunDirectoryError, ValueError):
                unread.append((rank, path))
        dead_ranks = self.ranks("gone") if unread else {}
        for rank, path in unread:
            if rank in dead_ranks:
                text = f"it left word in {path.name}, which cannot be read"
                failures.append(Failure(rank=rank, error=text, time=_written_at(path)))
        return sorted(failures, key=lambda failure: failure.time)

    def ranks(self, life: Life) -> dict[int, Process]:
        """Ranks whose recorded process is in this state now.

        Of a rank whose word cannot be read, nothing is known.
        """
        ranks = {}
        for rank, path in self._by_rank("rank"):
            with contextlib.suppress(OSError, RunDirectoryError, ValueError):
                ranks[rank] = Process.from_json(read_object(path, ""))
        return {rank: process for rank, process in ranks.items() if process.life() == life}

    def refuse_second_job(self) -> None:
        """Check that no job lives here.

        Raises:
            JobError: One does, or it may.
        """
        try:
            job = self.read_job()
        except JobError:  # none, damaged, or of another version: the lock alone must do
            return
        if job.state == "ended":
            return
        life = job.process.life()
        if life == "elsewhere":
            raise JobError(
                f"run directory {self.path} names a job on another host ({job.process}), which "
                "cannot be looked after from here; choose another run directory, or delete "
                "job.json if that job has ended."
            )
        if job.process == Process.current():
            raise JobError(
                f"this process already serves job {job.job} in run directory {self.path}; close "
                "it first (job.close(), or leave its with block), or choose another run directory."
            )
        if life != "gone":
            raise JobError(_second_job(self.path, f"{job.job} ({job.process})"))

    def close(self) -> None:
        """Give the directory up, so that another job may have it; closing twice is allowed."""
        self._lock.release()

    def _take_lock(self) -> None:
        try:
            is_ours = self._lock.take()
        except OSError as error:
            raise self._unwritable(error) from error
        if not is_ours:
            raise JobError(_second_job(self.path, "that is just starting"))

    def _by_rank(self, name: str) -> Iterator[tuple[int, pathlib.Path]]:
        """Files that ranks wrote, by rank; other files are passed over."""
        for path in sorted(self.path.glob(f"{name}-*.json")):
            if match := re.fullmatch(rf"{name}-([0-9]{{1,9}})\.json", path.name):
                yield int(match[1]), path

    def _remove(self, *patterns: str) -> None:
        for pattern in patterns:
            for path in self.path.glob(pattern):
                # What cannot be removed, such as a folder of that name, does no harm.
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def _replace(self, name: str, text: str, *, durable: bool = True) -> None:
        draft = self._write(text, durable=durable)
        try:
            os.replace(draft, self.path / name)
        except OSError as error:  # a folder has its name
            draft.unlink(missing_ok=True)
            raise self._unwritable(error) from error

    def _write(self, text: str, *, durable: bool = True) -> pathlib.Path:
        """A new file, whose text is on disk: a host that crashes leaves no empty one by its name.

        Args:
            text: What it holds.
            durable: Whether that matters; not for what means nothing after a crash.
        """
        draft = self.path / f".{uuid.uuid4().hex}.tmp"
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(plain(text).encode())
                if durable:
                    stream.flush()
                    os.fsync(stream.fileno())
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise self._unwritable(error) from error
        return draft

    def _unwritable(self, error: OSError) -> RunDirectoryError:
        return RunDirectoryError(
            f"run directory {self.path} cannot be written ({error}); free disk space, make it "
            "writable, or choose another."
        )


def _second_job(path: pathlib.Path, job: str) -> str:
    return (
        f"run directory {path} is in use by a living job {job}; attach to it, end it, or "
        "choose another run directory."
    )


def _written_at(path: pathlib.Path) -> float:
    try:
        return max(0.0, path.lstat().st_mtime)
    except OSError:
        return 0.0


class _JobLock:
    """Keeps a second job of this host out of a run directory.

    Args:
        path: The lock's file, made where there is none.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        self._file: int | None = None

    def take(self) -> bool:
        """Whether the lock is this process's now, or the file system has no locks.

        Raises:
            OSError: The file cannot be made.
        """
        # A record lock is not inherited by forked children, and ends with the process.
        self._file = os.open(
            self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600
        )
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            self.release()
            return False
        except OSError:
            pass  # a file system without locks: job.json alone must do
        return True

    def release(self) -> None:
        """Give the lock up; doing so twice is allowed."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

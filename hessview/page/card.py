"""The card that a session shows of its job."""

import importlib.metadata
import platform

from hessview._version import __version__
from hessview.page.contract import Card
from hessview.page.templates import part
from hessview.record.events import JobStarted
from hessview.wording import count, counted, now, number

_MOST_BLOCKS = 6  # more are summed up, in a model of a hundred layers

_STATES = ("attached", "watching", "detached")  # any other is why the job is lost


def card(job: JobStarted, state: str) -> Card:
    """What a job differentiates and where, and whether it can be asked.

    Args:
        job: What the job said of itself.
        state: State of the session: "attached", "watching", "detached", or why it is lost.

    Returns:
        A dict of plain text: title, subtitle, state ("lost" besides the others) and message (why
        it is lost, else ""), warning (of versions that differ), and rows (name, value).
    """
    mesh = ", ".join(f"{name} {size}" for name, size in job.mesh.items())
    computing = f", computing in {job.compute_dtype}" if job.compute_dtype != job.dtype else ""
    rows = {
        "Revision": job.revision,
        "Parameters": f"{job.parameters:,}",
        "Blocks": _blocks(job.blocks),
        "Ranks": f"{job.world_size} on {job.device}" + (f" ({mesh})" if mesh else ""),
        "Precision": f"{job.dtype}{computing}",
        "Data": f"{job.weight:,.0f} {job.weight_unit} in "
        f"{counted(job.batches, 'batch', 'batches')} ({job.digest})",
        "Loss": f"{number(job.loss, 4)}, gradient norm {number(job.gradient_norm)}",
        "Versions": ", ".join(f"{name} {version}" for name, version in job.versions.items()),
        "Host": job.host,
    }
    ranks = counted(job.world_size, "rank")
    return {
        "title": job.model,
        "subtitle": f"{count(job.parameters)} parameters · {ranks} · {job.dtype}{computing} · "
        f"{count(job.weight)} {job.weight_unit}",
        "state": state if state in _STATES else "lost",
        "message": "" if state in _STATES else state,
        "warning": _mismatch(job.versions) if state == "attached" else "",
        "rows": [[name, value] for name, value in rows.items() if value],
    }


def session_card(job: JobStarted, state: str) -> str:
    """The card as HTML, for where no script runs.

    Args:
        job: What the job said of itself.
        state: State of the session, as for `card`.

    Returns:
        HTML with inline styles only; every name in it is escaped.
    """
    return card_html(card(job, state))


def card_html(content: Card) -> str:
    """What `card` made, as HTML for where no script runs; every name in it is escaped."""
    # What is stored stays, and the job does not.
    standing = content["message"] or f"{content['state']} at {now()}"
    rows = [["Session", standing], *content["rows"]]
    return str(part("card", content["title"], content["subtitle"], content["warning"], rows))


def _mismatch(versions: dict[str, str]) -> str:
    """What to do where the job has other versions than this kernel, "" where they agree.

    Args:
        versions: Versions of the job's Python and packages, by name.

    Returns:
        One sentence. Builds of one version ("2.13.0+cpu") agree, and so do patches of Python.
    """
    own = {"hessview": __version__, "python": platform.python_version()}
    differing = []
    for name, theirs in versions.items():
        ours = own.get(name) or _installed(name)
        if ours and _release(name, ours) != _release(name, theirs):
            differing.append(f"{name} {theirs} (here {ours})")
    if not differing:
        return ""
    return f"The job has {', '.join(differing)}; install the same versions on both sides."


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _release(name: str, version: str) -> str:
    release = version.partition("+")[0]
    return release.rpartition(".")[0] if name == "python" else release


def _blocks(blocks: dict[str, int]) -> str:
    shown = [f"{name} {count(size)}" for name, size in list(blocks.items())[:_MOST_BLOCKS]]
    rest = len(blocks) - len(shown)
    return f"{len(blocks)}: " + ", ".join(shown) + (f", and {rest} more" if rest else "")

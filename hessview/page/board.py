"""A dashboard's page, whatever shell shows it: the list, the form, and the runs that are open."""

import functools
import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import xarray as xr

from hessview.analysis.grouping import siblings
from hessview.page.card import card
from hessview.page.contract import BoardHead, BoardMessage, Card, Change, Form, Notice, Part
from hessview.page.live import (
    DETACHED,
    Actions,
    Asked,
    Live,
    Pump,
    dataset_of,
    is_live,
    session_of,
    standing,
)
from hessview.page.looks import look_of
from hessview.page.overviews import Overview, entry, overviews
from hessview.page.state import page_state
from hessview.page.wire import change
from hessview.record.commands import Density, EpsilonSweep
from hessview.record.events import ENDED
from hessview.record.measurements import command_in
from hessview.record.operator_facts import OPERATORS
from hessview.views import theme


def form() -> Form:
    """What the form offers.

    Returns:
        steps, probes, epsilon and operator as they are unless changed; and operators, pairs of a
        name and its wording. What the reader makes of it is judged by the command.
    """
    return {
        "steps": Density.steps,
        "probes": Density.probes,
        "epsilon": Density.epsilon,
        "operator": Density.operator,
        "operators": [[facts.name, facts.wording] for facts in OPERATORS.values()],
    }


_Tell = Callable[[BoardMessage], None]


class Board:
    """Follows a session, or shows runs of a record: a head, and a part for each run.

    A part is one line of the list, and, of the newest run and those that some page looks at, the
    section that the line opens: a fold of fifty runs would take seconds, and nobody looks at
    fifty. Overviews of several density runs (`page.overviews`) are parts too: runs join them when
    they end, and their section is made when a page asks for it. What changes is told to all who
    listen, from a thread, at most ten times a second.

    Args:
        session: The session to follow, whose later runs appear by themselves; or None.
        runs: Without a session, the runs and datasets to show, the oldest first.
    """

    def __init__(self, session: Any = None, runs: Sequence[Live | xr.Dataset] = ()) -> None:
        self.parts: dict[str, Part] = {}
        """Of each run, or siblings, by the name of the first, and of each overview: entry, and
        section if looked at."""
        self._session = session
        self._passed_runs: dict[str, Any] = {str(index): run for index, run in enumerate(runs)}
        self._notice: Notice | None = None
        self._asked = ""
        self._listeners: list[_Tell] = []
        self._lock = threading.Lock()
        self._turn = threading.Lock()  # runs tell of changes while the first refresh reads them
        self._changed: set[str] = set()
        self._wanted: set[str] = set()
        self._looked_at: set[str] = set()
        self._revisions = itertools.count(1)
        self._datasets: dict[str, xr.Dataset] = {}
        self._sweeps: list[xr.Dataset] = []
        self._groups: dict[str, list[xr.Dataset]] = {}
        self._over: list[xr.Dataset] = []
        self._overviews: dict[str, Overview] = {}
        self._watched: dict[str, Callable[[], None]] = {}
        self._pump = Pump(self._refresh)
        self._actions = Actions(self._session_for, self._answer)
        self.head = self._make_head([], {})
        """All that is not about one run: theme, card, form, order of the runs, standing."""
        self._refresh()
        for number, live_session in enumerate([session] if session is not None else self._sessions):
            self._watched[f"session {number}"] = live_session.on_change(self._pump.poke)
        self._pump.poke()  # what came between the first fold and the subscription

    def listen(self, tell: _Tell) -> Callable[[], None]:
        """Be told what changes.

        A message has head, if that changed; parts by name: a part without section leaves that as
        it was; and changes by name: the difference between the revisions from and to of a part.

        Args:
            tell: Called from a thread of the board; it must return soon.

        Returns:
            Call it to end this.
        """
        self._listeners.append(tell)
        return lambda: self._listeners.remove(tell) if tell in self._listeners else None

    def take(self, message: object) -> None:
        """Take a page's message; returns at once.

        Args:
            message: {"action": "show", "run": name}, which is answered by telling the head, all
                entries, and the section of that run ("" for the newest); or what
                `page.live` knows, which is answered by a notice or a run.
        """
        if isinstance(message, Mapping) and message.get("action") == "show":
            with self._lock:
                self._wanted.add(str(message.get("run", "")))
            self._pump.poke()
        elif self._sessions:
            self._actions(message)

    @property
    def names(self) -> list[str]:
        """Runs by name, siblings by that of the first, the newest first; without overviews."""
        return list(reversed(self._groups))

    def datasets(self, name: str) -> list[xr.Dataset]:
        """The datasets of a run and its siblings, by its name in `names`."""
        return self._groups[name]

    def close(self) -> None:
        """Follow no more; the session and its runs go on."""
        self._pump.close()
        for name in list(self._watched):
            self._watched.pop(name)()

    @property
    def _sessions(self) -> list[Asked]:
        """Who can be asked, each once."""
        if self._session is not None:
            return [] if self._session.read_only else [self._session]
        sessions = [session_of(run) for run in self._passed_runs.values()]
        return list({id(session): session for session in sessions if session is not None}.values())

    @property
    def _runs(self) -> dict[str, Any]:
        """All runs by name, the oldest first."""
        if self._session is None:
            return self._passed_runs
        return {run.id: run for run in self._session.runs}

    def _refresh(self) -> None:
        with self._turn:
            self._refresh_alone()

    def _refresh_alone(self) -> None:
        with self._lock:
            changed, self._changed = self._changed, set()
            wanted, self._wanted = self._wanted, set()
        self._read(changed)
        groups = self._grouped()
        new_overviews = self._find_overviews()
        # First the newest run, which a page without a choice shows.
        order = [*reversed(groups), *new_overviews]
        asked = {name or order[0] for name in wanted if order and name in {"", *order}}
        self._looked_at |= asked
        before = self.parts
        overview_parts = self._folded(new_overviews, asked)
        updated = self._fold_parts(groups, self._looked_at | set(order[:1]), overview_parts)
        self._overviews = new_overviews
        head = self._make_head(order, groups)
        message: BoardMessage = {}
        if head != self.head or wanted:
            self.head = message["head"] = head
        parts = self._answered({name or order[0] for name in wanted if order}) if wanted else {}
        changes: dict[str, Change] = {}
        for name in updated:
            part, old = self.parts[name], before.get(name)
            if old is None or old.keys() != part.keys():
                parts[name] = part
            else:
                changes[name] = {
                    "from": old["revision"],
                    "to": part["revision"],
                    "difference": change(old, part),
                }
        if parts:
            message["parts"] = parts
        if changes:
            message["changes"] = changes
        if message:
            for tell in list(self._listeners):
                tell(message)

    def _answered(self, whole: set[str]) -> dict[str, Part]:
        """What a page is told that was opened, or missed something: these runs, all entries."""
        return {
            name: part if name in whole or "section" not in part else {"entry": part["entry"]}
            for name, part in self.parts.items()
        }

    def _read(self, changed: set[str]) -> None:
        """The datasets of new and changed runs."""
        for name, run in self._runs.items():
            if name not in self._datasets and is_live(run):
                self._watched[name] = run.on_change(functools.partial(self._mark, name))
            if name not in self._datasets or name in changed:
                self._datasets[name] = dataset_of(run)

    def _grouped(self) -> dict[str, list[xr.Dataset]]:
        """Siblings, by the name of their first run, in the order of these."""
        names = {id(ds): name for name, ds in self._datasets.items()}
        groups = siblings(list(self._datasets.values()))
        return {names[id(group[0])]: group for group in groups}

    def _find_overviews(self) -> dict[str, Overview]:
        """The overviews over the runs that are over, anew only when one more is."""
        finished = {name: ds for name, ds in self._datasets.items() if self._is_over(name)}
        if _same(list(finished.values()), self._over):
            return self._overviews
        self._over = list(finished.values())
        return overviews(finished)

    def _is_over(self, name: str) -> bool:
        """Whether a run stays as it is: what was given as data does."""
        ended = self._datasets[name].attrs.get("state") in ENDED | {DETACHED}
        return ended or not is_live(self._runs[name])

    def _fold_parts(
        self,
        groups: dict[str, list[xr.Dataset]],
        looked_at: set[str],
        overview_parts: dict[str, Part],
    ) -> list[str]:
        """Make parts anew whose runs changed, and sections that are missed; gives their names."""
        updated = [
            name for name, part in overview_parts.items() if part is not self.parts.get(name)
        ]
        parts: dict[str, Part] = {}
        sweeps = [ds for ds in self._datasets.values() if command_in(ds.attrs) == EpsilonSweep.name]
        swept = not _same(sweeps, self._sweeps)  # some pages show their spectra
        for name, group in groups.items():
            part = self.parts.get(name)
            changed = not _same(group, self._groups.get(name, []))
            changed |= swept and look_of(group[0]).beside is not None
            if part is None or changed or (name in looked_at and "section" not in part):
                part = self._part(group, whole=name in looked_at)
                part["revision"] = next(self._revisions)
                updated.append(name)
            parts[name] = part
        self.parts, self._groups, self._sweeps = {**parts, **overview_parts}, groups, sweeps
        return updated

    def _folded(self, new_overviews: dict[str, Overview], asked: set[str]) -> dict[str, Part]:
        """Parts of overviews; a page that looks at one that changed will ask for it again."""
        parts: dict[str, Part] = {}
        for name, overview in new_overviews.items():
            part, previous = self.parts.get(name), self._overviews.get(name)
            changed = previous is None or not _same(overview.runs, previous.runs)
            if part is None or changed or (name in asked and "section" not in part):
                revision = next(self._revisions)
                edition = revision if part is None or changed else part["entry"]["edition"]
                part = {"entry": {**overview.entry, "edition": edition}, "revision": revision}
                if name in asked:
                    part["section"] = overview.section()
            parts[name] = part
        return parts

    def _part(self, group: list[xr.Dataset], *, whole: bool) -> Part:
        line = entry(group)
        if not whole:
            return {"entry": line}
        (section,) = page_state(group, among=list(self._datasets.values()))["sections"]
        headings = [line["detail"]]
        if self._session is None:  # there is no card above that says it
            headings = [section["title"], section["subtitle"], *headings]
        title = f"{line['kind']} · {line['label']}"
        section = {**section, "title": title, "subtitle": " · ".join(filter(None, headings))}
        return {"entry": line, "section": section}

    def _make_head(self, order: list[str], groups: dict[str, list[xr.Dataset]]) -> BoardHead:
        members = {str(ds.attrs.get("run")): name for name, group in groups.items() for ds in group}
        return {
            "theme": {"light": theme.LIGHT, "dark": theme.DARK, "font": theme.FONT},
            "card": _card_of(self._session) if self._session is not None else None,
            "form": form() if self._session is not None and self._sessions else None,
            "order": order,
            "asked": members.get(self._asked, ""),
            **standing(self._sessions, self._notice),
        }

    def _mark(self, name: str) -> None:
        with self._lock:
            self._changed.add(name)
        self._pump.poke()

    def _session_for(self, about: str) -> Asked:
        by_run = {run.id: session_of(run) for run in self._runs.values() if is_live(run)}
        return by_run.get(about) or self._sessions[0]

    def _answer(self, notice: Notice | None, run: Live | None) -> None:
        self._notice = notice
        if run is not None:
            self._asked = run.id
        self._pump.poke()


def _card_of(session: Any) -> Card | None:
    """The card of a session, None if its record does not say what the job holds."""
    job = session.collector.job
    if job is None:
        return None
    job_card = card(job, session.state)
    if session.read_only and session.lost is not None:  # a record without a job is nothing bad
        job_card["state"] = "ended"
    return job_card


def _same(first: Sequence[object], other: Sequence[object]) -> bool:
    return len(first) == len(other) and all(a is b for a, b in zip(first, other, strict=True))

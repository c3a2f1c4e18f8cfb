"""What Python and the page tell each other, stated once for both sides.

The page's state, a board and what is told of it, and the messages of either side are JSON values
of these forms (None stands for NaN). `python -m hessview.page.generate` makes `src/contract.d.ts`
of this file; tests hold that current, and what Python tells to these forms.
"""

from typing import Literal, NotRequired, TypedDict

from hessview.page.panel_contract import Cell, Json, Panel, Rows


class Theme(TypedDict):
    """How a page looks.

    Attributes:
        light: Colours by what they mean, on a light ground; figures come in these.
        dark: The same on a dark ground.
        font: CSS font family.
    """

    light: dict[str, str]
    dark: dict[str, str]
    font: str


class Status(TypedDict):
    """Where a run stands.

    Attributes:
        state: "queued", "running", how it ended, "detached" or "unfinished".
        label: The state in a word, "" where several runs are told of.
        message: Why it ended early, or is not followed, "".
        done: Readings that it has.
        total: Readings that it can have.
        unit: What a reading is.
        left: How long it will take, in words, "" if unknown.
    """

    state: str
    label: str
    message: str
    done: int
    total: int
    unit: str
    left: str


class Tile(TypedDict):
    """A headline number, as plain text.

    Attributes:
        label: What the number is.
        value: The number.
        note: Its uncertainty, or why there is none.
        basis: How the uncertainty was obtained, at length.
        verdict: Whether it is to be believed, "" where that goes without saying.
        tone: Colour of the verdict, as the theme names it.
    """

    label: str
    value: str
    note: str
    basis: str
    verdict: str
    tone: str


class Variable(TypedDict):
    """A variable of a record.

    Attributes:
        dims: Names of its dims.
        values: Its values, flat, the last dim fastest.
    """

    dims: list[str]
    values: list[Cell]


class Readings(TypedDict):
    """Every reading of a run in full precision, for downloads.

    Attributes:
        coords: Places along each dim.
        variables: Variables by name.
        attrs: What is known of the run.
    """

    coords: dict[str, list[Cell]]
    variables: dict[str, Variable]
    attrs: dict[str, Json]


class Section(TypedDict):
    """A run, or several that are told of together.

    Attributes:
        id: The run, "" of several.
        title: Name of the model.
        subtitle: What the numbers are about.
        status: Where it stands.
        tiles: Headline numbers.
        panels: Figures; none on a card.
        provenance: Rows of where the numbers come from.
        record: Every reading, where the page stays as it is.
    """

    id: str
    title: str
    subtitle: str
    status: Status
    tiles: list[Tile]
    panels: list[Panel]
    provenance: Rows
    record: NotRequired[Readings]


class Card(TypedDict):
    """What a session's job holds, as plain text.

    Attributes:
        title: Name of the model.
        subtitle: Its size.
        state: "attached", "watching", "detached", "ended" or "lost".
        message: Why it is lost, "".
        warning: Of versions that differ, "".
        rows: What the job holds.
    """

    title: str
    subtitle: str
    state: str
    message: str
    warning: str
    rows: Rows


class Notice(TypedDict):
    """What a session answered to what was asked from a page.

    Attributes:
        text: The answer.
        tone: Its colour, as the theme names it.
    """

    text: str
    tone: str


class Standing(TypedDict, total=False):
    """Whether a page can ask; nothing at all where there is no session.

    Attributes:
        asking: Whether it can at this moment.
        reason: Why not, "".
        notice: What was answered last.
    """

    asking: bool
    reason: str
    notice: Notice | None


class Sections(TypedDict):
    """What a page tells of runs.

    Attributes:
        sections: One for each run, or for several that measured the same at other settings.
        trainings: One for each training of which there are spectra at several training steps.
        comparisons: One at most, of all other density runs.
    """

    sections: list[Section]
    trainings: NotRequired[list[Section]]
    comparisons: NotRequired[list[Section]]


class Page(Standing, Sections):
    """The state of a page.

    Attributes:
        title: Names of the models.
        theme: How it looks.
        card: The session's card.
    """

    title: NotRequired[str]
    theme: Theme
    card: NotRequired[Card | None]


class Entry(TypedDict):
    """A line of a dashboard's list.

    Attributes:
        kind: Kind of run.
        place: Place of the kind among kinds.
        label: How much was asked for.
        detail: Of what, and when.
        status: Where it stands.
        edition: Of several runs, a number that changes when one joins.
    """

    kind: str
    place: int
    label: str
    detail: str
    status: Status
    edition: NotRequired[int]


class Part(TypedDict):
    """A run of a board.

    Attributes:
        entry: Its line of the list.
        section: What the line opens, if some page looks at it.
        revision: Number of its last change.
    """

    entry: Entry
    section: NotRequired[Section]
    revision: NotRequired[int]


class Form(TypedDict):
    """What the form offers that asks for a density.

    Attributes:
        steps: Unless changed.
        probes: Unless changed.
        epsilon: Unless changed.
        operator: Unless changed.
        operators: Names of operators, and how each is called.
    """

    steps: int
    probes: int
    epsilon: float | str
    operator: str
    operators: Rows


class BoardHead(Standing):
    """All of a board that is not about one run.

    Attributes:
        theme: How the page looks.
        card: The session's card, None of records.
        form: None where nothing can be asked for.
        order: Names of the parts, the newest run first.
        asked: Name of the part that was asked for from a page last, "".
    """

    theme: Theme
    card: Card | None
    form: Form | None
    order: list[str]
    asked: str


Change = TypedDict("Change", {"from": int, "to": int, "difference": Json})
"""A difference, as `page.wire.change` makes it, between two revisions of a part."""


class PageMessage(TypedDict):
    """What is told of a page.

    Attributes:
        difference: What became different, as `page.wire.change` makes it.
        told: Number of the message.
    """

    difference: Json
    told: int


class BoardMessage(TypedDict, total=False):
    """What is told of a board.

    Attributes:
        head: The head, if it changed.
        parts: Parts by name; one without section leaves that as it was.
        changes: Changes of parts, by name.
        told: Number of the message, in a notebook.
    """

    head: BoardHead
    parts: dict[str, Part]
    changes: dict[str, Change]
    told: int


class Look(TypedDict):
    """A page asks whether its kernel lives, for all that it shows, or for its own source.

    Attributes:
        action: "look" is answered with the number of what was told last, "again" with all traits,
            "page" with the page's digest and source.
    """

    action: Literal["look", "again", "page"]


class Show(TypedDict):
    """A page of a board looks at a run.

    Attributes:
        action: "show".
        run: Name of the part, "" for the newest.
    """

    action: Literal["show"]
    run: str


class Cancel(TypedDict):
    """A page asks for a run to be stopped.

    Attributes:
        action: "cancel".
        run: The run.
    """

    action: Literal["cancel"]
    run: NotRequired[str]


class Measure(TypedDict):
    """A page asks for a run.

    Attributes:
        action: "measure".
        command: The command.
        run: The run beside whose figure it is asked for.
    """

    action: Literal["measure"]
    command: dict[str, Json]
    run: NotRequired[str]


class Answer(TypedDict, total=False):
    """What a kernel answers to a widget.

    Attributes:
        page: Digest of a page; its source is the message's buffer.
        revision: Number of what was told last.
    """

    page: str
    revision: int

"""What can be measured: one entry a command, which all others read.

A session asks by it, the wire reads commands by it, the record takes the form of datasets from it,
the ranks find their estimator by it, and lists, pages and reports find their words and their look.
What computes and what draws is named as text, and loaded where it is needed. A measurement of
another package is one such entry more: an entry point of group "hessview.measurements", or
`MEASUREMENTS.register`.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

from hessview.errors import InputError, RecordError
from hessview.extensions import Registry
from hessview.record.commands import (
    Accuracy,
    Benchmark,
    Command,
    Coupling,
    Density,
    EpsilonSweep,
    FractionSweep,
)
from hessview.record.schema import (
    ACCURACY,
    BENCHMARK,
    COUPLING,
    DENSITY,
    EPSILON_SWEEP,
    FRACTION_SWEEP,
    Schema,
)
from hessview.record.validation import did_you_mean, shown
from hessview.wording import counted

_Sizes = Mapping[Any, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement:
    """What can be asked of a job, and all that others need to know of it.

    Attributes:
        command: Class of the command that asks for it.
        schema: Form of its dataset.
        kind: What lists call such runs; several commands may share one.
        title: What its page shows, as a heading.
        unit: What its readings are, several of them.
        first: What a page can show first, one of it.
        size: How much was asked for, in words, from the sizes of the dataset's dims.
        estimator: What measures it on the ranks, as "package.module:function"; called with the
            command, the loss surface, and the operator that was made for it, it yields readings,
            and may return why it ended early.
        view: Its figure: a name in `views.VIEWS`, or "package.module:function", a function of
            the dataset; "" if it has none.
        look: Its page, as "package.module:NAME" of a `page.looks.Look`; "" shows the view, or else
            the numbers.
        summary: What `hessview.summary` gives of it, as "package.module:function" of the dataset;
            value, uncertainty and basis over quantity print themselves as a table. hessview's
            own are told apart by what they hold, and leave it "".
        over_epsilon: Whether it holds products at several epsilons against each other, so that
            its operator must have one.
        of_a_spectrum: Whether it tells the spectrum of the matrix alone, so that exact products
            may stand in where differences are blind.
    """

    command: type[Command]
    schema: Schema
    kind: str
    title: str
    unit: str
    first: str
    estimator: str
    size: Callable[[_Sizes], str] = lambda sizes: ", ".join(
        counted(size, str(dim)) for dim, size in sizes.items()
    )
    view: str = ""
    look: str = ""
    summary: str = ""
    over_epsilon: bool = False
    of_a_spectrum: bool = False

    @property
    def name(self) -> str:
        """Name of the command."""
        return self.command.name


def _probes(sizes: _Sizes) -> str:
    return counted(sizes.get("probe", 1), "probe")


def _lanczos(sizes: _Sizes) -> str:
    return f"{counted(sizes.get('step', 0), 'step')} × {_probes(sizes)}"


_OWN = (
    Measurement(
        command=Density,
        schema=DENSITY,
        kind="Density",
        title="Spectral density",
        unit="steps",
        first="Lanczos step",
        size=_lanczos,
        estimator="hessview.job.estimators.density:density",
        view="density",
        look="hessview.page.looks:DENSITY",
        of_a_spectrum=True,
    ),
    Measurement(
        command=Accuracy,
        schema=ACCURACY,
        kind="Accuracy",
        title="Accuracy of products over ε",
        unit="products",
        first="product",
        size=lambda sizes: f"{sizes['epsilon']} ε in {counted(sizes['direction'], 'direction')}",
        estimator="hessview.job.estimators.accuracy:accuracy",
        view="accuracy",
        look="hessview.page.looks:ACCURACY",
        over_epsilon=True,
    ),
    Measurement(
        command=EpsilonSweep,
        schema=EPSILON_SWEEP,
        kind="Sweep",
        title="Stability of the spectrum over ε",
        unit="steps",
        first="finished probe",
        size=lambda sizes: f"{sizes['epsilon']} ε, {_lanczos(sizes)}",
        estimator="hessview.job.estimators.sweep:epsilon_sweep",
        view="sweep",
        look="hessview.page.looks:SWEEP",
        over_epsilon=True,
    ),
    Measurement(
        command=FractionSweep,
        schema=FRACTION_SWEEP,
        kind="Sweep",
        title="Stability of the spectrum over parts of the data",
        unit="steps",
        first="finished probe",
        size=lambda sizes: f"{counted(sizes['fraction'], 'part')} of the data, {_lanczos(sizes)}",
        estimator="hessview.job.estimators.sweep:fraction_sweep",
        view="sweep",
        look="hessview.page.looks:SWEEP",
        of_a_spectrum=True,
    ),
    Measurement(
        command=Coupling,
        schema=COUPLING,
        kind="Coupling",
        title="Coupling between blocks",
        unit="columns",
        first="column",
        size=lambda sizes: f"{counted(sizes['block'], 'block')}, {_probes(sizes)}",
        estimator="hessview.job.estimators.coupling:coupling",
        view="coupling",
        look="hessview.page.looks:COUPLING",
    ),
    Measurement(
        command=Benchmark,
        schema=BENCHMARK,
        kind="Benchmark",
        title="What products cost",
        unit="measurements",
        first="repetition",
        size=lambda sizes: counted(sizes["repetition"], "repetition"),
        estimator="hessview.job.estimators.benchmark:benchmark",
        look="hessview.page.looks:BENCHMARK",
    ),
)

MEASUREMENTS: Registry[Measurement] = Registry(
    "measurement",
    "hessview.measurements",
    {entry.name: entry for entry in _OWN},
    lambda entry: isinstance(entry, Measurement) and issubclass(entry.command, Command),
)
"""Measurements by their command's name, in the order in which they are listed."""


def command_in(attrs: Mapping[Any, Any]) -> str:
    """Name of the command that a dataset answers.

    Args:
        attrs: Attrs of the dataset; without word of a command it is "density".
    """
    return str(attrs.get("command", Density.name))


def measurement_in(attrs: Mapping[Any, Any]) -> Measurement:
    """The measurement that a dataset holds.

    Args:
        attrs: Attrs of the dataset.

    Raises:
        RecordError: One that this process does not know.
    """
    name = command_in(attrs)
    measurement = MEASUREMENTS.get(name)
    if measurement is None:
        raise RecordError(
            f"the dataset is of a {shown(name)}, which is unknown here; install the package that "
            f"measures it, or register it. Known are {list(MEASUREMENTS)}."
        )
    return measurement


def command_from_json(data: Mapping[str, Any]) -> Command:
    """Command from its JSON object.

    Raises:
        InputError: Unknown command or field, or a value outside what is allowed.
    """
    if not isinstance(data, Mapping) or not all(isinstance(key, str) for key in data):
        raise InputError(f"a command came as {shown(data)}; use an object with its fields.")
    fields = dict(data)
    name = fields.pop("command", None)
    if not isinstance(name, str) or name not in MEASUREMENTS:
        meant = did_you_mean(name, MEASUREMENTS) if isinstance(name, str) else ""
        raise InputError(
            f"command {shown(name)} is unknown{meant}; use one of {sorted(MEASUREMENTS)}."
        )
    cls = MEASUREMENTS[name].command
    names = {field.name for field in dataclasses.fields(cls)}
    if unknown := sorted(set(fields) - names):
        raise InputError(f"{name} has no {shown(unknown)}; its fields are {sorted(names)}.")
    try:
        return cls(**{key: _tupled(value) for key, value in fields.items()})
    except InputError:
        raise
    except (ArithmeticError, MemoryError, RecursionError, TypeError, ValueError) as error:
        raise InputError(
            f"{name} cannot be made of {shown(fields)} ({type(error).__name__}: {error}); use "
            "numbers, words, and lists of these."
        ) from error


def command_from_text(text: str) -> Command:
    """Command from its JSON text.

    Raises:
        InputError: No JSON, or as of `command_from_json`.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"a command came as {shown(text)}, which is no JSON ({error}).") from error
    return command_from_json(data)


def _tupled(value: Any) -> Any:
    return tuple(_tupled(entry) for entry in value) if isinstance(value, list) else value

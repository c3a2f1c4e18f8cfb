"""What a job is started with: each option once, for launch, plan, command lines and the ranks."""

import argparse
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from hessview.errors import InputError
from hessview.record.validation import did_you_mean, whole

RANKS = 2
"""How many processes share a model unless it is said."""

DTYPES = ("bfloat16", "float32", "float64")
"""Names of data types that a job computes in."""

_COUNTED_IN = {"tokens": 1, "length": 2, "batch": 1, "seed": 0}  # with the least allowed


def _option(default: Any, text: str, *, planned: bool = True) -> Any:
    return dataclasses.field(default=default, metadata={"help": text, "planned": planned})


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobOptions:
    """What a user asks of a model and its data; see `hessview launch --help`.

    Attributes:
        model: A name that comes with hessview ("smollm2", "tiny") or with an installed package, a
            Hugging Face name, a local folder, or "package.module:function".
        text: Text file, None for Python's own prose.
        tokens: Tokens of the data set, over all ranks.
        length: Tokens per sequence.
        batch: Sequences per batch.
        dtype: One of `DTYPES`; bfloat16 computes in it over float32 shards.
        seed: Seed of whatever is random in making the model.

    Raises:
        InputError: One of them is outside what is allowed.
    """

    model: str = dataclasses.field(
        metadata={
            "help": "smollm2, tiny, a Hugging Face name or local folder of a causal language "
            "model, or package.module:function that returns a hessview.Objective",
            "planned": False,
        }
    )
    text: str | None = _option(
        None, "UTF-8 text file (default: prose that ships with Python)", planned=False
    )
    tokens: int = _option(4096, "tokens of the data set, over all ranks")
    length: int = _option(256, "tokens per sequence")
    batch: int = _option(4, "sequences per batch")
    dtype: str = _option("float32", "float32, float64, or bfloat16 over float32 shards")
    seed: int = _option(0, "seed of whatever is random in making the model", planned=False)

    def __post_init__(self) -> None:
        if not isinstance(self.model, str):
            raise InputError(
                f"model is a {type(self.model).__name__}; torchrun needs a name: give "
                '"package.module:function" that returns the Objective, or use hessview.local.'
            )
        for name, least in _COUNTED_IN.items():
            object.__setattr__(self, name, whole(name, getattr(self, name), least))
        if self.dtype not in DTYPES:  # without a guess: bfloat16 is not what float16 was meant for
            raise InputError(f"dtype={self.dtype!r} is not allowed; use one of {list(DTYPES)}.")

    def arguments(self) -> list[str]:
        """The command line of `-m hessview.job` that says the same."""
        arguments = ["--model", self.model]
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name != "model" and value != field.default:
                arguments += [f"--{field.name}", str(value)]
        return arguments


def names_of(*, planned: bool = False) -> list[str]:
    """Names of the options beside the model.

    Args:
        planned: Only those by which a plan differs.
    """
    fields = [field for field in dataclasses.fields(JobOptions) if field.name != "model"]
    return [field.name for field in fields if field.metadata["planned"] or not planned]


def job_options(
    model: str, options: Mapping[str, Any], *, asked: str, planned: bool = False
) -> JobOptions:
    """The options that were given, the others as they are by default.

    Args:
        model: See `JobOptions`.
        options: Options by name; None leaves one as it is.
        asked: What takes them, for errors: "launch" or "plan".
        planned: Whether only those are allowed by which a plan differs.

    Raises:
        InputError: There is no such option, or a value is outside what is allowed.
    """
    names = names_of(planned=planned)
    if unknown := sorted(set(options) - {*names}):
        raise InputError(
            f"{asked} has no {unknown}{did_you_mean(unknown[0], names)}; its options are {names}."
        )
    return JobOptions(
        model=model, **{k: value for k, value in options.items() if value is not None}
    )


def add_options(
    parser: argparse.ArgumentParser, *, model: str = "model", planned: bool = False
) -> None:
    """Add the options to a command line.

    Args:
        parser: The command line.
        model: How the model is given: "model" by its place, "--model" by name.
        planned: Whether to add those only by which a plan differs.
    """
    fields = {field.name: field for field in dataclasses.fields(JobOptions)}
    action = parser.add_argument(model, help=fields["model"].metadata["help"])
    action.required = True  # of one that is given by name, too
    for name in names_of(planned=planned):
        field, text = fields[name], fields[name].metadata["help"]
        parser.add_argument(
            f"--{name}",
            type=int if name in _COUNTED_IN else str,
            default=field.default,
            help=text if "default:" in text else f"{text} (default: %(default)s)",
        )


def options_from(
    arguments: argparse.Namespace, names: Iterable[str] | None = None
) -> dict[str, Any]:
    """The options beside the model that a command line holds.

    Args:
        arguments: What was parsed.
        names: Which; None for all.
    """
    return {name: getattr(arguments, name) for name in (names or names_of())}


def add_place(parser: argparse.ArgumentParser) -> None:
    """Add where a job keeps its record, and listens, to a command line."""
    parser.add_argument("--run-dir", required=True, help="record and meeting point, made mode 0700")
    parser.add_argument(
        "--listen",
        metavar="INTERFACE",
        help="private network interface of rank 0's host, on which notebooks on other hosts can "
        "attach (default: none, only those on rank 0's host can)",
    )

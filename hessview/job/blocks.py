"""Which parameters form the blocks of a job, or of one command."""

from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase

from hessview.commands.allowed import did_you_mean
from hessview.errors import InputError
from hessview.job import sharding
from hessview.job.objective import Objective

_SHOWN = 8  # names in an error's text


def job_blocks(objective: Objective) -> dict[str, list[str]]:
    """Parameter names by block: the objective's own, or those of the module's tree.

    Raises:
        InputError: A block names a parameter that is not differentiated.
    """
    known = list(sharding.trainable(objective.module))
    if objective.blocks is None:
        return sharding.blocks(objective.module)
    for block, names in objective.blocks.items():
        if unknown := [name for name in names if name not in known]:
            raise InputError(
                f"block {block!r} names {unknown}, which the module does not have among its "
                f"differentiated parameters; they are {_some(known)}."
            )
    return {block: list(names) for block, names in objective.blocks.items()}


def matching(names: Sequence[str], patterns: Sequence[str]) -> set[str]:
    """Names that match one of some patterns.

    Args:
        names: Names of the differentiated parameters.
        patterns: "*" stands for any text, "?" for any character.

    Raises:
        InputError: A pattern matches nothing.
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise InputError(
                f"subset={pattern!r} matches none of the {len(names)} differentiated parameters"
                f"{did_you_mean(pattern, names)}; they are {_some(names)}."
            )
    return {name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)}


def blocks_by_pattern(patterns: Mapping[str, str], names: Collection[str]) -> dict[str, list[str]]:
    """Parameter names by block, each block given by a pattern.

    Args:
        patterns: Pattern of each block: "*" stands for any text, "?" for any character.
        names: Names of the parameters.

    Raises:
        InputError: A pattern matches nothing.
    """
    found = {block: [n for n in names if fnmatchcase(n, p)] for block, p in patterns.items()}
    for block, members in found.items():
        if not members:
            raise InputError(
                f"block {block!r} is empty: its pattern {patterns[block]!r} matches no parameter"
                f"{did_you_mean(patterns[block], names)}; they are {_some(names)}."
            )
    return found


def check_apart(blocks: Mapping[str, Collection[str]]) -> None:
    """Refuse blocks between which there is nothing to compare.

    Raises:
        InputError: Fewer than two blocks, or a parameter that lies in two.
    """
    if len(blocks) < 2:
        raise InputError(
            f"blocks={list(blocks)!r}: coupling needs two or more; give blocks by pattern, such as "
            'blocks={"attention": "*attn*", "mlp": "*mlp*"}.'
        )
    owner: dict[str, str] = {}
    for block, names in blocks.items():
        for name in names:
            if owner.setdefault(name, block) != block:
                raise InputError(
                    f"parameter {name!r} lies in block {owner[name]!r} and in block {block!r}; "
                    "use blocks that do not overlap."
                )


def _some(names: Collection[str]) -> str:
    shown = list(names)
    return f"{shown[:_SHOWN]}{'...' if shown[_SHOWN:] else ''}"

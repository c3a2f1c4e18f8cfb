"""Asking how blocks are coupled."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from hessview.commands.command import Command
from hessview.errors import InputError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coupling(Command):
    """Ask how strongly blocks of parameters are coupled by the operator.

    Attributes:
        blocks: Pairs of a block's name and the pattern of its parameters' names; () takes the
            job's blocks. Parameters that match none are left alone.
    """

    name: ClassVar[str] = "coupling"
    blocks: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        given: object = self.blocks
        pairs: Any = tuple(given.items()) if isinstance(given, Mapping) else given
        words = isinstance(pairs, tuple) and all(
            isinstance(pair, tuple)
            and len(pair) == 2
            and all(w and isinstance(w, str) for w in pair)
            for pair in pairs
        )
        if not words or len(dict(pairs)) < len(pairs):
            raise InputError(
                f"blocks={given!r} is not allowed; use a mapping from names to patterns of "
                'parameter names, such as {"attention": "*attn*", "mlp": "*mlp*"}.'
            )
        self._keep(blocks=pairs)
        if len(self.blocks) == 1:
            raise InputError(
                f"blocks={dict(self.blocks)!r} is one block, which is coupled to nothing; use two "
                "or more."
            )

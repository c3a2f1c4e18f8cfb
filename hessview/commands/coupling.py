"""Asking how blocks are coupled."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

from hessview.checked import shown
from hessview.commands.allowed import MOST_NUMBERS, few, word
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
        shape = isinstance(pairs, tuple) and all(
            isinstance(pair, tuple) and len(pair) == 2 for pair in pairs
        )
        try:
            if not shape:
                raise InputError("no pairs")
            pairs = tuple((word("name", name), word("pattern", text)) for name, text in pairs)
            if len(dict(pairs)) < len(pairs):
                raise InputError("a name comes twice")
        except InputError:
            raise InputError(
                f"blocks={shown(given)} is not allowed; use a mapping from names to patterns of "
                'parameter names, such as {"attention": "*attn*", "mlp": "*mlp*"}.'
            ) from None
        self._keep(blocks=pairs)
        if len(self.blocks) == 1:
            raise InputError(
                f"blocks={shown(dict(self.blocks))} is one block, which is coupled to nothing; "
                "use two or more."
            )

    def check(self, parameters: int, blocks: int = 0) -> None:
        """See `Command.check`."""
        super().check(parameters, blocks)
        self._check_numbers(len(self.blocks) or blocks)

    def check_size(self) -> None:
        """See `Command.check_size`."""
        few("blocks", self.blocks)
        for pair in self.blocks:
            few("blocks", pair)
        self._check_numbers(len(self.blocks))
        super().check_size()

    def _check_numbers(self, blocks: int) -> None:
        """A probe gives three numbers for each pair of blocks."""
        most = MOST_NUMBERS // (4 * max(blocks, 1) ** 2)
        if self.probes > most:
            raise InputError(
                f"probes={shown(self.probes)} between {blocks:,} blocks are more than can be "
                "held; use " + (f"probes <= {most:,}." if most else "fewer blocks.")
            )

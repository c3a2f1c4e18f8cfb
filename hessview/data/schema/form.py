"""The form of a dataset: dimensions, coordinates, variables, units."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

Coordinates = dict[str, NDArray[Any]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variable:
    """A measured variable.

    Attributes:
        units: Units, "1" if it has none.
        long_name: What it is, in words.
        dims: Dimensions, a part of the schema's in the same order; None for all of them.
    """

    units: str
    long_name: str
    dims: tuple[str, ...] | None = None

    @property
    def attrs(self) -> dict[str, str]:
        """Attributes of the variable in a dataset."""
        return {"units": self.units, "long_name": self.long_name}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schema:
    """The form of a command's dataset.

    Attributes:
        dims: Dimensions, in order.
        variables: Measured variables.
        coordinates: Coordinates along dims, from the command and the names of the job's blocks;
            known before anything is measured.
        descriptions: Units and long name of each coordinate.
    """

    dims: tuple[str, ...]
    variables: Mapping[str, Variable]
    coordinates: Callable[[Any, Sequence[str]], Coordinates]
    descriptions: Mapping[str, Variable]

"""What each command's dataset holds: dimensions, coordinates, variables, units."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hessview.commands import Density
from hessview.messages import JobStarted

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
        coordinates: Coordinates along dims, from the command and what the job said of itself;
            known before anything is measured.
        descriptions: Units and long name of each coordinate.
    """

    dims: tuple[str, ...]
    variables: Mapping[str, Variable]
    coordinates: Callable[[Any, JobStarted | None], Coordinates]
    descriptions: Mapping[str, Variable]


def _density_coordinates(command: Density, job: JobStarted | None) -> Coordinates:
    return {"probe": np.arange(command.probes), "step": np.arange(1, command.steps + 1)}


DENSITY = Schema(
    dims=("probe", "step"),
    variables={
        "alpha": Variable(units="loss", long_name="Lanczos diagonal coefficient"),
        "beta": Variable(units="loss", long_name="Lanczos off-diagonal coefficient, to next step"),
        "epsilon": Variable(units="1", long_name="finite-difference step along a unit vector"),
        "rho": Variable(units="1", long_name="relative gradient change of the product"),
        "error": Variable(units="1", long_name="relative error D of the product, by a second step"),
        "gradients": Variable(units="1", long_name="gradients that the product cost"),
        "seconds": Variable(units="s", long_name="time for the Lanczos step"),
    },
    coordinates=_density_coordinates,
    descriptions={
        "probe": Variable(units="1", long_name="random probe vector"),
        "step": Variable(units="1", long_name="Lanczos step, counted from 1"),
    },
)

SCHEMAS: dict[str, Schema] = {Density.name: DENSITY}

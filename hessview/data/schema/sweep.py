"""The form of spectra over the finite-difference step, and over parts of the data."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from hessview.commands import EpsilonSweep, FractionSweep
from hessview.data.schema.density import DENSITY, ends
from hessview.data.schema.form import Coordinates, Schema, Variable


def _steps(command: EpsilonSweep | FractionSweep) -> Coordinates:
    return {
        "probe": np.arange(command.probes),
        "step": np.arange(1, command.steps + 1),
        **ends(),
    }


def _along(setting: str) -> dict[str, Variable]:
    """The variables of a density at each setting."""
    return {
        name: dataclasses.replace(variable, dims=(setting, *(variable.dims or DENSITY.dims)))
        for name, variable in DENSITY.variables.items()
        if name != setting
    }


def _epsilons(command: EpsilonSweep, blocks: Sequence[str]) -> Coordinates:
    return {"epsilon": np.array(command.epsilons), **_steps(command)}


def _fractions(command: FractionSweep, blocks: Sequence[str]) -> Coordinates:
    return {"fraction": np.array(command.fractions), **_steps(command)}


_FRACTION = ("fraction",)

EPSILON_SWEEP = Schema(
    dims=("epsilon", *DENSITY.dims),
    variables=_along("epsilon"),
    coordinates=_epsilons,
    descriptions={
        "epsilon": Variable(units="1", long_name="finite-difference step along a unit vector"),
        **DENSITY.descriptions,
    },
)

FRACTION_SWEEP = Schema(
    dims=("fraction", *DENSITY.dims),
    variables={
        **_along("fraction"),
        "batches": Variable(units="1", long_name="batches in this part", dims=_FRACTION),
        "part_weight": Variable(units="1", long_name="loss terms in this part", dims=_FRACTION),
        "part_loss": Variable(units="loss", long_name="mean loss of this part", dims=_FRACTION),
        "part_gradient_norm": Variable(
            units="loss", long_name="norm of the gradient of this part", dims=_FRACTION
        ),
    },
    coordinates=_fractions,
    descriptions={
        "fraction": Variable(units="1", long_name="part of the data set, from its first batch on"),
        **DENSITY.descriptions,
    },
)

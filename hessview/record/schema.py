"""The form of each command's dataset: dimensions, coordinates, variables, units."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hessview.record.commands import (
    Accuracy,
    Benchmark,
    Coupling,
    Density,
    EpsilonSweep,
    FractionSweep,
)

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


ENDS = ("largest", "smallest")


def ends() -> Coordinates:
    """The coordinate of what is measured at the extreme Ritz vectors."""
    return {"end": np.array(ENDS, dtype=object)}


def _density_coordinates(command: Density, blocks: Sequence[str]) -> Coordinates:
    return {
        "probe": np.arange(command.probes),
        "step": np.arange(1, command.steps + 1),
        **ends(),
    }


_STEP, _END = ("probe", "step"), ("probe", "end")

DENSITY = Schema(
    dims=("probe", "step", "end"),
    variables={
        "alpha": Variable(units="loss", long_name="Lanczos diagonal coefficient", dims=_STEP),
        "beta": Variable(
            units="loss", long_name="Lanczos off-diagonal coefficient, to next step", dims=_STEP
        ),
        "asymmetry": Variable(
            units="loss",
            long_name="asymmetry and error of the product along earlier Lanczos vectors",
            dims=_STEP,
        ),
        "epsilon": Variable(
            units="1", long_name="displacement epsilon along a unit vector", dims=_STEP
        ),
        "rho": Variable(units="1", long_name="relative gradient change of the product", dims=_STEP),
        "error": Variable(
            units="1", long_name="relative error D of the product, by a second epsilon", dims=_STEP
        ),
        "gradients": Variable(units="1", long_name="gradients that the product cost", dims=_STEP),
        "perturbation_error": Variable(
            units="1",
            long_name="relative error of the displacement, by the parameters' rounding",
            dims=_STEP,
        ),
        "perturbation_effect": Variable(
            units="1",
            long_name="estimated relative effect of that error on the product",
            dims=_STEP,
        ),
        "change": Variable(
            units="loss",
            long_name="change of alpha at twice epsilon",
            dims=_STEP,
        ),
        "flips": Variable(
            units="1",
            long_name="share of routed tokens that change expert within epsilon",
            dims=_STEP,
        ),
        "seconds": Variable(units="s", long_name="time for the Lanczos step", dims=_STEP),
        "pair_value": Variable(
            units="loss",
            long_name="y'Hy of the extreme Ritz vector y, by a product of its own",
            dims=_END,
        ),
        "pair_residual": Variable(
            units="loss", long_name="norm of Hy less its part along y", dims=_END
        ),
        "pair_error": Variable(
            units="1", long_name="relative error D of Hy, by a second epsilon", dims=_END
        ),
        "pair_doubt": Variable(
            units="loss",
            long_name="norm of the change of Hy from half its epsilon, which bounds its error",
            dims=_END,
        ),
        "pair_change": Variable(units="loss", long_name="change of y'Hy with it", dims=_END),
        "pair_spread": Variable(
            units="loss",
            long_name="size of that change if errors are independent between parameters",
            dims=_END,
        ),
        "pair_epsilon": Variable(units="1", long_name="displacement epsilon of Hy", dims=_END),
        "pair_rho": Variable(units="1", long_name="relative gradient change of Hy", dims=_END),
        "pair_steps": Variable(
            units="1", long_name="Lanczos steps that the Ritz vector is made of", dims=_END
        ),
        "pair_gradients": Variable(
            units="1", long_name="gradients that Hy and its error cost", dims=_END
        ),
        "pair_seconds": Variable(units="s", long_name="time for Hy and its error", dims=_END),
    },
    coordinates=_density_coordinates,
    descriptions={
        "probe": Variable(units="1", long_name="random probe vector"),
        "step": Variable(units="1", long_name="Lanczos step, counted from 1"),
        "end": Variable(units="1", long_name="end of the spectrum"),
    },
)


def _accuracy_coordinates(command: Accuracy, blocks: Sequence[str]) -> Coordinates:
    names = [f"random {probe + 1}" for probe in range(command.probes)]
    directions = np.array(names + ["top"] * command.top, dtype=object)
    return {"direction": directions, "epsilon": np.array(command.epsilons)}


_DIRECTION = ("direction",)

_ERRORS = {
    "relative_error": "relative error of the product against the reference",
    "cosine": "cosine between product and reference",
    "rho": "relative gradient change of the product",
    "error": "relative error D of the product, by a second epsilon",
    "perturbation_error": "relative error of the displacement, by the parameters' rounding",
    "perturbation_effect": "estimated relative effect of that error on the product",
    "gradients": "gradients that the product cost",
}

ACCURACY = Schema(
    dims=("direction", "epsilon"),
    variables={
        **{name: Variable(units="1", long_name=words) for name, words in _ERRORS.items()},
        "seconds": Variable(units="s", long_name="time for the product"),
        **{
            f"auto_{name}": Variable(
                units="1", long_name=f"{words}, automatic epsilon", dims=_DIRECTION
            )
            for name, words in _ERRORS.items()
        },
        "auto_epsilon": Variable(units="1", long_name="automatic epsilon", dims=_DIRECTION),
        "auto_seconds": Variable(
            units="s", long_name="time for the product and its reference", dims=_DIRECTION
        ),
        "norm": Variable(units="loss", long_name="norm of the reference product", dims=_DIRECTION),
        "curvature": Variable(
            units="loss", long_name="quadratic form v'Hv of the reference", dims=_DIRECTION
        ),
        "reference_error": Variable(
            units="1", long_name="relative error of the reference itself", dims=_DIRECTION
        ),
        "exact": Variable(
            units="1",
            long_name="1 where the reference is a double backward, 0 where it is extrapolated",
            dims=_DIRECTION,
        ),
        "noise": Variable(
            units="loss", long_name="rounding error sigma of a gradient difference", dims=_DIRECTION
        ),
        "bend": Variable(
            units="loss", long_name="truncation error over epsilon^order", dims=_DIRECTION
        ),
        "order": Variable(units="1", long_name="order of the truncation error", dims=_DIRECTION),
    },
    coordinates=_accuracy_coordinates,
    descriptions={
        "direction": Variable(units="", long_name="direction of the product"),
        "epsilon": Variable(units="1", long_name="displacement epsilon along a unit vector"),
    },
)


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
        "epsilon": Variable(units="1", long_name="displacement epsilon along a unit vector"),
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


def _coupling_coordinates(command: Coupling, blocks: Sequence[str]) -> Coordinates:
    names = np.array([name for name, _ in command.blocks] or list(blocks), dtype=object)
    return {"probe": np.arange(command.probes), "block": names, "column": names.copy()}


_PROBE, _ROW, _COLUMN = ("probe",), ("probe", "block"), ("probe", "column")

COUPLING = Schema(
    dims=("probe", "block", "column"),
    variables={
        "response_norm": Variable(
            units="loss", long_name="norm of the block of H v_column, v_column a part of the probe"
        ),
        "noise": Variable(units="loss", long_name="norm of its change at twice epsilon"),
        "form": Variable(units="loss", long_name="quadratic form v_block' H v_column"),
        "epsilon": Variable(
            units="1", long_name="displacement epsilon along a unit vector", dims=_COLUMN
        ),
        "rho": Variable(
            units="1", long_name="relative gradient change of the product", dims=_COLUMN
        ),
        "error": Variable(
            units="1", long_name="relative error D of the column, by a second epsilon", dims=_COLUMN
        ),
        "gradients": Variable(units="1", long_name="gradients that the column cost", dims=_COLUMN),
        "seconds": Variable(units="s", long_name="time for the column", dims=_COLUMN),
        "product_norm": Variable(units="loss", long_name="norm of H v", dims=_PROBE),
        "diagonal_norm": Variable(
            units="loss", long_name="norm of the block-diagonal product H_B v", dims=_PROBE
        ),
        "block_error": Variable(
            units="1", long_name="relative error |Hv - H_B v| / |Hv|", dims=_PROBE
        ),
        "cosine": Variable(units="1", long_name="cosine between Hv and H_B v", dims=_PROBE),
        "kappa": Variable(units="1", long_name="<Hv, H_B v> / |H_B v|^2", dims=_PROBE),
        "disagreement": Variable(
            units="1", long_name="|Hv - sum of H v_column| / |Hv|, made of errors only", dims=_PROBE
        ),
        "row_error": Variable(
            units="1", long_name="relative error of H_B v within the block", dims=_ROW
        ),
        "row_disagreement": Variable(
            units="1", long_name="disagreement within the block", dims=_ROW
        ),
        "product_epsilon": Variable(
            units="1", long_name="displacement epsilon of H v", dims=_PROBE
        ),
        "product_rho": Variable(
            units="1", long_name="relative gradient change of H v", dims=_PROBE
        ),
        "product_error": Variable(
            units="1", long_name="relative error D of H v, by a second epsilon", dims=_PROBE
        ),
    },
    coordinates=_coupling_coordinates,
    descriptions={
        "probe": Variable(units="1", long_name="random probe vector"),
        "block": Variable(units="", long_name="block of parameters that responds"),
        "column": Variable(units="", long_name="block of parameters that is perturbed"),
    },
)


def _benchmark_coordinates(command: Benchmark, blocks: Sequence[str]) -> Coordinates:
    return {
        "repetition": np.arange(command.probes),
        "work": np.array(["gradient", *command.operators], dtype=object),
        "depth": np.array(command.depths),
        "collective": np.array(Benchmark.COLLECTIVES, dtype=object),
    }


BENCHMARK = Schema(
    dims=("repetition", "work", "depth", "collective"),
    variables={
        "seconds": Variable(
            units="s", long_name="time of a piece of work", dims=("repetition", "work")
        ),
        "orthogonalise_seconds": Variable(
            units="s",
            long_name="time of a Lanczos step beside its product",
            dims=("repetition", "depth"),
        ),
        "peak_memory": Variable(
            units="B",
            long_name="memory of the largest rank above what it held before",
            dims=("work",),
        ),
        "collectives": Variable(
            units="1", long_name="number of collectives", dims=("work", "collective")
        ),
    },
    coordinates=_benchmark_coordinates,
    descriptions={
        "repetition": Variable(units="1", long_name="repetition, everything timed once in turn"),
        "work": Variable(units="1", long_name="a gradient, or a product of an operator"),
        "depth": Variable(units="1", long_name="Lanczos step: how many vectors are kept"),
        "collective": Variable(units="1", long_name="kind of collective"),
    },
)

"""The form of an accuracy over the finite-difference step."""

from collections.abc import Sequence

import numpy as np

from hessview.commands import Accuracy
from hessview.data.schema.form import Coordinates, Schema, Variable


def _coordinates(command: Accuracy, blocks: Sequence[str]) -> Coordinates:
    names = [f"random {probe + 1}" for probe in range(command.probes)]
    directions = np.array(names + ["top"] * command.top, dtype=object)
    return {"direction": directions, "epsilon": np.array(command.epsilons)}


_DIRECTION = ("direction",)

_ERRORS = {
    "relative_error": "relative error of the product against the reference",
    "cosine": "cosine between product and reference",
    "rho": "relative gradient change of the product",
    "error": "relative error D of the product, by a second step",
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
                units="1", long_name=f"{words}, automatic step", dims=_DIRECTION
            )
            for name, words in _ERRORS.items()
        },
        "auto_epsilon": Variable(units="1", long_name="automatic step", dims=_DIRECTION),
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
    coordinates=_coordinates,
    descriptions={
        "direction": Variable(units="", long_name="direction of the product"),
        "epsilon": Variable(units="1", long_name="finite-difference step along a unit vector"),
    },
)

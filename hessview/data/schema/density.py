"""The form of a spectral density."""

import numpy as np

from hessview.commands import Density
from hessview.data.schema.form import Coordinates, Schema, Variable
from hessview.messages import JobStarted


def _coordinates(command: Density, job: JobStarted | None) -> Coordinates:
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
        "perturbation_error": Variable(
            units="1", long_name="relative error of the displacement, by the parameters' rounding"
        ),
        "perturbation_effect": Variable(
            units="1", long_name="estimated relative effect of that error on the product"
        ),
        "flips": Variable(
            units="1", long_name="share of routed tokens that change expert within the step"
        ),
        "seconds": Variable(units="s", long_name="time for the Lanczos step"),
    },
    coordinates=_coordinates,
    descriptions={
        "probe": Variable(units="1", long_name="random probe vector"),
        "step": Variable(units="1", long_name="Lanczos step, counted from 1"),
    },
)

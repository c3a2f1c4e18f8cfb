"""The form of a spectral density."""

from collections.abc import Sequence

import numpy as np

from hessview.commands import Density
from hessview.data.schema.form import Coordinates, Schema, Variable

ENDS = ("largest", "smallest")


def ends() -> Coordinates:
    """The coordinate of what is measured at the extreme Ritz vectors."""
    return {"end": np.array(ENDS, dtype=object)}


def _coordinates(command: Density, blocks: Sequence[str]) -> Coordinates:
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
            units="1", long_name="finite-difference step along a unit vector", dims=_STEP
        ),
        "rho": Variable(units="1", long_name="relative gradient change of the product", dims=_STEP),
        "error": Variable(
            units="1", long_name="relative error D of the product, by a second step", dims=_STEP
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
            long_name="change of alpha at twice the finite-difference step",
            dims=_STEP,
        ),
        "flips": Variable(
            units="1",
            long_name="share of routed tokens that change expert within the step",
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
            units="1", long_name="relative error D of Hy, by a second step", dims=_END
        ),
        "pair_doubt": Variable(
            units="loss",
            long_name="norm of the change of Hy from half its step, which bounds its error",
            dims=_END,
        ),
        "pair_change": Variable(units="loss", long_name="change of y'Hy with it", dims=_END),
        "pair_spread": Variable(
            units="loss",
            long_name="size of that change if errors are independent between parameters",
            dims=_END,
        ),
        "pair_epsilon": Variable(units="1", long_name="finite-difference step of Hy", dims=_END),
        "pair_rho": Variable(units="1", long_name="relative gradient change of Hy", dims=_END),
        "pair_steps": Variable(
            units="1", long_name="Lanczos steps that the Ritz vector is made of", dims=_END
        ),
        "pair_gradients": Variable(
            units="1", long_name="gradients that Hy and its error cost", dims=_END
        ),
        "pair_seconds": Variable(units="s", long_name="time for Hy and its error", dims=_END),
    },
    coordinates=_coordinates,
    descriptions={
        "probe": Variable(units="1", long_name="random probe vector"),
        "step": Variable(units="1", long_name="Lanczos step, counted from 1"),
        "end": Variable(units="1", long_name="end of the spectrum"),
    },
)

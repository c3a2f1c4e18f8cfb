"""The form of a coupling between blocks of parameters."""

from collections.abc import Sequence

import numpy as np

from hessview.commands import Coupling
from hessview.data.schema.form import Coordinates, Schema, Variable


def _coordinates(command: Coupling, blocks: Sequence[str]) -> Coordinates:
    names = np.array([name for name, _ in command.blocks] or list(blocks), dtype=object)
    return {"probe": np.arange(command.probes), "block": names, "column": names.copy()}


_PROBE, _ROW, _COLUMN = ("probe",), ("probe", "block"), ("probe", "column")

COUPLING = Schema(
    dims=("probe", "block", "column"),
    variables={
        "response_norm": Variable(
            units="loss", long_name="norm of the block of H v_column, v_column a part of the probe"
        ),
        "noise": Variable(units="loss", long_name="norm of its change at twice the step"),
        "form": Variable(units="loss", long_name="quadratic form v_block' H v_column"),
        "epsilon": Variable(
            units="1", long_name="finite-difference step along a unit vector", dims=_COLUMN
        ),
        "rho": Variable(
            units="1", long_name="relative gradient change of the product", dims=_COLUMN
        ),
        "error": Variable(
            units="1", long_name="relative error D of the column, by a second step", dims=_COLUMN
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
            units="1", long_name="finite-difference step of H v", dims=_PROBE
        ),
        "product_rho": Variable(
            units="1", long_name="relative gradient change of H v", dims=_PROBE
        ),
        "product_error": Variable(
            units="1", long_name="relative error D of H v, by a second step", dims=_PROBE
        ),
    },
    coordinates=_coordinates,
    descriptions={
        "probe": Variable(units="1", long_name="random probe vector"),
        "block": Variable(units="", long_name="block of parameters that responds"),
        "column": Variable(units="", long_name="block of parameters that is perturbed"),
    },
)

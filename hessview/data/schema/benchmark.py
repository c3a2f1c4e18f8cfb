"""The form of a benchmark."""

from collections.abc import Sequence

import numpy as np

from hessview.commands import Benchmark
from hessview.data.schema.form import Coordinates, Schema, Variable


def _coordinates(command: Benchmark, blocks: Sequence[str]) -> Coordinates:
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
    coordinates=_coordinates,
    descriptions={
        "repetition": Variable(units="1", long_name="repetition, everything timed once in turn"),
        "work": Variable(units="1", long_name="a gradient, or a product of an operator"),
        "depth": Variable(units="1", long_name="Lanczos step: how many vectors are kept"),
        "collective": Variable(units="1", long_name="kind of collective"),
    },
)

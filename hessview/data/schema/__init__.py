"""What each command's dataset holds, by the command's name; one file a command."""

from hessview.commands import Accuracy, Benchmark, Coupling, Density, EpsilonSweep, FractionSweep
from hessview.data.schema.accuracy import ACCURACY
from hessview.data.schema.benchmark import BENCHMARK
from hessview.data.schema.coupling import COUPLING
from hessview.data.schema.density import DENSITY
from hessview.data.schema.form import Coordinates, Schema, Variable
from hessview.data.schema.sweep import EPSILON_SWEEP, FRACTION_SWEEP

SCHEMAS: dict[str, Schema] = {
    Accuracy.name: ACCURACY,
    Benchmark.name: BENCHMARK,
    Density.name: DENSITY,
    Coupling.name: COUPLING,
    EpsilonSweep.name: EPSILON_SWEEP,
    FractionSweep.name: FRACTION_SWEEP,
}

__all__ = ["SCHEMAS", "Coordinates", "Schema", "Variable"]

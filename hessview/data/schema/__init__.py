"""What each command's dataset holds, by the command's name; one file a command."""

from hessview.commands import Coupling, Density
from hessview.data.schema.coupling import COUPLING
from hessview.data.schema.density import DENSITY
from hessview.data.schema.form import Coordinates, Schema, Variable

SCHEMAS: dict[str, Schema] = {Density.name: DENSITY, Coupling.name: COUPLING}

__all__ = ["SCHEMAS", "Coordinates", "Schema", "Variable"]

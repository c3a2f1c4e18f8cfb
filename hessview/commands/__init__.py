"""What a kernel can ask for: commands, which refuse what makes no sense when they are made."""

from hessview.commands.accuracy import Accuracy
from hessview.commands.benchmark import Benchmark
from hessview.commands.command import Command
from hessview.commands.coupling import Coupling
from hessview.commands.density import Density
from hessview.commands.lanczos import LanczosCommand
from hessview.commands.sweep import EpsilonSweep, FractionSweep
from hessview.commands.wire import COMMANDS, command_from_json, command_to_json

__all__ = [
    "COMMANDS",
    "Accuracy",
    "Benchmark",
    "Command",
    "Coupling",
    "Density",
    "EpsilonSweep",
    "FractionSweep",
    "LanczosCommand",
    "command_from_json",
    "command_to_json",
]

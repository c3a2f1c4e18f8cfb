"""Refusing a command before it is recorded: names that the job does not know."""

import importlib.util
import sys
from collections.abc import Callable, Mapping

from hessview.commands import Accuracy, Benchmark, Command, Coupling, EpsilonSweep
from hessview.commands.allowed import did_you_mean
from hessview.errors import InputError
from hessview.job.blocks import blocks_by_pattern, check_apart, job_blocks, matching
from hessview.job.objective import Objective
from hessview.operators import OPERATORS


def acceptance(objective: Objective, sizes: Mapping[str, int]) -> Callable[[Command], None]:
    """What judges commands by what the job holds.

    Args:
        objective: What is differentiated.
        sizes: Its differentiated parameters by name, and how many numbers each holds.

    Returns:
        Called with a command, it raises InputError for a model of too few parameters, unknown
        operators, operators that the objective or the command cannot use, patterns that match no
        parameter, and blocks that are empty, overlap, or are fewer than two. It computes nothing,
        calls no other rank, and runs no code of the user's.
    """
    blocks = job_blocks(objective)

    def accept(command: Command) -> None:
        chosen = matching(list(sizes), command.subset)
        command.check(sum(sizes[name] for name in chosen))
        several = command.operators if isinstance(command, Benchmark) else (command.operator,)
        for operator in several:
            _check_operator(operator, command, objective)
        if isinstance(command, Coupling):
            if command.blocks:
                own = [name for name in sizes if name in chosen]
                check_apart(blocks_by_pattern(dict(command.blocks), own))
            else:
                held = {block: [n for n in of if n in chosen] for block, of in blocks.items()}
                check_apart({block: of for block, of in held.items() if of})

    return accept


def _check_operator(name: str, command: Command, objective: Objective) -> None:
    if name not in OPERATORS:
        home, separator, attribute = name.partition(":")
        if not separator:
            raise InputError(
                f"operator {name!r} is unknown{did_you_mean(name, OPERATORS)}; use one of "
                f"{sorted(OPERATORS)}, or package.module:name."
            )
        top = home.partition(".")[0]
        # Only whether there is such a module: importing it would run code beside a training.
        known = top in sys.modules or (top.isidentifier() and importlib.util.find_spec(top))
        if not known or not attribute:
            raise InputError(
                f"operator {name!r} cannot be found (there is no module {top!r}); its module must "
                "be installed, or lie in the folder from which the job was started."
            )
        return
    operator = OPERATORS[name]
    if isinstance(command, Accuracy | EpsilonSweep) and not getattr(operator, "order", 0):
        raise InputError(
            f"operator {name!r} takes no finite-difference step, so there is nothing to compare "
            'over epsilon; use operator="hessian".'
        )
    needs_outputs = getattr(operator, "needs_outputs", False)
    if needs_outputs and (objective.outputs is None or objective.terms is None):
        raise InputError(
            f"operator {name!r} works on the model's outputs and the loss's terms, which the "
            "objective does not give; pass Objective(..., outputs=..., terms=...) to the job, or "
            'use operator="hessian".'
        )

"""A rank at work: refuses commands that its objective cannot carry out, and executes the others."""

import importlib
import importlib.util
import platform
import socket
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import torch
import torch.distributed as dist

from hessview._version import __version__
from hessview.errors import HessviewError, InputError, NotRestoredError
from hessview.extensions import named
from hessview.job import checks, meeting
from hessview.job import checks as copies
from hessview.job.checks import untied
from hessview.job.control import Reduction, agree
from hessview.job.coupled_ranks import coupling as coupling_of_ranks
from hessview.job.estimators.base import operator_of, products_of
from hessview.job.fsdp import as_found, check_wrappers
from hessview.job.loss import ShardedLoss
from hessview.job.memory import free_memory, ranks_on_this_host
from hessview.job.objective import Objective, blocks_by_pattern, check_apart, job_blocks, matching
from hessview.job.plain import kept_whole
from hessview.job.sharding import check_same_parameters
from hessview.job.sharing import agreed_sharing, mesh_of
from hessview.job.status import end_by, starting
from hessview.job.untrained import without_gradient
from hessview.operators import facts_of_made
from hessview.operators.base import Operator
from hessview.operators.exact import LARGEST
from hessview.record.commands import Command, Coupling, LanczosCommand
from hessview.record.events import JobStarted, Payload, Reading, RunEnded, RunStarted
from hessview.record.measurements import MEASUREMENTS, command_from_text
from hessview.record.operator_facts import OPERATORS
from hessview.record.validation import did_you_mean
from hessview.wording import size


def _acceptance(objective: Objective, sizes: Mapping[str, int]) -> Callable[[Command], None]:
    """A check of commands against the parameters, blocks and operators of an objective.

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
    for table in (OPERATORS, MEASUREMENTS):
        len(table)  # imports other packages' entries now, and not beside a training

    def accept(command: Command) -> None:
        chosen = matching(list(sizes), command.subset)
        command.check(sum(sizes[name] for name in chosen))
        for operator in command.operator_names:
            _check_operator(operator, command, objective)
        if isinstance(command, Coupling):
            if command.blocks:
                chosen_names = [name for name in sizes if name in chosen]
                check_apart(blocks_by_pattern(dict(command.blocks), chosen_names))
            else:
                chosen_blocks = {
                    block: [n for n in block_names if n in chosen]
                    for block, block_names in blocks.items()
                }
                check_apart(
                    {
                        block: block_names
                        for block, block_names in chosen_blocks.items()
                        if block_names
                    }
                )

    return accept


def _check_operator(name: str, command: Command, objective: Objective) -> None:
    if name not in OPERATORS:
        if reason := OPERATORS.why_missing(name):
            raise InputError(f"operator {name!r} of an installed package cannot be used: {reason}.")
        home, separator, attribute = name.partition(":")
        if not separator:
            raise InputError(
                f"operator {name!r} is unknown{did_you_mean(name, OPERATORS)}; use one of "
                f"{sorted(OPERATORS)}, or package.module:name."
            )
        top = home.partition(".")[0]
        # Only whether there is such a module: importing it would run code beside a training.
        module_exists = top in sys.modules or (top and importlib.util.find_spec(top))
        if not module_exists or not attribute:
            raise InputError(
                f"operator {name!r} cannot be found (there is no module {top!r}); its module must "
                "be installed, or lie in the folder from which the job was started."
            )
        return
    facts = OPERATORS[name]
    if MEASUREMENTS[command.name].over_epsilon and not facts.has_epsilon:
        raise InputError(
            f"operator {name!r} takes no epsilon, so there is nothing to compare "
            'over it; use operator="hessian".'
        )
    if facts.needs_outputs and (objective.outputs is None or objective.terms is None):
        raise InputError(
            f"operator {name!r} works on the model's outputs and the loss's terms, which the "
            "objective does not give; pass Objective(..., outputs=..., terms=...) to the job, or "
            'use operator="hessian".'
        )


Readings = Generator[Reading, None, str | None]
Estimator = Callable[[Any, ShardedLoss, Operator], Readings]

_Conclude = Callable[[RunEnded, Exception | None], RunEnded]

_VERSIONS = ("torch", "transformers", "numpy")


class Worker:
    """One rank's part in executing commands. All ranks call the same methods in the same order.

    Args:
        objective: What is differentiated.
        evaluation: Whether to put the module into evaluation mode for each measurement.

    Raises:
        ObjectiveError: It cannot be differentiated as it is; raised on all ranks alike.
        InputError: Not an Objective, blocks that name unknown parameters, or batches that differ
            between ranks.
    """

    def __init__(self, objective: Objective, *, evaluation: bool = False) -> None:
        if not isinstance(objective, Objective):
            raise InputError(
                f"the objective is a {type(objective).__name__}; pass "
                "hessview.Objective(module, loss, batches)."
            )
        self.reduction = Reduction()
        self._evaluation = evaluation
        with as_found(objective.module, evaluation=evaluation):
            with agree():
                check_wrappers(objective.module)
            check_same_parameters(objective.module)
            sharing = agreed_sharing(objective)
            with agree():
                checks.check_mode(objective.module)
                self.blocks = job_blocks(objective)
                self._digest = objective.digest()
                self.surface = ShardedLoss(objective, self.reduction, sharing=sharing)
            self._neighbours = ranks_on_this_host()
            with agree():
                _check_digests(self._digest)
            starting("checking that two passes agree, and the gradient with the slope of the loss")
            copies.check_values(self.surface)
            coupling = coupling_of_ranks(self.surface)
            self.surface.share_out(coupling.sharing)
            copies.check_gradients(self.surface)
            numbers = checks.check_numbers(self.surface)
            self.notes = coupling.notes | numbers | untied(self.surface)
            self.notes |= kept_whole(objective.module)
            if silent := without_gradient(self.surface):
                self.surface = self.surface.part(held=silent)
                self.surface.measure()
        self.accept = _acceptance(objective, self._sizes())
        """Raises InputError for commands that this objective cannot carry out."""

    def describe(self) -> JobStarted:
        """What is differentiated, and where, for the record."""
        surface, objective = self.surface, self.surface.objective
        sizes = self._sizes()
        return JobStarted(
            model=objective.name or type(objective.module).__name__,
            revision=objective.revision,
            parameters=surface.space.size,
            blocks={block: sum(sizes[n] for n in names) for block, names in self.blocks.items()},
            world_size=meeting.ranks(),
            mesh=mesh_of(objective.module),
            data_ranks=surface.sharing.ranks,
            notes=self.notes,
            device=surface.space.device.type,
            dtype=_name(surface.dtype),
            compute_dtype=_name(surface.compute_dtype),
            loss=surface.loss,
            gradient_norm=surface.gradient_norm,
            weight=surface.weight,
            weight_unit=objective.weight_unit,
            batches=len(objective.batches),
            digest=self._digest,
            seed=objective.seed,
            tau=surface.machine_epsilon ** (1 / 3),
            versions=_versions(),
            host=socket.gethostname(),
            operators=self._operators(),
        )

    def _operators(self) -> list[str]:
        """Names of the operators of the table that this objective can give."""
        surface, objective = self.surface, self.surface.objective
        says_outputs = objective.outputs is not None and objective.terms is not None
        return [
            name
            for name, facts in OPERATORS.items()
            if (says_outputs or not facts.needs_outputs)
            and (surface.module_size <= LARGEST or not facts.gathered)
        ]

    def _sizes(self) -> dict[str, int]:
        """How many numbers of each parameter are differentiated, by its name."""
        return {piece.name: piece.free for piece in self.surface.space.pieces}

    def execute(
        self,
        command: Command | str,
        *,
        training_step: int | None = None,
        conclude: _Conclude | None = None,
    ) -> Iterator[Payload]:
        """Run a command at the present weights, and leave everything as it was found.

        Args:
            command: What to measure; as JSON text on ranks that another one tells.
            training_step: Step of the surrounding training loop, None outside of one.
            conclude: Called with how it ended on this rank, and the error, if there was one;
                gives how it ended on all ranks, or raises the error. By default hessview's own
                errors are believed to be met by all ranks alike, and others are raised.

        Yields:
            RunStarted, readings, and last RunEnded, which says what went wrong if something did.
        """
        module, error = self.surface.objective.module, None
        with (
            as_found(module, evaluation=self._evaluation),
            self.surface.lent_gradients(hold=False),
        ):
            try:
                note = yield from self._measured(command, training_step)
                end = RunEnded(state="done", note=note or "")
            except NotRestoredError:
                raise
            except Exception as caught:
                end, error = end_by(caught), caught
            if conclude is not None:
                end = conclude(end, error)
            elif error is not None and not isinstance(error, HessviewError):
                raise error
            yield end

    def _measured(
        self, command: Command | str, training_step: int | None
    ) -> Generator[Payload, None, str | None]:
        with agree(on_all=True):  # a host may lack what another one measures
            command = command_from_text(command) if isinstance(command, str) else command
        checks.check_mode(self.surface.objective.module)
        measurement = MEASUREMENTS[command.name]
        surface = self._restricted(command)
        command.check(surface.space.size)
        with agree(on_all=True):
            estimator: Estimator = named("estimator", measurement.estimator, {})
            self._check_memory(command, surface)
        surface.measure()  # before the operator is made, which may look at the gradient
        arguments = command.operator, surface, command.epsilon
        if measurement.of_a_spectrum:
            operator, stand_in = products_of(*arguments)
        else:
            operator, stand_in = operator_of(*arguments), {}
        facts = facts_of_made(command.operator, operator)
        yield RunStarted(
            training_step=training_step,
            loss=surface.loss,
            gradient_norm=surface.gradient_norm,
            parameters=None if surface is self.surface else surface.space.size,
            notes={"about_operator": getattr(operator, "about", facts.about)}
            | stand_in
            | self.notes
            | surface.untrained(),
        )
        return (yield from estimator(command, surface, operator))

    def _restricted(self, command: Command) -> ShardedLoss:
        """The loss as a function of the parameters that the command names."""
        if command.subset == Command.subset:
            return self.surface
        with agree(on_all=True):
            return self.surface.part(subset=command.subset)

    def _check_memory(self, command: Command, surface: ShardedLoss) -> None:
        """Refuse a basis that does not fit, rather than run out of memory half-way."""
        if not isinstance(command, LanczosCommand):
            return
        space = surface.space
        rows = command.vectors_kept
        need = rows * space.local_size * space.dtype.itemsize
        free = free_memory(space.device, self._neighbours)
        if need > free:
            fits = max(2, rows * free // need)
            raise InputError(
                f"steps={command.steps} with reorthogonalize={command.reorthogonalize!r} keeps "
                f"{rows} vectors, {size(need)} a rank, and {size(free)} are free; "
                f"use steps <= {fits}, reorthogonalize={fits} (a window), or more ranks."
            )


def _check_digests(digest: str) -> None:
    if not dist.is_initialized():
        return
    digests: list[str] = [""] * dist.get_world_size()
    dist.all_gather_object(digests, digest)
    for rank, rank_digest in enumerate(digests):
        if rank_digest != digests[0]:
            raise InputError(
                f"rank {rank} has other batches than rank 0; give every rank the whole data set, "
                "in the same order: each takes its own share of it."
            )


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version(), "hessview": __version__}
    for name in _VERSIONS:
        versions[name] = importlib.metadata.version(name)
    return versions


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")

"""The loss of an objective over the ranks' shards, with its gradient."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from hessview.errors import ObjectiveError
from hessview.interrupts import borrowed, reachable
from hessview.job import meeting, sharding
from hessview.job.control import agree
from hessview.job.fsdp import accumulating
from hessview.job.gathered import double_backward
from hessview.job.memory import require_memory
from hessview.job.objective import BatchPortion, Objective, matching
from hessview.job.passes import Passes
from hessview.job.sharding import pieces
from hessview.job.sharing import Sharing
from hessview.job.untrained import Elements, changes_gradients, padding_rows, positions
from hessview.operators.base import Portion
from hessview.spectral.vectors import Piece, Space

_AMPLIFIED = 2.0**14
_HEADROOM = 2.0**6
"""Powers of two, so that float32 and float64 give the same numbers, bit by bit; displaced
parameters have larger gradients than those that were measured."""
_FARTHEST = 114
"""Power of two by which the loss is amplified or reduced at most; float32 ends at 128."""
_NOTHING = Elements(torch.empty(0, dtype=torch.int64), 0)
_LEAST_SHARE = 0.01  # of all elements: one odd scalar does not make epsilon short


class ShardedLoss(Passes):
    """The mean loss over all ranks' batches; implements `operators.base.LossSurface`.

    Args:
        objective: What is differentiated.
        reduce: Sums numbers over all ranks, shape (number,) to (number,).
        subset: Patterns of parameter names; the others stay where they are, as constants.
        sharing: Which batches this rank sees; None for what the mesh tells.
        held: Elements that are held constant beside those that modules declare, as
            `untrained.without_gradient` finds them.

    Raises:
        ObjectiveError: No parameter to differentiate, or one that is neither sharded nor
            replicated over the job's ranks.
        InputError: A pattern that matches no parameter.
    """

    def __init__(
        self,
        objective: Objective,
        reduce: Callable[[Tensor], Tensor],
        *,
        subset: Sequence[str] = ("*",),
        sharing: Sharing | None = None,
        held: Mapping[str, Elements] | None = None,
    ) -> None:
        super().__init__(objective, sharing)
        names = matching(list(self._trainable), subset)
        self._parameters = [value for name, value in self._trainable.items() if name in names]
        dtypes = {parameter.dtype for parameter in self._parameters}
        wide = torch.float64 if torch.float64 in dtypes else torch.float32
        parts = [p for p in pieces(self._module, data_ranks=self._ranks) if p.name in names]
        device = sharding.local(self._parameters[0]).device
        self.silent = dict(held or {})
        self.padding = padding_rows(self._module, self._trainable)
        parts, places = _with_held(parts, self.padding, self.silent)
        self.space = Space(parts, reduce=reduce, dtype=wide, device=device, held=places)
        self.dtype = max(dtypes, key=lambda dtype: torch.finfo(dtype).eps)
        self._computed_in = _computed_in(self._module, self._parameters)
        self.compute_dtype = sharding.compute_dtype(self._module)
        self.machine_epsilon = torch.finfo(self.compute_dtype).eps
        self.module_size = sum(parameter.numel() for parameter in self._module.parameters())
        self.gradient_is_rounded = False
        self.weight = 1.0
        self._amplified = _AMPLIFIED  # the summed loss that is backpropagated, over the loss
        self.loss = math.nan
        self.gradient_norm = math.nan
        self.parameter_norm = math.nan
        self.least_norm = math.nan
        self.element_sizes: list[float] = []  # root mean square, by piece

    def part(
        self,
        *,
        objective: Objective | None = None,
        subset: Sequence[str] = ("*",),
        held: Mapping[str, Elements] | None = None,
    ) -> "ShardedLoss":
        """The loss of some of the data, or of some of the parameters, otherwise as this one.

        Args:
            objective: With the batches; None for the same.
            subset: Patterns of parameter names.
            held: Elements to hold constant; None for those that this one does.

        Returns:
            It, not measured yet.
        """
        part = ShardedLoss(
            objective or self.objective,
            self.space.reduce,
            subset=subset,
            sharing=self.sharing,
            held=self.silent if held is None else held,
        )
        part.gradient_is_rounded = self.gradient_is_rounded
        return part

    def measure(self) -> None:
        """Evaluate at the present parameters: weight, loss, norms of gradient and parameters.

        Raises:
            ObjectiveError: Loss or gradient is not finite, or nothing depends on the
                parameters; on all ranks alike.
        """
        # A pass of the caller's may have left copies that are older than the shards.
        self.refresh()
        self._refusal = ""
        parameters = self.space.zeros()
        for part, shard in zip(self.space.split(parameters), self.shards(), strict=True):
            part.copy_(shard)
        # In float16 small gradients are lost, and large ones infinite, so that the scale of the
        # loss is sought, as loss scaling does: Micikevicius et al. (ICLR 2018).
        self._amplified *= _HEADROOM
        sought = False
        while True:
            gradient = self.space.zeros()
            total, weight, reached = self._pass(gradient, 1.0)
            squares = self.space.squares(gradient)
            shares = squares.new_tensor([total, weight, reached])
            packed = torch.cat(
                [shares[:2], squares, shares[2:], self.space.piece_squares(parameters)]
            )
            *sums, reached = (numbers := self.space.reduce(packed).tolist())[:4]
            # Where the loss cancels to nothing, as those of policy gradients, the gradient tells.
            norm = math.sqrt(sums[2]) if math.isfinite(sums[2]) else 0.0
            size = max(abs(sums[0]), norm) / sums[1] if sums[1] > 0 else 1.0
            size = size or 1.0
            hopeless = not math.isfinite(size) or self._amplified < _least_amplification(size)
            usual = _usual_amplification(size) if not hopeless else math.nan
            if not math.isfinite(sums[2]) and not hopeless:
                lower = self._amplified / _HEADROOM
                self._amplified = lower if sought else min(lower, usual)
            elif size * self._amplified < 1 and not sought:
                self._amplified = usual
            else:
                break
            sought = True
        self._amplified = _AMPLIFIED if hopeless else self._amplified / _HEADROOM
        with agree():
            if self._refusal:
                raise ObjectiveError(self._refusal)
        if not reached:
            raise ObjectiveError(
                "no parameter received a gradient: the loss does not depend on any that has "
                "requires_grad; compute it from the module that it is given."
            )
        self.weight = sums[1]
        if not self.weight > 0:
            raise ObjectiveError(
                f"the loss terms' weights sum to {self.weight:g}; return (total, weight) with "
                "the number of terms of each batch."
            )
        self.loss = sums[0] / self.weight
        self.gradient_norm = math.sqrt(sums[2]) / self.weight if sums[2] >= 0 else math.nan
        self.parameter_norm = math.sqrt(sum(numbers[4:]))
        self.least_norm = self._least_norm(numbers[4:])
        self.element_sizes = [
            math.sqrt(square / math.prod(piece.full_shape))
            or self.least_norm / self.space.size**0.5
            for square, piece in zip(numbers[4:], self.space.pieces, strict=True)
        ]
        if not math.isfinite(self.loss) or not math.isfinite(self.gradient_norm):
            raise ObjectiveError(
                f"the loss is {self.loss:g} and its gradient's norm {self.gradient_norm:g} at "
                f"the given parameters ({self.what_is_not_finite(total)}); both must be finite: "
                "check the weights and the data."
            )

    def parameters(self) -> Sequence[nn.Parameter]:
        """The parameters as the module holds them, in the pieces' order."""
        return self._parameters

    def shards(self) -> list[Tensor]:
        """Local parts of the parameters, in the pieces' order; views of the live storage."""
        return [sharding.local(parameter) for parameter in self._parameters]

    def computed_in(self) -> list[torch.dtype]:
        """Data type whose numbers each shard is rounded to before the model computes with it."""
        return self._computed_in

    def refresh(self) -> None:
        """Free gathered copies, which hold the parameters as they were."""
        sharding.reshard(self._module)

    def gradient(self, out: Tensor, *, factor: float = 1.0) -> float:
        """Add the gradient at the present parameters to a vector.

        Args:
            out: Shape (local_size,), changed in place.
            factor: Factor of the gradient.

        Returns:
            This rank's share of the mean loss; shares add up to the loss over ranks.
        """
        total, *_ = self._pass(out, factor / self.weight)
        return total / self.weight

    def combination(self, out: Tensor, points: Sequence[tuple[Callable[[], None], float]]) -> float:
        """Add a combination of gradients at several points, summed over ranks only once.

        Args:
            out: Shape (local_size,), changed in place.
            points: For each point, what moves the parameters there, and the gradient's factor.

        Returns:
            This rank's share of the sum of the mean losses at all points.
        """
        total, largest = 0.0, max(abs(factor) for _, factor in points)
        with torch.enable_grad(), self.own_gradients(), accumulating(self._module) as reduce:
            for number, (move, factor) in enumerate(points, start=1):
                move()
                scale = factor / largest * self._spread * self._amplified
                last = reduce if number == len(points) else None
                with self._routing.watched():
                    total += self._backward(scale, before_last=last)[0]
            self._collect(out, largest / (self._amplified * self.weight))
        return total / self.weight

    def pull_back(
        self, out: Tensor, cotangent: Callable[[Portion], Callable[[Tensor], Tensor]]
    ) -> float:
        """Add J^T u / weight to a vector, J the Jacobian of the outputs at the present point.

        Args:
            out: Shape (local_size,), changed in place.
            cotangent: Called with each portion before its outputs z are computed; it may
                displace the parameters and must bring them back. Gives u as a function of z.

        Returns:
            This rank's share of the mean loss, computed from the terms.

        Raises:
            ObjectiveError: The objective does not say what outputs and terms are.
        """
        total = 0.0
        with torch.enable_grad(), self.own_gradients():
            for batch, counted in self._batches():
                portion = BatchPortion(self.objective, batch, counted)
                with torch.no_grad(), accumulating(self._module):
                    make = cotangent(portion)
                # Its outputs' graphs, if they had any, see no backward pass of FSDP's.
                sharding.recover(self._module)
                outputs = portion.outputs()
                half = outputs.dtype == torch.float16  # which loses small numbers
                leaf = (outputs.float() if half else outputs).detach().requires_grad_()
                pulled = make(leaf)
                scale = self._spread * self._amplified if counted else 0.0
                torch.autograd.backward(outputs, (pulled * scale).to(outputs.dtype))
                if counted:
                    total += float(portion.terms(leaf.detach()).sum())
            self._collect(out, 1 / (self._amplified * self.weight))
        return total / (self._copies * self.weight)

    def double_backward(self, out: Tensor, vector: Tensor) -> None:
        """Add the exact Hessian product, on gathered parameters, to a vector.

        Args:
            out: Shape (local_size,), changed in place.
            vector: Shape (local_size,).

        Raises:
            ObjectiveError: The module cannot be differentiated twice.
        """
        if self._copies > 1 or sharding.split_within(self._module):
            raise ObjectiveError(
                "second derivatives are not right where ranks compute activations together "
                '(tensor, context or expert parallelism): operator="exact" gathers whole '
                'parameters; use operator="hessian", which is right, or reference="richardson".'
            )
        space = self.space
        own_batches = [batch for batch, counted in self._batches() if counted]
        parts = double_backward(self.objective, own_batches, space.pieces, space.split(vector))
        for part, product in zip(space.split(out), parts, strict=True):
            part.add_(product, alpha=1 / self.weight)
        space.hold(out)

    def untrained(self) -> dict[str, str]:
        """Notes on what the loss's gradient holds that training leaves out, or the reverse."""
        texts = [
            f"{name}: row{'s' if len(rows) > 1 else ''} {', '.join(map(str, rows))} "
            f"{'are' if len(rows) > 1 else 'is'} held constant (padding_idx)"
            for name, rows in self.padding.items()
            if any(piece.name == name for piece in self.space.pieces)
        ]
        texts += [
            f"{piece.name}: {piece.held:,} of {math.prod(piece.full_shape):,} elements are held "
            "constant (the loss depends on such, but they receive no gradient)"
            for piece in self.space.pieces
            if piece.name in self.silent
        ]
        aside = changes_gradients(self._module, self._trainable)
        notes = {"held_constant": "; ".join(texts)} if texts else {}
        if aside:
            shown = f"{', '.join(aside[:8])}{', ...' if aside[8:] else ''}"
            notes["gradients_as_of_the_loss"] = (
                f"hooks and factors that may change the gradients of {shown} are set aside"
            )
        return notes

    def choices(self) -> list[Tensor]:
        """Which experts the routers of a mixture chose in the latest pass; [] without routers."""
        return self._routing.choices()

    def what_is_not_finite(self, share: float) -> str:
        """Say whose loss is not finite; all ranks call it together.

        Args:
            share: This rank's share of the loss.

        Returns:
            Which ranks' loss is not, or, where all are finite, that the gradient is not.
        """
        flags = torch.zeros(meeting.ranks())
        flags[meeting.rank()] = not math.isfinite(share)
        bad_ranks = (
            self.space.reduce(flags.to(self.space.device, torch.float64)).nonzero().flatten()
        )
        if not len(bad_ranks):
            return "the gradient is not finite"
        ranks = ", ".join(map(str, bad_ranks.tolist()))
        return f"the loss is not finite on rank{'s' if len(bad_ranks) > 1 else ''} {ranks}"

    def require_memory(self, need: int, purpose: str, cure: str) -> None:
        """Refuse what does not fit; all ranks call it together.

        Args:
            need: Bytes on this rank.
            purpose: What they are for.
            cure: What else can be done.

        Raises:
            InputError: A rank has less; on all ranks alike.
        """
        require_memory(self.space.device, need, purpose, cure)

    def value(self) -> float:
        """Mean loss over all ranks at the present parameters, without its gradient.

        Raises:
            ObjectiveError: The number of terms is another than at the parameters where it was
                measured; on all ranks alike.
        """
        share = counted_terms = 0.0

        def come_to_rest() -> None:
            # Forward alone leaves FSDP waiting for backward, and the root gathered as it is now.
            sharding.recover(self._module)
            self.refresh()

        with (
            borrowed(come_to_rest),
            reachable(),
            accumulating(self._module),
            torch.enable_grad(),  # the loss may hold derivatives by its inputs, as forces are
        ):
            for batch, counted in self._batches():
                total, weight = self._terms(batch)
                share += float(total.detach()) if counted else 0.0
                counted_terms += weight if counted else 0.0
                del total  # and its graph, before the next one is made
        shares = torch.tensor([share, counted_terms], dtype=torch.float64) / self._copies
        total_loss, terms = self.space.reduce(shares.to(self.space.device)).tolist()
        if abs(terms - self.weight) > 1e-6 * self.weight:  # sums over ranks round otherwise
            raise ObjectiveError(
                f"the number of terms that the loss function returns changes with the parameters, "
                f"from {self.weight:.9g} to {terms:.9g}; return (summed loss, number of terms), "
                "where the latter is the batch's own, such as its tokens."
            )
        return float(total_loss / self.weight)

    def _least_norm(self, squares: Sequence[float]) -> float:
        """See `LossSurface.least_norm`; from the squared norm of each whole parameter."""
        pairs = zip(squares, self.space.pieces, strict=True)
        sizes = [(s / math.prod(p.full_shape), math.prod(p.full_shape)) for s, p in pairs if s > 0]
        counted = 0
        for mean_square, count in sorted(sizes):
            counted += count
            if counted >= _LEAST_SHARE * self.space.size:
                return math.sqrt(mean_square * self.space.size)
        return self.parameter_norm

    def _pass(self, out: Tensor, factor: float) -> tuple[float, float, int]:
        """Add factor * gradient of the summed loss.

        Returns:
            This rank's shares of the summed loss and of the summed weight, and how many of its
            parameters a gradient reached.
        """
        with torch.enable_grad(), self.own_gradients(), self._routing.watched():
            sums = self._backward(self._spread * self._amplified)
            return *sums, self._collect(out, factor / self._amplified)

    def _collect(self, out: Tensor, factor: float) -> int:
        """Add the .grad fields to a vector; returns how many there were."""
        self._sum_here()
        reached = 0
        for part, parameter in zip(self.space.split(out), self._parameters, strict=True):
            gradient = parameter.grad
            if gradient is not None:
                if isinstance(gradient, DTensor) and isinstance(parameter, DTensor):
                    # Tensor parallelism without FSDP leaves them as they come out of backward:
                    # as sums that are still to be made, say.
                    gradient = gradient.redistribute(placements=parameter.placements)
                part.add_(sharding.local(gradient).to(part.dtype), alpha=factor)
                reached += 1
        self.space.hold(out)
        return reached

    def _sum_here(self) -> None:
        """Average the gradients that nobody else does: of plain parameters that hessview keeps."""
        plain = [p for p in self._parameters if sharding.summed_here(p)]
        if not plain or not dist.is_initialized():
            return
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in plain]
        flat = torch.cat([part.to(self.space.dtype).flatten() for part in parts])
        dist.all_reduce(flat)
        flat.div_(dist.get_world_size())
        for parameter, part in zip(
            plain, torch.split(flat, [p.numel() for p in plain]), strict=True
        ):
            parameter.grad = part.view(parameter.shape).to(parameter.dtype)


def _usual_amplification(size: float) -> float:
    """Amplification of a mean loss of this size, which makes it as large as an amplified 1."""
    power = round(math.log2(_AMPLIFIED * _HEADROOM / size))
    return 2.0 ** min(max(power, -_FARTHEST), _FARTHEST)


def _least_amplification(size: float) -> float:
    """Amplification below which a gradient that is not finite will not become so."""
    return 2.0**-30 / max(1.0, size)


def _computed_in(module: nn.Module, parameters: Sequence[nn.Parameter]) -> list[torch.dtype]:
    """The narrower of each parameter's own data type and of that which FSDP casts it to."""
    cast = {
        id(parameter.sharded_param): parameter.param_dtype
        for group in sharding.groups(module)
        for parameter in group.fsdp_params
    }
    pairs = [(p.dtype, cast.get(id(p)) or p.dtype) for p in parameters]
    return [max(pair, key=lambda dtype: torch.finfo(dtype).eps) for pair in pairs]


def _with_held(
    pieces: Sequence[Piece],
    padding: Mapping[str, tuple[int, ...]],
    silent: Mapping[str, Elements],
) -> tuple[list[Piece], dict[str, Tensor]]:
    """The pieces with the number of their elements that are held constant, and where these are."""
    counted, places = [], {}
    for piece in pieces:
        rows, elements = padding.get(piece.name, ()), silent.get(piece.name, _NOTHING)
        held_count = len(rows) * math.prod(piece.full_shape[1:]) + elements.total
        if held_count:
            places[piece.name] = torch.cat([positions(piece, rows), elements.positions.cpu()])
        counted.append(dataclasses.replace(piece, held=held_count))
    return counted, places

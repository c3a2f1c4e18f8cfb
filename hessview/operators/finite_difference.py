"""Hessian-vector products as differences of gradients, at parameters that are moved by epsilon.

`displaced` moves them and brings them back bit by bit; `Differences` is what all such operators
share: trying an epsilon, judging it, measuring the error D. The operators are central differences,
those of fourth order, forward ones, and central ones whose two gradients are summed over ranks at
once.
"""

import abc
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor

from hessview.errors import ObjectiveError
from hessview.interrupts import borrowed
from hessview.operators.base import LossSurface, Product
from hessview.operators.perturbation import Rounding, missing_part, perturbation_error
from hessview.operators.step_size import ATTEMPTS, StepSize
from hessview.record.operator_facts import OPERATORS, OperatorFacts

Move = Callable[[Tensor, float], None]


@contextmanager
def displaced(surface: LossSurface, rounding: Rounding | None = None) -> Iterator[Move]:
    """Lend the parameters out for displacement; the only place that changes them.

    A saved copy of the local shards is written back on the way out, whatever happened inside:
    subtracting what was added would drift by one rounding a product (6e-8 in float32, 15 % in
    100 products in bfloat16). Interrupts wait until it is written back (`interrupts.held`).

    Args:
        surface: The loss whose parameters are moved.
        rounding: How they are rounded; None for to nearest.

    Yields:
        move(direction, distance), which sets each shard to saved + distance * direction;
        direction has shape (local_size,), distance is epsilon, of either sign.
    """
    shards = surface.shards()
    home = [shard.clone() for shard in shards]
    rounding = rounding or Rounding(surface, to_nearest=True)

    def move(direction: Tensor, distance: float) -> None:
        parts = surface.space.split(direction)
        for index, (shard, saved, part) in enumerate(zip(shards, home, parts, strict=True)):
            shard.copy_(rounding.displaced(index, saved, part, distance))
        surface.refresh()

    def give_back() -> None:
        with torch.no_grad():
            for shard, saved in zip(shards, home, strict=True):
                shard.copy_(saved)
        surface.refresh()

    with borrowed(give_back):
        yield move


_DOUBTFUL = 0.1
"""D from which on a third epsilon is worth its price: such products are an exception, but in
bfloat16, where D is measured at one in sixteen of a Lanczos process."""
_FELT = 0.03
"""Estimated effect of a rounded displacement on the product, from which on it is measured."""
_CLEAR = 8.0
"""Epsilon along what rounding left out, over its size: a product along it errs by an eighth."""
_LOOKS = 8  # products for one D, at the most
_FALLS = 0.75
"""Change from h/2 to h over that from h to 2h: 1/4 by truncation of second order, 1/2 of first,
2 by a kink."""


class Tally(NamedTuple):
    """A rank's share of what was seen on the way to a product; shares add up over ranks.

    Attributes:
        loss: Mean losses, which are not finite if anything went wrong.
        moved: Squared change of the outputs over that of epsilon.
        size: Squared size of the outputs.
        flipped: Choices of routers that differ between both sides.
        routed: Choices of routers, on one side.
    """

    loss: float
    moved: float = 0.0
    size: float = 0.0
    flipped: float = 0.0
    routed: float = 0.0


class _Attempt(NamedTuple):
    """A product, the epsilon it was taken at, its norm, and its tally."""

    product: Tensor
    epsilon: float
    norm: float
    tally: Tally


class _ErrorEstimate(NamedTuple):
    """How far a product is to be believed; see `Product`.

    Attributes:
        error: D.
        change: Of the product's part along the vector, at twice epsilon.
        looks: How many products this took.
    """

    error: float = math.nan
    change: float = math.nan
    looks: int = 0


def flips(ahead: list[Tensor], behind: list[Tensor]) -> dict[str, float]:
    """How many of the routers' choices differ between two passes over the same data.

    Args:
        ahead: `LossSurface.choices` after one pass.
        behind: The same after the other.

    Returns:
        The fields of a tally that say so.
    """
    pairs = list(zip(ahead, behind, strict=True))
    return {
        "flipped": float(sum(int((a != b).sum()) for a, b in pairs)),
        "routed": float(sum(a.numel() for a, _ in pairs)),
    }


class Differences(abc.ABC):
    """An operator whose products are differences between displaced parameters.

    Args:
        surface: The loss to be differentiated.
        epsilon: Finite-difference step h along a unit-norm vector; "auto" chooses it for each
            product.
        search: Whether to look for the best epsilon along the first vector, on a ladder of
            products: without, the gradient's change is eps_m^(1/3), which is right to a few times
            the best.
    """

    facts: ClassVar[OperatorFacts] = OperatorFacts(name="differences", order=2, gradients=2)
    """What it is, and what one product costs."""

    def __init__(
        self,
        surface: LossSurface,
        epsilon: float | Literal["auto"] = "auto",
        *,
        search: bool = True,
    ) -> None:
        self._surface = surface
        self._search = search
        self._step_size = StepSize(surface, epsilon, order=self.facts.order)
        self._rounding = Rounding(surface)
        self._usual = math.nan  # norm of the first product
        self._share = math.nan  # of the loss, of this rank, in the latest attempt

    @abc.abstractmethod
    def _difference(self, move: Move, vector: Tensor, epsilon: float, out: Tensor) -> Tally:
        """Add the product at this epsilon to a vector of zeros."""

    def _speed(self, norm: float, tally: Tally) -> float:
        """Norm of what the step-size rule watches, over epsilon: here the gradient's change."""
        return norm

    def matvec(self, vector: Tensor, *, measure_error: bool = False) -> Product:
        """Product with a unit-norm vector; see `Operator.matvec`."""
        epsilon = self._step_size.first()
        product = torch.empty_like(vector)
        with torch.no_grad(), displaced(self._surface, self._rounding) as move:
            for attempt in range(1, ATTEMPTS + 1):
                norm, tally = self._attempt(move, vector, epsilon, product)
                speed = self._speed(norm, tally)
                changed = self._step_size.next(epsilon, speed)
                if changed is None or attempt == ATTEMPTS:
                    break
                epsilon = changed
            if not math.isfinite(norm):
                raise ObjectiveError(
                    f"{self._surface.what_is_not_finite(self._share)} at epsilon={epsilon:.3g} "
                    "from the parameters; use a smaller epsilon, or a wider dtype."
                )
            extra = 0
            if self._search and not self._step_size.calibrated and norm > 0:
                epsilon, extra = self._calibrate(move, product, vector, epsilon)
                norm, tally = self._attempt(move, vector, epsilon, product)
                speed = self._speed(norm, tally)
                self._step_size.settle(epsilon, speed)
            estimate = _ErrorEstimate()
            if measure_error:
                attempted, estimate = self._estimate_error(
                    move, vector, _Attempt(product, epsilon, norm, tally)
                )
                product, epsilon, norm, tally = attempted
                speed = self._speed(norm, tally)
        if math.isnan(self._usual):
            self._usual = norm
        moved = effect = math.nan
        if measure_error or norm == 0:
            moved = perturbation_error(self._rounding, vector, epsilon)
            effect = moved * _ratio(self._usual, norm)
        if measure_error and effect > _FELT:
            effect = self._effect(vector, epsilon, norm, effect)
            extra += 1
        if norm == 0 and moved == 1:
            raise ObjectiveError(
                f"no parameter moves at epsilon={epsilon:.3g}, so that there is no difference to "
                "take; use a longer epsilon, or a wider dtype."
            )
        return Product(
            vector=product,
            norm=norm,
            epsilon=epsilon,
            rho=self._step_size.rho(epsilon, speed),
            error=estimate.error,
            gradients=self.facts.cost * (attempt + extra + estimate.looks),
            flips=tally.flipped / tally.routed if tally.routed else math.nan,
            perturbation_error=moved,
            perturbation_effect=effect,
            change=estimate.change,
        )

    def _calibrate(
        self, move: Move, product: Tensor, vector: Tensor, epsilon: float
    ) -> tuple[float, int]:
        """Find the best epsilon along a vector; returns it, and how many products this took."""

        def product_at(epsilon_tried: float) -> Tensor | None:
            out = torch.empty_like(product)
            return None if math.isnan(self._attempt(move, vector, epsilon_tried, out)[0]) else out

        errors = self._step_size.calibrate(product_at, self._norm, epsilon)
        return errors.epsilon, errors.products + 1

    def _attempt(
        self, move: Move, vector: Tensor, epsilon: float, out: Tensor
    ) -> tuple[float, Tally]:
        """Write the product at this epsilon; returns its norm, NaN where a loss is not finite."""
        space = self._surface.space
        own_tally = self._difference(move, vector, epsilon, out.zero_())
        self._share = own_tally.loss
        # The tally is summed in the same reduction: a NaN on any rank reaches every rank.
        numbers = torch.tensor(own_tally, dtype=torch.float64, device=out.device)
        square, *sums = space.reduce(torch.cat([space.squares(out), numbers])).tolist()
        tally = Tally(*sums)
        return math.sqrt(square) if math.isfinite(square + sum(sums)) else math.nan, tally

    def _estimate_error(
        self, move: Move, vector: Tensor, best: "_Attempt"
    ) -> tuple["_Attempt", "_ErrorEstimate"]:
        """Measure D, and where it is large, look nearer by.

        Where the product changes far less from h to h/2 than from 2h to h, it errs by truncation,
        and the nearer one takes its place, unless epsilon was given. Where it changes as much,
        and to the same side, there is a kink within epsilon, whose share grows like 1 / h: of a
        pure jump the change from h to 2h is half of the product only, and that from h/2 to h is
        all of it, as is its error. Rounding differs at each epsilon, and is left as it is.

        Returns:
            The product to be taken, and how it changes with epsilon.
        """
        change_outwards = torch.empty_like(best.product)
        if math.isnan(self._attempt(move, vector, 2 * best.epsilon, change_outwards)[0]):
            return best, _ErrorEstimate(error=math.inf, looks=1)
        along, change = self._along(vector, change_outwards.sub_(best.product))
        error, looks = _ratio(change, best.norm), 1
        least, _ = self._step_size.bounds()
        while error > _DOUBTFUL and looks < _LOOKS and best.epsilon / 2 >= least:
            nearer = torch.empty_like(change_outwards)
            norm, tally = self._attempt(move, vector, best.epsilon / 2, nearer)
            looks += 1
            if math.isnan(norm):
                break
            change_inwards = best.product - nearer
            nearer_along, nearer_change = self._along(vector, change_inwards)
            coherent = self._norm(change_outwards.add_(change_inwards)) > math.hypot(
                change, nearer_change
            )
            if not coherent:
                break
            if nearer_change > _FALLS * change:
                error = max(error, _ratio(nearer_change, best.norm))
                break
            if self._step_size.fixed:
                break
            best = _Attempt(nearer, best.epsilon / 2, norm, tally)
            change_outwards, along, change = change_inwards, nearer_along, nearer_change
            error = _ratio(change, norm)
        return best, _ErrorEstimate(error=error, change=along, looks=looks)

    def _effect(self, vector: Tensor, epsilon: float, norm: float, estimate: float) -> float:
        """What the rounding of a displacement does to its product, relative to it, measured.

        The product's error is that along v - w, which rounding makes of the larger parameters for
        the most part, where curvature is another than along an ordinary direction: by the
        estimate it was up to 3.6 times too small. Along v - w itself epsilon may be longer, so
        that rounding is small.

        Returns:
            The effect; the estimate where the loss is not finite that far away.
        """
        missing = missing_part(self._rounding, vector, epsilon)
        size = self._surface.space.norm(missing)
        product = torch.empty_like(missing)
        with torch.no_grad(), displaced(self._surface, self._rounding) as move:
            effect_norm, _ = self._attempt(
                move, missing.div_(size), _CLEAR * size * epsilon, product
            )
        return estimate if math.isnan(effect_norm) else size * _ratio(effect_norm, norm)

    def _along(self, vector: Tensor, difference: Tensor) -> tuple[float, float]:
        """A difference's part along a unit-norm vector, and its norm, in one reduction."""
        along, square = self._surface.space.products(vector[None], difference).tolist()
        return along, math.sqrt(max(square, 0.0))

    def _norm(self, vector: Tensor) -> float:
        return self._surface.space.norm(vector)


def _ratio(change: float, norm: float) -> float:
    """A change relative to a product; infinite where the product is zero."""
    if norm > 0:
        return change / norm
    return math.inf if change > 0 else 0.0


class Hessian(Differences):
    """Hv ~ [grad L(theta + h v) - grad L(theta - h v)] / (2 h).

    Each rank perturbs its own shard; a product is two ordinary gradients and one reduction of a
    few numbers. Works with any attention kernel, and never gathers the parameters.

    Reference: Granziol & Juarev, arXiv 2602.00816.
    """

    facts = OPERATORS["hessian"]

    def _difference(self, move: Move, vector: Tensor, epsilon: float, out: Tensor) -> Tally:
        return _central(self._surface, move, vector, epsilon, out)


class FourthOrderHessian(Differences):
    """Hv ~ [4 Hv(h/2) - Hv(h)] / 3, which cancels the error of second order in epsilon.

    Twice the cost of central differences; 2-5 times more accurate in float32 on smooth models,
    no more accurate in bfloat16.
    """

    facts = OPERATORS["hessian_fourth_order"]

    def _difference(self, move: Move, vector: Tensor, epsilon: float, out: Tensor) -> Tally:
        wide = _central(self._surface, move, vector, epsilon, out)
        half = torch.zeros_like(out)
        near = _central(self._surface, move, vector, epsilon / 2, half)
        out.sub_(half, alpha=4.0).div_(-3.0)
        return wide._replace(loss=wide.loss + near.loss)


class ForwardHessian(Differences):
    """Hv ~ [grad L(theta + h v) - grad L(theta)] / h, first order in epsilon.

    One gradient a product beside the one at theta, which is kept. In float32 17-44 times less
    accurate than central differences (errors of 1 % are usual), so it is never chosen for you.

    Args:
        surface: The loss to be differentiated.
        epsilon: Finite-difference step h along a unit-norm vector; "auto" chooses it for each
            product.
    """

    facts = OPERATORS["hessian_forward"]

    def __init__(self, surface: LossSurface, epsilon: float | Literal["auto"] = "auto") -> None:
        super().__init__(surface, epsilon)
        self._home: Tensor | None = None

    def _difference(self, move: Move, vector: Tensor, epsilon: float, out: Tensor) -> Tally:
        surface = self._surface
        if self._home is None:
            move(vector, 0.0)
            home = torch.zeros_like(out)
            surface.gradient(home)
            self._home, self._choices = home, surface.choices()
        move(vector, epsilon)
        loss = surface.gradient(out)
        out.sub_(self._home).div_(epsilon)
        return Tally(loss, **flips(surface.choices(), self._choices))


def _central(
    surface: LossSurface, move: Move, vector: Tensor, epsilon: float, out: Tensor
) -> Tally:
    move(vector, epsilon)
    loss = surface.gradient(out)
    ahead = surface.choices()
    move(vector, -epsilon)
    loss += surface.gradient(out, factor=-1.0)
    out.div_(2 * epsilon)
    return Tally(loss, **flips(ahead, surface.choices()))


class OneReductionHessian(Differences):
    """Central differences with one reduce-scatter a group of parameters instead of two.

    loss / (2h) is backpropagated at theta + h v without a reduction, then -loss / (2h) at
    theta - h v with one, however many batches there are. It saves what sums over ranks cost:
    1.6-1.9 gradients of time instead of 2.0-2.1 where that is much, next to nothing where it is
    little. In between every rank holds the gradient of the whole module, so it is for models
    where that fits.

    Args:
        surface: The loss to be differentiated.
        epsilon: Finite-difference step h along a unit-norm vector; "auto" chooses it for each
            product.

    Raises:
        InputError: The whole gradient does not fit into a rank's memory.
    """

    facts = OPERATORS["hessian_one_reduction"]

    def __init__(self, surface: LossSurface, epsilon: float | Literal["auto"] = "auto") -> None:
        super().__init__(surface, epsilon)
        surface.require_memory(
            surface.module_size * surface.space.dtype.itemsize,
            "operator 'hessian_one_reduction' holds the whole gradient on each rank",
            'use operator="hessian", which holds shards only',
        )

    def _difference(self, move: Move, vector: Tensor, epsilon: float, out: Tensor) -> Tally:
        surface, chosen = self._surface, list[Tensor]()

        def ahead() -> None:
            move(vector, epsilon)

        def behind() -> None:
            chosen.extend(surface.choices())
            move(vector, -epsilon)

        factor = 1 / (2 * epsilon)
        loss = surface.combination(out, [(ahead, factor), (behind, -factor)])
        return Tally(loss, **flips(chosen, surface.choices()))

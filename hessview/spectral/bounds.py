"""How far the extreme Ritz values of a probe can be from eigenvalues, products' errors included.

A Lanczos run with products w_j = A q_j + f_j has A Q = Q T + beta_m q_{m+1} e_m' + Q E - F, with
E the asymmetry of Q'W. So a Ritz value theta of T with eigenvector s leaves y = Q s a residual of

    |A y - theta y| <= beta_m |s_m| + sum_j |s_j| (|f_j| + e_j),

e_j the norm of E's column. |f_j| is D_j |A q_j|, as far as D tells it, and
|A q_j|^2 = alpha_j^2 + beta_{j-1}^2 + beta_j^2 + e_j^2. An eigenvalue of A lies within such a
residual (Parlett, The Symmetric Eigenvalue Problem, 1998, 4.5.1). Where the rest of the spectrum
is a gap away, errors of the vector enter squared only: theta is off by y'Fs and by residual^2 /
gap (Kato 1949, Temple 1928; Parlett, 11.7.1).
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh_tridiagonal

from hessview.spectral import ghosts

Array = NDArray[np.float64]
End = Literal["largest", "smallest"]
ENDS: tuple[End, ...] = ("largest", "smallest")

JUMP = 2.0
"""The most by which D underrates an error that it sees. A gradient that jumps by J within
epsilon h gives J / (2 h) where there is nothing, J / (4 h) at twice epsilon: D sees half. Rounding
it sees 1.1 times, truncation 3 times."""
UNDERRATED = 2.0
"""Error of a product over the change that bounds it, see `Pair.doubt`: of truncation of second
order 4/3, of first order, as kinks of the gradient's slope make it, 2; of a jump of the gradient
1, of rounding 0.45."""
NOT_A_DERIVATIVE = 0.25
"""D from which on a product is none: half of it may be a jump. A product that is nothing but a
jump has D = 0.5 whatever its epsilon, one that is rounding only 1.1."""
_MATTERS = 0.1
"""Share of the largest |eigenvalue| below which an error, however large a part of a small
product it is, leaves a bound that still says something."""
_SPREADS = 2.0
"""How often the size that a sum of errors has if they are independent between parameters is added
to what was seen of it, which may be small by chance; both count twice."""
_EXPLAINED = 3.0  # asymmetry up to so many times what D tells is the same error, seen once more
_PLAIN, _ASYMMETRIC = 0.01, 0.05
"""Shares of the largest |eigenvalue| from which an asymmetry that D does not see widens bounds, and
from which numbers are withheld. D misses what is the same at every epsilon: parts of a gradient
that round to constants, masks. On smooth models in float32 the asymmetry is 1e-3 at the most."""
_BLIND = 8.0
"""Times that asymmetry for the error itself: of softmax classifiers at a loss of 1e-7, where half
of a product is missing, the error was up to 8 times it."""
_HOPELESS = 1e6  # stands for D = inf, of a product that was not finite at twice epsilon
_FAINT = 1e-2  # a product this much smaller than another says nothing of that one's error
ROUNDING = 16.0  # machine epsilons, of the largest product: sums within a model, pass by pass
_FLOAT32 = 2.0**-23  # products without an epsilon are computed in float32 or wider
_NEARER = 4.0  # an eigenvalue that Lanczos has not found yet may be so much nearer than the next
_SETTLING = 4  # Lanczos steps in which the residual of what converges falls ...
_FALLS = 4.0  # ... by this. At two eigenvalues that are not told apart yet, it stands still


@dataclasses.dataclass(frozen=True)
class Steps:
    """What the Lanczos steps of a probe say, each of shape (step,).

    Attributes:
        alpha: Diagonal of the Jacobi matrix.
        beta: Off-diagonal; the last entry is the norm of what was left.
        error: D of the product; NaN where it was not measured.
        asymmetry: e of `spectral.lanczos`; NaN in records that have none.
        rho: Relative change of the gradient within epsilon; NaN for products without one.
    """

    alpha: Array
    beta: Array
    error: Array
    asymmetry: Array
    rho: Array

    def first(self, count: int) -> "Steps":
        """Only so many of the first steps."""
        return Steps(*(getattr(self, field.name)[:count] for field in dataclasses.fields(self)))


@dataclasses.dataclass(frozen=True)
class Pair:
    """A Ritz vector y, measured anew by a product of its own.

    Attributes:
        value: y'Ay.
        residual: |Ay - (y'Ay) y|, the product's errors included.
        error: D of the product; NaN for products without an epsilon.
        doubt: Norm of d, the change of the product from half its epsilon, of which its error is
            at most `UNDERRATED` times as much; NaN without an epsilon.
        change: The size of y'd, and of such changes at smaller epsilons; NaN without an epsilon.
        spread: Root of the sum of (y_i d_i)^2, the size that `change` has if errors are
            independent between parameters.
        rho: Relative change of the gradient within epsilon; NaN without one.
    """

    value: float
    residual: float
    error: float
    doubt: float
    change: float
    spread: float
    rho: float


@dataclasses.dataclass(frozen=True)
class Extreme:
    """An extreme Ritz value of a probe, and what is known of it.

    Attributes:
        value: The Ritz value.
        bound: How far it is from an eigenvalue, if none hides between it and the next one that
            was found.
        certain: How far it is from an eigenvalue at the most, whatever hides.
        residual: Part of it that Lanczos left.
        error: D of the products that it is made of; NaN if none was measured.
        asymmetry: Part of it that the asymmetry makes; NaN if it is not known.
        anew: Whether its vector was measured anew.
        copies: Copies (ghosts) that it was merged from; 1 for none.
        twin: Whether the next Ritz value is too near to be told apart.
        withheld: Why there is no number, "" if there is one.
    """

    value: float
    bound: float
    certain: float
    residual: float
    error: float
    asymmetry: float
    anew: bool
    copies: int
    twin: bool
    withheld: str

    def reach(self, end: End) -> float:
        """The value that the eigenvalue surely reaches, of the largest and less the smallest."""
        return (self.value if end == "largest" else -self.value) - self.bound


def _product_sizes(steps: Steps) -> Array:
    """|A q_j| of each step, shape (step,), in units of the operator."""
    before = np.concatenate([[0.0], steps.beta[:-1]])
    squares = steps.alpha**2 + before**2 + steps.beta**2
    return np.asarray(np.sqrt(squares + np.nan_to_num(steps.asymmetry) ** 2))


def product_errors(steps: Steps, machine_epsilon: float) -> Array:
    """Norm of each product's error, as D and rounding tell it.

    Where D was not measured, the larger D of the nearest steps before and after stands in, of the
    largest product: an error that sits on one eigenvector is small at all other steps. Products
    of less than a hundredth of the largest are no neighbours, since in a null space nothing is
    left but rounding.

    Args:
        steps: What the steps say.
        machine_epsilon: Of the data type in which products are computed.

    Returns:
        Shape (step,), in units of the operator.
    """
    sizes = _product_sizes(steps)
    errors = np.zeros_like(sizes)
    measured = np.flatnonzero(~np.isnan(steps.error))
    near = measured[sizes[measured] >= _FAINT * sizes.max()]
    for step, size in enumerate(sizes):
        if step in measured:
            errors[step] = min(steps.error[step], _HOPELESS) * size
            continue
        around = np.concatenate([near[near < step][-1:], near[near > step][:1]])
        errors[step] = min(np.max(steps.error[around], initial=0.0), _HOPELESS) * sizes.max()
    floor = [
        _rounding(size, rho, machine_epsilon, float(sizes.max()))
        for size, rho in zip(sizes, steps.rho, strict=True)
    ]
    return np.maximum(errors, floor)


def extreme(
    steps: Steps, end: End, *, machine_epsilon: float, pair: Pair | None = None, full: bool = True
) -> Extreme:
    """The largest or smallest Ritz value of a probe, and how far it is from an eigenvalue.

    Args:
        steps: What the Lanczos steps say; at least one.
        end: Which.
        machine_epsilon: Of the data type in which products are computed.
        pair: Its vector, measured anew; it must be of all these steps.
        full: Whether all vectors were kept; otherwise copies are merged first.

    Returns:
        What is known of it.
    """
    sign = 1.0 if end == "largest" else -1.0
    errors = product_errors(steps, machine_epsilon)
    asymmetry = np.nan_to_num(steps.asymmetry)
    nodes, vectors, copies = _outermost(steps, sign, None if full else errors + asymmetry)
    weights = np.abs(vectors[:, 0])
    residuals = np.abs(steps.beta[-1] * vectors[-1])
    error_bound, skew = float(weights @ errors), float(weights @ asymmetry)
    sizes = _product_sizes(steps)
    size = float(np.sqrt(weights**2 @ sizes**2))
    scale = float(np.abs(nodes).max())
    if pair is None:
        measured_errors = np.where(np.isnan(steps.error), 0.0, steps.error)
        error = _weighted(errors, weights) / size if measured_errors.any() and size else math.nan
        error_along, error_norm, residual = (
            error_bound + skew,
            error_bound + skew,
            float(residuals[0]),
        )
        off = 0.0
    else:
        size = math.hypot(pair.value, pair.residual)
        error, residual = min(pair.error, _HOPELESS), pair.residual
        doubt = min(np.nan_to_num(pair.doubt, posinf=math.inf) * UNDERRATED, _HOPELESS * size)
        floor = _rounding(size, pair.rho, machine_epsilon, float(sizes.max()))
        error_along, error_norm = max(doubt, floor), max(doubt, floor)
        if not math.isnan(pair.change):
            error_along = max(floor, UNDERRATED * (abs(pair.change) + _SPREADS * pair.spread))
        if skew > _EXPLAINED * (doubt + error_bound):  # D is blind to it
            error_along, error_norm = error_along + skew, error_norm + skew
        off = abs(float(nodes[0]) - pair.value)
    unseen = _unseen_asymmetry(asymmetry, errors, scale)
    certain = off + residual + error_norm + _BLIND * unseen
    bound = certain
    gaps = np.abs(nodes[1:] - nodes[0])
    nearest_gap = float(gaps[0]) if gaps.size else math.inf
    if steps.beta[-1] == 0 or _settling(steps, sign, float(residuals[0]), scale):
        # Vectors that have converged lie within the Krylov space, where the asymmetry tells what
        # errors do between them; the rest of an error meets vectors that have not.
        free = gaps - residuals[1:] - certain
        outer = _least_gap(free[residuals[1:] > error_norm])
        among = _weighted(asymmetry, weights)  # they add like what is independent
        within = min(among, _over_gap(among**2, _least_gap(free)))
        bound = (
            off
            + error_along
            + within
            + _over_gap((residual + error_norm) ** 2, outer)
            + _BLIND * unseen
        )
        bound = min(certain, bound)
    return Extreme(
        value=float(nodes[0]),
        bound=bound,
        certain=certain,
        residual=float(residuals[0]),
        error=error,
        asymmetry=skew if np.isfinite(steps.asymmetry).any() else math.nan,
        anew=pair is not None,
        copies=copies,
        twin=nearest_gap <= error_bound + skew,
        withheld=_withheld(error, bound, skew, size, scale, unseen, pair is not None),
    )


def furthest(extremes: Sequence[Extreme], end: End) -> Extreme:
    """Of several probes' extremes the one that surely reaches furthest.

    Each says that an eigenvalue lies within its bound; so the largest eigenvalue is at least the
    greatest of all lower ends. The probe with the greatest Ritz value may be the one with the worst
    products.

    Args:
        extremes: At least one.
        end: Which end.

    Returns:
        One that is not withheld, if there is any.
    """
    trusted = [candidate for candidate in extremes if not candidate.withheld] or extremes
    return max(trusted, key=lambda candidate: candidate.reach(end))


def beyond(parameters: int, steps: Sequence[int], *, chance: float) -> float:
    """How far the spectrum can go on beyond what probes found, as a share of its range.

    For a start drawn evenly from the sphere, Lanczos in exact arithmetic misses the largest
    eigenvalue by more than a share x of the range with a probability of at most
    1.648 sqrt(n) exp(-(2 k - 1) sqrt(x)); probes miss it independently of each other.

    Args:
        parameters: n, the size of the space.
        steps: k of each probe.
        chance: With which probability it may go on further.

    Returns:
        x; infinite where no probe has a step, 0 for a space of one dimension.

    Reference: Kuczynski & Wozniakowski (1992), theorem 4.2.
    """
    if parameters <= 1:
        return 0.0
    depth = sum(2 * count - 1 for count in steps if count > 0)
    probes = sum(count > 0 for count in steps)
    if not depth:
        return math.inf
    return float(
        ((probes * math.log(1.648 * math.sqrt(parameters)) - math.log(chance)) / depth) ** 2
    )


def _outermost(steps: Steps, sign: float, errors: Array | None) -> tuple[Array, Array, int]:
    """The outermost Ritz value and the next one that is told from it, with their vectors."""
    nodes, vectors = eigh_tridiagonal(steps.alpha, steps.beta[:-1])
    order = np.arange(len(nodes))[:: -1 if sign > 0 else 1]
    copies = 1
    if errors is not None:
        _, stands_for = ghosts.kept(steps.alpha, steps.beta, errors)
        copies = int((stands_for == stands_for[order[0]]).sum())
        order = np.array(list(dict.fromkeys(stands_for[order])))
    return nodes[order], vectors[:, order], copies


def _settling(steps: Steps, sign: float, residual: float, scale: float) -> bool:
    """Whether the residual still falls, or has nothing left to fall to."""
    if residual <= ROUNDING * float(np.finfo(float).eps) * scale:
        return True
    before = len(steps.alpha) - _SETTLING
    if before < 1:
        return False
    _, vectors = eigh_tridiagonal(steps.alpha[:before], steps.beta[: before - 1])
    last = vectors[-1, -1 if sign > 0 else 0]
    return _FALLS * residual <= abs(float(steps.beta[before - 1] * last))


def _least_gap(gaps: Array) -> float:
    return max(float(np.min(gaps, initial=math.inf)), 0.0)


def _over_gap(square: float, gap: float) -> float:
    return _NEARER * square / gap if gap > 0 else math.inf


def _rounding(size: float, rho: float, machine_epsilon: float, largest: float) -> float:
    """Rounding of a product: eps |g| / h, |g| / h = |A q| / rho; eps of the largest without h."""
    if math.isnan(rho):
        return ROUNDING * min(machine_epsilon, _FLOAT32) * largest
    return max(machine_epsilon * size / rho if rho > 0 else 0.0, machine_epsilon * largest)


def _weighted(values: Array, weights: Array) -> float:
    return float(np.sqrt((weights * values) @ (weights * values)))


def blind(steps: Steps, machine_epsilon: float) -> bool:
    """Whether products have errors that D does not see, so large that no number can be given.

    Args:
        steps: What the Lanczos steps of a probe say.
        machine_epsilon: Of the data type in which products are computed.
    """
    errors = product_errors(steps, machine_epsilon)
    scale = float(np.abs(eigh_tridiagonal(steps.alpha, steps.beta[:-1])[0]).max())
    unseen = _unseen_asymmetry(np.nan_to_num(steps.asymmetry), errors, scale)
    return bool(unseen) and unseen >= _ASYMMETRIC * scale


def _unseen_asymmetry(asymmetry: Array, errors: Array, scale: float) -> float:
    """Norm of an asymmetry that is plainly there, but not in D; 0 where there is none.

    A part of a gradient that is rounded to a constant, masked or cut is missing from products at
    every epsilon, so that D is small. What is left is no symmetric matrix, and an error with an
    asymmetry of norm e has at least that norm itself.
    """
    worst = float(asymmetry.max(initial=0.0))
    plain = worst > max(_EXPLAINED * float(errors.max(initial=0.0)), _PLAIN * scale)
    return worst if plain else 0.0


def _withheld(
    error: float,
    bound: float,
    skew: float,
    size: float,
    scale: float,
    unseen: float,
    anew: bool,
) -> str:
    """Why there is no honest number, "" if there is one."""
    if unseen and unseen >= _ASYMMETRIC * scale:
        return (
            f"no symmetric operator: its products leave an asymmetry of {unseen:.2g} that D does "
            "not see, as where a part of the gradient is rounded away, masked or cut"
        )
    if error >= NOT_A_DERIVATIVE and bound > _MATTERS * scale:
        return f"not a derivative: product error D = {error:.2g}, where 0.5 is a pure jump"
    if skew > _MATTERS * scale and skew >= NOT_A_DERIVATIVE * (scale if anew else size):
        return f"no symmetric operator: its products leave an asymmetry of {skew:.2g}"
    return ""

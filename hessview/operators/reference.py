"""Products to compare with: exact ones, or extrapolated ones that know their own error."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from hessview.errors import InputError
from hessview.operators.base import LossSurface
from hessview.operators.exact import LARGEST
from hessview.operators.step_size import calibrate

_COPIES = 6  # as in `exact`, in float64
_SPREAD = (-0.5, -0.25, 0.0, 0.25, 0.5)  # octaves about the best epsilon


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reference:
    """A product that others are held against.

    Attributes:
        vector: The product, shape (local_size,), float64.
        norm: Its norm over all ranks.
        error: Its own relative error, as far as it is known.
        exact: Whether it is a double backward, else it is extrapolated.
    """

    vector: Tensor
    norm: float
    error: float
    exact: bool


def check_exact(surface: LossSurface) -> None:
    """Refuse double backward where it does not fit; all ranks call it together.

    Raises:
        InputError: The module is too large.
    """
    if surface.module_size > LARGEST:
        raise InputError(
            f"reference='exact' gathers all {surface.module_size:,} parameters on each rank; it "
            f"allows up to {LARGEST:,}: use reference='richardson'."
        )
    surface.require_memory(
        _COPIES * surface.module_size * 8,
        "reference='exact' gathers all parameters on each rank, in float64",
        "use reference='richardson'",
    )


def exact(surface: LossSurface, direction: Tensor) -> Reference:
    """Hessian product by double backward in float64.

    Its error is that of the same product in float32, times the ratio of the two machine
    epsilons; not the latter where the module computes in a narrower type than it is given, as
    the norms of some models in transformers do.

    Args:
        surface: The loss.
        direction: Of unit norm, shape (local_size,).

    Returns:
        The product.

    Raises:
        ObjectiveError: The module cannot be differentiated twice.
    """
    wide, narrow = (
        torch.zeros_like(direction, dtype=dtype) for dtype in (torch.float64, torch.float32)
    )
    with _Narrowing() as narrowing:
        surface.double_backward(wide, direction.double())
    surface.double_backward(narrow, direction.float())
    norm = _norm(surface, wide)
    ratio = torch.finfo(torch.float64).eps / torch.finfo(torch.float32).eps
    if narrowing.narrowed:
        ratio = 1.0
    return Reference(
        vector=wide,
        norm=norm,
        error=ratio * _norm(surface, wide - narrow) / norm if norm else 0.0,
        exact=True,
    )


class _Narrowing(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's is untyped
    """Watches whether what is differentiated is cast from float64 to a narrower type."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.narrowed = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten._to_copy.default and args[0].requires_grad:
            self.narrowed |= args[0].dtype == torch.float64 != result.dtype
        return result


def richardson(
    surface: LossSurface,
    product_at: Callable[[float], Tensor | None],
    start: float,
    *,
    order: int,
    least: float,
    most: float,
) -> Reference:
    """Product extrapolated to epsilon zero from pairs of epsilons, averaged over five pairs.

    (2^p P(h/2) - P(h)) / (2^p - 1) cancels the leading truncation. Its best epsilon is calibrated;
    around it, over an octave, rounding differs from pair to pair and truncation grows manifold,
    so that the standard error over the pairs holds both.

    Args:
        surface: The loss.
        product_at: The product at an epsilon, None where it is not finite.
        start: Epsilon to start the search from.
        order: Order p of the product's truncation in epsilon.
        least: Smallest epsilon.
        most: Largest epsilon.

    Returns:
        The extrapolated product.

    Reference: Richardson (1911).
    """

    def extrapolated(epsilon: float) -> Tensor | None:
        wide, half = product_at(epsilon), product_at(epsilon / 2)
        if wide is None or half is None:
            return None
        return half.double().mul_(2**order).sub_(wide).div_(2**order - 1)

    # What is left is of the next order; central differences have even orders only.
    remaining = order + (1 if order % 2 else 2)
    errors = calibrate(
        extrapolated,
        lambda vector: _norm(surface, vector),
        start,
        least=least,
        most=most,
        order=remaining,
    )
    pairs = [pair for e in _SPREAD if (pair := extrapolated(errors.epsilon * 2.0**e)) is not None]
    if len(pairs) < 2:
        raise InputError(
            f"no two products near epsilon={errors.epsilon:.3g} are finite, so there is nothing to "
            "extrapolate; use reference='exact', or a wider dtype."
        )
    mean = torch.stack(pairs).mean(dim=0)
    norm, count = _norm(surface, mean), len(pairs)
    spread = math.hypot(*(_norm(surface, pair - mean) for pair in pairs))
    error = spread / math.sqrt(count * (count - 1)) / norm if norm else 0.0
    return Reference(vector=mean, norm=norm, error=error, exact=False)


def _norm(surface: LossSurface, vector: Tensor) -> float:
    return surface.space.norm(vector)

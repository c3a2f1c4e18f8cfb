"""The Lanczos process on vectors that live on many ranks."""

import dataclasses
import math
from collections.abc import Callable, Generator
from typing import Literal

import torch
from torch import Tensor

from hessview.spectral.vectors import CHUNK, Space

_LEFT = 0.5  # of the first pass's remainder; Parlett (1998), 6.9: else the vector is in the span


@dataclasses.dataclass(frozen=True, kw_only=True)
class LanczosStep:
    """One step's coefficients of the three-term recurrence.

    Attributes:
        alpha: Diagonal entry of the tridiagonal matrix.
        beta: Entry that couples this step to the next: the norm of what is left; 0.0 where
            the process broke down, that is, found an invariant subspace.
        asymmetry: What a symmetric operator with exact products would not have: of c = Q'w, w
            the product and Q the kept vectors, the norm of all entries but the present vector's
            (alpha), with the previous vector's less the previous beta. Errors along directions
            outside of Q, and alpha's own, are not in it.
    """

    alpha: float
    beta: float
    asymmetry: float


def lanczos(
    matvec: Callable[[Tensor], Tensor],
    start: Tensor,
    steps: int,
    *,
    space: Space,
    reorthogonalize: int | Literal["full", "none"] = "full",
) -> Generator[LanczosStep, None, Tensor | None]:
    """Tridiagonalise a symmetric operator on the Krylov space of a vector.

    Every step is orthogonalised by classical Gram-Schmidt, twice, against the kept vectors,
    with one packed reduction a pass; "twice is enough" (Parlett, The Symmetric Eigenvalue
    Problem, 1998, section 6.9). Without full reorthogonalisation only the latest vectors are
    kept, and copies ("ghosts") of converged eigenvalues appear: harmless for a density, wrong
    for counting eigenvalues.

    Args:
        matvec: Product with the operator, shape (local_size,) to (local_size,). The result is
            changed in place.
        start: Starting vector of unit norm, shape (local_size,).
        steps: How many steps at the most, at most the size of the space.
        space: The space in which the vectors live.
        reorthogonalize: "full" keeps all vectors, "none" the two of the recurrence, a whole
            number that many of the latest (at least two are kept).

    Yields:
        Coefficients, as soon as a step is done. A breakdown ends the process with beta = 0.

    Returns:
        The basis, shape (step, local_size), which is the caller's to change; None where vectors
        were given up on the way.
    """
    rows = {"full": steps, "none": 2}.get(str(reorthogonalize)) or max(2, int(reorthogonalize))
    # Rows are reused in turn, as a ring; `empty` touches no memory before it is used.
    basis = torch.empty(min(rows, steps), space.local_size, dtype=space.dtype, device=space.device)
    basis[0] = start
    del start  # which would take the place of one more vector
    scale, beta = 0.0, 0.0
    for step in range(steps):
        current = step % len(basis)
        rows_kept = basis[: min(step + 1, len(basis))]
        vector = matvec(basis[current])
        first = space.products(rows_kept, vector)[:-1]
        second = space.products(rows_kept, vector, subtract=first)
        inner = first + second[:-1]
        alpha = float(inner[current])
        inner[current] = 0.0
        if step:
            inner[(step - 1) % len(basis)] -= beta
        asymmetry = float(inner.norm())
        # |w - Q c|^2 = |w|^2 - |c|^2 for orthonormal rows; c is tiny on the second pass.
        beta = math.sqrt(max(float(second[-1] - second[:-1] @ second[:-1]), 0.0))
        scale = max(scale, abs(alpha) + beta)
        # Where the second pass takes off most of it, only rounding is left: it is not orthogonal.
        rounding = beta <= _LEFT * math.sqrt(max(float(second[-1]), 0.0))
        if rounding or beta <= torch.finfo(space.dtype).eps * scale:
            yield LanczosStep(alpha=alpha, beta=0.0, asymmetry=asymmetry)
            break
        yield LanczosStep(alpha=alpha, beta=beta, asymmetry=asymmetry)
        if step + 1 < steps:
            space.subtract(rows_kept, second[:-1], vector)
            basis[(step + 1) % len(basis)] = vector.div_(beta)
            del vector
    return basis[: step + 1] if step < len(basis) else None


def combine(basis: Tensor, coefficients: Tensor) -> Tensor:
    """Combinations of basis vectors, written over the first of them: no memory is asked for.

    Args:
        basis: Shape (row, local_size), of which the first rows are overwritten.
        coefficients: Shape (row, combination), with at most as many combinations as rows.

    Returns:
        The combinations, shape (combination, local_size): a view of the basis.
    """
    mixing = coefficients.T.to(basis)
    for part in torch.split(basis, CHUNK, dim=1):
        part[: len(mixing)] = mixing @ part
    return basis[: len(mixing)]

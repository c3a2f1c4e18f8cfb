"""Curvature as a linear operator for one's own code: products with flat vectors, and SciPy's.

What a job does for notebooks (checks, modes, gradients and parameters given back, ranks kept
together) it does here for each product, without a job, a record or a session.
"""

import hashlib
import math
import signal
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator
from torch import Tensor

from hessview import interrupts
from hessview.errors import HessviewError, InputError, ObjectiveError
from hessview.job import checks
from hessview.job.control import agree
from hessview.job.estimators.base import STAND_IN, products_of
from hessview.job.fsdp import as_found
from hessview.job.job import turn
from hessview.job.objective import Objective
from hessview.job.worker import Worker
from hessview.operators.base import Product
from hessview.record.commands import Density
from hessview.record.validation import patterns

Vector = TypeVar("Vector", Tensor, NDArray[Any])
Array = NDArray[np.float64]

_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class MeasuredProduct(NamedTuple):
    """A product, and what made it trustworthy; see `operators.base.Product`.

    Attributes:
        vector: The product, shape (parameter,).
        error: Its relative error D, by a second epsilon; of exact products their rounding.
        epsilon: Step along the unit-norm vector; NaN where there is none.
        rho: Relative change of the gradient that it gave.
        gradients: What it cost, in gradients.
    """

    vector: Array
    error: float
    epsilon: float
    rho: float
    gradients: float


class CurvatureOperator:
    """A symmetric matrix that is known by its products; made by `hessview.operator`.

    Flat vectors hold the differentiated parameters one behind the other, in the order of
    `module.named_parameters()`, each in C order, as
    `torch.nn.utils.parameters_to_vector` lays them out; elements that hold no degree of freedom
    (padding rows) are rows and columns of zeros. On several ranks every rank passes the same whole
    vectors and gets whole products; all ranks call together.

    Attributes:
        name: Name of the operator.
        shape: (parameters, parameters).
        dtype: float64, in which products of NumPy's vectors come. What they are good to depends
            on the model's own type; `measure` says.
        parameters: Where in a flat vector each parameter lies, by its name.
        note: Says that exact products stand in for differences, where the gradient is rounding;
            "" otherwise.
    """

    def __init__(
        self,
        objective: Objective,
        name: str,
        *,
        epsilon: float | Literal["auto"],
        subset: str | Sequence[str],
        evaluation: bool,
    ) -> None:
        command = Density(
            operator=name, epsilon=epsilon, subset=patterns(subset), steps=1, probes=1
        )
        if not isinstance(objective, Objective):
            raise InputError(
                f"the objective is a {type(objective).__name__}; pass "
                "hessview.Objective(module, loss, batches)."
            )
        self._evaluation = evaluation
        self._ranks = dist.get_world_size() if dist.is_initialized() else 1
        with interrupts.held(stops=(signal.SIGINT,)), turn(objective.module):
            worker = Worker(objective, evaluation=evaluation)
            with as_found(objective.module, evaluation=evaluation):
                with agree():
                    worker.accept(command)
                surface = worker.surface
                if command.subset != Density.subset:
                    with agree(on_all=True):
                        surface = surface.part(subset=command.subset)
                surface.measure()
                self._operator, notes = products_of(name, surface, epsilon)
        self._surface, self._space = surface, surface.space
        self.name = name
        self.note = notes.get(STAND_IN, "")
        self.parameters: dict[str, slice] = {}
        start = 0
        for piece in self._space.pieces:
            stop = start + math.prod(piece.full_shape)
            self.parameters[piece.name] = slice(start, stop)
            start = stop
        self.shape = (start, start)
        self.dtype = np.dtype(np.float64)
        self._mark = self._checksums()

    def matvec(self, vector: Vector) -> Vector:
        """The matrix times a vector, at the parameters at which the operator was made.

        Args:
            vector: Shape (parameter,) or (parameter, 1), of any norm: an array, or a tensor on
                any device.

        Returns:
            The product, of the vector's shape: for an array an array of float64, for a tensor
            a tensor of its type (float64 for integers) on its device.

        Raises:
            InputError: Of another shape, complex, not finite, or others on another rank.
            ObjectiveError: The parameters have changed, the module is in a mode in which it draws
                random numbers, or the loss is not finite; on all ranks alike.
        """
        flat = self._flat(vector)
        return self._in_form_of(vector, self._product(flat, measure_error=False)[0])

    rmatvec = matvec

    def matmat(self, vectors: Vector) -> Vector:
        """The matrix times several vectors.

        Args:
            vectors: Shape (parameter, vector).

        Returns:
            The products, shape (parameter, vector), of the type that `matvec` gives.

        Raises:
            InputError: Of another shape, complex, not finite, or others on another rank.
            ObjectiveError: As in `matvec`.
        """
        if vectors.ndim != 2:
            raise InputError(
                f"vectors of shape {tuple(vectors.shape)} are not allowed; use shape "
                f"({self.shape[0]}, number of vectors)."
            )
        columns = [self.matvec(vectors[:, index]) for index in range(vectors.shape[1])]
        if isinstance(vectors, Tensor):
            return torch.stack(columns, 1) if columns else vectors
        return np.stack(columns, 1) if columns else np.zeros(vectors.shape)

    def __matmul__(self, vectors: Vector) -> Vector:
        return self.matvec(vectors) if vectors.ndim == 1 else self.matmat(vectors)

    def measure(self, vector: Tensor | NDArray[Any]) -> MeasuredProduct:
        """A product with the estimate of its own error, at about twice the price.

        Args:
            vector: Shape (parameter,), of any norm: an array, or a tensor on any device.

        Returns:
            The product and what made it trustworthy; of the zero vector 0, and no error.

        Raises:
            InputError: As in `matvec`.
            ObjectiveError: As in `matvec`.
        """
        result, product = self._product(self._flat(vector), measure_error=True)
        if product is None:
            return MeasuredProduct(result.numpy(), 0.0, math.nan, math.nan, 0.0)
        return MeasuredProduct(
            result.numpy(), product.error, product.epsilon, product.rho, product.gradients
        )

    def linear_operator(self) -> LinearOperator:
        """This matrix for SciPy, such as `scipy.sparse.linalg.eigsh(op.linear_operator(), k=5)`.

        Returns:
            A `scipy.sparse.linalg.LinearOperator` of float64, its own adjoint.
        """
        return LinearOperator(
            shape=self.shape,
            matvec=self.matvec,
            rmatvec=self.matvec,
            matmat=self.matmat,
            rmatmat=self.matmat,
            dtype=self.dtype,
        )

    def split(self, vector: Vector) -> dict[str, Vector]:
        """The parts of a flat vector by the parameters' names, in their shapes.

        Args:
            vector: Shape (parameter,).

        Returns:
            Views of the vector.

        Raises:
            InputError: Of another shape.
        """
        self._check_shape(tuple(vector.shape))
        flat = vector.reshape(-1)
        shapes = {piece.name: piece.full_shape for piece in self._space.pieces}
        return {name: flat[span].reshape(shapes[name]) for name, span in self.parameters.items()}

    def flatten(self, parts: Mapping[str, Tensor | NDArray[Any]]) -> Array:
        """A flat vector from its parts, the way back from `split`.

        Args:
            parts: Of each parameter, by its name, an array or tensor of its shape.

        Returns:
            Shape (parameter,).

        Raises:
            InputError: A parameter is missing, unknown, or of another shape.
        """
        if set(parts) != set(self.parameters):
            odd = sorted(set(parts) ^ set(self.parameters))
            raise InputError(
                f"the parts differ from the parameters in {odd[:8]}; use one for each of "
                f"{list(self.parameters)[:8]}{' ...' * (len(self.parameters) > 8)}."
            )
        vector = np.zeros(self.shape[0])
        for piece in self._space.pieces:
            part = _array(parts[piece.name])
            if part.shape != piece.full_shape:
                raise InputError(
                    f"the part of {piece.name!r} has shape {part.shape}; use {piece.full_shape}."
                )
            vector[self.parameters[piece.name]] = part.ravel()
        return vector

    def __repr__(self) -> str:
        return (
            f"<hessview.operator {self.name!r}: {self.shape[0]:,} parameters, loss "
            f"{self._surface.loss:.6g}>"
        )

    def _product(self, flat: Tensor, *, measure_error: bool) -> tuple[Tensor, Product | None]:
        surface, module = self._surface, self._surface.objective.module
        # In two factors, since squares of very small or large numbers leave the range of floats.
        size = float(flat.abs().max()) if len(flat) else 0.0
        unit = flat / size if size else flat
        length = float(torch.linalg.vector_norm(unit))
        with interrupts.held(stops=(signal.SIGINT,)), turn(module):
            with agree():
                self._check(size)
            self._check_alike(flat)
            if not size:
                return torch.zeros_like(flat), None
            try:
                with (
                    as_found(module, evaluation=self._evaluation),
                    surface.lent_gradients(hold=False),
                ):
                    with agree():
                        checks.check_mode(module)
                    local = self._scattered(unit / length)
                    product = self._operator.matvec(local, measure_error=measure_error)
            except Exception as error:
                if isinstance(error, HessviewError) or self._ranks == 1:
                    surface.settle()
                raise
            return self._gathered(product.vector) * length * size, product

    def _check(self, size: float) -> None:
        if not math.isfinite(size):
            raise InputError("the vector is not finite; check how it was made.")
        if self._checksums() != self._mark:
            raise ObjectiveError(
                "the parameters have changed since the operator was made, so that products would "
                "be of two matrices; make it anew with hessview.operator."
            )

    def _check_alike(self, flat: Tensor) -> None:
        """Refuse vectors that differ between ranks, whose product would belong to none of them."""
        if self._ranks == 1:
            return
        own_digest = hashlib.blake2b(flat.numpy().tobytes(), digest_size=8).hexdigest()
        digests: list[str] = [""] * self._ranks
        dist.all_gather_object(digests, own_digest)
        if len(set(digests)) > 1:
            rank = next(rank for rank, digest in enumerate(digests) if digest != digests[0])
            raise InputError(
                f"the vector of rank {rank} differs from that of rank 0; pass the same whole "
                "vector on all ranks."
            )

    def _checksums(self) -> list[int]:
        """A checksum of each of this rank's parameters, which shows whether they have changed."""
        return [
            int(shard.detach().view(_BITS[shard.element_size()]).sum(dtype=torch.int64))
            for shard in self._surface.shards()
        ]

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        if shape not in ((self.shape[0],), (self.shape[0], 1)):
            raise InputError(
                f"a vector of shape {shape} is not allowed; use ({self.shape[0]},), one number "
                "for each parameter, in the order of op.parameters."
            )

    def _flat(self, vector: Tensor | NDArray[Any]) -> Tensor:
        """A vector as float64 on the CPU, shape (parameter,)."""
        array = _array(vector)
        self._check_shape(array.shape)
        if array.dtype.kind not in "fiub":
            raise InputError(f"a vector of {array.dtype} is not allowed; use real numbers.")
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64).reshape(-1))

    @staticmethod
    def _in_form_of(vector: Vector, product: Tensor) -> Vector:
        if isinstance(vector, Tensor):
            dtype = vector.dtype if vector.is_floating_point() else torch.float64
            return product.to(vector.device, dtype).reshape(vector.shape)
        return product.numpy().reshape(vector.shape)

    def _scattered(self, flat: Tensor) -> Tensor:
        """This rank's part of a whole vector."""
        local = self._space.zeros()
        for piece, part in zip(self._space.pieces, self._space.split(local), strict=True):
            full = flat[self.parameters[piece.name]].view(piece.full_shape)
            part.copy_(full[_box(piece.offset, piece.shape)])
        return self._space.hold(local)

    def _gathered(self, local: Tensor) -> Tensor:
        """The whole vector from all ranks' parts."""
        flat = torch.zeros(self.shape[0], dtype=torch.float64)
        for piece, part in zip(self._space.pieces, self._space.split(local), strict=True):
            if piece.owned:
                full = flat[self.parameters[piece.name]].view(piece.full_shape)
                full[_box(piece.offset, piece.shape)] = part.double().cpu()
        if self._ranks == 1:
            return flat
        summed: Tensor = self._space.reduce(flat.to(self._space.device)).cpu()
        return summed


def _box(offset: Sequence[int], shape: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(start, start + size) for start, size in zip(offset, shape, strict=True))


def _array(vector: Tensor | NDArray[Any]) -> NDArray[Any]:
    if isinstance(vector, Tensor):
        wide = vector.detach().cpu()
        return (wide.double() if wide.is_floating_point() else wide).numpy()
    return np.asarray(vector)


def operator(
    objective: Objective,
    name: str = "hessian",
    *,
    epsilon: float | Literal["auto"] = "auto",
    subset: str | Sequence[str] = "*",
    evaluation: bool = False,
) -> CurvatureOperator:
    """Curvature as a matrix for one's own code: its products with flat vectors, and SciPy's form.

    The objective is checked as a job would check it, at the cost of some gradients. Each product
    leaves parameters, gradients, buffers, modes and random states as it found them. In a torchrun
    job all ranks call this, and each product, together:

    >>> op = hessview.operator(objective)
    >>> op @ vector                                               # array or tensor, (parameter,)
    >>> scipy.sparse.linalg.eigsh(op.linear_operator(), k=5)      # its outermost eigenpairs

    Args:
        objective: What is differentiated; plain, or sharded over the ranks of this process's
            group.
        name: One of `hessview.operators`, or "package.module:name".
        epsilon: Finite-difference step along a unit-norm vector, > 0, or "auto" for the rule of
            `operators.step_size`; not used by operators without one.
        subset: Patterns of parameter names ("*" any text, "?" any character), one or several; the
            matrix is restricted to the parameters that match one.
        evaluation: Whether to put the module into evaluation mode for each product.

    Returns:
        The operator, at the present parameters; once these change, products are refused.

    Raises:
        InputError: An argument is outside what is allowed, or the objective cannot give the
            operator; on all ranks alike.
        ObjectiveError: The objective cannot be differentiated as it is; on all ranks alike.
    """
    return CurvatureOperator(objective, name, epsilon=epsilon, subset=subset, evaluation=evaluation)

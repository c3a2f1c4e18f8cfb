"""Vectors over all parameters of a model, of which every rank holds its own part.

A vector is one flat tensor of the elements that this rank holds, so that inner products
against many vectors are matrix-vector products over one contiguous block of memory.
"""

import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

CHUNK = 1 << 14
"""Elements per slice of a sweep: 50 basis rows of it stay in a core's cache, and sums in
float32 stay short before they go on in float64."""

_SIGN_ROWS = 1 << 20
_SMALL, _LARGE = 1e-12, 1e15
"""Sizes between which squares, and sums of them over a slice, are ordinary float32 numbers."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Piece:
    """What this rank holds of one parameter: a box of the full tensor.

    Attributes:
        name: Name of the parameter, the same on any number of ranks.
        full_shape: Shape of the whole parameter.
        shape: Shape of the local box; may have no elements.
        offset: Index of the box's first element along each dimension.
        owned: Whether this rank is the one that counts these elements in sums; of several
            ranks that hold a replica, one does.
        held: Number of elements of the whole parameter that are held constant.
    """

    name: str
    full_shape: tuple[int, ...]
    shape: tuple[int, ...]
    offset: tuple[int, ...]
    owned: bool = True
    held: int = 0

    @property
    def free(self) -> int:
        """Number of elements of the whole parameter that are not held constant."""
        return math.prod(self.full_shape) - self.held

    @property
    def numel(self) -> int:
        """Number of local elements."""
        return math.prod(self.shape)


class Space:
    """The vector space of all parameters, as seen from one rank.

    Elements that are held constant have their place in a vector, where it is zero, but are no
    dimensions of the space.

    Args:
        pieces: Local part of every parameter; in the order that the space keeps.
        reduce: Sums a float64 vector of numbers over all ranks, shape (number,) to (number,).
        dtype: Data type of vectors; inner products go on in float64.
        device: Device of vectors.
        held: Elements that are held constant: positions within the flattened local box, by the
            name of its parameter; of all ranks together as many as the pieces say.
    """

    def __init__(
        self,
        pieces: Sequence[Piece],
        *,
        reduce: Callable[[Tensor], Tensor] = lambda numbers: numbers,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        held: Mapping[str, Tensor] | None = None,
    ) -> None:
        # Owned elements come first, so that sums run over one contiguous part.
        order = sorted(range(len(pieces)), key=lambda i: not pieces[i].owned)
        self.pieces = tuple(pieces)
        self.reduce = reduce
        self.dtype = dtype
        self.device = torch.device(device)
        self.size = sum(piece.free for piece in pieces)
        self.local_size = sum(piece.numel for piece in pieces)
        self._owned = sum(piece.numel for piece in pieces if piece.owned)
        self._starts = [0] * len(pieces)
        start = 0
        for i in order:
            self._starts[i] = start
            start += pieces[i].numel
        starts = {piece.name: start for piece, start in zip(pieces, self._starts, strict=True)}
        held_positions = [
            starts[name] + positions.to(self.device) for name, positions in (held or {}).items()
        ]
        self._held = torch.cat(held_positions) if held_positions else None

    def hold(self, vector: Tensor) -> Tensor:
        """Set a vector to zero where elements are held constant, in place; returns it."""
        return vector if self._held is None else vector.index_fill_(0, self._held, 0)

    def zeros(self, *rows: int) -> Tensor:
        """Zero vector, shape (*rows, local_size)."""
        return torch.zeros(*rows, self.local_size, dtype=self.dtype, device=self.device)

    def split(self, vector: Tensor) -> list[Tensor]:
        """Views of a vector, one a piece, in the pieces' order and local shapes."""
        return [
            vector[start : start + piece.numel].view(piece.shape)
            for start, piece in zip(self._starts, self.pieces, strict=True)
        ]

    def products(self, basis: Tensor, vector: Tensor, *, subtract: Tensor | None = None) -> Tensor:
        """Inner products with every basis vector and the squared norm, in one reduction.

        Args:
            basis: Shape (row, local_size).
            vector: Shape (local_size,); changed in place where `subtract` is given.
            subtract: Coefficients, shape (row,): basis^T subtract is taken off the vector
                first, in the same sweep over memory.

        Returns:
            Shape (row + 1,), float64 on the CPU: <basis_i, vector>, then |vector|^2.
        """
        sums = torch.zeros(len(basis) + 1, dtype=torch.float64, device=self.device)
        unit = _unit(vector)
        for rows, part, counted in self._sweep(basis, vector):
            if subtract is not None:
                part.addmv_(rows.T, subtract.to(part), alpha=-1)
            scaled = part[:counted] if unit == 1 else _times(part[:counted], unit)
            sums[:-1] += rows[:, :counted] @ scaled
            sums[-1] += scaled @ scaled
        sums[:-1] /= unit
        sums[-1] /= unit**2
        return self.reduce(sums).cpu()

    def subtract(self, basis: Tensor, coefficients: Tensor, vector: Tensor) -> None:
        """Take basis^T coefficients off a vector, in place and without a reduction.

        Args:
            basis: Shape (row, local_size).
            coefficients: Shape (row,).
            vector: Shape (local_size,).
        """
        for rows, part, _ in self._sweep(basis, vector):
            part.addmv_(rows.T, coefficients.to(part), alpha=-1)

    def squares(self, *vectors: Tensor) -> Tensor:
        """Local part of each vector's squared norm, to be packed into a reduction.

        Returns:
            Shape (vector,), float64, not summed over ranks yet.
        """
        sums = torch.zeros(len(vectors), dtype=torch.float64, device=self.device)
        for i, vector in enumerate(vectors):
            sums[i] = _square(vector[: self._owned])
        return sums

    def norm(self, vector: Tensor) -> float:
        """Norm of a vector over all ranks."""
        return math.sqrt(float(self.reduce(self.squares(vector))))

    def dot(self, first: Tensor, second: Tensor) -> float:
        """Inner product of two vectors over all ranks."""
        return float(self.products(first[None], second)[0])

    def piece_squares(self, vector: Tensor) -> Tensor:
        """Local part of the squared norm of each piece of a vector, for a reduction.

        Returns:
            Shape (piece,), float64, in the pieces' order; not summed over ranks yet.
        """
        sums = torch.zeros(len(self.pieces), dtype=torch.float64, device=self.device)
        for i, (start, piece) in enumerate(zip(self._starts, self.pieces, strict=True)):
            if piece.owned:
                sums[i] = _square(vector[start : start + piece.numel])
        return sums

    def probe(self, seed: int, index: int) -> Tensor:
        """Random vector of unit norm with entries +-1/sqrt(size) (Rademacher).

        The sign of an element is a hash of (seed, index, parameter name, element's position in
        the full parameter): any number of ranks and any sharding draw the same vector, and no
        rank makes more than its own elements.

        Elements that are held constant are 0, and change no other's sign.

        Args:
            seed: Seed of the whole family.
            index: Which vector of the family.

        Returns:
            Shape (local_size,).
        """
        vector = self.zeros()
        scale = 1.0 / math.sqrt(self.size)
        for piece, part in zip(self.pieces, self.split(vector), strict=True):
            _fill(part, piece, _key(f"{seed}/{index}/{piece.name}"), _signs)
        return self.hold(vector).mul_(scale)

    def uniform(self, seed: int) -> Tensor:
        """A number in [0, 1) for each element, from the hash that probes are made of.

        Args:
            seed: Seed of the numbers.

        Returns:
            Shape (local_size,), float32, multiples of 2^-24.
        """
        vector = torch.zeros(self.local_size, device=self.device)
        for piece, part in zip(self.pieces, self.split(vector), strict=True):
            _fill(part, piece, _key(f"{seed}/uniform/{piece.name}"), _uniform)
        return vector

    def _sweep(self, basis: Tensor, vector: Tensor) -> Iterator[tuple[Tensor, Tensor, int]]:
        """Slices of basis and vector, and how many leading elements of each are counted."""
        for start in range(0, self.local_size, CHUNK):
            stop = min(start + CHUNK, self.local_size)
            yield (
                basis[:, start:stop],
                vector[start:stop],
                min(max(self._owned - start, 0), stop - start),
            )


def _unit(vector: Tensor) -> float:
    """A power of two by which to multiply where squares would leave float32's range, else 1.

    Squares of 1e-23 are nothing in float32, and those of 1e20 are infinite: a loss in other
    units must not make numbers vanish. Powers of two change no bit of a sum.
    """
    if vector.dtype == torch.float64 or not vector.numel():
        return 1.0
    largest = float(torch.linalg.vector_norm(vector, math.inf))
    if not math.isfinite(largest) or not largest or _SMALL < largest < _LARGE:
        return 1.0
    return 2.0 ** -math.frexp(largest)[1]


def _square(vector: Tensor) -> Tensor:
    """Squared norm of a vector, summed slice by slice."""
    unit = _unit(vector)
    total = torch.zeros((), dtype=torch.float64, device=vector.device)
    for part in torch.split(vector, CHUNK):
        scaled = part if unit == 1 else _times(part, unit)
        total += scaled @ scaled
    return total / unit**2


def _times(part: Tensor, unit: float) -> Tensor:
    return part.double().mul_(unit).to(part.dtype)  # the factor itself may be out of range


def _key(text: str) -> int:
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _signs(mixed: Tensor) -> Tensor:
    return 1 - 2 * (mixed < 0).to(torch.int8)


def _uniform(mixed: Tensor) -> Tensor:
    return ((mixed >> 40) & 0xFFFFFF).to(torch.float32).mul_(2.0**-24)


def _fill(part: Tensor, piece: Piece, key: int, numbers_of: Callable[[Tensor], Tensor]) -> None:
    """Fill a local box with numbers made from the hash of each element's place in the tensor."""
    if part.numel() == 0:
        return
    full, offset = piece.full_shape or (1,), piece.offset or (0,)
    strides = [math.prod(full[axis + 1 :]) for axis in range(len(full))]
    part = part.view(part.shape or (1,))
    inner = torch.zeros(1, dtype=torch.int64, device=part.device)
    for axis in range(1, len(full)):
        along = torch.arange(part.shape[axis], device=part.device) + offset[axis]
        inner = (inner[:, None] + along * strides[axis]).reshape(-1)
    rows = max(1, _SIGN_ROWS // len(inner))
    for start in range(0, part.shape[0], rows):
        stop = min(start + rows, part.shape[0])
        along = torch.arange(start, stop, device=part.device) + offset[0]
        element = along[:, None] * strides[0] + inner
        part[start:stop] = numbers_of(_mix(element, key)).view(part[start:stop].shape)


def _mix(element: Tensor, key: int) -> Tensor:
    """Hash of 64-bit integers (the finaliser of SplitMix64, Steele et al. 2014), wrapping."""
    x = element * 0x9E3779B97F4A7C15 + key  # torch takes a factor of 64 bits as a signed one
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        # An arithmetic shift fills with the sign; the mask makes it a logical one.
        x = (x ^ ((x >> shift) & ((1 << (64 - shift)) - 1))) * factor
    return x

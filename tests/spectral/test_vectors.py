import math

import pytest
import torch

from hessview.spectral.vectors import CHUNK, Piece, Space

SHAPES = {"weight": (6, 5), "kernel": (4, 3, 2), "bias": (7,), "scale": ()}


def whole(name, shape):
    return Piece(name=name, full_shape=shape, shape=shape, offset=(0,) * len(shape))


def part(name, shape, axis, start, stop, owned=True):
    box, offset = list(shape), [0] * len(shape)
    box[axis], offset[axis] = stop - start, start
    return Piece(name=name, full_shape=shape, shape=tuple(box), offset=tuple(offset), owned=owned)


def flat(*sizes, owned=()):
    """A space of vectors named by their place, some of them another rank's to count."""
    return Space(
        [
            Piece(
                name=str(i),
                full_shape=(n,),
                shape=(n,),
                offset=(0,),
                owned=owned[i] if owned else True,
            )
            for i, n in enumerate(sizes)
        ],
        dtype=torch.float64,
    )


@pytest.fixture
def full():
    """Probe 3 of seed 11 on one rank, by parameter name."""
    space = Space([whole(name, shape) for name, shape in SHAPES.items()], dtype=torch.float64)
    return dict(zip(SHAPES, space.split(space.probe(11, 3)), strict=True))


# Each column is what one rank holds.
SPLITS = {
    "along dim 0": ("weight", [(0, 0, 3), (0, 3, 6)]),
    "unevenly": ("weight", [(0, 0, 1), (0, 1, 6)]),
    "along dim 1": ("weight", [(1, 0, 2), (1, 2, 5)]),
    "along the middle of three": ("kernel", [(1, 0, 1), (1, 1, 3)]),
    "along the last of three": ("kernel", [(2, 0, 1), (2, 1, 2)]),
    "with an empty rank": ("bias", [(0, 0, 7), (0, 7, 7)]),
    "over seven ranks": ("bias", [(0, i, i + 1) for i in range(7)]),
}


@pytest.mark.parametrize("how", SPLITS)
def test_any_sharding_draws_the_same_probe(how, full):
    name, boxes = SPLITS[how]
    drawn = []
    for axis, start, stop in boxes:
        mine = part(name, SHAPES[name], axis, start, stop)
        # The other parameters lie elsewhere in this rank's memory than on one rank.
        others = [
            Piece(name=n, full_shape=s, shape=(0,), offset=(0,))
            for n, s in SHAPES.items()
            if n != name
        ]
        space = Space([*others, mine], dtype=torch.float64)
        drawn.append(space.split(space.probe(11, 3))[-1])
    assert torch.equal(torch.cat(drawn, dim=boxes[0][0]), full[name])


def test_a_box_away_from_every_edge_draws_its_own_signs(full):
    box = Piece(name="kernel", full_shape=(4, 3, 2), shape=(2, 2, 1), offset=(1, 1, 1))
    space = Space([box], dtype=torch.float64)
    signs = space.probe(11, 3).sign().view(2, 2, 1)
    assert torch.equal(signs, full["kernel"][1:3, 1:3, 1:2].sign())


def test_large_parameters_are_filled_in_slices_as_in_one(monkeypatch):
    space = Space([whole("w", (50, 9))])
    at_once = space.probe(0, 0)
    monkeypatch.setattr("hessview.spectral.vectors._SIGN_ROWS", 20)
    assert torch.equal(space.probe(0, 0), at_once)


def test_a_probe_has_unit_norm_and_equal_magnitudes():
    space = Space([whole("a", (37, 11)), whole("b", (101,))], dtype=torch.float64)
    probe = space.probe(0, 0)
    assert space.size == 37 * 11 + 101
    assert torch.equal(probe.abs(), torch.full_like(probe, 1 / math.sqrt(space.size)))
    assert float(space.squares(probe)) == pytest.approx(1, abs=1e-14)


def test_seed_index_and_name_each_change_the_probe():
    def signs(name="w", seed=0, index=0):
        return Space([whole(name, (4096,))]).probe(seed, index).sign()

    base = signs()
    assert torch.equal(base, signs())
    for other in (signs(name="v"), signs(seed=1), signs(index=1)):
        # Independent signs agree on half of the places, give or take 1/(2 sqrt(4096)).
        assert float((base == other).float().mean()) == pytest.approx(0.5, abs=5 * 0.5 / 64)


def test_seed_and_index_are_not_read_as_one_number():
    space = Space([whole("w", (256,))])
    assert not torch.equal(space.probe(1, 11), space.probe(11, 1))


def test_probes_are_isotropic():
    space = Space([whole("a", (8, 5)), whole("b", (24,))], dtype=torch.float64)
    count = 4000
    signs = torch.stack([space.probe(5, i) for i in range(count)]) * math.sqrt(space.size)
    deviations = (signs.T @ signs / count - torch.eye(space.size, dtype=torch.float64)).tril(-1)
    # 2016 covariances and 64 means of standard deviation 1/sqrt(4000): five of those bound all.
    assert float(deviations.abs().max()) < 5 / math.sqrt(count)
    assert float(signs.mean(0).abs().max()) < 5 / math.sqrt(count)
    spread = float(deviations.square().sum() / (space.size * (space.size - 1) / 2) * count)
    assert spread == pytest.approx(1, abs=0.15)


def test_signs_follow_no_pattern_along_a_row():
    signs = Space([whole("w", (1 << 16,))], dtype=torch.float64).probe(0, 0).sign()
    for lag in (1, 2, 3, 7, 64, 256, 4096):
        correlation = float((signs[lag:] * signs[:-lag]).mean())
        assert abs(correlation) < 5 / 256, lag


def test_hutchinson_from_probes_gives_the_trace():
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(60, 60, dtype=torch.float64, generator=generator)
    matrix = matrix + matrix.T
    space = flat(40, 20)
    forms = torch.stack([v @ matrix @ v for v in (space.probe(0, i) for i in range(2000))]) * 60
    error = float(forms.std()) / math.sqrt(2000)
    assert abs(float(forms.mean() - matrix.trace())) < 4 * error


@pytest.mark.parametrize("size", [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 17])
def test_products_are_inner_products(size):
    generator = torch.Generator().manual_seed(size)
    basis = torch.randn(3, size, dtype=torch.float64, generator=generator)
    vector = torch.randn(size, dtype=torch.float64, generator=generator)
    space = flat(size)
    kept = vector.clone()
    sums = space.products(basis, vector)
    expected = torch.cat([basis @ kept, (kept @ kept)[None]])
    torch.testing.assert_close(sums, expected, rtol=1e-12, atol=1e-9)
    assert torch.equal(vector, kept)


def test_subtracting_on_the_way_equals_subtracting_first():
    size = CHUNK + 100
    generator = torch.Generator().manual_seed(0)
    basis = torch.randn(4, size, dtype=torch.float64, generator=generator)
    vector = torch.randn(size, dtype=torch.float64, generator=generator)
    coefficients = torch.tensor([0.5, -2.0, 0.0, 3.0], dtype=torch.float64)
    rest = vector - basis.T @ coefficients
    space = flat(1000, size - 1000)
    other = vector.clone()
    sums = space.products(basis, vector, subtract=coefficients)
    space.subtract(basis, coefficients, other)
    torch.testing.assert_close(vector, rest, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(other, rest, rtol=1e-12, atol=1e-12)
    expected = torch.cat([basis @ rest, (rest @ rest)[None]])
    torch.testing.assert_close(sums, expected, rtol=1e-10, atol=1e-9)


def test_sums_of_float32_vectors_go_on_in_float64():
    # Four million terms: the error must be that of one slice's sum, not of the whole.
    size = 1 << 22
    vector = torch.randn(size, generator=torch.Generator().manual_seed(0))
    exact = float(vector.double().square().sum())
    space = Space([whole("w", (size,))])
    products, squares = space.products(vector[None], vector), space.squares(vector)
    assert products.dtype == squares.dtype == torch.float64
    for found in (*products.tolist(), *squares.tolist()):
        assert found == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("owned", [(False, True, True), (True, False, True), (True, True, False)])
def test_replicas_are_counted_once_and_changed_everywhere(owned):
    space = flat(5, 4, 3, owned=owned)
    generator = torch.Generator().manual_seed(0)
    basis = torch.randn(2, 12, dtype=torch.float64, generator=generator)
    vector = torch.randn(12, dtype=torch.float64, generator=generator)
    kept = torch.cat(
        [p.flatten() for p, own in zip(space.split(vector), owned, strict=True) if own]
    )
    assert float(space.squares(vector)) == pytest.approx(float(kept @ kept))
    assert float(space.products(basis, vector)[-1]) == pytest.approx(float(kept @ kept))
    rest = vector - basis.T @ torch.ones(2, dtype=torch.float64)
    space.subtract(basis, torch.ones(2), vector)
    torch.testing.assert_close(vector, rest)


def test_split_gives_views_in_the_order_of_the_pieces():
    pieces = [
        Piece(name="a", full_shape=(2, 2), shape=(2, 2), offset=(0, 0), owned=False),
        whole("b", (3,)),
    ]
    space = Space(pieces)
    vector = space.zeros()
    a, b = space.split(vector)
    assert (a.shape, b.shape) == ((2, 2), (3,))
    a.fill_(1)
    b.fill_(2)
    # What this rank counts comes first, so that sums run over one contiguous part.
    assert vector.tolist() == [2, 2, 2, 1, 1, 1, 1]


def test_a_rank_without_any_element_takes_part():
    calls = []

    def reduce(numbers):
        calls.append(numbers.shape)
        return numbers + 4

    space = Space([Piece(name="w", full_shape=(2,), shape=(0,), offset=(2,))], reduce=reduce)
    vector = space.probe(0, 0)
    assert vector.shape == (0,)
    assert space.size == 2
    assert space.products(space.zeros(3), vector).tolist() == [4, 4, 4, 4]
    space.subtract(space.zeros(3), torch.ones(3), vector)
    assert space.squares(vector).tolist() == [0]
    assert calls == [(4,)]


@pytest.mark.parametrize("scale", [1e-32, 1e-20, 1e-12, 1.0, 1e16, 1e30])
def test_sums_survive_any_unit_of_the_loss(scale):
    # Squares of float32 numbers end at 1e-45 and at 3e38.
    size = 3 * CHUNK + 5
    generator = torch.Generator().manual_seed(0)
    basis = torch.randn(2, size, dtype=torch.float64, generator=generator).float()
    wide = torch.randn(size, dtype=torch.float64, generator=generator) * scale
    vector = wide.float()
    space = Space([whole("w", (size,))])
    products = space.products(basis, vector)
    expected = basis.double() @ vector.double()
    length = float(vector.double().norm())
    assert products[:-1].tolist() == pytest.approx(expected.tolist(), abs=1e-5 * length)
    assert space.norm(vector) == pytest.approx(length, rel=1e-6)
    assert math.sqrt(float(products[-1])) == pytest.approx(length, rel=1e-6)
    assert math.sqrt(float(space.piece_squares(vector))) == pytest.approx(length, rel=1e-6)

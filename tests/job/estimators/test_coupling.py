"""Coupling readings: the dense Hessian's numbers, on any number of ranks, with their noise."""

import gc
import math
import warnings

import numpy as np
import pytest
import torch

from helpers import toys
from hessview.errors import InputError
from hessview.job.control import Reduction
from hessview.job.estimators.coupling import coupling
from hessview.job.loss import ShardedLoss
from hessview.job.objective import Objective, job_blocks
from hessview.job.worker import Worker
from hessview.operators import OPERATORS
from hessview.record.commands import Coupling
from ranks.coupling import COMMANDS, measured

NOISY = {"noise", "error", "disagreement", "row_disagreement", "product_error"}
CLOSE = 2e-7  # of |Hv|: products in float64 reach 4e-9, those of the lightest blocks less


@pytest.fixture(scope="module")
def dense():
    """The dense float64 Hessian of toys.gpt(), and the place of each block's parameters in it."""
    objective = toys.gpt()
    blocks, rows, start = job_blocks(objective), {}, 0
    for name, parameter in objective.module.named_parameters():
        for block, names in blocks.items():
            if name in names:
                rows.setdefault(block, []).extend(range(start, start + parameter.numel()))
        start += parameter.numel()
    return toys.dense_hessian(objective), {b: torch.tensor(rows[b]) for b in blocks}


def surface_of(objective, **options):
    surface = ShardedLoss(objective, Reduction(), **options)
    surface.measure()
    return surface


def by_index(readings):
    return {tuple(reading.index.items()): reading.values for reading in readings}


def read(surface, **options):
    return by_index(coupling(Coupling(**options), surface))


def test_every_number_is_that_of_the_dense_hessian(dense):
    matrix, rows = dense
    surface = surface_of(toys.gpt())
    found = read(surface, probes=2, seed=3)
    assert len(found) == 2 * (len(rows) + 1)
    for probe in range(2):
        v = surface.space.probe(3, probe)
        parts = [[matrix[r][:, c] @ v[c] for c in rows.values()] for r in rows.values()]
        scale = float((matrix @ v).norm())
        for c in range(len(rows)):
            values = found[("probe", probe), ("column", c)]
            norms = [float(row[c].norm()) for row in parts]
            forms = [float(v[r] @ row[c]) for r, row in zip(rows.values(), parts, strict=True)]
            np.testing.assert_allclose(values["response_norm"], norms, rtol=0, atol=CLOSE * scale)
            np.testing.assert_allclose(values["form"], forms, rtol=0, atol=CLOSE * scale)
        hv = torch.cat([sum(row) for row in parts])
        own = torch.cat([row[i] for i, row in enumerate(parts)])
        values = found[(("probe", probe),)]
        expected = {
            "product_norm": scale,
            "diagonal_norm": float(own.norm()),
            "block_error": float((hv - own).norm() / hv.norm()),
            "cosine": float(hv @ own / hv.norm() / own.norm()),
            "kappa": float(hv @ own / own.norm() ** 2),
        }
        for name, value in expected.items():
            assert values[name] == pytest.approx(value, rel=10 * CLOSE), name
        errors = [
            float((sum(row) - row[i]).norm() / sum(row).norm()) for i, row in enumerate(parts)
        ]
        np.testing.assert_allclose(values["row_error"], errors, rtol=10 * CLOSE)
        assert values["disagreement"] < CLOSE
    assert 0.2 < values["block_error"] < 1.5  # the toy is coupled: there is something to see


def test_noise_and_error_are_measured_with_the_first_probe_whose_steps_are_kept():
    found = read(surface_of(toys.gpt()), probes=2)
    columns = [len(index) == 2 for index in found]
    assert sum(columns) == 8
    for (name, probe), *rest in found:
        values = found[((name, probe), *rest)]
        first = found[((name, 0), *rest)]
        if rest:
            assert math.isnan(values["error"]) == (probe == 1)
            assert np.isnan(values["noise"]).all() == (probe == 1)
            assert values["epsilon"] == first["epsilon"] > 0
            assert values["gradients"] >= (2 if probe else 4)
        else:
            assert math.isnan(values["product_error"]) == (probe == 1)
            assert values["product_epsilon"] == first["product_epsilon"] > 0
    one = found[("probe", 1), ("column", 2)]
    assert one["gradients"] == 2
    first = found[("probe", 0), ("column", 2)]
    assert first["error"] == pytest.approx(
        np.linalg.norm(first["noise"]) / np.linalg.norm(first["response_norm"])
    )
    assert first["error"] < 1e-6


def test_a_block_diagonal_hessian_is_seen_as_one():
    first, second = toys.numbers(5, 5), toys.numbers(4, 4, seed=1)
    module = torch.nn.ModuleDict(
        {"a": toys.Point(toys.numbers(5, seed=2)), "b": toys.Point(toys.numbers(4, seed=3))}
    )

    def loss(module, batch):
        x, y = module["a"](), module["b"]()
        return x @ first @ x + y @ second @ y

    found = read(surface_of(Objective(module, loss, [None])), probes=2)
    for index, values in found.items():
        if len(index) == 2:
            away = 1 - dict(index)["column"]
            assert values["response_norm"][away] < 1e-8 * max(values["response_norm"])
        else:
            assert values["block_error"] < 1e-8
            assert values["cosine"] == pytest.approx(1, abs=1e-8)
            assert values["kappa"] == pytest.approx(1, abs=1e-8)


def test_blocks_by_pattern_leave_other_parameters_alone(dense):
    matrix, _ = dense
    objective = toys.gpt()
    places, start = {}, 0
    for name, parameter in objective.module.named_parameters():
        places[name] = torch.arange(start, start + parameter.numel())
        start += parameter.numel()
    rows = [
        torch.cat([place for name, place in places.items() if part in name])
        for part in (".qkv.", ".up.")
    ]
    surface = surface_of(objective)
    found = read(surface, probes=1, blocks={"attention": "*.qkv.*", "mlp": "*.up.*"})
    v = surface.space.probe(0, 0)
    for c, column in enumerate(rows):
        norms = [float((matrix[row][:, column] @ v[column]).norm()) for row in rows]
        np.testing.assert_allclose(
            found[("probe", 0), ("column", c)]["response_norm"], norms, rtol=1e-6
        )
    both = torch.cat(rows)
    whole = found[(("probe", 0),)]
    assert whole["product_norm"] == pytest.approx(
        float((matrix[both][:, both] @ v[both]).norm()), rel=1e-6
    )
    assert whole["disagreement"] < 1e-6


def test_a_subset_leaves_the_other_blocks_unmeasured():
    surface = surface_of(toys.gpt(), subset=("layers.*",))
    found = read(surface, probes=1, subset=("layers.*",))
    blocks = list(job_blocks(toys.gpt()))
    held = [block.startswith("layers") for block in blocks]
    assert sum(held) == 2
    for index, values in found.items():
        row = values["response_norm" if len(index) == 2 else "row_error"]
        assert np.isfinite(row).tolist() == held
    assert {dict(index).get("column") for index in found} == {None, 1, 2}


@pytest.mark.parametrize("name", sorted({"hessian", "exact"} & set(OPERATORS)))
def test_operators_agree_and_one_without_a_step_has_no_noise_to_measure(name):
    objective = toys.gpt()
    found = read(surface_of(objective), probes=1, operator=name)
    reference = read(surface_of(objective), probes=1)
    for index, values in found.items():
        for key in ("response_norm", "kappa"):
            if key in values:
                np.testing.assert_allclose(values[key], reference[index][key], rtol=1e-5)
    if name == "exact":
        assert math.isnan(found[(("probe", 0),)]["product_error"])
        assert np.isnan(found[("probe", 0), ("column", 0)]["noise"]).all()
        assert found[(("probe", 0),)]["disagreement"] < 1e-12


def test_no_more_vectors_are_kept_for_more_blocks(monkeypatch):
    def tensors():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of objects that only look like tensors
            return [t for t in gc.get_objects() if isinstance(t, torch.Tensor)]

    others = tensors()  # of tests before this one; held, so that no other gets their place
    known = {id(tensor) for tensor in others}
    surface = surface_of(toys.gpt(steps=0))
    size, gradient, counts = surface.space.local_size, surface.gradient, []

    def counting(*arguments, **options):
        own = [t for t in tensors() if id(t) not in known]
        counts.append(len({t.data_ptr() for t in own if t.shape == (size,)}))
        return gradient(*arguments, **options)

    monkeypatch.setattr(surface, "gradient", counting)
    names = [piece.name for piece in surface.space.pieces]
    peaks = []
    for number in (2, 9):
        counts.clear()
        read(surface, probes=2, epsilon=1e-4, blocks={name: name for name in names[:number]})
        peaks.append(max(counts))
    # The probe, the sum, the diagonal, Hv, a direction, its product, and that at twice the step.
    assert peaks[0] == peaks[1] <= 8


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"blocks": {"a": "*.qkv.*", "b": "*.atn.*"}},
            r"block 'b' is empty: its pattern '\*\.atn\.\*' matches no parameter; they are "
            r"\['token\.weight', 'place\.weight', .*\]\.\.\.",
        ),
        (
            {"blocks": {"all": "*", "mlp": "*.up.*"}},
            r"parameter 'layers\.0\.up\.weight' lies in block 'all' and in block 'mlp'; use "
            r"blocks that do not overlap",
        ),
        ({"subset": ("layers.0.*",)}, r"blocks=\['layers\.0'\]: coupling needs two or more; give"),
    ],
)
def test_blocks_that_say_nothing_are_refused(options, text):
    subset = {"subset": options["subset"]} if "subset" in options else {}
    surface = surface_of(toys.gpt(steps=0), **subset)
    with pytest.raises(InputError, match=text):
        next(coupling(Coupling(**options), surface))


def test_a_job_of_one_block_is_refused():
    objective = toys.quadratic(toys.numbers(3, 3), toys.numbers(3))
    with pytest.raises(InputError, match=r"blocks=\['x'\]: coupling needs two or more; give block"):
        next(coupling(Coupling(), surface_of(objective)))


@pytest.mark.parametrize(
    ("blocks", "text"),
    [
        ({"a": "*"}, r"blocks=\{'a': '\*'\} is one block, which is coupled to nothing; use two"),
        ("layers.*", r"blocks='layers\.\*' is not allowed; use a mapping from names to patterns"),
        ({"a": "x", "b": ""}, r"is not allowed; use a mapping from names to patterns"),
        ({"a": "x", "b": 3}, r"is not allowed; use a mapping from names to patterns"),
        ((("a", "x"), ("a", "y")), r"is not allowed; use a mapping from names to patterns"),
    ],
)
def test_commands_without_two_patterns_are_refused(blocks, text):
    with pytest.raises(InputError, match=text):
        Coupling(blocks=blocks)


@pytest.mark.ranks
@pytest.mark.timeout(200)
def test_two_ranks_give_what_one_gives_and_the_gate_fires_on_noise(torchrun):
    two, worker = torchrun("coupling", 2), Worker(toys.gpt())
    one = {name: measured(worker, command) for name, command in COMMANDS.items()}
    for name in ("layers", "custom"):
        (rows, state), (others, other_state) = one[name], two[name]
        assert state == other_state == ("done", "")
        assert list(rows) == list(others)
        for index, values in rows.items():
            for key, value in values.items():
                # Measured 1e-9: sums over ranks are done in another order.
                if key not in NOISY:
                    np.testing.assert_allclose(
                        value, others[index][key], rtol=1e-6, atol=1e-8, err_msg=f"{index} {key}"
                    )
    assert one["bad"] == two["bad"]
    assert "lies in block 'all' and in block 'mlp'" in two["bad"][1][1]
    assert two["restored"]
    assert min(two["bfloat16, bad step"]) > 0.5
    assert max(two["float32, auto"]) < 0.02

"""Ranks that share data, and ranks that share activations: right by calculus, or refused by name.

One launch for each number of ranks runs every case of ranks/meshes.py; tests read its file.
"""

import functools
import itertools
import random

import pytest
import torch

from helpers import toys
from hessview.errors import InputError
from hessview.job import coupled_ranks
from hessview.job.objective import Objective
from hessview.record.events import JobStarted

# Sums over ranks round in another order; central differences in float64, at the step 1e-4 along a
# vector of norm 20 to 30, err by its square. Measured at most 3e-16 and 5e-9.
TOLERANCES = {"loss": 1e-14, "gradient": 1e-14, "hessian": 2e-8, "exact": 1e-13}
TOLERANCES["hessian_one_reduction"] = TOLERANCES["gauss_newton"] = TOLERANCES["hessian"]
# In float32 the same step leaves a difference of gradients of which 1 % is rounding.
COARSE = {"loss": 1e-6, "gradient": 1e-5, "hessian": 0.05, "hessian_one_reduction": 0.05}

RIGHT = {
    "fsdp",
    "tensor_parallel_beside_plain_parameters",
    "sequence_parallel",
    "context_by_name",
    "context_flattened",
    "context_by_no_name",
    "context_of_one_batch",
    "context_as_stated",
    "synchronised_batch_normalisation",
    "experts_summed_as_all_others",
    "experts_divided_as_all_others",
    "plain_with_tied_layers_scalar_and_batch_norm",
}
RIGHT_ON = {
    2: {
        "distributed_data_parallel",
        "composable_replicate_on_fsdp",
        "quantised_frozen_parameters",
        "distributed_by_hand",
        "nothing_to_change",
        "experts_in_float32",
        "plain_whose_children_are_called",
        "plain_with_a_penalty",
        "plain_with_quantised_parameters",
        "plain_with_derivatives_by_inputs",
        "plain_with_function_transforms",
        "plain_by_the_name_of_a_function",
        "plain_transformer",
    },
    4: {
        "context_over_distant_ranks",
        "fsdp_and_tensor_parallel",
        "fsdp_and_tensor_parallel_beside_plain_parameters",
        "hybrid",
    },
}
FIRST = "the loss of rank 1 moves when only the batch of rank 0 is changed"
STATE = 'pass data=mesh over whose ranks batches are to be shared out, such as mesh["dp"]'
REFUSED = {
    "experts_of_which_nobody_thought": (
        "the gradient of what lies on fully_shard over efsdp=",
        "a gradient_divide_factor alike for all",
    ),
    "context_against_what_is_stated": (FIRST, "Objective(data=...) gives them different", STATE),
    "whole_losses_from_all_batches": (FIRST, "each of them computes a whole loss", STATE),
}
REFUSED_ON = {
    2: {
        "plain_parameters_with_other_gradients": (
            "ranks 0 and 1 hold copies of parameter 'bias'",
            'distribute_tensor(parameter, mesh["tp"], [Replicate()])',
        ),
        "exact_products_of_experts": ("expert parallelism", 'operator="hessian"'),
        "exact_products_of_tensor_parallel_parameters": ("activations together", "richardson"),
        "older_fsdp": ("older FullyShardedDataParallel (FSDP1)", "fully_shard on the plain"),
        "older_fsdp_with_flat_parameters": ("FullyShardedDataParallel (FSDP1)", "in its place"),
        "older_replicate": ("the older composable replicate", "use fully_shard"),
        "pipeline_stages": ("rank 1 holds other parameters than rank 0: '0.weight'", "pipeline"),
        "plain_and_unlike": ("another module than rank 0, first of all in 'bias'", "manual_seed"),
        "plain_without_numbers": ("on the meta device", "to_empty"),
        "plain_and_served": (
            "is not sharded on a job of 2 ranks",
            "fully_shard",
            "hessview.launch",
        ),
    },
    4: {
        "replicas_that_differ": ("ranks 0 and 2 hold copies of parameter 'head.weight'", "seed"),
        "data_over_a_part_of_the_ranks": ("is a mesh of ranks [0, 1]", "a mesh of all 4 ranks"),
        "data_over_unequal_parts": ("evenly over the job's 4 ranks", "3, 3, 3, 1", 'mesh["dp"]'),
    },
}


@pytest.fixture(scope="module")
def launched(torchrun):
    """Results by number of ranks: of each case, on each rank."""
    return functools.cache(lambda world: torchrun("meshes", world, limit=900))


ranks = [pytest.mark.ranks, pytest.mark.timeout(960)]


def marked(*cases):
    return [pytest.param(*case, marks=ranks, id=f"{case[0]}-{case[1]}") for case in cases]


@pytest.mark.parametrize(
    ("world", "name"),
    marked(*((world, name) for world in (2, 4) for name in sorted(RIGHT | RIGHT_ON[world]))),
)
def test_what_is_measured_is_right(launched, world, name):
    tolerances = COARSE if name == "experts_in_float32" else TOLERANCES
    for result in launched(world)[name]:
        assert isinstance(result, dict), result
        for what, error in result["errors"].items():
            assert error <= tolerances[what], what


@pytest.mark.parametrize(
    ("world", "name"),
    marked(*((world, name) for world in (2, 4) for name in sorted(REFUSED | REFUSED_ON[world]))),
)
def test_what_cannot_be_measured_is_refused_by_its_name(launched, world, name):
    words = (REFUSED | REFUSED_ON[world])[name]
    for result in launched(world)[name]:
        assert isinstance(result, str), result
        for word in words:
            assert word in result


@pytest.mark.parametrize("world", [pytest.param(n, marks=ranks) for n in (2, 4)])
def test_every_case_is_looked_at(launched, world):
    looked_at = RIGHT | RIGHT_ON[world] | set(REFUSED) | set(REFUSED_ON[world])
    assert set(launched(world)) == looked_at | ({"recorded"} if world == 2 else set())


@pytest.mark.parametrize(
    ("name", "world", "groups"),
    marked(
        ("context_by_no_name", 2, "ranks 0, 1"),
        ("context_by_no_name", 4, "ranks 0, 1; ranks 2, 3"),
        ("context_of_one_batch", 4, "ranks 0, 1; ranks 2, 3"),
        ("context_over_distant_ranks", 4, "ranks 0, 2; ranks 1, 3"),
        ("synchronised_batch_normalisation", 4, "ranks 0, 1, 2, 3"),
    ),
)
def test_ranks_that_share_activations_see_one_batch_and_it_is_recorded(
    launched, name, world, groups
):
    (result, *_) = launched(world)[name]
    note = result["notes"]["shared_activations"]
    assert note.endswith(f"; these see one batch together: {groups}")
    assert result["data_ranks"] == groups.count(";") + 1
    named = "synchronised batch normalisation, '1'" in note
    assert named is (name == "synchronised_batch_normalisation")


@pytest.mark.ranks
@pytest.mark.timeout(960)
def test_the_note_goes_into_each_run(launched):
    for result in launched(2)["recorded"]:
        assert result["state"] == "done"
        assert "ranks 0, 1" in result["notes"]["shared_activations"]


@pytest.mark.parametrize("world", [pytest.param(n, marks=ranks) for n in (2, 4)])
def test_names_of_dimensions_and_stated_meshes_need_no_note(launched, world):
    for name in ("context_by_name", "context_flattened", "context_as_stated", "fsdp"):
        assert launched(world)[name][0]["notes"] == {}
    assert launched(world)["fsdp"][0]["data_ranks"] == world
    assert launched(world)["context_by_name"][0]["data_ranks"] == 1
    assert launched(world)["context_as_stated"][0]["data_ranks"] == world // 2


@pytest.mark.ranks
@pytest.mark.timeout(960)
def test_what_could_not_be_checked_is_said(launched):
    note = launched(2)["nothing_to_change"][0]["notes"]["shared_activations"]
    assert note.startswith("could not be checked: there are no two batches that differ")


@pytest.mark.ranks
@pytest.mark.timeout(960)
def test_meshes_are_reported_as_they_are(launched):
    assert launched(2)["distributed_data_parallel"][0]["mesh"] == {"replicate": 2}
    assert launched(2)["composable_replicate_on_fsdp"][0]["mesh"] == {"replicate": 2}
    assert launched(4)["fsdp_and_tensor_parallel"][0]["mesh"] == {"dp": 2, "tp": 2}
    assert launched(4)["hybrid"][0]["mesh"] == {"replicate": 2, "shard": 2}


@pytest.mark.ranks
@pytest.mark.timeout(960)
def test_kinds_of_parallelism_are_told_apart(launched):
    kinds = launched(4)["experts_summed_as_all_others"][0]["kinds"]
    assert kinds == {
        "fully_shard over shard=4, gradients divided by 1": 28,
        "fully_shard over efsdp=2, split over ep=2, gradients divided by 1": 2,
    }
    kinds = launched(4)["fsdp_and_tensor_parallel"][0]["kinds"]
    assert kinds == {
        "fully_shard over dp=2, split over tp=2": 22,
        "fully_shard over dp=2, copied over tp=2": 9,
    }
    kinds = launched(2)["tensor_parallel_beside_plain_parameters"][0]["kinds"]
    assert kinds == {"plain": 7, "split over tp=2": 20, "copied over tp=2": 4}


@pytest.mark.ranks
@pytest.mark.timeout(960)
def test_a_plain_module_is_sharded_as_far_as_it_can_be(launched):
    cases = launched(2)
    assert cases["plain_transformer"][0]["whole"] == 0
    assert cases["plain_transformer"][0]["mesh"] == {"shard": 2}
    assert cases["plain_with_tied_layers_scalar_and_batch_norm"][0]["whole"] == 1  # the scalar
    for name in ("with_a_penalty", "with_derivatives_by_inputs", "with_function_transforms"):
        assert cases[f"plain_{name}"][0]["whole"] == 4
        note = cases[f"plain_{name}"][0]["notes"]["kept_whole"]
        assert note.startswith("each rank holds 4 parameters whole")


@pytest.mark.parametrize("shares", [2, 3, 4, 6, 16, 17, 32, 48, 64, 1000])
def test_the_batch_is_changed_so_that_any_pair_shows(shares):
    schedule = coupled_ranks._schedule(shares)
    assert schedule[:2] == [set(), set()]
    assert len(schedule) <= 2 + max(16, 2 * (shares - 1).bit_length())
    pairs = list(itertools.permutations(range(shares), 2))
    for mover, other in random.Random(0).sample(pairs, min(300, len(pairs))):
        assert any(mover in changed and other not in changed for changed in schedule)


@pytest.mark.parametrize(
    ("shares", "size", "stride", "found"),
    [
        (4, 2, 1, 2),
        (6, 3, 1, 3),
        (6, 2, 3, 2),
        (12, 4, 3, 4),
        (16, 16, 1, 16),
        (32, 4, 1, 4),  # from here on by halves
        (32, 2, 16, 2),
        (64, 8, 4, 8),
        (24, 3, 1, 24),  # digits cannot tell threes: all of them see one batch, which is right too
    ],
)
@pytest.mark.parametrize("causal", [False, True])
def test_groups_hold_all_that_are_coupled(shares, size, stride, found, causal):
    """Simulated losses: each share's moves with those of its group, or of earlier ones only."""
    group_of = [p // (stride * size) * stride + p % stride for p in range(shares)]
    schedule = coupled_ranks._schedule(shares)
    copies = 2  # ranks at each share, as with tensor parallelism beside
    positions = [rank // copies for rank in range(shares * copies)]

    def loss(position, changed):
        seen = [
            p
            for p in range(shares)
            if group_of[p] == group_of[position] and (p <= position or not causal)
        ]
        return 1.0 + sum(0.01 * (p + 1) for p in seen if p in changed)

    losses = [[loss(position, changed) for changed in schedule] for position in positions]
    moved = coupled_ranks._moved(schedule, losses, positions, [0.0] * len(positions))
    groups = coupled_ranks._groups(shares, schedule, moved, positions)
    assert {groups.count(group) for group in groups} == {found}
    for a, b in itertools.combinations(range(shares), 2):
        assert groups[a] == groups[b] or group_of[a] != group_of[b]


def test_ranks_that_share_nothing_do_not_move():
    for shares in (4, 40):
        schedule = coupled_ranks._schedule(shares)
        losses = [[float(p in changed) for changed in schedule] for p in range(shares)]
        limits = [0.0] * shares
        assert coupled_ranks._moved(schedule, losses, list(range(shares)), limits) == []


@pytest.mark.parametrize(
    ("batch", "changed"),
    [
        (torch.arange(6.0), True),
        ({"x": torch.ones(3, 2), "y": torch.eye(2)}, True),
        (torch.ones(3, 2), False),
        (torch.tensor([[1, 2, 3]]), True),
        ([torch.tensor([0, 3, 7])], False),  # where sequences begin
        ((toys.numbers(4, 2).numpy(), "text"), True),
        ("text", False),
        (None, False),
    ],
)
def test_batches_are_changed_within_their_shapes(batch, changed):
    before = [coupled_ranks._form(part) for part in coupled_ranks._parts_of_batch(batch)]
    assert coupled_ranks._shuffle(batch) is changed
    assert [coupled_ranks._form(part) for part in coupled_ranks._parts_of_batch(batch)] == before


def test_a_mesh_of_data_has_to_be_one():
    objective = toys.gpt()
    text = r"data is a dict; pass the DeviceMesh over whose ranks batches are shared out, such as"
    with pytest.raises(InputError, match=text):
        Objective(objective.module, objective.loss, objective.batches, data={"dp": 2})


def test_older_records_do_not_say_how_batches_were_shared_out():
    fields = {field: JobStarted.__dataclass_fields__[field] for field in ("data_ranks", "notes")}
    assert fields["data_ranks"].default is None
    assert fields["notes"].default_factory() == {}

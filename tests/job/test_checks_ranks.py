"""Losses and checks on two ranks: right against calculus in one process, or refused on both."""

import re

import pytest

pytestmark = [pytest.mark.ranks, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def ranks(torchrun):
    return torchrun("checks", 2)


@pytest.fixture
def found(ranks, request):
    """What both ranks found alike."""
    name = request.param
    assert ranks[0][name] == ranks[1][name]
    return ranks[0][name]


def of(*names):
    return pytest.mark.parametrize("found", names, indirect=True)


@of("derivatives_by_inputs_replicated", "derivatives_by_inputs_kept", "penalty_gathered")
def test_products_are_those_of_calculus(found):
    assert found < 1e-7  # of a difference in float64 at a step of 1e-4


@of("derivatives_as_outputs")
def test_outputs_that_are_derivatives(found):
    assert found[-1] == "run_ended"
    assert found.count("reading") == 3 + 1  # steps, and the extreme Ritz vectors


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (
            "derivatives_by_inputs_freed",
            r"parameters were freed before they were last used \(setStorage.*call "
            r"set_reshard_after_backward\(False\) on the sharded module",
        ),
        (
            "penalty_mixed",
            r'mixes plain tensors with .*full_tensor\(grad_placements=\[Partial\("avg',
        ),
        ("penalty", r"the loss function mixes plain tensors with parameters that are sharded"),
        ("penalty_whose_gradient_nobody_averages", r"the gradient must be that of the mean loss"),
        (
            "weight_on_one_rank",
            r"the loss function returned a tensor that depends on the parameters \(it requires "
            r"grad\) where the number of terms is expected; return \(summed loss, number of terms",
        ),
    ],
    indirect=["found"],
)
def test_what_is_refused_is_refused_on_all_ranks(found, told):
    assert re.search(told, found), found


@of("noise")
def test_noise_of_rounding_is_noted_and_that_of_chance_refused(found):
    noted, refused = found
    assert re.match(r"two passes over the same batches differ by \de-\d\d of the gra", noted) or (
        re.match(r"two passes over the same batches differ by \d\.\de-\d\d of the gradient", noted)
    )
    assert refused.startswith("two passes over the same batches gave loss ")


@of("recomputed")
def test_transformers_layers_recompute_below_fsdp(found):
    (once, plain), (twice, recomputed) = found
    assert twice == 2 * once
    assert plain == recomputed

"""Products of a state-space model, whose recurrence is no attention, against double backward."""

import logging

import pytest
import torch
from transformers import AutoModelForCausalLM, MambaConfig

import hessview
from hessview.job.batches import next_token_loss, read_text

SIZES = {"vocab_size": 256, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}


@pytest.fixture(scope="module")
def mamba():
    """Trained for some seconds on the bytes of a text."""
    logging.getLogger("transformers").setLevel(logging.ERROR)  # of kernels for GPUs
    text = torch.tensor(list(read_text(None).encode()))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = AutoModelForCausalLM.from_config(MambaConfig(**SIZES))
        optimizer = torch.optim.AdamW(module.parameters(), 5e-3)
        for _ in range(60):
            starts = torch.randint(len(text) - 24, (16,)).tolist()
            batch = torch.stack([text[start : start + 24] for start in starts])
            total, weight = next_token_loss(module, batch)
            optimizer.zero_grad()
            (total / weight).backward()
            optimizer.step()
    assert total.item() < 3 * weight
    batches = list(text[:192].view(2, 4, 24))
    return hessview.Objective(module.eval(), next_token_loss, batches)


def test_the_chosen_step_is_near_the_best_along_random_and_top_directions(mamba):
    with hessview.local(mamba) as session:
        ds = session.accuracy(epsilons=[1e-4, 3e-4, 1e-3, 1e-2, 3e-2, 0.1], probes=1).wait(200)
    assert (ds.exact == 1).all()
    assert (ds.reference_error < 1e-6).all()  # its recurrence is computed in float32
    assert (ds.reference_error > 1e-9).all()
    assert (ds.auto_relative_error < 2e-4).all()
    assert (ds.auto_relative_error < 3.5 * ds.relative_error.min("epsilon")).all()
    share = ds.auto_error / ds.auto_relative_error
    assert ((share > 0.7) & (share < 4)).all()
    random, top = ds.auto_epsilon.values
    assert random > 20 * top

"""What must hold before a number is believed; each refusal says what came and what to do."""

import dataclasses
import math
import re
import types

import psutil
import pytest
import torch
from torch import nn

from helpers import toys
from hessview.errors import InputError, ObjectiveError
from hessview.job.objective import Objective
from hessview.job.worker import Worker
from hessview.record.commands import Density
from hessview.record.events import Reading, RunEnded


def with_loss(objective, loss):
    return Objective(objective.module, loss, objective.batches)


def refused(objective, text, kind=ObjectiveError):
    with pytest.raises(kind, match=re.escape(text)):
        Worker(objective)


@pytest.fixture
def objective():
    return toys.gpt(dtype=torch.float32)


@pytest.fixture
def ended(objective):
    """How a run of a command ends, after something happened to the module."""
    worker = Worker(objective)

    def run(command, change=lambda: None):
        change()
        payloads = list(worker.execute(command))
        assert isinstance(payloads[-1], RunEnded)
        return payloads[-1], [p for p in payloads if isinstance(p, Reading)]

    return run


class WithoutHead(nn.Module):
    """What transformers gives without a head on it: tied by its configuration, to nothing."""

    def __init__(self, module, head):
        super().__init__()
        self.module, self.head = module, head
        self.config = types.SimpleNamespace(tie_word_embeddings=True)

    def get_input_embeddings(self):
        return self.module.token

    def get_output_embeddings(self):
        return self.head

    def forward(self, *given):
        return self.module(*given)


def test_a_model_without_an_output_embedding_has_nothing_to_tie(objective):
    def loss(module, batch):
        return objective.loss(module.module, batch)

    bare = Objective(WithoutHead(objective.module, None), loss, objective.batches)
    assert "equal_parameters" not in Worker(bare).notes
    bare.module.head = nn.Linear(2, 2)  # of its own
    refused(
        bare,
        "the model ties its output embedding to its input embedding, but they are two parameters",
    )


def test_dropout(objective):
    objective.module.layers[1].out = nn.Sequential(objective.module.layers[1].out, nn.Dropout(0.2))
    objective.module.layers[1].train()
    refused(
        objective,
        "dropout is on in 'layers.1.out.1' (p=0.2), so each pass has another loss; call "
        "module.eval() first, or, in a training loop, ",
    )
    objective.module.eval()
    Worker(objective)


def test_training_mode_without_anything_random_is_allowed(objective):
    objective.module.layers[1].out = nn.Sequential(objective.module.layers[1].out, nn.Dropout(0.0))
    objective.module.train()
    Worker(objective)
    assert objective.module.training


def test_dropout_that_comes_on_during_training(objective, ended):
    objective.module.drop = nn.Dropout(0.5)
    state, readings = ended(Density(steps=2, probes=1), objective.module.train)
    assert state.state == "failed"
    assert state.error.startswith("dropout is on in 'drop' (p=0.5)")
    assert not readings
    assert ended(Density(steps=2, probes=1), objective.module.eval)[0].state == "done"


def test_batch_normalisation(objective):
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    statistics = {k: v.clone() for k, v in module.state_dict().items()}
    moving = Objective(
        module, lambda m, x: m(x).square().mean(), [toys.numbers(5, 3, dtype=torch.float32)]
    )
    refused(
        moving,
        "batch normalisation '1' is in training mode, so each pass moves its statistics; call "
        "module.eval() first, or, in a training loop, ",
    )
    assert all(torch.equal(v, statistics[k]) for k, v in module.state_dict().items())
    module.eval()
    Worker(moving)
    assert all(torch.equal(v, statistics[k]) for k, v in module.state_dict().items())


def test_a_random_loss(objective):
    def noisy(module, ids):
        total, weight = toys.token_loss(module, ids)
        return total * (1 + 1e-3 * torch.rand(())), weight

    refused(with_loss(objective, noisy), "two passes over the same batches gave loss ")


def test_batches_that_are_drawn_anew(objective):
    class Drawn:
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return torch.randint(1, toys.VOCABULARY, (2, toys.LENGTH))

    refused(
        Objective(objective.module, toys.token_loss, Drawn()),
        "turn off dropout and other randomness (module.eval()), and return the same batch each "
        "time it is asked for.",
    )


@pytest.mark.parametrize("how", ["detach", "no_grad"])
def test_a_loss_without_gradient(objective, how):
    def cut(module, ids):
        if how == "no_grad":
            with torch.no_grad():
                return toys.token_loss(module, ids)
        total, weight = toys.token_loss(module, ids)
        return total.detach(), weight

    refused(
        with_loss(objective, cut),
        "the loss does not depend on the parameters through autograd; compute it without "
        "torch.no_grad() or .detach().",
    )


def test_a_loss_of_something_else(objective):
    other = torch.ones(3, requires_grad=True)
    refused(
        with_loss(objective, lambda module, ids: other.square().sum()),
        "no parameter received a gradient",
    )


@pytest.mark.parametrize(
    ("result", "given"),
    [(lambda t: t.item(), "float"), (lambda t: t[None].expand(2), "(2,)"), (str, "str")],
)
def test_a_loss_that_is_no_scalar(objective, result, given):
    def odd(module, ids):
        return result(toys.token_loss(module, ids)[0].detach())

    refused(
        with_loss(objective, odd),
        f"the loss function returned {given}; return one scalar tensor, or (summed loss, number "
        "of terms).",
    )


def test_weights_that_add_up_to_nothing(objective):
    refused(
        with_loss(objective, lambda m, ids: (toys.token_loss(m, ids)[0], 0)),
        "the loss terms' weights sum to 0; return (total, weight) with the number of terms of "
        "each batch.",
    )


def test_weights_that_are_not_finite(objective):
    with torch.no_grad():
        objective.module.norm.weight[0] = torch.nan
    refused(
        objective,
        "the loss is nan and its gradient's norm nan at the given parameters (the loss is not "
        "finite on rank 0); both must be finite: check the weights and the data.",
    )


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_loss_that_is_not_finite(objective, value):
    refused(
        with_loss(objective, lambda m, ids: toys.token_loss(m, ids)[0] + value),
        f"the loss is {value:g} and its gradient's norm ",
    )


def test_weights_that_became_infinite_during_training(objective, ended):
    def spoil():
        with torch.no_grad():
            objective.module.norm.weight.fill_(torch.inf)

    state, readings = ended(Density(steps=2, probes=1), spoil)
    assert state.state == "failed"
    assert "both must be finite: check the weights and the data." in state.error
    assert not readings


def test_nothing_to_differentiate(objective):
    objective.module.requires_grad_(False)
    refused(
        objective,
        "no parameter has requires_grad; turn it on for those to be differentiated.",
    )


def test_complex_parameters(objective):
    weight = nn.Parameter(torch.ones(2, dtype=torch.complex64))
    objective.module.register_parameter("spin", weight)
    refused(objective, "parameter 'spin' is torch.complex64, and the loss is seen as a function of")
    weight.requires_grad_(False)
    Worker(objective)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_gradient_that_is_not_the_losss(objective, factor):
    class Scaled(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return x.clone()

        @staticmethod
        def backward(context, gradient):
            return factor * gradient

    def loss(module, batch):
        total, weight = objective.loss(module, batch)
        return Scaled.apply(total), weight

    refused(with_loss(objective, loss), "the gradient must be that of the mean loss over all ranks")


def test_a_stationary_point_is_no_reason_to_refuse():
    """Nor one that is so near that the loss does not change along its gradient but by rounding."""
    diagonal = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    for away in (0.0, 1e-9):
        at = torch.full((3,), away, dtype=torch.float64)
        shifted = toys.quadratic(torch.diag(diagonal), at)
        loss = lambda module, batch, own=shifted.loss: 1 + own(module, batch)  # noqa: E731
        worker = Worker(with_loss(shifted, loss))
        assert worker.surface.gradient_norm == pytest.approx(away * math.sqrt(14))
        readings = worker.execute(Density(steps=3, probes=1))
        found = [one.values["alpha"] for one in readings if "alpha" in getattr(one, "values", {})]
        assert sum(found) == pytest.approx(6, rel=1e-6)  # the trace


def test_parameters_of_zero_are_checked_too():
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return x.clone()

        @staticmethod
        def backward(context, gradient):
            return 3 * gradient

    at = torch.zeros(4, dtype=torch.float64)
    slope = toys.numbers(4)
    Worker(Objective(toys.Point(at), lambda m, _: 1 + (slope * m()).sum(), [None]))
    refused(
        Objective(toys.Point(at), lambda m, _: 1 + (slope * Wrong.apply(m())).sum(), [None]),
        "the gradient must be that of the mean loss over all ranks",
    )


def test_more_steps_than_parameters(ended):
    size = 1408
    state, readings = ended(Density(steps=size + 1, probes=1))
    assert state.state == "failed"
    assert state.error == f"steps={size + 1} exceeds the 1,408 parameters; use steps <= 1408."
    assert not readings


def test_a_basis_that_does_not_fit(ended, monkeypatch):
    memory = psutil.virtual_memory()._replace(available=10 * 1408 * 4)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    state, readings = ended(Density(steps=30, probes=1))
    assert state.state == "failed"
    assert state.error.startswith("steps=30 with reorthogonalize='full' keeps 30 vectors")
    found = re.search(r"use steps <= (\d+), reorthogonalize=(\d+) \(a window\)", state.error)
    assert found, state.error
    assert not readings
    # The advice works.
    steps, window = int(found[1]), int(found[2])
    assert ended(Density(steps=steps, probes=1, error_every=0))[0].state == "done"
    command = Density(steps=window + 2, probes=1, reorthogonalize=window, error_every=0)
    assert ended(command)[0].state == "done"


def test_blocks_that_name_nothing(objective):
    wrong = dataclasses.replace(objective, blocks={"all": ["head.weigth"]})
    refused(wrong, "block 'all' names ['head.weigth'], which the module does not have", InputError)


def test_what_is_no_module_or_no_data_set():
    module = nn.Linear(2, 1)
    with pytest.raises(InputError, match=r"module is a function; pass a torch\.nn\.Module\."):
        Objective(lambda x: x, toys.token_loss, [1])
    with pytest.raises(
        InputError, match=r"batches is a generator without length or order; pass a sequence, such"
    ):
        Objective(module, toys.token_loss, (i for i in range(3)))
    with pytest.raises(InputError, match=r"batches is empty; pass at least one batch\."):
        Objective(module, toys.token_loss, [])

"""transformers.Trainer with hessview's callback, really trained: see jobs/trainer.py."""

import pytest
import torch
from torch import nn
from transformers import Trainer, TrainingArguments

import hessview
from hessview.errors import InputError, JobError, RecordError


@pytest.mark.ranks
@pytest.mark.parametrize(
    ("kind", "ranks", "wrapped"),
    [
        ("single", 1, "GPT2LMHeadModel"),
        ("autocast", 1, "GPT2LMHeadModel"),
        ("ddp", 2, "DistributedDataParallel"),
        ("fsdp", 2, "FSDPGPT2LMHeadModel"),
    ],
)
def test_trainer_goes_on_to_the_last_bit_as_if_nobody_had_measured(
    kind, ranks, wrapped, left_on_ranks
):
    out, found = left_on_ranks("trainer.py", kind, ranks)
    for rank in found:
        assert rank["wrapped"] == wrapped
        assert len(rank["plain"]["losses"]) == 6
        assert rank["plain"] == rank["served"]
        assert rank["plain"] == rank["measured"]
    with pytest.raises(RecordError, match="holds no run"):
        hessview.open_runs(out / "served")
    runs = [node.to_dataset() for node in hessview.open_runs(out / "measured").children.values()]
    assert [run.attrs["training_step"] for run in runs] == [0, 3, 6]
    for run in runs:
        assert run.attrs["state"] == "done"
        assert run.attrs["world_size"] == ranks
        assert run.attrs["model"] == "GPT2LMHeadModel"
        assert run.alpha.notnull().all()
    # In float32 also where the trainer computes in bfloat16, and each label counts the same.
    assert runs[0].attrs["loss"] == pytest.approx(found[0]["oracle"], rel=1e-6)
    assert runs[0].attrs["weight"] == 107


class Line(nn.Module):
    """A model that is not of transformers, with labels that nothing shifts."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(4, 1)

    def forward(self, x, labels):
        return {"loss": (self.layer(x).squeeze(-1) - labels).square().mean()}


def rows():
    generator = torch.Generator().manual_seed(1)
    return [
        {"x": torch.randn(4, generator=generator), "labels": torch.randn((), generator=generator)}
        for _ in range(6)
    ]


def batches():
    """Four rows, and two."""
    groups = (rows()[:4], rows()[4:])
    return [{key: torch.stack([row[key] for row in group]) for key in group[0]} for group in groups]


@pytest.fixture
def trainer(tmp_path):
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "trainer"),
        use_cpu=True,
        max_steps=2,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    return Trainer(model=Line(), args=arguments, train_dataset=rows())


def test_spectrum_is_that_of_the_trained_loss(trainer, tmp_path):
    callback = hessview.TrainerCallback(trainer, batches(), tmp_path / "run", name="line")
    callback.record(every=2, density={"steps": 5, "probes": 1})
    trainer.add_callback(callback)
    trainer.train()
    assert callback.job is None
    first, last = hessview.open_runs(tmp_path / "run").leaves
    assert first.attrs["model"] == "line"
    assert last.attrs["training_step"] == 2
    x = torch.stack([row["x"] for row in rows()]).double()
    x = torch.cat([x, torch.ones(6, 1, dtype=torch.float64)], 1)
    top = float(torch.linalg.eigvalsh(2 * x.T @ x / 6)[-1])
    largest = hessview.summary(last.to_dataset()).value.sel(quantity="largest")
    assert float(largest) == pytest.approx(top, rel=1e-3)


def test_a_second_training_of_one_trainer_is_a_second_job(trainer, tmp_path):
    callback = hessview.TrainerCallback(trainer, batches(), tmp_path / "run")
    callback.record(every=1, density={"steps": 2, "probes": 1})
    trainer.add_callback(callback)
    trainer.train()
    trainer.train()
    steps = [run.attrs["training_step"] for run in hessview.open_runs(tmp_path / "run").leaves]
    assert steps == [0, 1, 2, 0, 1, 2]


def test_training_that_failed_can_be_started_again(trainer, tmp_path, monkeypatch):
    callback = hessview.TrainerCallback(trainer, batches(), tmp_path / "run")
    trainer.add_callback(callback)

    def broken(*_, **__):
        raise ZeroDivisionError("the loss fell over")

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "training_step", broken)
        with pytest.raises(ZeroDivisionError):
            trainer.train()
    with pytest.raises(JobError, match=r"training has begun; call record before trainer\.train"):
        callback.record(every=1, density={})
    trainer.train()
    assert callback.job is None


def test_a_loss_that_fails_when_measured_is_no_reason_to_end_the_training(trainer, tmp_path):
    def loss(module, batch):
        if trainer.state.global_step > 0:
            raise KeyError("mean")
        return module(**batch)["loss"] * len(batch["labels"]), len(batch["labels"])

    callback = hessview.TrainerCallback(trainer, batches(), tmp_path / "run", loss=loss)
    callback.record(every=1, density={"steps": 2, "probes": 1})
    trainer.add_callback(callback)
    trainer.train()
    runs = list(hessview.open_runs(tmp_path / "run").leaves)
    assert [run.attrs["state"] for run in runs] == ["done", "failed", "failed"]
    assert runs[1].attrs["error"].startswith("KeyError: 'mean' (loss, test_trainer.py:")


def test_batches_are_those_that_the_model_takes(trainer, tmp_path):
    with pytest.raises(InputError, match=r"batch 0 is a Tensor; .*collate_fn=trainer\."):
        hessview.TrainerCallback(trainer, [torch.zeros(3)], tmp_path / "run")
    with pytest.raises(InputError, match=r"batch 0 has no labels among \['x'\]; add them, or"):
        hessview.TrainerCallback(trainer, [{"x": torch.zeros(3)}], tmp_path / "run")


def test_schedule_that_makes_no_sense_is_refused_before_training(trainer, tmp_path):
    callback = hessview.TrainerCallback(trainer, batches(), tmp_path / "run")
    callback.record(every=0, density={"steps": 2})
    trainer.add_callback(callback)
    with pytest.raises(InputError, match="every=0 is not allowed"):
        trainer.train()
    assert trainer.state.global_step == 0


def test_wrapped_in_what_cannot_be_looked_into(trainer, tmp_path):
    trainer.add_callback(hessview.TrainerCallback(trainer, batches(), tmp_path / "run"))
    trainer.model_wrapped = nn.DataParallel(trainer.model)
    with pytest.raises(InputError, match=r"wraps the model in DataParallel, .*use one device a"):
        trainer.callback_handler.on_train_begin(trainer.args, trainer.state, trainer.control)

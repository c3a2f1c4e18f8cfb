"""A job inside of transformers.Trainer."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel
from transformers.loss.loss_utils import ForCausalLMLoss

from hessview.errors import InputError, JobError
from hessview.interrupts import borrowed
from hessview.job.job import Job
from hessview.job.objective import Loss, Objective
from hessview.job.serve import serve
from hessview.record.commands import Command

_IGNORED = -100  # the label that transformers' losses leave out


class TrainerCallback(transformers.TrainerCallback):  # type: ignore[misc]
    """Serves the model that a transformers.Trainer trains, as long as it trains.

    It answers notebooks at the start and after each optimizer step, in evaluation mode. Training
    goes on to the last bit as if nobody had asked. Works on one device, with
    DistributedDataParallel, and with FSDP2 (fsdp_version 2 of Accelerate).

    Args:
        trainer: The trainer, made before; then call trainer.add_callback(callback) on all ranks.
        batches: The fixed data set, as the model takes it, the same on every rank, such as
            list(DataLoader(data, batch_size=8, collate_fn=trainer.data_collator)).
        run_dir: Where the record goes and where kernels find the job.
        loss: loss(module, batch) -> (total, weight). By default that which the trainer computes,
            in the parameters' precision (without its autocast), over the labels that are not
            -100.
        name: Name of the model, for titles; by default that of its class.

    Raises:
        InputError: The batches are no such sequence.
    """

    def __init__(
        self,
        trainer: transformers.Trainer,
        batches: Sequence[Mapping[str, Any]],
        run_dir: str | os.PathLike[str],
        *,
        loss: Loss | None = None,
        name: str = "",
    ) -> None:
        for index, batch in enumerate(batches):
            if not isinstance(batch, Mapping):
                raise InputError(
                    f"batch {index} is a {type(batch).__name__}; give batches as the model takes "
                    "them, dicts of tensors, such as list(DataLoader(data, batch_size=8, "
                    "collate_fn=trainer.data_collator))."
                )
            if loss is None and not {"labels", "shift_labels"} & set(batch):
                raise InputError(
                    f"batch {index} has no labels among {sorted(batch)}; add them, or pass "
                    "loss(module, batch) -> (summed loss, number of terms)."
                )
        self.job: Job | None = None
        """The job while the trainer trains, None before and after."""
        self._trainer = trainer
        self._batches = batches
        self._run_dir = run_dir
        self._loss = loss or self._trained_loss
        # Accelerate gives a sharded model a class of its own.
        self._name = name or type(trainer.model).__name__
        self._schedule: list[tuple[int, dict[str, Command | Mapping[str, Any]]]] = []

    def record(self, *, every: int, **commands: Command | Mapping[str, Any]) -> None:
        """Measure by itself at every so many training steps, from training step 0 on.

        Args:
            every: Optimizer steps from one measurement to the next.
            **commands: What to measure, by the command's name: a command, or its arguments, such
                as density={"steps": 32, "probes": 2}. Checked when training begins.

        Raises:
            JobError: Training has begun.
        """
        if self.job is not None:
            raise JobError("training has begun; call record before trainer.train().")
        self._schedule.append((every, commands))

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Serve the model, wrapped and sharded by now."""
        if self.job is not None:  # of a training that ended by an error
            self.job.close("training was started again")
            self.job = None
        module = self._trainer.model_wrapped
        _check(module, deepspeed=self._trainer.is_deepspeed_enabled)
        objective = Objective(
            module,
            self._loss,
            [_on(args.device, batch) for batch in self._batches],
            name=self._name,
            weight_unit="labels" if self._loss == self._trained_loss else "terms",
            seed=args.seed,
        )
        job = serve(objective, self._run_dir, evaluation=True)
        try:
            for every, commands in self._schedule:
                job.record(every=every, **commands)
        except InputError as error:  # the same on all ranks
            job.close(str(error))
            raise
        self.job = job
        job.poll(training_step=state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Run what notebooks asked for, at the weights after the training step."""
        if self.job is not None:
            self.job.poll(training_step=state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Close the job."""
        if self.job is not None:
            self.job.close("training ended")
            self.job = None

    def _trained_loss(self, module: nn.Module, batch: Mapping[str, Any]) -> tuple[Tensor, int]:
        """The loss that the trainer computes, summed over its labels."""
        model = self._trainer.accelerator.unwrap_model(module)
        count = _labels(model, batch)
        with _without_autocast(model):
            mean = self._trainer.compute_loss(module, dict(batch))
        if count == 0:  # the mean over nothing is not a number
            mean = torch.nan_to_num(mean)
        return mean * count, count


def _check(module: nn.Module, *, deepspeed: bool) -> None:
    cure = (
        "use one device a process: plain, with DistributedDataParallel, or with FSDP2 "
        "(TrainingArguments(fsdp=True, fsdp_config={'version': 2}))."
    )
    if deepspeed:
        raise InputError(f"the trainer uses DeepSpeed, which hessview cannot look into; {cure}")
    if isinstance(module, nn.DataParallel | FullyShardedDataParallel):
        raise InputError(
            f"the trainer wraps the model in {type(module).__name__}, which hessview cannot look "
            f"into; {cure}"
        )


def _labels(model: nn.Module, batch: Mapping[str, Any]) -> int:
    """How many labels the mean goes over."""
    labels: Tensor = batch["shift_labels" if "shift_labels" in batch else "labels"]
    if "shift_labels" not in batch and getattr(model, "loss_function", None) is ForCausalLMLoss:
        config = getattr(model, "config", None)
        if not getattr(config, "is_encoder_decoder", False):
            labels = labels[..., 1:]  # the first one has nothing before it
    return int(labels.ne(_IGNORED).sum())


@contextmanager
def _without_autocast(model: nn.Module) -> Iterator[None]:
    """Call the forward pass that Accelerate found, in the parameters' own precision.

    Differences of gradients in bfloat16 drown in its rounding.
    """
    original = model.__dict__.get("_original_forward")
    wrapped = model.__dict__.get("forward")
    if original is None or wrapped is None:
        yield
        return

    def give_back() -> None:
        model.__dict__["forward"] = wrapped

    with borrowed(give_back):
        model.__dict__["forward"] = original
        yield


def _on(device: torch.device, batch: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: value.to(device) if isinstance(value, Tensor) else value
        for key, value in batch.items()
    }

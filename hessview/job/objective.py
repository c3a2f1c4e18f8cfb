"""What is differentiated: a module, a loss, a fixed data set, and the blocks of its parameters.

`Objective` holds them; `BatchPortion` is one batch on its way through the model, seen as outputs
and terms; blocks and subsets are found by patterns of the parameters' names.
"""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh

from hessview.errors import InputError, ObjectiveError
from hessview.job import sharding
from hessview.job.batches import digest
from hessview.job.sharing import check_data
from hessview.record.validation import did_you_mean

Loss = Callable[[nn.Module, Any], "Tensor | tuple[Tensor, Tensor | float]"]
Outputs = Callable[[nn.Module, Any], Tensor]
Terms = Callable[[Tensor, Any], Tensor]


@dataclasses.dataclass(frozen=True)
class Objective:
    """The mean loss over a fixed data set, as a function of a module's parameters.

    L = sum(total) / sum(weight) over all batches of all ranks, exactly, however many terms
    each batch holds. Only parameters with requires_grad are differentiated.

    Attributes:
        module: In evaluation mode. Plain, or sharded by the user; on several ranks,
            `hessview.launch` shards a plain one itself.
        loss: loss(module, batch) -> (total, weight): the summed loss of a batch and how many
            terms (tokens) it holds; or one scalar, the mean, which gets weight 1.
        batches: The whole data set, the same on every rank; each rank takes its share.
        blocks: Parameter names by block; None takes them from the module tree: embedding,
            each layer, head.
        data: Mesh over whose ranks batches are shared out, such as mesh["dp"]; ranks at the same
            place of other slices of it see the same batches. None takes FSDP's mesh without
            dimensions whose names say otherwise ("cp", "tp"), and lets ranks that turn out to
            share activations see one batch.
        name: Name of the model, for titles.
        revision: Revision or file of the weights.
        weight_unit: What the weights count, such as "tokens".
        seed: Seed of model and data, for the record.
        outputs: outputs(module, batch) -> z: what the loss is a function of, such as logits.
            Gauss-Newton and Fisher need it, and terms.
        terms: terms(z, batch) -> the loss of each sample or token, shape (term,); they sum to
            the loss's total.
    """

    module: nn.Module
    loss: Loss
    batches: Sequence[Any]
    blocks: Mapping[str, Sequence[str]] | None = None
    data: DeviceMesh | None = None
    _: dataclasses.KW_ONLY
    name: str = ""
    revision: str = ""
    weight_unit: str = "terms"
    seed: int = 0
    outputs: Outputs | None = None
    terms: Terms | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.module, nn.Module):
            raise InputError(f"module is a {type(self.module).__name__}; pass a torch.nn.Module.")
        if not callable(self.loss):
            raise InputError(
                f"loss is a {type(self.loss).__name__}; pass a function loss(module, batch)."
            )
        if not hasattr(self.batches, "__len__") or not hasattr(self.batches, "__getitem__"):
            raise InputError(
                f"batches is a {type(self.batches).__name__} without length or order; pass a "
                "sequence, such as list(loader): the data set must be the same on each pass."
            )
        _check_sequence(self.batches)
        check_data(self.data)

    def digest(self) -> str:
        """Digest of all batches' contents, to tell data sets apart (`job.batches`).

        Raises:
            InputError: A batch cannot be had by its number, or holds no numbers.
        """
        # By index, as passes do: a sequence need not say by IndexError where it ends.
        return digest(self._batch(index) for index in range(len(self.batches)))

    def _batch(self, index: int) -> Any:
        try:
            return self.batches[index]
        except (LookupError, TypeError) as error:
            raise InputError(
                f"batches[{index}] gives {type(error).__name__}: {error}; pass a sequence of "
                f"{len(self.batches)} batches that are had by their numbers, such as "
                "list(loader)."
            ) from error


def _check_sequence(batches: Any) -> None:
    """Refuse objects that have a length but are no sequence of batches."""
    scalar = isinstance(batches, Tensor | np.ndarray) and batches.ndim == 0
    if scalar or isinstance(batches, str | bytes):
        raise InputError(
            f"batches is a {'single number' if scalar else 'text'}; pass a sequence of batches, "
            "such as list(loader)."
        )
    if len(batches) == 0:
        raise InputError("batches is empty; pass at least one batch.")
    if isinstance(batches, Mapping) and set(batches) != set(range(len(batches))):
        names = ", ".join(repr(key) for key in list(batches)[:6])
        raise InputError(
            f"batches is a {type(batches).__name__} with the keys {names}; pass a list of "
            "batches. If it is one batch, pass batches=[batch]."
        )
    if _is_one_pair(batches):
        raise InputError(
            f"batches is a pair of {_described(batches[0])} and {_described(batches[1])}, which "
            "looks like one batch of inputs and targets, not like two batches; pass a list of "
            "batches, here batches=[(inputs, targets)]."
        )


def _is_one_pair(batches: Any) -> bool:
    """Whether these are inputs and their targets: as many of both, but unlike each other."""
    if not isinstance(batches, tuple | list) or len(batches) != 2:
        return False
    first, second = batches
    if not all(isinstance(array, Tensor | np.ndarray) and array.ndim for array in batches):
        return False
    unlike = first.ndim != second.ndim or _is_real(first) != _is_real(second)
    return unlike and len(first) == len(second)


def _is_real(array: Tensor | np.ndarray) -> bool:
    floating = array.is_floating_point() if isinstance(array, Tensor) else array.dtype.kind == "f"
    return bool(floating)


def _described(array: Any) -> str:
    dtype = str(array.dtype).removeprefix("torch.")
    return f"{dtype} of shape {tuple(array.shape)}"


@dataclasses.dataclass(frozen=True)
class BatchPortion:
    """A batch of an objective; implements `operators.base.Portion`.

    Attributes:
        objective: What is differentiated.
        batch: One of its batches.
        counted: Whether it is this rank's own; others only keep the ranks' collectives together.

    Raises:
        ObjectiveError: The objective does not say what outputs and terms are.
    """

    objective: Objective
    batch: Any
    counted: bool

    def __post_init__(self) -> None:
        if self.objective.outputs is None or self.objective.terms is None:
            raise ObjectiveError(
                "this operator works on a model's outputs and the loss's terms, which the "
                "objective does not give; pass Objective(..., outputs=..., terms=...) with "
                "outputs(module, batch) -> z and terms(z, batch) -> the loss of each sample."
            )

    def outputs(self) -> Tensor:
        """The model's outputs z at the present parameters; a graph only where one is made."""
        assert self.objective.outputs is not None, "checked when made"
        graph = torch.is_grad_enabled()
        with torch.enable_grad():  # outputs may be derivatives by the inputs
            outputs = self.objective.outputs(self.objective.module, self.batch)
        return outputs if graph else outputs.detach()

    def terms(self, outputs: Tensor) -> Tensor:
        """The loss of each term as a function of the outputs, shape (term,)."""
        assert self.objective.terms is not None, "checked when made"
        graph = torch.is_grad_enabled()
        with torch.enable_grad():
            terms = self.objective.terms(outputs, self.batch)
        return terms if graph else terms.detach()


_SHOWN = 8  # names in an error's text


def job_blocks(objective: Objective) -> dict[str, list[str]]:
    """Parameter names by block: the objective's own, or those of the module's tree.

    Raises:
        InputError: A block names a parameter that is not differentiated.
    """
    trainable_names = list(sharding.trainable(objective.module))
    if objective.blocks is None:
        return sharding.blocks(objective.module)
    for block, names in objective.blocks.items():
        if unknown := [name for name in names if name not in trainable_names]:
            raise InputError(
                f"block {block!r} names {unknown}, which the module does not have among its "
                f"differentiated parameters; they are {_some(trainable_names)}."
            )
    return {block: list(names) for block, names in objective.blocks.items()}


def matching(names: Sequence[str], patterns: Sequence[str]) -> set[str]:
    """Names that match one of some patterns.

    Args:
        names: Names of the differentiated parameters.
        patterns: "*" stands for any text, "?" for any character.

    Raises:
        InputError: A pattern matches nothing.
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise InputError(
                f"subset={pattern!r} matches none of the {len(names)} differentiated parameters"
                f"{did_you_mean(pattern, names)}; they are {_some(names)}."
            )
    return {name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)}


def blocks_by_pattern(patterns: Mapping[str, str], names: Collection[str]) -> dict[str, list[str]]:
    """Parameter names by block, each block given by a pattern.

    Args:
        patterns: Pattern of each block: "*" stands for any text, "?" for any character.
        names: Names of the parameters.

    Raises:
        InputError: A pattern matches nothing.
    """
    blocks = {block: [n for n in names if fnmatchcase(n, p)] for block, p in patterns.items()}
    for block, members in blocks.items():
        if not members:
            raise InputError(
                f"block {block!r} is empty: its pattern {patterns[block]!r} matches no parameter"
                f"{did_you_mean(patterns[block], names)}; they are {_some(names)}."
            )
    return blocks


def check_apart(blocks: Mapping[str, Collection[str]]) -> None:
    """Refuse fewer than two blocks, and blocks that overlap.

    Raises:
        InputError: Fewer than two blocks, or a parameter that lies in two.
    """
    if len(blocks) < 2:
        raise InputError(
            f"blocks={list(blocks)!r}: coupling needs two or more; give blocks by pattern, such as "
            'blocks={"attention": "*attn*", "mlp": "*mlp*"}.'
        )
    owner: dict[str, str] = {}
    for block, names in blocks.items():
        for name in names:
            if owner.setdefault(name, block) != block:
                raise InputError(
                    f"parameter {name!r} lies in block {owner[name]!r} and in block {block!r}; "
                    "use blocks that do not overlap."
                )


def _some(names: Collection[str]) -> str:
    shown = list(names)
    return f"{shown[:_SHOWN]}{'...' if shown[_SHOWN:] else ''}"

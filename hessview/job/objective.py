"""What is differentiated: a module, a loss, and a fixed data set."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh

from hessview.errors import InputError
from hessview.job.sharing import check_data

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
        if len(self.batches) == 0:
            raise InputError("batches is empty; pass at least one batch.")
        check_data(self.data)

    def digest(self) -> str:
        """Digest of all batches' contents, to tell data sets apart."""
        state = hashlib.blake2b(digest_size=8)
        # By index, as passes do: a sequence need not say by IndexError where it ends.
        for index in range(len(self.batches)):
            for leaf in _leaves(self.batches[index]):
                state.update(leaf)
        return state.hexdigest()


def _leaves(value: Any) -> Iterable[bytes]:
    if isinstance(value, Tensor):
        plain = value.detach().cpu().contiguous()
        yield f"{plain.dtype}{tuple(plain.shape)}".encode()
        yield plain.flatten().view(torch.uint8).numpy().tobytes()
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield str(key).encode()
            yield from _leaves(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _leaves(entry)
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype}{value.shape}".encode()
        yield value.tobytes()
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from _leaves({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    elif repr(value) == object.__repr__(value):
        # Its text would be an address, which differs between ranks.
        yield from _leaves([type(value).__qualname__, getattr(value, "__dict__", {})])
    else:
        yield repr(value).encode()

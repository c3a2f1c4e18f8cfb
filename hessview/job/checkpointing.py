"""Activation checkpointing of transformers' models, which they switch off in evaluation mode."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from hessview.interrupts import borrowed


@contextmanager
def kept_on(module: nn.Module) -> Iterator[None]:
    """Let layers recompute their activations in evaluation mode too, if they would in training.

    transformers' layers ask their own training mode whether to. They get that alone: what runs
    inside of them, at first and when it is recomputed, sees evaluation mode, so that dropout
    stays off. torch's own checkpoints, and wrappers of them, do not depend on the mode.

    Args:
        module: Sharded, replicated or plain; given back as it was.
    """
    lent: list[tuple[Any, Callable[..., Any]]] = [
        (layer, layer._gradient_checkpointing_func)
        for layer in _layers(module)
        if not layer.training
    ]

    def give_back() -> None:
        for layer, checkpoint in lent:
            layer._gradient_checkpointing_func = checkpoint
            layer.training = False

    with borrowed(give_back, hold=False):
        for layer, checkpoint in lent:
            layer._gradient_checkpointing_func = _evaluated(layer, checkpoint)
            layer.training = True
        yield


@contextmanager
def switched_off(module: nn.Module) -> Iterator[None]:
    """Keep activations, for second derivatives, which do not go through a recomputation.

    Args:
        module: Sharded, replicated or plain; given back as it was.
    """
    lent = _layers(module)

    def give_back() -> None:
        for layer in lent:
            layer.gradient_checkpointing = True

    with borrowed(give_back):
        for layer in lent:
            layer.gradient_checkpointing = False
        yield


def _layers(module: nn.Module) -> list[Any]:
    # By name, since transformers need not be installed. Whole models carry the switch too, and
    # some of these draw random numbers by their own mode, but it is their layers that recompute.
    return [
        layer
        for layer in module.modules()
        if any(kind.__name__ == "GradientCheckpointingLayer" for kind in type(layer).__mro__)
        and getattr(layer, "gradient_checkpointing", False)
        and hasattr(layer, "_gradient_checkpointing_func")
    ]


def _evaluated(layer: Any, checkpoint: Callable[..., Any]) -> Callable[..., Any]:
    """The checkpoint, with the layer in evaluation mode while what it wraps runs."""

    def checkpointed(function: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
        def in_evaluation(*own: Any, **named: Any) -> Any:
            layer.training = False
            try:
                return function(*own, **named)
            finally:
                layer.training = True

        return checkpoint(in_evaluation, *inputs, **options)

    return checkpointed

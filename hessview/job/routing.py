"""What the routers of a mixture of experts choose: where they change, nothing has a derivative."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from hessview.interrupts import borrowed

_NAMES = ("router", "gate")


class Routing:
    """Watches a module's routers: the children called router or gate of what holds experts.

    Args:
        module: Any module.
    """

    def __init__(self, module: nn.Module) -> None:
        self._routers = _routers(module)
        self._choices: list[Tensor] = []
        self.counted = True
        """Whether choices are noted: not on batches that only keep the ranks in step."""

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note the choices of the forward passes inside of the block; forget earlier ones."""
        self._choices = []
        handles: list[RemovableHandle] = []

        def give_back() -> None:
            for handle in handles:
                handle.remove()

        with borrowed(give_back):
            handles += [router.register_forward_hook(self._note) for router in self._routers]
            yield

    def choices(self) -> list[Tensor]:
        """Experts chosen in the latest block, a tensor for each router and batch."""
        return self._choices

    def _note(self, router: nn.Module, inputs: Any, outputs: Any) -> None:
        """Routers give logits, or a tuple in which the chosen experts are the integers."""
        if not self.counted:
            return
        several = outputs if isinstance(outputs, tuple) else (outputs,)
        tensors = [tensor for tensor in several if isinstance(tensor, Tensor)]
        chosen = next((t for t in tensors if not t.is_floating_point()), None)
        if chosen is not None:
            self._choices.append(chosen.detach().sort(-1).values)
        elif tensors:
            self._choices.append(tensors[0].detach().argmax(-1))


def _routers(module: nn.Module) -> list[nn.Module]:
    found = []
    for parent in module.modules():
        children = dict(parent.named_children())
        if any("expert" in name for name in children):
            found += [child for name, child in children.items() if name in _NAMES]
    return found

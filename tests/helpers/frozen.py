"""Models of which some elements do not train."""

import torch
import torch.nn.functional as F
from torch import nn

from helpers import toys
from hessview.job.objective import Objective

ROW = 11  # a token that is in every batch


def padded(*, tied):
    objective = toys.gpt(tied=tied)
    objective.module.token.padding_idx = ROW
    assert sum(int((ids == ROW).sum()) for ids in objective.batches) >= 3
    return objective


class Frozen(nn.Module):
    """Rows, columns or all of a weight that forward keeps from its gradient, by hand."""

    def __init__(self, how):
        super().__init__()
        torch.manual_seed(0)
        self.how = how
        self.token, self.unused = nn.Embedding(9, 6), nn.Parameter(torch.ones(3))
        self.layer, self.head = nn.Linear(6, 7), nn.Linear(7, 9)

    def forward(self, ids):
        weight, table = self.layer.weight, self.token.weight
        if self.how == "rows":
            weight = torch.cat([weight[:3].detach(), weight[3:]])
        if self.how == "columns":
            weight = torch.cat([weight[:, :2], weight[:, 2:].detach()], dim=1)
        if self.how == "a mask":
            mask = torch.arange(42).view(7, 6) % 3 == 0
            weight = torch.where(mask, weight, weight.detach())
        if self.how == "all":
            weight = weight.detach()
        x = F.embedding(ids, table, padding_idx=2 if self.how == "functional" else None)
        if self.how == "a hook":
            keep = (ids != 2)[..., None]
            x.register_hook(lambda slope: slope * keep)
        return self.head(torch.tanh(F.linear(torch.tanh(x), weight, self.layer.bias)))

    def held(self):
        """What does not train, in the order of the parameters."""
        marks = {name: torch.zeros_like(p, dtype=torch.bool) for name, p in self.named_parameters()}
        weight = marks["layer.weight"]
        if self.how == "rows":
            weight[:3] = True
        if self.how == "columns":
            weight[:, 2:] = True
        if self.how == "a mask":
            weight[torch.arange(42).view(7, 6) % 3 != 0] = True
        if self.how == "all":
            weight[:] = True
        if self.how in ("functional", "a hook"):
            marks["token.weight"][2] = True
        return marks


TOKENS = torch.randint(7, (4, 9), generator=torch.Generator().manual_seed(0))
TOKENS[:, ::3] = 2


def next_token(module, ids):
    z = module(ids)[:, :-1].flatten(0, 1)
    return F.cross_entropy(z, ids[:, 1:].flatten(), reduction="sum"), ids[:, 1:].numel()


def frozen(how, dtype=torch.float64):
    return Objective(Frozen(how).to(dtype), next_token, [TOKENS])

"""An objective whose Hessian is a diagonal that is known."""

import time

import numpy as np
import torch
from torch import nn

import hessview

CURVATURES = np.array([-3.0, -1.0, -0.25, 0.0, 0.125, 0.5, 1.0, 2.0, 4.0, 7.0, 11.0, 16.0])


class Quadratic(nn.Module):
    """Half the sum of curvature * coordinate squared: the Hessian is diag(CURVATURES)."""

    def __init__(self):
        super().__init__()
        random = np.random.default_rng(0)
        self.point = nn.Parameter(torch.tensor(random.normal(size=len(CURVATURES))))


def quadratic(module, batch):
    return 0.5 * (batch * module.point.square()).sum()


def objective(loss=quadratic):
    return hessview.Objective(Quadratic(), loss, [torch.tensor(CURVATURES)], name="quadratic")


def late(module, batch):
    time.sleep(0.02)
    return quadratic(module, batch)

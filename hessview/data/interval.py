"""A number with the interval that holds it."""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy.special import stdtrit

LEVEL = 0.95
"""Of intervals over probes: how often the like of them hold the truth."""


class Interval(NamedTuple):
    """A number, the ends between which the truth lies, and how they were obtained.

    Attributes:
        value: The estimate, NaN where it is withheld or not measured.
        low: Lower end, NaN where there is none to tell.
        high: Upper end, likewise.
        level: How often such intervals hold the truth, between 0 and 1; 1 for bounds that always
            do, NaN where there are no ends.
        basis: How the ends were obtained, or why there is no number, in words.
    """

    value: float
    low: float
    high: float
    level: float
    basis: str

    @property
    def uncertainty(self) -> float:
        """The farther end's distance from the value: value ± uncertainty holds the interval."""
        return max(self.high - self.value, self.value - self.low)  # NaN if an end is


def without(reason: str, value: float = math.nan) -> Interval:
    """A number that has no interval, or that is withheld.

    Args:
        reason: Why, in words that may stand in the number's place.
        value: The number; NaN if it is withheld.
    """
    return Interval(value, math.nan, math.nan, math.nan, reason)


def student(probes: int, level: float) -> float:
    """How many standard errors Student's t-interval over so many probes reaches to either side.

    Args:
        probes: How many, >= 2.
        level: How often it is to hold the mean, between 0 and 1.
    """
    return float(stdtrit(probes - 1, (1 + level) / 2))


def say_student(probes: int, level: float) -> str:
    """What such an interval is called.

    Args:
        probes: How many.
        level: As of `student`.
    """
    return f"{100 * level:g} % interval, Student's t over {probes} probes"

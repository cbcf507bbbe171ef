"""CPU seconds of calls, taken in turns by one thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

# CPU seconds; what takes longer is run once only.
PATIENCE = 20.0


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is measured.

    Parameters
    ----------
    n_words : int
        Words, hence folds.
    sizes, grid_sizes : tuple of int
        Features.
    repeats : int
        Turns that a median is of.
    seconds : float
        CPU seconds that one call should take at least, by having targets enough.
    most_targets : int
    recording : tuple of int
        Electrodes and seconds of the recording for high gamma.
    permutations : int
        Of the study's nulls.
    """

    n_words: int = 100
    sizes: tuple[int, ...] = (50, 300, 768)
    grid_sizes: tuple[int, ...] = (50, 300)
    repeats: int = 5
    seconds: float = 0.5
    most_targets: int = 512
    recording: tuple[int, int] = (130, 300)
    permutations: int = 1000


FULL = Effort()
QUICK = Effort(
    sizes=(50, 300), grid_sizes=(50,), repeats=3, seconds=0.2, most_targets=512, recording=(16, 30)
)


def cpu_seconds(call: Callable[[], T]) -> tuple[T, float]:
    """Return what a call returns, and the CPU seconds of all threads of this process in it."""
    began = time.process_time()
    returned = call()
    return returned, time.process_time() - began


def medians(calls: Mapping[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Return each call's median CPU seconds; the calls take turns, so that they share the weather.

    Parameters
    ----------
    calls : mapping of str to callable
    repeats : int
        Turns; a call whose first turn takes longer than `PATIENCE` has no other.

    Returns
    -------
    dict of str to float
    """
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            if not taken[name] or taken[name][0] <= PATIENCE:
                taken[name].append(cpu_seconds(call)[1])
    return {name: float(np.median(seconds)) for name, seconds in taken.items()}


def targets_for(seconds: float, per_target: float, *, most: int) -> int:
    """Return how many targets fill `seconds`: at least 4, so that their median says something.

    Examples
    --------
    >>> targets_for(1.0, 0.01, most=512)
    100
    """
    return int(np.clip(seconds / max(per_target, 1e-9), 4, max(most, 4)))

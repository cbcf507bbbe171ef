"""Means over groups of electrodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


def group_means(signals: Floats, *, members: Sequence[Sequence[int]]) -> Floats:
    """Return the mean of each group of electrodes, sample by sample.

    Electrodes are added one after the other, so the result is the same for every chunking.

    Parameters
    ----------
    signals : numpy.ndarray, shape (..., electrodes)
    members : sequence of sequences of int
        Positions of the electrodes of each group.

    Returns
    -------
    numpy.ndarray, shape (..., groups)
        Values that are not finite are left out; NaN where none is left.
    """
    means = np.full((*signals.shape[:-1], len(members)), np.nan, dtype=signals.dtype)
    for group, positions in enumerate(members):
        total = np.zeros(signals.shape[:-1])
        count = np.zeros(signals.shape[:-1], dtype=np.intp)
        for position in positions:
            value = signals[..., position]
            finite = np.isfinite(value)
            np.add(total, value, out=total, where=finite)
            count += finite
        np.divide(total, count, out=means[..., group], where=count > 0, casting="same_kind")
    return means

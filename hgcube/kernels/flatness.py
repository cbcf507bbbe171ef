"""Rows that are not usable: values that are not finite, and stretches without variance."""

from __future__ import annotations

from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]


def not_finite(signals: Floats) -> Flags:
    """Return for each row of (rows, samples) whether any value is NaN or infinite."""
    return np.array([not np.isfinite(row).all() for row in signals], dtype=bool)


def flat_fraction(signals: Floats, length: int) -> Floats:
    """Return the fraction of stretches of `length` samples in which each row does not change.

    Parameters
    ----------
    signals : numpy.ndarray, shape (rows, samples)
    length : int
        At most the number of samples; what is left over at the end is not looked at.

    Returns
    -------
    numpy.ndarray of float64, shape (rows,)
    """
    stretches = signals.shape[1] // length
    fractions = np.empty(signals.shape[0])
    for i, row in enumerate(signals):
        cut = row[: stretches * length].reshape(stretches, length)
        fractions[i] = np.mean(cut.max(axis=1) == cut.min(axis=1))
    return fractions

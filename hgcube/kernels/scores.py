"""Scores of held-out predictions. Each name says its axis; NaN marks what is not scored."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hgcube.kernels.designs import ROUNDING, Array

Axes = int | tuple[int, ...]


def skill(observed: Array, predicted: Array, reference: Array) -> Array:
    """Return 1 - SS(predicted) / SS(reference) over words.

    Parameters
    ----------
    observed, predicted, reference : (..., word) float64
        Words with a NaN in any of them are left out.

    Returns
    -------
    (...) float64
        NaN where the reference makes no error.
    """
    used = _finite(observed, predicted, reference)
    explained = np.where(used, observed - predicted, 0.0)
    left = np.where(used, observed - reference, 0.0)
    total = (left**2).sum(axis=-1)
    share = _ratio((explained**2).sum(axis=-1), total, rounding_floor(observed, used))
    return 1.0 - share


def fold_corrected_r(
    added: Array, residual: Array, *, floor: Array | float = 0.0, axis: int = -1
) -> Array:
    """Return sum de / sqrt(sum d^2 sum e^2), d and e measured from the training mean.

    Parameters
    ----------
    added : float64
        d: prediction minus reference of each held-out word; NaN where not scored.
    residual : float64
        e: observed minus reference.
    floor : float64, optional
        Sum of squares of e that rounding alone can make; see `rounding_floor`.
    axis : int
        Of words.

    Returns
    -------
    float64
        NaN where d or e is 0 throughout.
    """
    d, e = np.moveaxis(added, axis, -1), np.moveaxis(residual, axis, -1)
    used = _finite(d, e)
    if not used.all():
        d, e = np.where(used, d, 0.0), np.where(used, e, 0.0)
    ss_d, ss_e, product = (np.einsum("...w,...w->...", *pair) for pair in ((d, d), (e, e), (d, e)))
    # What is added is 0 up to the rounding of the reference it is measured from.
    sound = (ss_d > ROUNDING**2 * ss_e) & (ss_e > floor)
    return _ratio(product, np.sqrt(ss_d * ss_e), np.where(sound, 0.0, np.inf))


def r_across_words(observed: Array, predicted: Array, reference: Array) -> Array:
    """Return the fold-corrected r over words.

    Parameters
    ----------
    observed, predicted, reference : (..., word) float64
        The reference is the mean of each word's training words.

    Returns
    -------
    (...) float64
        NaN for the reference itself, and where the observed do not vary.
    """
    floor = rounding_floor(observed, np.isfinite(observed))
    return fold_corrected_r(predicted - reference, observed - reference, floor=floor)


def pearson(observed: Array, predicted: Array, *, axes: Axes = -1) -> Array:
    """Return Pearson's r over `axes`, of the entries where both are known.

    Parameters
    ----------
    observed, predicted : float64
        Same trailing shape.
    axes : int or tuple of int
        Negative.

    Returns
    -------
    float64
        NaN where either does not vary.
    """
    used = _finite(observed, predicted)
    first, second = _centered(observed, used, axes), _centered(predicted, used, axes)
    ss_first, ss_second = (first**2).sum(axis=axes), (second**2).sum(axis=axes)
    varies = (ss_first > rounding_floor(observed, used, axes)) & (
        ss_second > rounding_floor(predicted, used, axes)
    )
    floor = np.where(varies, 0.0, np.inf)
    return _ratio((first * second).sum(axis=axes), np.sqrt(ss_first * ss_second), floor)


def r2_across_electrodes(observed: Array, predicted: Array) -> Array:
    """Return 1 - SS(residual) / SS(total) over electrodes, for each word.

    Parameters
    ----------
    observed, predicted : (..., electrode) float64

    Returns
    -------
    (...) float64
    """
    used = _finite(observed, predicted)
    error = np.where(used, observed - predicted, 0.0)
    total = (_centered(observed, used, -1) ** 2).sum(axis=-1)
    return 1.0 - _ratio((error**2).sum(axis=-1), total, rounding_floor(observed, used))


def r_across_electrodes_centered(observed: Array, predicted: Array, reference: Array) -> Array:
    """Return Pearson's r over electrodes after taking each one's training mean away.

    Parameters
    ----------
    observed, predicted, reference : (..., electrode) float64

    Returns
    -------
    (...) float64
        NaN for the reference itself.
    """
    added = predicted - reference
    rounding = ROUNDING * np.abs(reference)
    return pearson(observed - reference, np.where(np.abs(added) > rounding, added, added * 0))


def _finite(*values: Array) -> npt.NDArray[np.bool_]:
    return np.asarray(np.all(np.broadcast_arrays(*map(np.isfinite, values)), axis=0))


def _centered(values: Array, used: npt.NDArray[np.bool_], axes: Axes) -> Array:
    count = np.maximum(used.sum(axis=axes, keepdims=True), 1)
    mean = np.where(used, values, 0.0).sum(axis=axes, keepdims=True) / count
    return np.where(used, values - mean, 0.0)


def rounding_floor(values: Array, used: npt.NDArray[np.bool_], axes: Axes = -1) -> Array:
    """Return the sum of squares over `axes` that rounding of `values` alone can make."""
    largest = np.where(used, np.abs(values), 0.0).max(axis=axes, initial=0.0)
    return np.asarray(used.sum(axis=axes) * (ROUNDING * largest) ** 2)


def _ratio(upper: Array, lower: Array, floor: Array | float) -> Array:
    """Return upper / lower, NaN where lower is not above `floor`."""
    sound = lower > floor
    return np.where(sound, upper / np.where(sound, lower, 1.0), np.nan)

"""A stretch of sound at another rate, filtered so that nothing folds back."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import signal

Samples = np.ndarray[Any, np.dtype[Any]]
Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

LONGEST_RATIO = 10_000
"""Rates whose ratio is no smaller fraction are taken as the closest one, off by 0.005 % at most."""

# A Kaiser window of beta 8 stops by 80 dB; with 64 zero crossings on each side it passes up to
# 0.92 of the lower Nyquist frequency and stops from 1.0 of it.
_CROSSINGS, _BETA, _CUTOFF = 64, 8.0, 0.96


def ratio(rate: float, target: float) -> tuple[int, int]:
    """Return by which whole numbers to raise and then lower a rate.

    Parameters
    ----------
    rate, target : float
        In Hz.

    Returns
    -------
    up, down : int

    Examples
    --------
    >>> ratio(48_000, 16_000), ratio(44_100, 16_000), ratio(48_000.7, 16_000)
    ((1, 3), (160, 441), (1, 3))
    """
    fraction = Fraction(target) / Fraction(rate)
    closest = fraction.limit_denominator(LONGEST_RATIO)
    return closest.numerator, closest.denominator


def margin(rate: float, target: float) -> int:
    """Return how many samples on each side of a stretch its resampled samples depend on.

    Parameters
    ----------
    rate, target : float
        In Hz.

    Returns
    -------
    int
        A multiple of what makes a whole number of samples at the target rate.
    """
    up, down = ratio(rate, target)
    if up == down:
        return 0
    return down * -(-_CROSSINGS * max(up, down) // (up * down))


def resampled(samples: Floats, start: int, stop: int, *, rate: float, target: float) -> Floats:
    """Return a stretch of a sound at another rate.

    Parameters
    ----------
    samples : numpy.ndarray of float, shape (samples,)
        The stretch and what is there of `margin` around it; what is not is silence.
    start, stop : int
        The stretch in it.
    rate, target : float
        In Hz.

    Returns
    -------
    numpy.ndarray of float32
        Its first sample is at the time of `start`. Up to 0.92 of the lower of the two Nyquist
        frequencies it is the sound; what lay above that Nyquist frequency is 80 dB down.
    """
    up, down = ratio(rate, target)
    around = margin(rate, target)
    if up == down:
        return samples[start:stop].astype(np.float32)
    first, last = max(start - around, 0), min(stop + around, len(samples))
    piece = np.zeros(stop - start + 2 * around)
    piece[first - start + around : last - start + around] = samples[first:last]
    taps: Any = _low_pass(up, down)
    made = signal.resample_poly(piece, up, down, window=taps)
    begin = around // down * up
    count = round((stop - start) * up / down)
    return np.asarray(made[begin : begin + count], dtype=np.float32)


@lru_cache(maxsize=8)
def _low_pass(up: int, down: int) -> Floats:
    widest = max(up, down)
    taps = signal.firwin(2 * _CROSSINGS * widest + 1, _CUTOFF / widest, window=("kaiser", _BETA))
    return np.asarray(taps)

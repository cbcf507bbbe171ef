"""Level of a sound over time, and where a voice begins in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Samples = np.ndarray[Any, np.dtype[Any]]

LEVEL_WINDOW = 0.01
"""Length in s over which the root mean square is taken."""

LEVEL_STEP = 0.002
"""Distance of two levels in s."""

FLOOR_QUANTILE = 0.2
"""The noise floor is this quantile of the levels of a stretch."""

FLOOR_MARGIN = 2.0
"""A voice is at least this many times louder than the floor where it begins."""

PRESENCE = 3.0
"""A voice is at least this many times louder than the floor at its loudest."""

FAINT = 0.1
"""A sound below this part of the median loudness of all stretches is no voice."""

SYLLABLE_GAP = 0.1
"""A shorter silence, in s, does not end a voice."""

FLAT_TOP = 3
"""So many samples in a row at full scale are clipped."""


@dataclass(frozen=True, kw_only=True)
class Loudness:
    """Level of one stretch of sound.

    Parameters
    ----------
    level : numpy.ndarray of float64, shape (frames,)
        Root mean square around each frame; frame k is at k * `LEVEL_STEP` s + half a window.
    clipped : bool
        Whether the waveform has a flat top at full scale: the integer type's, 1 for floats up to
        1, that of 16 bits for larger floats.
    """

    level: Floats
    clipped: bool


def loudness(samples: Samples, sampling_frequency: float) -> Loudness:
    """Return the level of a stretch of sound; its mean is no sound.

    Parameters
    ----------
    samples : numpy.ndarray of int or float, shape (samples,)
    sampling_frequency : float
        In Hz.

    Returns
    -------
    Loudness
        No frames if the stretch is shorter than `LEVEL_WINDOW`.
    """
    sound = samples.astype(np.float64)
    width = max(1, round(LEVEL_WINDOW * sampling_frequency))
    count = int((len(sound) / sampling_frequency - LEVEL_WINDOW) / LEVEL_STEP) + 1
    if count < 1 or len(sound) < width:
        return Loudness(level=np.empty(0), clipped=False)
    starts = np.round(np.arange(count) * LEVEL_STEP * sampling_frequency).astype(np.intp)
    starts = np.minimum(starts, len(sound) - width)
    energy = np.concatenate([[0.0], np.cumsum((sound - sound.mean()) ** 2)])
    level = np.sqrt((energy[starts + width] - energy[starts]) / width)
    return Loudness(level=level, clipped=_flat_top(samples))


def voice_threshold(level: Floats, threshold: float, frames: int, faint: float) -> float:
    """Return the level at which a voice begins in a stretch; infinite if there is none.

    Parameters
    ----------
    level : numpy.ndarray, shape (levels,)
    threshold : float
        Part of the way from the noise floor to the loudest sustained level.
    frames : int
        A sustained level lasts so many frames.
    faint : float
        What is not louder than this is no voice.

    Returns
    -------
    float
    """
    floor, peak = float(np.quantile(level, FLOOR_QUANTILE)), sustained_peak(level, frames)
    if peak <= max(PRESENCE * floor, faint):
        return np.inf
    return max(floor + threshold * (peak - floor), FLOOR_MARGIN * floor)


def sustained_peak(level: Floats, frames: int) -> float:
    """Return the largest level that lasts `frames` frames, so that no click counts."""
    return float(_sustained(level, frames).max())


def first_voice(level: Floats, threshold: float, frames: int, earliest: int) -> tuple[int, bool]:
    """Return the frame in which a voice begins, and whether it already sounds at `earliest`.

    Parameters
    ----------
    level : numpy.ndarray, shape (levels,)
    threshold : float
        From `voice_threshold`.
    frames : int
        Length of the shortest voice.
    earliest : int
        Inside `level`. A voice that sounds at this frame is followed back to its beginning.

    Returns
    -------
    tuple of int and bool
        Frame -1 if there is no voice.
    """
    voiced = _lasting(level >= threshold, frames)
    later = np.flatnonzero(voiced[earliest:])
    if not voiced.any():
        return -1, False
    joined = _joined(voiced)
    if joined[earliest]:
        return int(np.flatnonzero(~np.append(False, joined[:earliest]))[-1]), True
    return (earliest + int(later[0]), False) if later.size else (-1, False)


def voice_end(level: Floats, threshold: float, frames: int, earliest: int) -> int:
    """Return the frame after the last one of the voice that sounds at `earliest` or begins next.

    Parameters
    ----------
    level : numpy.ndarray, shape (levels,)
    threshold : float
        From `voice_threshold`.
    frames : int
        Length of the shortest voice.
    earliest : int
        Inside `level`.

    Returns
    -------
    int
        -1 if there is no voice.
    """
    # Joined first: the burst of a last consonant is short, and comes after a silence.
    joined = _lasting(_joined(level >= threshold), frames)
    later = np.flatnonzero(joined[earliest:])
    if not later.size:
        return -1
    begin = earliest + int(later[0])
    ends = np.flatnonzero(~joined[begin:])
    return begin + int(ends[0]) if ends.size else len(joined)


def _lasting(voiced: Samples, frames: int) -> Samples:
    """Return what is voiced for `frames` frames or longer."""
    return np.asarray(ndimage.binary_opening(voiced, np.ones(frames, dtype=bool)))


def _joined(voiced: Samples) -> Samples:
    """Return what is voiced, with the silences inside words."""
    gap = round(SYLLABLE_GAP / LEVEL_STEP)
    padded = np.pad(voiced, gap)
    return np.asarray(ndimage.binary_closing(padded, np.ones(gap, dtype=bool))[gap:-gap])


def _sustained(level: Floats, frames: int) -> Floats:
    """Return for each frame the smallest level of it and the `frames` - 1 that follow."""
    frames = max(1, min(frames, len(level)))
    lasting: Floats = ndimage.minimum_filter1d(
        level, frames, origin=-(frames // 2), mode="constant", cval=0.0
    )
    return lasting


def _flat_top(samples: Samples) -> bool:
    size = np.abs(samples.astype(np.float64))
    at_top = size >= 0.999 * _full_scale(samples.dtype, size.max())
    lasting = ndimage.minimum_filter1d(at_top.astype(np.int8), FLAT_TOP, mode="constant", cval=0)
    return bool(lasting.any())


def _full_scale(dtype: np.dtype[Any], largest: float) -> float:
    if dtype.kind == "i":
        return float(np.iinfo(dtype).max)
    return 1.0 if largest <= 1 else float(np.iinfo(np.int16).max)

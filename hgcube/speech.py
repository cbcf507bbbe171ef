"""Audio -> voice onsets: when the word that is displayed is spoken."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.chunks import made_of_stretches
from hgcube.errors import CubeError, OptionError
from hgcube.kernels import audio as kernels
from hgcube.schema import audio_start, check, finish, joined_flags, sampling_frequency, text_array

_LOG = logging.getLogger("hgcube")
_FLAGS = ("silent", "early", "clipped")

LEAD = 0.5
"""How long before the display the audio is looked at, in s, to see a voice that is early."""

LAST = 3.0
"""How long after the last display its voice is looked for, in s."""


@dataclass(frozen=True)
class _Stretch:
    begin: float
    earliest: int
    sound: kernels.Loudness


def voice_onsets(
    words: xr.DataArray,
    audio: xr.DataArray,
    *,
    threshold: float = 0.1,
    minimum_duration: float = 0.05,
) -> xr.DataArray:
    """Return the words with the time at which each is spoken.

    A voice begins where the level (root mean square of 10 ms) rises `threshold` of the way from
    the noise floor to the loudest sustained level between the word's display and the next one, and
    stays there for `minimum_duration`. Clicks that are shorter change nothing.

    Parameters
    ----------
    words : xarray.DataArray
        Kind ``words``; the coordinate ``onset`` is the display, in s.
    audio : xarray.DataArray
        Kind ``audio``, on the same clock. Only the stretches around words are loaded.
    threshold : float
        Between 0 and 1.
    minimum_duration : float
        In s.

    Returns
    -------
    xarray.DataArray
        Kind ``words`` with the coordinate ``voice_onset`` (s, NaN where no voice was found). Added
        to ``flag``: ``"silent"`` (no voice), ``"early"`` (the voice sounds before or at the
        display), ``"clipped"`` (the sound reaches full scale). The counts are logged.

    Raises
    ------
    OptionError
        If an option is out of range.
    CubeError
        If words or audio do not meet their spec.
    """
    check(words, "words")
    check(audio, "audio")
    _check_options(words, threshold, minimum_duration)
    stretches = _stretches(words[n.ONSET].values.astype(np.float64), audio)
    frames = max(1, round(minimum_duration / kernels.LEVEL_STEP))
    faint = _faint(stretches, frames)
    found = [_onset(stretch, threshold, frames, faint) for stretch in stretches]
    flags = [flag for _, flag in found]
    _log(flags)
    onsets = np.array([onset for onset, _ in found], dtype=np.float64)
    attrs = {"units": n.SECOND, "long_name": "onset of the voice"}
    return finish(
        words.assign_coords(
            {
                n.VOICE_ONSET: (n.WORD, onsets, attrs),
                n.FLAG: (n.WORD, _added(words, flags)),
            }
        ),
        "words",
        attrs={"threshold": threshold, "minimum_duration": minimum_duration},
    )


def _check_options(words: xr.DataArray, threshold: float, minimum_duration: float) -> None:
    if n.ONSET not in words.coords:
        raise CubeError(
            "words with the coordinate 'onset' (display, in s)",
            f"coordinates {list(map(str, words.coords))}",
            "Assign it along 'word'",
        )
    if not 0 < threshold < 1:
        raise OptionError("0 < threshold < 1", repr(threshold), "Pass threshold=0.1")
    if not 0 < minimum_duration <= 1:
        raise OptionError(
            "0 < minimum_duration <= 1 s", repr(minimum_duration), "Pass minimum_duration=0.05"
        )


def _stretches(onsets: np.ndarray[Any, Any], audio: xr.DataArray) -> list[_Stretch]:
    rate = sampling_frequency(audio, n.AUDIO_TIME)
    origin = audio_start(audio)
    following = np.array([_next(onset, onsets) for onset in onsets])
    begins, ends = (
        np.clip(np.nan_to_num((seconds - origin) * rate), 0, audio.size).round().astype(int)
        for seconds in (onsets - LEAD, following)
    )
    stretches = [slice(a, b) for a, b in zip(begins, ends, strict=True)]
    loudness = partial(kernels.loudness, sampling_frequency=rate)
    sounds = made_of_stretches(audio, stretches, [loudness] * len(stretches))
    starts = origin + begins / rate
    offset = kernels.LEVEL_WINDOW / 2
    before = np.nan_to_num((onsets - starts - offset) / kernels.LEVEL_STEP)
    earliest = np.maximum(np.round(before), 0).astype(int)
    return [
        _Stretch(float(start) + offset, int(frame), sound)
        for start, frame, sound in zip(starts, earliest, sounds, strict=True)
    ]


def _next(onset: float, onsets: np.ndarray[Any, Any]) -> float:
    later = onsets[onsets > onset]
    return min(float(later.min()), onset + LAST) if later.size else onset + LAST


def _faint(stretches: list[_Stretch], frames: int) -> float:
    peaks = [
        kernels.sustained_peak(stretch.sound.level, frames)
        for stretch in stretches
        if stretch.sound.level.size
    ]
    return kernels.FAINT * float(np.median(peaks)) if peaks else 0.0


def _onset(
    stretch: _Stretch, threshold: float, frames: int, faint: float
) -> tuple[float, tuple[str, ...]]:
    after = stretch.sound.level[stretch.earliest :]
    if not after.size:
        return np.nan, ("silent",)
    begins_at = kernels.voice_threshold(after, threshold, frames, faint)
    frame, early = kernels.first_voice(stretch.sound.level, begins_at, frames, stretch.earliest)
    if frame < 0:
        return np.nan, ("silent",)
    flags = [("early", early), ("clipped", stretch.sound.clipped)]
    onset = stretch.begin + frame * kernels.LEVEL_STEP
    return onset, tuple(name for name, present in flags if present)


def _added(words: xr.DataArray, flags: list[tuple[str, ...]]) -> np.ndarray[Any, Any]:
    """Return the flags of the words, the new ones in the place of those of an earlier call."""
    before = words.coords.get(n.FLAG)
    old = [""] * words.size if before is None else before.values.tolist()
    kept = [[part for part in flag.split(";") if part not in _FLAGS] for flag in old]
    return text_array([joined_flags(*a, *b) for a, b in zip(kept, flags, strict=True)])


def _log(flags: list[tuple[str, ...]]) -> None:
    for name in _FLAGS:
        count = sum(name in flag for flag in flags)
        if count:
            _LOG.warning("voice onsets: %d of %d words are %s", count, len(flags), name)

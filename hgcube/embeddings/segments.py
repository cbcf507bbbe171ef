"""What is heard of each word: a stretch of audio as float32, mono, at 16 kHz.

Only the stretches around words are read. A word whose stretch cannot be heard says why in its flag;
the others are not touched by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.chunks import made_of_stretches
from hgcube.embeddings.protocol import Array, Item
from hgcube.errors import CubeError, OptionError
from hgcube.kernels import audio as kernels
from hgcube.kernels.resampling import LONGEST_RATIO, margin, resampled
from hgcube.schema import audio_start, check, sampling_frequency, text_array

RATE = 16_000.0
"""Of all sound that families hear, in Hz."""

LOCKS = {"voice": n.VOICE_ONSET, "display": n.ONSET}
"""Where a word's stretch begins, by the coordinate that says it."""

LOWEST_RATE = 8_000.0
"""Audio of a lower sampling frequency, in Hz, is refused: half of speech is not in it."""

LEAD = 0.3
"""How long before a voice the audio is looked at, in s, to know how loud silence is."""

LAST = 3.0
"""How long after its onset a voice ends at latest, in s."""

SILENCE = 2.0**-14
"""Sound that moves by less than this part of full scale, two steps of 16 bits, is silent."""

THRESHOLD = 0.1
"""Part of the way from silence to the loudest level at which a voice begins and ends, as in
`hgcube.voice_onsets`."""

VOICE_FRAMES = round(0.05 / kernels.LEVEL_STEP)
"""Levels that a voice lasts at least."""


def segments(
    words: xr.DataArray,
    audio: xr.DataArray | None,
    *,
    lock: str,
    span: tuple[float, float] | None,
    shortest: int = 1,
    longest: int | None = None,
    backwards: bool = False,
) -> list[Item]:
    """Return the sound of each word.

    Parameters
    ----------
    words : xarray.DataArray
        Kind ``words``, with the coordinate that `lock` names.
    audio : xarray.DataArray
        Kind ``audio`` on the same clock, maybe lazy. Integers are divided by their full scale,
        floats are taken as they are.
    lock : str
        One of `LOCKS`.
    span : tuple of float, optional
        Where the stretch begins and ends, in s after the lock. None is the word's own stretch:
        from its display for the coordinate ``duration``, or from the onset of its voice to where
        that voice ends (`kernels.audio.voice_end`; at latest `LAST` s later or at the next
        display).
    shortest, longest : int
        Samples at `RATE` that a family can hear.
    backwards : bool
        Whether the samples of each stretch are reversed.

    Returns
    -------
    list of Item
        One a word, with ``sound``; its first number is 1 if the sound is clipped. Flags: ``"no
        voice"`` or ``"no onset"``, ``"no end of voice"`` or ``"no duration"``, ``"outside the
        audio"``, ``"too short"``, ``"too long"``, ``"silent"``, ``"not finite"``.

    Raises
    ------
    CubeError
        Without audio, its sampling frequency or the coordinates of the words, or if they do not
        meet their spec.
    """
    if audio is None:
        raise CubeError("audio of the words (audio_time)", "none", "Pass audio=")
    check(audio, "audio")
    cuts = _cuts(words, audio, lock, span)
    makers = [
        partial(
            _heard,
            cut=cut,
            rate=sampling_frequency(audio, n.AUDIO_TIME),
            limits=(shortest, longest),
            backwards=backwards,
        )
        for cut in cuts
        if not cut.flag
    ]
    made = iter(made_of_stretches(audio, [cut.read for cut in cuts if not cut.flag], makers))
    return [Item(flag=cut.flag) if cut.flag else next(made) for cut in cuts]


def clipped(items: Sequence[Item]) -> Array:
    """Return the flags of items that are heard in spite of a fault.

    Parameters
    ----------
    items : sequence of Item
        From `segments`.

    Returns
    -------
    (item,) text
        ``"clipped"`` where the waveform has a flat top at full scale, or ``""``.
    """
    return text_array(["clipped" if item.numbers[0] else "" for item in items])


def heard_at(audio_rate: str = "the audio's") -> dict[str, str]:
    """Return what cubes say of the sound that families hear."""
    return {
        "sound": f"mono at {RATE:g} Hz, resampled from {audio_rate} by a polyphase filter (Kaiser, "
        f"-80 dB; ratios up to {LONGEST_RATIO}); integers divided by their full scale"
    }


@dataclass(frozen=True)
class _Cut:
    """Where a word's stretch lies in the stored samples."""

    first: int
    last: int
    """Where it ends, or where its voice ends at latest."""
    read: slice
    """What is read of the audio."""
    measured: bool
    """Whether it ends where its voice ends."""
    flag: str = ""


def _cuts(
    words: xr.DataArray, audio: xr.DataArray, lock: str, span: tuple[float, float] | None
) -> list[_Cut]:
    rate = _rate(audio)
    origin = audio_start(audio)
    locks = coordinate(words, LOCKS[lock])
    measured = span is None and lock == "voice"
    begin = 0.0 if span is None else span[0]
    lengths = _lengths(words, locks, measured, span)
    around = margin(rate, RATE)
    lead = round(LEAD * rate) if measured else 0
    cuts = []
    for onset, length in zip(locks, lengths, strict=True):
        flag = _unknown(onset, length, lock)
        first = 0 if flag else round((onset + begin - origin) * rate)
        last = 0 if flag else first + round(length * rate)
        if measured:
            last = min(last, audio.size)
        if not flag and not (0 <= first <= last <= audio.size and first < audio.size):
            flag = "outside the audio"
        read = slice(max(first - around - lead, 0), max(min(last + around, audio.size), 0))
        cuts.append(_Cut(first - read.start, last - read.start, read, measured, flag))
    return cuts


def _rate(audio: xr.DataArray) -> float:
    rate = sampling_frequency(audio, n.AUDIO_TIME)
    if not LOWEST_RATE <= rate < np.inf:
        raise CubeError(
            f"audio of {LOWEST_RATE:g} Hz or more",
            f"a sampling_frequency of {rate:g} Hz",
            "Correct audio_time.attrs['sampling_frequency'], or use other audio",
        )
    return rate


def coordinate(words: xr.DataArray, name: str) -> Array:
    """Return a coordinate of the words, in s.

    Parameters
    ----------
    words : xarray.DataArray
    name : str

    Returns
    -------
    numpy.ndarray of float64, shape (word,)

    Raises
    ------
    CubeError
        If it is not there.
    """
    if name not in words.coords:
        raise CubeError(
            f"words with the coordinate {name!r} (s)",
            f"coordinates {list(map(str, words.coords))}",
            "Run voice_onsets(words, audio), or use lock='display'"
            if name == n.VOICE_ONSET
            else "Assign it along 'word'",
        )
    return np.asarray(words[name].values, dtype=np.float64)


def _lengths(
    words: xr.DataArray, locks: Array, measured: bool, span: tuple[float, float] | None
) -> Array:
    """Return how long each stretch is, or is at most, in s."""
    if span is not None:
        return np.full(len(locks), span[1] - span[0])
    if not measured:
        return coordinate(words, n.DURATION)
    displays = coordinate(words, n.ONSET) if n.ONSET in words.coords else locks
    # An early voice sounds before its own display.
    after = np.fmax(locks, displays)
    following = [displays[displays > each] for each in after]
    nexts = np.array([each.min() if each.size else np.inf for each in following])
    return np.asarray(np.minimum(nexts - locks, LAST))


def _unknown(onset: float, length: float, lock: str) -> str:
    if not np.isfinite(onset):
        return "no voice" if lock == "voice" else "no onset"
    return "" if np.isfinite(length) and length > 0 else "no duration"


def _heard(
    samples: Array, *, cut: _Cut, rate: float, limits: tuple[int, int | None], backwards: bool
) -> Item:
    """Return the item of one stretch of stored samples."""
    last = _voice_end(samples, cut, rate) if cut.measured else cut.last
    if last < 0:
        return Item(flag="no end of voice")
    stored, size = samples[cut.first : last], round((last - cut.first) * RATE / rate)
    if size < limits[0] or not size:
        return Item(flag="too short")
    if limits[1] is not None and size > limits[1]:
        return Item(flag="too long")
    sound = _scaled(samples)
    if not np.isfinite(sound).all():
        return Item(flag="not finite")
    if np.ptp(sound[cut.first : last]) <= SILENCE:
        return Item(flag="silent")
    made: Any = resampled(sound, cut.first, last, rate=rate, target=RATE)
    is_clipped = float(kernels.loudness(stored, rate).clipped)
    return Item(sound=made[::-1].copy() if backwards else made, numbers=(is_clipped,))


def _scaled(samples: Array) -> Array:
    sound: Array = samples.astype(np.float64)
    if samples.dtype.kind == "i":
        sound /= -np.iinfo(samples.dtype).min
    return sound


def _voice_end(samples: Array, cut: _Cut, rate: float) -> int:
    """Return the stored sample in which the voice ends that begins with the cut; -1 without one."""
    level = kernels.loudness(samples[: cut.last], rate).level
    frame = round((cut.first / rate - kernels.LEVEL_WINDOW / 2) / kernels.LEVEL_STEP)
    if max(frame, 0) >= len(level):
        return -1
    threshold = kernels.voice_threshold(level, THRESHOLD, VOICE_FRAMES, 0.0)
    end = kernels.voice_end(level, threshold, VOICE_FRAMES, max(frame, 0))
    if end < 0:
        return -1
    seconds = end * kernels.LEVEL_STEP + kernels.LEVEL_WINDOW / 2
    return min(max(round(seconds * rate), cut.first), cut.last)


def check_lock(lock: str) -> None:
    """Refuse a lock that does not exist.

    Parameters
    ----------
    lock : str

    Raises
    ------
    OptionError
    """
    if lock not in LOCKS:
        raise OptionError(f"lock to be one of {list(LOCKS)}", repr(lock), "Pass one of them")

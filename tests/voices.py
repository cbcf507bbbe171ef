"""Words and the sound of a voice that says them, the same for the same text."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import xarray as xr

from hgcube.schema import audio_axis, text_array

TEXTS = ("boot", "huis", "fiets", "koekje", "boot", "tuin")
LATER = 0.3
"""From display to voice, in s."""
APART = 2.0


def seconds_of(text: str) -> float:
    """Return how long a word is spoken."""
    return 0.24 + 0.06 * (_number(text) % 7)


def sound_of(text: str, rate: float, *, pitch: float = 110.0) -> np.ndarray[Any, Any]:
    """Return a vowel-like sound below 4 kHz of at most .5, its overtones drawn from the text."""
    count = round(seconds_of(text) * rate)
    time = np.arange(count) / rate
    sizes = np.random.default_rng(_number(text)).random(30)
    hertz = pitch * np.arange(1, 31) * (1 + 0.1 * np.sin(6 * time[:, np.newaxis]))
    sound = (np.sin(2 * np.pi * hertz * time[:, np.newaxis]) * sizes).sum(axis=1)
    sound *= np.minimum(1, np.minimum(time, time[::-1]) / 0.01)
    return 0.5 * sound / np.abs(sound).max()


def spoken(
    texts: tuple[str, ...] = TEXTS,
    *,
    rate: float = 48_000.0,
    start: float = 0.0,
    dtype: Any = np.int16,
    pitch: float = 110.0,
) -> xr.Dataset:
    """Return ``words`` and ``audio``: displays every `APART` s, the first 1 s after `start`."""
    onsets = start + 1 + APART * np.arange(len(texts))
    samples = np.zeros(round((1 + APART * len(texts)) * rate))
    for text, onset in zip(texts, onsets, strict=True):
        first = round((onset + LATER - start) * rate)
        sound = sound_of(text, rate, pitch=pitch)
        samples[first : first + len(sound)] = sound
    if np.dtype(dtype).kind == "i":
        samples = np.round(samples * np.iinfo(dtype).max)
    words = xr.DataArray(
        text_array(texts),
        dims="word",
        coords={
            "word": np.arange(len(texts)),
            "onset": ("word", onsets),
            "duration": ("word", np.full(len(texts), 1.2)),
            "voice_onset": ("word", onsets + LATER),
        },
    )
    audio = xr.DataArray(samples.astype(dtype), coords=audio_axis(len(samples), rate, start))
    return xr.Dataset({"words": words, "audio": audio})


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest())

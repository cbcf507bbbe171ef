"""A spoken word as an array: voiced and unvoiced letters through formant resonators."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]

_VOWELS: dict[str, tuple[float, ...]] = {
    "a": (750, 1250, 2500),
    "e": (500, 1750, 2500),
    "i": (320, 2200, 2900),
    "o": (480, 900, 2400),
    "u": (330, 1500, 2300),
    "y": (350, 2000, 2700),
}
_HISSES: dict[str, tuple[float, ...]] = {
    "s": (5500,),
    "z": (5000,),
    "f": (4000,),
    "x": (2500,),
    "c": (2200,),
    "g": (1800,),
    "h": (1200,),
    "p": (900,),
    "t": (3500,),
    "k": (1900,),
}
_MURMUR = (270.0, 1100.0, 2200.0)
_VOWEL_SECONDS, _CONSONANT_SECONDS = 0.085, 0.065
_LEVELS = {"vowel": 1.0, "murmur": 0.5, "hiss": 0.35}
_EDGE = 0.005


def spoken_duration(text: str, tempo: float = 1.0) -> float:
    """Return how long `text` takes to say in s: by its letters, times `tempo`."""
    seconds = (_VOWEL_SECONDS if letter in _VOWELS else _CONSONANT_SECONDS for letter in text)
    return tempo * sum(seconds)


def speak(
    text: str, duration: float, pitch: float, sampling_frequency: float, rng: np.random.Generator
) -> Array:
    """Return the sound of one word.

    Parameters
    ----------
    text : str
        Each letter is a segment: vowels by three formants, voiced consonants by a murmur,
        the others by noise around one frequency.
    duration : float
        In s, shared out over the letters.
    pitch : float
        Fundamental in Hz at the start; it falls by a tenth.
    sampling_frequency : float
        In Hz; formants above .45 of it are moved there.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray (samples,)
        With a root mean square of 1.
    """
    n_samples = max(8, round(duration * sampling_frequency))
    lengths = np.array([spoken_duration(letter) for letter in text])
    edges = np.r_[0, np.rint(np.cumsum(lengths) / lengths.sum() * n_samples)].astype(int)
    source = _glottis(n_samples, pitch, sampling_frequency)
    sound = np.zeros(n_samples)
    for letter, start, stop in zip(text, edges[:-1], edges[1:], strict=True):
        segment = slice(start, stop)
        sound[segment] = _letter(letter, source[segment], sampling_frequency, rng)
    loudness = float(np.sqrt(np.mean(sound**2)))
    return sound / loudness


def band_of_audio(
    sound: Array, sampling_frequency: float, band: tuple[float, float], margin: float = 0.1
) -> Array:
    """Return the part of `sound` inside `band` (Hz), with `margin` s of silence on both sides."""
    from scipy import fft

    pad = round(margin * sampling_frequency)
    padded = np.pad(sound, pad)
    n_fft = fft.next_fast_len(len(padded), real=True)
    spectrum = fft.rfft(padded, n_fft)
    frequencies = fft.rfftfreq(n_fft, 1 / sampling_frequency)
    spectrum[(frequencies < band[0]) | (frequencies > band[1])] = 0
    inside: Array = fft.irfft(spectrum, n_fft)[: len(padded)]
    return inside


def _glottis(n_samples: int, pitch: float, sampling_frequency: float) -> Array:
    """Return pulses at a falling pitch with the spectral tilt of a voice."""
    from scipy import signal

    falling = pitch * np.linspace(1, 0.9, n_samples)
    turns = np.floor(np.cumsum(falling) / sampling_frequency)
    pulses = np.diff(turns, prepend=-1.0)
    tilt = np.exp(-2 * np.pi * 100 / sampling_frequency)
    voice: Array = signal.lfilter([1 - tilt, tilt - 1], [1, -2 * tilt, tilt**2], pulses)
    return voice


def _letter(
    letter: str, source: Array, sampling_frequency: float, rng: np.random.Generator
) -> Array:
    if letter in _VOWELS:
        return _shaped(source, _VOWELS[letter], sampling_frequency, _LEVELS["vowel"])
    if letter in _HISSES:
        noise = rng.standard_normal(len(source))
        return _shaped(noise, _HISSES[letter], sampling_frequency, _LEVELS["hiss"])
    return _shaped(source, _MURMUR, sampling_frequency, _LEVELS["murmur"])


def _shaped(
    source: Array, formants: tuple[float, ...], sampling_frequency: float, level: float
) -> Array:
    """Return `source` through parallel resonators, at a root mean square of `level`."""
    from scipy import signal

    sound = 0.3 * source
    for formant in formants:
        centre = min(formant, 0.45 * sampling_frequency)
        radius = np.exp(-np.pi * (60 + 0.06 * centre) / sampling_frequency)
        angle = 2 * np.pi * centre / sampling_frequency
        poles = [1, -2 * radius * np.cos(angle), radius**2]
        sound = sound + signal.lfilter([1 - radius], poles, source)
    fade = np.minimum(1, (np.arange(len(source)) + 1) / (_EDGE * sampling_frequency))
    sound = sound * fade * fade[::-1]
    return level * sound / max(float(np.sqrt(np.mean(sound**2))), 1e-12)

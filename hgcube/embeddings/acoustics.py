"""Acoustic spaces: mel spectrum and envelope of the spoken word."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.lib.stride_tricks import sliding_window_view

from hgcube import names as n
from hgcube.embeddings.pooling import Frames, Pooling
from hgcube.embeddings.protocol import Array, Item, Vectors, register
from hgcube.embeddings.segments import RATE, clipped, heard_at
from hgcube.errors import OptionError
from hgcube.kernels.audio import LEVEL_STEP, LEVEL_WINDOW
from hgcube.kernels.mel import band_edges, log_mel


class _Acoustic(ABC):
    """Numbers of frames of the sound, joined to one vector."""

    layers = (0,)
    hears = True
    control_of = ""
    _frames: Frames
    _pooling: Pooling
    _units: dict[str, Array]

    def items(self, words: xr.DataArray, audio: xr.DataArray | None) -> list[Item]:
        """Return the sound of each word; what cannot be heard is flagged."""
        return self._pooling.items(words, audio, self._frames)

    def vectors(self, items: Sequence[Item]) -> Vectors:
        """Return float32 vectors, dims (item, 1, feature), with ``n_frames`` by word."""
        labels = self._pooling.labels(**self._units)
        size = len(next(iter(labels.values())))
        values = np.empty((len(items), 1, size), dtype=np.float32)
        counts = np.zeros(len(items), dtype=np.int64)
        for place, item in enumerate(items):
            sound = np.asarray(item.sound)
            counts[place] = self._frames.count(len(sound))
            # In double precision, lest a band that is silent in all words should differ in the last
            # bit and be standardised to noise.
            weights = self._pooling.weights(self._frames, len(sound)).astype(np.float64)
            weights /= weights.sum(axis=1, keepdims=True)
            values[place, 0] = (weights @ self._of_frames(sound)).ravel()
        return Vectors(
            values=values, words={"n_frames": counts, n.FLAG: clipped(items)}, features=labels
        )

    @abstractmethod
    def _of_frames(self, sound: Array) -> Array:
        """Return (frame, unit)."""

    def _provenance(self, model: str) -> dict[str, str]:
        return {
            "model": model,
            "trained_on": "nothing (computed)",
            **self._pooling.provenance(),
            **self._frames.provenance(),
            **heard_at(),
        }

    def files(self) -> tuple[Path, ...]:
        """Return nothing: all is in the sound."""
        return ()


@register("mel")
class Mel(_Acoustic):
    """Log energies in mel bands: mean over the word, or windows over lags.

    Natural logarithms of the energy in triangular bands of equal width on HTK's mel scale, from 0
    to 8000 Hz, under a Hann window; full scale is 1. Of the windows of Verwoert et al. (2022).

    Parameters
    ----------
    n_mels : int
        Bands.
    window, frame_step : float
        Length and distance of the windows of the spectrum, in s.
    lock, duration, pooling, lags, step, lag
        As `pooling.Pooling`.

    Raises
    ------
    OptionError, UnknownLabelError
        For options out of range.
    """

    def __init__(  # noqa: PLR0913 - each is a line of study.toml
        self,
        *,
        n_mels: int = 23,
        window: float = 0.05,
        frame_step: float = 0.01,
        lock: str = "voice",
        duration: float | None = None,
        pooling: str = "mean",
        lags: Sequence[float] = (0.0, 1.0),
        step: float = 0.1,
        lag: float = 0.0,
    ) -> None:
        sizes = round(window * RATE), round(frame_step * RATE)
        _check_bands(n_mels, window, frame_step)
        self._n_mels = n_mels
        self._frames = Frames((sizes,))
        self._units = {"frequency": band_edges(n_mels, RATE)[1:-1]}
        self._pooling = Pooling(
            lock=lock, duration=duration, pooling=pooling, lags=lags, step=step, lag=lag
        )

    def _of_frames(self, sound: Array) -> Array:
        window, step = self._frames.window, self._frames.step
        return log_mel(sound, RATE, n_mels=self._n_mels, window=window, step=step)

    def provenance(self) -> dict[str, str]:
        """Return scale, bands and windows."""
        return self._provenance(
            f"ln of energies in {self._n_mels} triangular bands, HTK mel scale, 0 to"
            f" {RATE / 2:g} Hz, Hann window"
        )


def _check_bands(n_mels: int, window: float, step: float) -> None:
    if n_mels < 1 or round(step * RATE) < 1 or not 0 < window <= 1:
        raise OptionError(
            "one or more n_mels, a window up to 1 s and a frame_step of a sample or more",
            f"n_mels={n_mels!r}, window={window!r}, frame_step={step!r}",
            "Correct them",
        )
    edges = band_edges(n_mels, RATE)
    narrowest = float((edges[2:] - edges[:-2]).min())
    if narrowest * window < 1:
        raise OptionError(
            "mel bands that are wider than what a window tells apart",
            f"a band of {narrowest:.3g} Hz with a window of {window:g} s ({1 / window:.3g} Hz)",
            "Lower n_mels or lengthen 'window'",
        )


@register("envelope")
class Envelope(_Acoustic):
    """Level of the voice: means over windows around lags, or over the word.

    The level is the root mean square of 10 ms every 2 ms, after the mean of the stretch; full
    scale is 1.

    Parameters
    ----------
    lock, duration, pooling, lags, step, lag
        As `pooling.Pooling`.

    Raises
    ------
    OptionError, UnknownLabelError
        For options out of range.
    """

    _frames = Frames(((round(LEVEL_WINDOW * RATE), round(LEVEL_STEP * RATE)),))

    def __init__(
        self,
        *,
        lock: str = "voice",
        duration: float | None = None,
        pooling: str = "windows",
        lags: Sequence[float] = (0.0, 1.0),
        step: float = 0.1,
        lag: float = 0.0,
    ) -> None:
        self._units = {"unit": np.zeros(1, dtype=np.int64)}
        self._pooling = Pooling(
            lock=lock, duration=duration, pooling=pooling, lags=lags, step=step, lag=lag
        )

    def _of_frames(self, sound: Array) -> Array:
        moving = sound.astype(np.float64) - sound.mean(dtype=np.float64)
        windows = sliding_window_view(moving, self._frames.window)[:: self._frames.step]
        level: Array = np.sqrt(np.square(windows).mean(axis=1))
        return level[:, np.newaxis]

    def provenance(self) -> dict[str, str]:
        """Return how the level is taken."""
        return self._provenance("root mean square about the mean of what is heard, full scale 1")

"""From frames over time to one vector a word: which part is heard and how frames are joined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.embeddings.protocol import Array, Item
from hgcube.embeddings.segments import RATE, check_lock, segments
from hgcube.errors import OptionError, UnknownLabelError
from hgcube.kernels.windows import lag_centres

POOLINGS = ("mean", "windows", "lag")

_EDGE = 1e-9


@dataclass(frozen=True)
class Frames:
    """When the frames are that are computed from a sound.

    Parameters
    ----------
    convolutions : tuple of (int, int)
        Length and step of each layer of windows, in the steps of the layer before, samples at
        first.
    padded : bool
        Whether the sound is continued beyond its ends, so that the first frame is centred on the
        first sample; otherwise a frame lies inside the sound.
    """

    convolutions: tuple[tuple[int, int], ...]
    padded: bool = False

    @property
    def step(self) -> int:
        """Return the distance of two frames in samples."""
        return math.prod(step for _, step in self.convolutions)

    @property
    def window(self) -> int:
        """Return how many samples one frame is made from."""
        window, step = 1, 1
        for length, each in self.convolutions:
            window, step = window + (length - 1) * step, step * each
        return window

    @property
    def shortest(self) -> int:
        """Return how many samples have a frame."""
        return self.step if self.padded else self.window

    def count(self, n_samples: int) -> int:
        """Return how many frames a sound has."""
        if self.padded:
            return -(-n_samples // self.step)
        for length, step in self.convolutions:
            n_samples = (n_samples - length) // step + 1
        return max(n_samples, 0)

    def centres(self, n_samples: int) -> Array:
        """Return the centres of the frames of a sound, in s after its first sample."""
        first = 0.0 if self.padded else self.window / 2
        return (first + self.step * np.arange(self.count(n_samples))) / RATE

    def provenance(self) -> dict[str, str]:
        """Return when frames are, for a cube's attributes."""
        first = 0.0 if self.padded else self.window / 2
        return {
            "frames": f"of {self.window / RATE:g} s every {self.step / RATE:g} s, the first "
            f"centred {first / RATE:g} s after the sound begins"
        }


@dataclass(frozen=True, kw_only=True)
class Pooling:
    """Which part of the sound a word's vector is made from, and how its frames are joined.

    Parameters
    ----------
    lock : str
        ``"voice"`` or ``"display"``: what durations and lags count from.
    duration : float, optional
        In s, of the part whose frames ``"mean"`` joins; by default the word's own, see
        `segments.segments`.
    pooling : str
        ``"mean"`` of all frames; ``"windows"``: the means of windows of `step` s around `lags`,
        one after the other; ``"lag"``: the one of them around `lag`.
    lags : tuple of float
        Centres of the first and last window, in s after the lock. What is heard reaches half a
        `step` further on both sides, with ``"windows"`` and ``"lag"`` alike.
    step : float
        Length and distance of windows in s.
    lag : float
        In s, within `lags`.

    Raises
    ------
    OptionError, UnknownLabelError
        For an option that does not exist or a number out of range.
    """

    lock: str = "voice"
    duration: float | None = None
    pooling: str = "mean"
    lags: Sequence[float] = (0.0, 1.0)
    step: float = 0.1
    lag: float = 0.0

    def __post_init__(self) -> None:
        check_lock(self.lock)
        if self.pooling not in POOLINGS:
            raise UnknownLabelError.of("pooling", self.pooling, POOLINGS)
        if self.duration is not None and (self.pooling != "mean" or not self.duration > 0):
            raise OptionError(
                "a duration above 0 s, with pooling='mean'",
                f"duration={self.duration!r} with pooling={self.pooling!r}",
                "Give 'lags' for windows, or correct 'duration'",
            )
        if len(self.lags) != 2 or not self.lags[0] <= self.lags[1] or not self.step > 0:
            raise OptionError(
                "lags (first, last) and a step above 0, in s",
                f"lags={self.lags!r}, step={self.step!r}",
                "Correct them",
            )
        if self.pooling == "lag" and not self.lags[0] <= self.lag <= self.lags[1]:
            raise OptionError(f"a lag within {tuple(self.lags)} s", f"{self.lag!r}", "Widen 'lags'")

    @property
    def _centres(self) -> Array:
        if self.pooling == "lag":
            return np.array([float(self.lag)])
        return lag_centres((self.lags[0], self.lags[1]), self.step)

    @property
    def _span(self) -> tuple[float, float] | None:
        if self.pooling == "mean":
            return None if self.duration is None else (0.0, float(self.duration))
        last = float(lag_centres((self.lags[0], self.lags[1]), self.step)[-1])
        return float(self.lags[0]) - self.step / 2, last + self.step / 2

    def items(
        self,
        words: xr.DataArray,
        audio: xr.DataArray | None,
        frames: Frames,
        *,
        longest: int | None = None,
        backwards: bool = False,
    ) -> list[Item]:
        """Return the sound of each word.

        Parameters
        ----------
        words, audio, longest, backwards
            As `segments.segments`.
        frames : Frames
            That will be joined.

        Returns
        -------
        list of Item

        Raises
        ------
        OptionError
            If a window would hold no frame, or all sounds would be too short or too long.
        CubeError
            As `segments.segments`.
        """
        span = self._span
        if span is not None:
            # One sample less: rates that are no whole multiples may round so.
            self._check(frames, round((span[1] - span[0]) * RATE) - 1, longest)
        return segments(
            words,
            audio,
            lock=self.lock,
            span=span,
            shortest=frames.shortest,
            longest=longest,
            backwards=backwards,
        )

    def _check(self, frames: Frames, n_samples: int, longest: int | None) -> None:
        if longest is not None and n_samples > longest:
            raise OptionError(
                f"{longest / RATE:g} s of sound at most, which the model can hear",
                f"{n_samples / RATE:g} s",
                "Narrow 'lags', or lower 'duration'",
            )
        if not self._inside(frames, n_samples).any(axis=1).all():
            raise OptionError(
                f"windows that hold a frame ({frames.provenance()['frames']})",
                "windows without one",
                "Raise 'duration'" if self.pooling == "mean" else "Raise 'step'",
            )

    def _inside(self, frames: Frames, n_samples: int) -> Array:
        """Return which frames are in which window, dims (window, frame)."""
        centres = frames.centres(n_samples)
        if self._span is None or self.pooling == "mean":
            return np.ones((1, len(centres)), dtype=bool)
        starts = (self._centres - self.step / 2 - self._span[0])[:, np.newaxis]
        return (centres >= starts - _EDGE) & (centres < starts + self.step - _EDGE)

    def weights(self, frames: Frames, n_samples: int) -> Array:
        """Return what the frames of a sound count in each window's mean.

        Parameters
        ----------
        frames : Frames
        n_samples : int
            Of the sound, at `segments.RATE`.

        Returns
        -------
        numpy.ndarray of float32, shape (window, frame)
            Rows sum to 1.
        """
        inside = self._inside(frames, n_samples)
        return np.asarray(inside / inside.sum(axis=1, keepdims=True), dtype=np.float32)

    @property
    def n_windows(self) -> int:
        """Return how many means of frames a vector is made of."""
        return 1 if self.pooling == "mean" else len(self._centres)

    def labels(self, **units: Array) -> dict[str, Array]:
        """Return coordinates of the features: those of each frame, and the lag of each window.

        Parameters
        ----------
        **units : numpy.ndarray, shape (unit,)
            Coordinates of the numbers of one frame.

        Returns
        -------
        dict of str to numpy.ndarray, shape (window * unit,)
        """
        made = {name: np.tile(labels, self.n_windows) for name, labels in units.items()}
        if self.pooling != "mean":
            size = len(next(iter(units.values())))
            made[n.LAG] = np.repeat(self._centres, size)
        return made

    def provenance(self) -> dict[str, str]:
        """Return all options, in words, for a cube's attributes."""
        if self.pooling == "mean":
            own = "the voice" if self.lock == "voice" else "the display"
            heard = own if self.duration is None else f"{self.duration:g} s"
            return {"lock": self.lock, "pooling": "mean of all frames", "heard": heard}
        first, last = self._span or (0.0, 0.0)
        which = "one window" if self.pooling == "lag" else "windows"
        centres = ", ".join(f"{centre:g}" for centre in self._centres)
        return {
            "lock": self.lock,
            "pooling": f"means of the frames of {which} of {self.step:g} s around {centres} s",
            "heard": f"{first:g} to {last:g} s after the lock",
        }

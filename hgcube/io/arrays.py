"""Signals that stay in their file until they are indexed, and what a reader hands on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

if TYPE_CHECKING:
    import pandas as pd


class SignalArray(BackendArray):
    """A recording as (electrode, time) in volts, read block by block.

    Parameters
    ----------
    shape : tuple of int
        Number of electrodes and of samples.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self.dtype = np.dtype(np.float64)

    @abstractmethod
    def block(self, electrodes: NDArray[np.intp], start: int, stop: int) -> NDArray[np.float64]:
        """Return these electrodes from sample `start` to before `stop`."""

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER_1VECTOR, self._read
        )

    def _read(self, key: tuple[Any, Any]) -> Any:
        electrodes = np.arange(self.shape[0])[key[0]]
        start, stop, within = _span(key[1], self.shape[1])
        block = self.block(np.atleast_1d(electrodes), start, stop)[:, within]
        return block[0] if electrodes.ndim == 0 else block


def _span(key: Any, size: int) -> tuple[int, int, Any]:
    """Return the contiguous stretch that holds `key`, and `key` inside it."""
    if isinstance(key, slice):
        start, stop, step = key.indices(size)
        return start, max(start, stop), slice(None, None, step)
    wanted = np.atleast_1d(key) % size
    start = int(wanted.min(initial=size))
    within: Any = wanted - start
    stop = int(wanted.max(initial=start - 1)) + 1
    return start, stop, int(within[0]) if np.ndim(key) == 0 else within


@dataclass(frozen=True, kw_only=True)
class Series:
    """One further time series of a file: audio, or the runs of a stimulus.

    Parameters
    ----------
    values : xarray.Variable or pandas.DataFrame
    sampling_frequency : float or None
        Hz; None when the file does not say.
    start : float
        s after the first iEEG sample.
    """

    values: Any
    sampling_frequency: float | None
    start: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a reader of one format hands on; labels come later.

    Parameters
    ----------
    array : SignalArray
        All columns of the file, in volts.
    sampling_frequency : float or None
        Hz, by the file itself.
    table : pandas.DataFrame
        One row a column of `array`: ``name``, ``type`` and whatever else is known.
    stored_scale : sequence of float
        Volts per stored number, one a row of `table`.
    attrs : dict
        For the recording.
    audio, stimulus : Series or None
    close : callable
    """

    array: SignalArray
    sampling_frequency: float | None
    table: pd.DataFrame
    stored_scale: Sequence[float] | NDArray[np.float64]
    attrs: dict[str, Any] = field(default_factory=dict)
    audio: Series | None = None
    stimulus: Series | None = None
    close: Callable[[], None] | None = None

    def variable(self) -> xr.Variable:
        """Return the lazily indexed signal."""
        return xr.Variable(("electrode", "time"), indexing.LazilyIndexedArray(self.array))

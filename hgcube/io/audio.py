"""Audio on its own time axis: from the recording's file or from a WAV beside it."""

from __future__ import annotations

import logging
import struct
import warnings
from pathlib import Path

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.errors import SourceError
from hgcube.schema import audio_axis, finish

_LOG = logging.getLogger("hgcube")
_STANDARD_RATES = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 96000)


def audio_cube(samples: xr.Variable, sampling_frequency: float, start: float) -> xr.DataArray:
    """Give audio samples their time axis.

    Parameters
    ----------
    samples : xarray.Variable
        Dim ``audio_time``; stays lazy.
    sampling_frequency : float
        Hz.
    start : float
        s between the first iEEG sample and the first audio sample.

    Returns
    -------
    xarray.DataArray
        Kind ``audio``; ``audio_time`` in s is a range, not an array in memory.
    """
    axis = audio_axis(samples.size, sampling_frequency, start)
    return finish(xr.DataArray(samples, coords=axis), "audio")


def guess_rate(n_samples: int, duration: float, path: Path) -> float:
    """Return the standard rate that fits a recording's duration to 0.1 %, and log it.

    Parameters
    ----------
    n_samples : int
        Of the audio.
    duration : float
        s of the iEEG beside it.
    path : pathlib.Path
        Named in the log.

    Returns
    -------
    float
        Hz.

    Raises
    ------
    SourceError
        If no standard rate fits.
    """
    wanted = n_samples / duration
    rate = min(_STANDARD_RATES, key=lambda standard: abs(standard - wanted))
    if abs(rate - wanted) > 1e-3 * rate:
        raise SourceError(
            f"a rate of 'Audio' in {path}",
            f"none stated, and {n_samples} samples in {duration:.3f} s fit no usual rate",
            "Write the rate into the file, or give the audio as a WAV",
        )
    _LOG.warning("%s: audio states no rate; %d Hz taken from its duration", path, rate)
    return float(rate)


def read_wav(path: str | Path, *, offset: float = 0.0) -> xr.DataArray:
    """Open a WAV file as audio, memory-mapped where its sample format allows.

    Parameters
    ----------
    path : path
        PCM or float WAV; of several tracks the first is taken.
    offset : float
        s between the first iEEG sample and the first audio sample; negative when the audio
        began earlier.

    Returns
    -------
    xarray.DataArray
        Kind ``audio``, dim ``audio_time``.

    Raises
    ------
    SourceError
        If the file is missing or no WAV.
    """
    path = Path(path)
    if not path.is_file():
        raise SourceError(f"a WAV file {path}", "no such file", "Check the path")
    rate, samples = _load_wav(path)
    if samples.ndim > 1:
        _LOG.warning("%s: the first of %d audio tracks is used", path, samples.shape[1])
        samples = samples[:, 0]
    return audio_cube(xr.Variable((n.AUDIO_TIME,), samples), rate, offset)


def _load_wav(path: Path) -> tuple[float, np.ndarray]:
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            try:
                rate, samples = wavfile.read(path, mmap=True)
            except ValueError:  # 24-bit samples cannot be mapped
                rate, samples = wavfile.read(path)
    except (OSError, ValueError, struct.error) as error:
        raise SourceError(f"a WAV file {path}", str(error), "Convert or fetch it") from None
    return float(rate), np.asanyarray(samples)

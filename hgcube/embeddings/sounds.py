"""Words that were recorded one by one, as WAV files."""

from __future__ import annotations

import logging
import struct
import warnings
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.io import wavfile

from hgcube import names as n
from hgcube.embeddings.protocol import Array
from hgcube.embeddings.segments import LOWEST_RATE, THRESHOLD, VOICE_FRAMES
from hgcube.kernels import audio as kernels
from hgcube.schema import audio_axis, finish, text_array

_LOG = logging.getLogger("hgcube")

SILENCE = 3.0
"""Before and after the sound of a file, in s."""


def spoken(path: Path) -> xr.Dataset | str:
    """Return a recording of one word, the file's, between silences.

    Parameters
    ----------
    path : path
        WAV of one track, PCM or float.

    Returns
    -------
    xarray.Dataset or str
        ``audio`` and one of ``words``, displayed as long as the file lasts, with the onset of its
        voice; or why there is none: ``"no sound file"``, ``"stereo"``, ``"low rate"`` (below
        `segments.LOWEST_RATE`). The log says more.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            rate, samples = wavfile.read(path)
    except (OSError, ValueError, struct.error, EOFError) as error:
        return _refused(path, "no sound file", str(error))
    if samples.ndim > 1:
        return _refused(path, "stereo", f"it has {samples.shape[1]} tracks; keep one of them")
    if rate < LOWEST_RATE:
        return _refused(path, "low rate", f"it has {rate} Hz, less than {LOWEST_RATE:g} Hz")
    if not samples.size:
        return _refused(path, "no sound file", "it has no samples")
    return _recording(path.stem, _signed(samples), float(rate))


def _refused(path: Path, flag: str, why: str) -> str:
    _LOG.warning("%s is not heard: %s", path.name, why)
    return flag


def _signed(samples: Array) -> Array:
    """Return 8-bit samples, the only ones that WAV stores without a sign, as 16-bit ones."""
    if samples.dtype.kind != "u":
        return samples
    return ((samples.astype(np.int16) - 128) * 256).astype(np.int16)


def _recording(text: str, samples: Array, rate: float) -> xr.Dataset:
    around = round(SILENCE * rate)
    # Silence is where the sound rests, which need not be 0.
    rest = samples.mean(dtype=np.float64).astype(samples.dtype)
    padded = np.pad(samples, around, constant_values=rest)
    axis = audio_axis(len(padded), rate, 0.0)
    audio = finish(xr.DataArray(padded, coords=axis), "audio")
    seconds = {
        n.ONSET: around / rate,
        n.DURATION: len(samples) / rate,
        n.VOICE_ONSET: _voice_onset(padded, rate),
    }
    words = xr.DataArray(
        text_array([text]),
        dims=n.WORD,
        coords={n.WORD: [0], **{name: (n.WORD, [each]) for name, each in seconds.items()}},
    )
    return xr.Dataset({"audio": audio, "words": words})


def _voice_onset(samples: Array, rate: float) -> float:
    level = kernels.loudness(samples, rate).level
    threshold = kernels.voice_threshold(level, THRESHOLD, VOICE_FRAMES, 0.0)
    frame, _ = kernels.first_voice(level, threshold, VOICE_FRAMES, 0)
    return frame * kernels.LEVEL_STEP + kernels.LEVEL_WINDOW / 2 if frame >= 0 else np.nan

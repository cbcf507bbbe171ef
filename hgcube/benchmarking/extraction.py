"""High gamma of one recording by one program, run in a process of its own to see its memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hgcube.benchmarking.timing import cpu_seconds
from hgcube.cluster import one_thread_each
from hgcube.kernels.designs import Array

RATE = 1024.0
BAND = (70.0, 170.0)
STOPS = ((98.0, 102.0), (148.0, 152.0))
_FILTERS: tuple[tuple[tuple[float, float], Literal["bandpass", "bandstop"]], ...] = (
    (BAND, "bandpass"),
    (STOPS[0], "bandstop"),
    (STOPS[1], "bandstop"),
)
WINDOW, STEP = 0.05, 0.01


def windows(n_samples: int) -> tuple[Any, Any]:
    """Return starts and stops of the authors' windows."""
    count = int(np.floor((n_samples - WINDOW * RATE) / (STEP * RATE)))
    starts = np.array([int(np.floor((place * STEP) * RATE)) for place in range(count)])
    return starts, np.floor(starts + WINDOW * RATE).astype(int)


def by_authors(samples: Array) -> Array:
    """Do what the feature script of the data set does (Verwoert et al. 2022): (window, electrode).

    Parameters
    ----------
    samples : (time, electrode) float64
    """
    import scipy.fftpack
    from scipy import signal

    filtered = signal.detrend(samples, axis=0)
    for edges, kind in _FILTERS:
        normalised = [edge / (RATE / 2) for edge in edges]
        sections = signal.iirfilter(4, normalised, btype=kind, output="sos")
        filtered = signal.sosfiltfilt(sections, filtered, axis=0)
    length = scipy.fftpack.next_fast_len(len(filtered))
    amplitude = np.abs(signal.hilbert(filtered, length, axis=0)[: len(filtered)])
    pairs = zip(*windows(len(samples)), strict=True)
    return np.array([amplitude[start:stop].mean(axis=0) for start, stop in pairs])


def by_mne(samples: Array) -> Array:
    """Do the same with MNE's IIR filters and Hilbert transform; its padding differs."""
    import mne

    mne.set_log_level("ERROR")
    raw = mne.io.RawArray(samples.T, mne.create_info(samples.shape[1], RATE, "seeg"))
    butterworth = {"order": 4, "ftype": "butter"}
    raw.filter(*BAND, method="iir", iir_params=butterworth)
    for low, high in STOPS:
        raw.filter(high, low, method="iir", iir_params=butterworth)
    raw.apply_hilbert(envelope=True)
    starts, stops = windows(len(samples))
    sums = np.cumsum(raw.get_data(), axis=1)
    sums = np.pad(sums, ((0, 0), (1, 0)))
    return np.asarray(((sums[:, stops] - sums[:, starts]) / (stops - starts)).T)


def by_hgcube(samples: Array) -> Array:
    """Do it with `hgcube.high_gamma`, preset "authors", from the same array."""
    import xarray as xr

    from hgcube.signal import high_gamma

    time = ("time", np.arange(len(samples)) / RATE, {"sampling_frequency": RATE})
    cube = xr.DataArray(samples.T, dims=("electrode", "time"), coords={"time": time})
    return np.asarray(high_gamma(cube, preset="authors", line_frequency=50.0).values.T)


PROGRAMS: dict[str, Callable[[Array], Array]] = {
    "hgcube": by_hgcube,
    "the data-set authors' script": by_authors,
    "MNE, IIR and Hilbert": by_mne,
}


def draw_recording(n_electrodes: int, n_samples: int, *, seed: int) -> Array:
    """Return noise with drift and line harmonics in microvolts: (time, electrode)."""
    rng = np.random.default_rng(seed)
    samples = 0.3 * np.cumsum(rng.standard_normal((n_samples, n_electrodes)), axis=0)
    samples += 20 * rng.standard_normal(samples.shape)
    time = np.arange(n_samples) / RATE
    for harmonic, size in ((50, 30), (100, 12), (150, 8)):
        samples += size * np.sin(2 * np.pi * harmonic * time)[:, None]
    return samples


def memory(field: str) -> float:
    """Return a field of this process's memory in 10^9 bytes; NaN where the system has no such."""
    listing = Path("/proc/self/status")
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024 / 1e9
    return float("nan")


def main(program: str, recording: str, result: str) -> None:
    """Run one program on a stored recording; print its CPU seconds and its memory.

    Parameters
    ----------
    program : str
        Key of `PROGRAMS`.
    recording : str
        File of samples (time, electrode).
    result : str
        File to write.
    """
    extract = PROGRAMS[program]
    with one_thread_each():
        # Imports and compiling are neither its time nor its memory.
        extract(draw_recording(9, int(4 * RATE), seed=1))
        before = memory("VmRSS")
        forget = Path("/proc/self/clear_refs")
        if forget.exists():
            forget.write_text("5")
        samples = np.load(recording)
        power, seconds = cpu_seconds(lambda: extract(samples))
    print(json.dumps({"seconds": seconds, "gigabytes": memory("VmHWM") - before}))
    np.save(result, power)

"""Small recordings, words and audio for tests, in memory."""

from __future__ import annotations

import numpy as np
import xarray as xr

from hgcube.schema import text_array

NAMES = ("LA1", "LA2", "LA3", "LB1", "LB2", "RC9")
TEXTS = ("boot", "helft", "vis", "maan", "gang", "ritme", "kast", "boom")


def recording(*, rate=1024.0, seconds=6.0, names=NAMES, seed=7, dtype=np.float64):
    """Noise with a slow drift, an offset per electrode and line noise, in V."""
    rng = np.random.default_rng(seed)
    n_samples = int(rate * seconds)
    time = np.arange(n_samples) / rate
    microvolts = 20 * rng.standard_normal((len(names), n_samples))
    microvolts += 0.3 * np.cumsum(rng.standard_normal(microvolts.shape), axis=1)
    microvolts += 500 * rng.standard_normal((len(names), 1))
    for harmonic, size in ((50, 30), (100, 12), (150, 8)):
        microvolts += size * np.sin(2 * np.pi * harmonic * time)
    coords = {
        "electrode": text_array([f"01-{name}" for name in names]),
        "subject": text_array(["01"] * len(names)),
        "name": text_array(names),
        "type": text_array(["SEEG"] * len(names)),
        "region": text_array([f"region of {name}" for name in names]),
        "group": text_array([name.rstrip("0123456789") for name in names]),
        "bad": np.zeros(len(names), dtype=bool),
        "bad_reason": text_array([""] * len(names)),
        "stored_scale": np.full(len(names), 1e-6),
        "x": np.arange(len(names), dtype=float),
    }
    return xr.DataArray(
        (microvolts * 1e-6).astype(dtype),
        dims=("electrode", "time"),
        coords={
            **{name: ("electrode", values) for name, values in coords.items()},
            "time": ("time", time, {"sampling_frequency": rate}),
        },
        attrs={
            "units": "V",
            "long_name": "made for a test",
            "line_frequency": 50.0,
            "not_for_others": "private",
        },
    )


def power(*, rate=100.0, seconds=6.0, names=NAMES, seed=8, dtype=np.float64):
    """Log power at its own rate; times are centres of 50 ms windows."""
    made = recording(rate=rate, seconds=seconds, names=names, seed=seed, dtype=dtype)
    attrs = {"units": "ln(V)", "window": 0.05, "not_for_others": "private"}
    return made.assign_coords(time=made.time + 0.025).drop_attrs(deep=False).assign_attrs(attrs)


def words(*, onsets=(0.6, 1.7, 2.45, 3.3, 4.4), delay=0.31, texts=TEXTS):
    """Words displayed at `onsets` and spoken `delay` later."""
    onsets = np.asarray(onsets, dtype=float)
    count = len(onsets)
    made = xr.DataArray(
        text_array([texts[i % len(texts)] for i in range(count)]),
        dims="word",
        coords={
            "word": np.arange(count),
            "onset": ("word", onsets),
            "duration": ("word", np.full(count, 0.5)),
            "flag": ("word", text_array([""] * count)),
        },
        attrs={"not_for_others": "private"},
    )
    return made if delay is None else made.assign_coords(voice_onset=made.onset + delay)


def plain(cube):
    """The cube without any coordinate but its labels and clock, and without attributes."""
    return cube.reset_coords(drop=True).drop_attrs(deep=False)

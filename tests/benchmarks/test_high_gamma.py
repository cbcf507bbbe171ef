"""High gamma beside the data-set authors' script and MNE: 130 electrodes x 300 s at 1024 Hz."""

import json
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from hgcube.benchmarking.extraction import PROGRAMS, by_mne, draw_recording
from hgcube.benchmarking.timing import medians
from hgcube.cluster import one_thread_each
from hgcube.signal import high_gamma
from tests.oracles import authors_high_gamma

RATE = 1024.0
N_ELECTRODES, N_SAMPLES = 130, 300 * 1024


def as_cube(samples):
    """Rows of electrodes, as they are stored; the authors' files hold rows of samples."""
    time = ("time", np.arange(len(samples)) / RATE, {"sampling_frequency": RATE})
    rows = np.ascontiguousarray(samples.T)
    return xr.DataArray(rows, dims=("electrode", "time"), coords={"time": time})


def ours(cube, dtype="float64"):
    return high_gamma(cube, preset="authors", line_frequency=50, dtype=dtype).values.T


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_high_gamma_is_faster_and_the_same():
    samples = draw_recording(N_ELECTRODES, N_SAMPLES, seed=0)
    cube, for_mne = as_cube(samples), samples.copy()  # MNE overwrites what it is given
    with one_thread_each():
        ours(as_cube(samples[:4096]))  # imports, and compiling where it must be
        by_mne(for_mne[:4096])
        seconds = medians(
            {
                "authors": lambda: authors_high_gamma(samples, RATE),
                "MNE": lambda: by_mne(for_mne),
                "ours": lambda: ours(cube),
                "time-major": lambda: ours(cube.copy(data=samples.T)),
            },
            repeats=5,
        )
        expected = authors_high_gamma(samples, RATE)
    for name, taken in seconds.items():
        print(f"\n{name}: {taken:.2f} CPU s, {taken / seconds['ours']:.1f} times ours", end="")
    for dtype, tolerance in (("float64", 1e-11), ("float32", 1e-6)):
        error = np.abs(ours(cube, dtype) / expected - 1).max()
        print(f"\n{dtype}: largest relative difference {error:.0e}", end="")
        assert error <= tolerance
    assert seconds["authors"] >= 2.8 * seconds["ours"]
    assert seconds["MNE"] >= 5 * seconds["ours"]


ALONE = "import sys; from hgcube.benchmarking.extraction import main; main(*sys.argv[1:])"


def peak_gigabytes(program, recording):
    """Peak of a process of its own, without its imports, with the recording in memory."""
    command = [sys.executable, "-c", ALONE, program, recording, recording.with_name("power.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["gigabytes"]


@pytest.mark.slow
def test_high_gamma_takes_a_third_of_the_memory(tmp_path):
    recording = tmp_path / "recording.npy"
    np.save(recording, draw_recording(N_ELECTRODES, N_SAMPLES, seed=0))
    peaks = {program: peak_gigabytes(program, recording) for program in PROGRAMS}
    print(f"\npeak GB with the recording ({recording.stat().st_size / 1e9:.2f} GB): {peaks}")
    assert 3 * peaks["hgcube"] <= peaks["the data-set authors' script"]

"""Peak memory of the worker that makes one full-size subject, through `hgcube run`."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import hgcube
from hgcube.store import create

STEPS = ("recordings", "high_gamma", "epochs")
PROGRAM = "from hgcube.cli import main; main()"


def peak_of(process):
    """Largest resident memory so far in GB (10^9 bytes), of the program that runs now."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / 1e9
    return 0.0


def watched(command):
    """Run `command`; return its seconds, its own peak and the largest of its child processes."""
    began = time.perf_counter()
    peaks = {}
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        while running.poll() is None:
            try:
                own = psutil.Process(running.pid)
                for process in (own, *own.children(recursive=True)):
                    peaks[process.pid] = max(peaks.get(process.pid, 0.0), peak_of(process))
            except (psutil.Error, OSError):
                pass  # ended between being listed and being read
            time.sleep(0.05)
    assert running.returncode == 0
    own_peak = peaks.pop(running.pid)
    return time.perf_counter() - began, own_peak, max(peaks.values())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")
@pytest.mark.parametrize("preset", ["field", "authors"])
def test_a_full_subject_through_the_pipeline(tmp_path, preset):
    bids = hgcube.simulate(tmp_path / "bids", n_subjects=1, n_electrodes=127)
    (nwb,) = bids.rglob("*.nwb")
    store = tmp_path / "store"
    create(store, source=bids, preset=preset)
    print(
        f"\n127 electrodes x 300 s at 1024 Hz, preset {preset}: {nwb.stat().st_size / 1e9:.2f} GB"
    )
    for step in STEPS:
        arguments = ["run", str(store), "--steps", step, "--workers", "1"]
        seconds, own, worker = watched([sys.executable, "-c", PROGRAM, *arguments])
        print(f"{step}: {seconds:.1f} s, peak of worker {worker:.2f} GB, of client {own:.2f} GB")
        assert worker < 2
    power = hgcube.open_cube(store, "high_gamma", recording="01")
    assert power.sizes["time"] > 29_000

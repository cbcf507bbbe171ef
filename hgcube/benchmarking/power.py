"""High gamma beside the data-set authors' script and MNE: time, memory and difference."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from hgcube.benchmarking import extraction
from hgcube.benchmarking.table import Row
from hgcube.benchmarking.timing import FULL, Effort
from hgcube.kernels.designs import Array

_PROGRAM = "import sys; from hgcube.benchmarking.extraction import main; main(*sys.argv[1:])"
OURS, AUTHORS, MNE = extraction.PROGRAMS
PROMISED = {AUTHORS: 2.8, MNE: 5.0}
MEMORY, DIFFERENCE = 3.0, 1e-11
# Windows in 2 s, where MNE's padding differs.
_EDGE = 200
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def rows(effort: Effort) -> Iterator[Row]:
    """Yield rows of CPU seconds, peak memory and difference.

    Parameters
    ----------
    effort : Effort

    Yields
    ------
    Row
        Memory is the peak since before the recording was loaded, which it therefore includes.
    """
    n_electrodes, seconds = effort.recording
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        recording = Path(folder) / "recording.npy"
        n_samples = int(seconds * extraction.RATE)
        np.save(recording, extraction.draw_recording(n_electrodes, n_samples, seed=0))
        measured, power = _measure(recording, effort.repeats)
    work = f"{n_electrodes} electrodes x {seconds} s x {extraction.RATE:.0f} Hz"
    promised = PROMISED if effort.recording == FULL.recording else {}
    for against in (AUTHORS, MNE):
        inside = _difference(power[OURS][_EDGE:-_EDGE], power[against][_EDGE:-_EDGE])
        yield Row(
            name="high_gamma",
            work=work,
            against=against,
            ours=measured[OURS]["seconds"],
            theirs=measured[against]["seconds"],
            unit="s",
            at_least=promised.get(against),
            note=f"largest difference {inside:.0e}, 2 s at either end left out",
        )
    yield Row(
        name="high_gamma",
        work=f"{work}, memory",
        against=AUTHORS,
        ours=measured[OURS]["gigabytes"],
        theirs=measured[AUTHORS]["gigabytes"],
        unit="GB",
        at_least=MEMORY if promised else None,
        note=f"peaks, with the recording; {MNE}: {measured[MNE]['gigabytes']:.2f} GB",
    )
    yield Row(
        name="high_gamma",
        work=f"{work}, numbers",
        against=f"{DIFFERENCE:g} to the authors'",
        ours=_difference(power[OURS], power[AUTHORS]),
        theirs=DIFFERENCE,
        unit="rel.",
        at_least=1.0,
    )


def _measure(recording: Path, repeats: int) -> tuple[dict[str, dict[str, float]], dict[str, Array]]:
    """Return each program's medians and its result; they take turns."""
    result = recording.with_name("power.npy")
    taken: dict[str, list[dict[str, float]]] = {program: [] for program in extraction.PROGRAMS}
    power = {}
    for _ in range(repeats):
        for program in extraction.PROGRAMS:
            taken[program].append(_run(program, recording, result))
            power[program] = np.load(result)
    medians = {
        program: {what: float(np.median([one[what] for one in turns])) for what in turns[0]}
        for program, turns in taken.items()
    }
    return medians, power


def _run(program: str, recording: Path, result: Path) -> dict[str, float]:
    command = [sys.executable, "-c", _PROGRAM, program, str(recording), str(result)]
    environment = {**os.environ, **dict.fromkeys(_THREADS, "1")}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    printed: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return printed


def _difference(power: Array, reference: Array) -> float:
    """Return the largest difference over the mean of its electrode."""
    return float((np.abs(power - reference) / reference.mean(axis=0)).max())

"""Writes tiny iBIDS folders without any code of hgcube."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from pynwb import NWBHDF5IO, H5DataIO, NWBFile, TimeSeries
from pynwb.ecephys import ElectricalSeries

WORDS = ("boot", "huis", "kaas", "fiets")
NAMES = ("LA1", "LA2", "LA10", "RB1", "RB2")
RATE, AUDIO_RATE, SECONDS = 256, 8000, 13


def write_tsv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    lines = ["\t".join(map(str, row)) for row in (columns, *rows)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def stored_numbers(seed: int = 0, *, n_columns: int = len(NAMES)) -> np.ndarray:
    """Numbers as the file holds them: (time, electrode), micro-volts."""
    return np.random.default_rng(seed).normal(0, 50, (RATE * SECONDS, n_columns))


def stimulus_track(words: Sequence[str] = WORDS) -> list[str]:
    """One text a sample: 2 s word, 1 s nothing."""
    track = np.full(RATE * SECONDS, "", dtype=object)
    for index, word in enumerate(words):
        track[3 * index * RATE : (3 * index + 2) * RATE] = word
    return [str(text) for text in track]


def write_nwb(
    path: Path,
    stored: np.ndarray,
    *,
    stimulus: Sequence[str] | None = None,
    audio: bool = True,
    conversion: float = 1e-6,
    electrical: bool = True,
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nwb = NWBFile(
        session_description="tiny",
        identifier=path.stem,
        session_start_time=datetime(2021, 1, 1, tzinfo=UTC),
    )
    values = H5DataIO(stored, chunks=(RATE, stored.shape[1]), compression="gzip")
    if electrical:
        device = nwb.create_device(name="rig")
        group = nwb.create_electrode_group(
            name="shaft", description="shaft", location="brain", device=device
        )
        for _ in range(stored.shape[1]):
            nwb.add_electrode(location="n/a", group=group)
        region = nwb.create_electrode_table_region(
            region=list(range(stored.shape[1])), description="all"
        )
        series = ElectricalSeries(
            name="iEEG", data=values, electrodes=region, rate=float(RATE), conversion=conversion
        )
    else:
        series = TimeSeries(
            name="iEEG", data=values, unit="n/a", rate=float(RATE), conversion=conversion
        )
    nwb.add_acquisition(series)
    if audio:
        sound = np.arange(AUDIO_RATE * SECONDS, dtype=np.int16)
        nwb.add_acquisition(
            TimeSeries(name="Audio", data=sound, unit="a.u.", rate=float(AUDIO_RATE))
        )
    if stimulus is not None:
        track = TimeSeries(name="Stimulus", data=list(stimulus), unit="n/a", rate=float(RATE))
        nwb.add_acquisition(track)
    with NWBHDF5IO(str(path), "w") as file:
        file.write(nwb)
    return path


def forget_rates(path: Path) -> None:
    """Leave iEEG, Audio and Stimulus as old writers did: no rate, no unit."""
    with h5py.File(path, "r+") as file:
        for name in file["acquisition"]:
            del file[f"acquisition/{name}/starting_time"]
            for attribute in ("unit", "conversion"):
                del file[f"acquisition/{name}/data"].attrs[attribute]


def write_sidecars(folder: Path, base: str, *, units: str = "\u00b5V") -> None:
    subject = base.split("_")[0]
    write_tsv(
        folder / f"{base}_channels.tsv",
        ["name", "type", "units", "low_cutoff", "description", "sampling_frequency", "status"],
        [[name, "SEEG", units, "0.0", f"ctx_lh_{name}", RATE, "n/a"] for name in NAMES],
    )
    write_tsv(
        folder / f"{base}_events.tsv",
        ["onset", "duration", "trial_type", "value"],
        [
            row
            for index, word in enumerate(WORDS)
            for row in ([3 * index, 2, "word", word], [3 * index + 2, 1, "fixation", "+"])
        ],
    )
    write_tsv(
        folder / f"{subject}_space-ACPC_electrodes.tsv",
        ["name", "x", "y", "z", "size", "vendor"],
        [
            ["XX9", 9, 9, 9, 1, "n/a"],
            *([name, 10 * k, -5, 2.5, 5, "Acme"] for k, name in enumerate(NAMES[:4])),
        ],
    )
    (folder / f"{subject}_space-ACPC_coordsystem.json").write_text(
        json.dumps({"iEEGCoordinateSystem": "ACPC", "iEEGCoordinateUnits": "mm"})
    )
    (folder / f"{base}_ieeg.json").write_text(
        json.dumps({"SamplingFrequency": RATE, "PowerLineFrequency": 50})
    )


def write_recording(root: Path, base: str = "sub-01_task-words", **options: Any) -> Path:
    """One recording with all side-cars; options as `write_nwb`, and `seed`, `units`."""
    parts = dict(part.split("-") for part in base.split("_"))
    session = [f"ses-{parts['ses']}"] if "ses" in parts else []
    folder = root.joinpath(f"sub-{parts['sub']}", *session, "ieeg")
    stored = stored_numbers(options.pop("seed", 0))
    units = options.pop("units", "\u00b5V")
    options.setdefault("stimulus", stimulus_track())
    path = write_nwb(folder / f"{base}_ieeg.nwb", stored, **options)
    write_sidecars(folder, base, units=units)
    description = {"Name": "tiny", "BIDSVersion": "1.10.0"}
    (root / "dataset_description.json").write_text(json.dumps(description))
    return path

"""Real files, each against what MNE or a plain reader says."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest
from tiny_bids import write_tsv

import hgcube
from hgcube.config import Source
from hgcube.errors import SourceError
from hgcube.io import list_recordings, open_recording
from hgcube.io.electrodes import electrode_coords, joined

pytestmark = pytest.mark.shared
WORDS = {"onset": [1.0], "duration": [1.0], "text": ["boot"]}


def _intracranial(path: Path, other: tuple[str, ...]) -> mne.io.BaseRaw:
    raw = mne.io.read_raw(path, preload=False, verbose="ERROR")
    kinds = {name: "misc" if name.startswith(other) else "seeg" for name in raw.ch_names}
    return raw.set_channel_types(kinds, on_unit_change="ignore", verbose="ERROR")


def test_seeg_of_88_contacts(shared_folder: Path) -> None:
    path = shared_folder / "data" / "mne-misc-data" / "seeg" / "sample_seeg.edf"
    ieeg = hgcube.from_mne(_intracranial(path, ("DC", "EKG")), WORDS)["ieeg"]
    assert ieeg.sizes == {"electrode": 88, "time": 20_000}
    alone = mne.io.read_raw_edf(path, preload=True, verbose="ERROR").pick(list(ieeg["name"].values))
    np.testing.assert_array_equal(ieeg.chunk(electrode=16), alone.get_data())
    assert set(ieeg["group"].values) == {"L'", "N'", "F'", "O'", "G'", "X'"}
    assert set(ieeg["hemisphere"].values) == {"L"}
    assert "unit_warning" not in ieeg.attrs


def test_an_odd_rate_is_kept_exactly(shared_folder: Path) -> None:
    path = shared_folder / "data" / "mne-misc-data" / "ecog" / "sample_ecog.edf"
    ieeg = hgcube.from_mne(_intracranial(path, ("EKG",)), WORDS)["ieeg"]
    alone = mne.io.read_raw_edf(path, preload=True, verbose="ERROR")
    assert ieeg.sizes["electrode"] == 76
    assert ieeg["time"].attrs["sampling_frequency"] == alone.info["sfreq"] == 999.4121105232217
    np.testing.assert_allclose(ieeg["time"], alone.times, rtol=1e-14)
    np.testing.assert_array_equal(ieeg[70:, 100:300], alone.get_data()[70:76, 100:300])


def test_an_odd_rate_in_a_bids_folder(shared_folder: Path, tmp_path: Path) -> None:
    ecog = shared_folder / "data" / "mne-misc-data" / "ecog"
    folder = tmp_path / "sub-01" / "ieeg"
    folder.mkdir(parents=True)
    shutil.copy(ecog / "sample_ecog.edf", folder / "sub-01_task-none_ieeg.edf")
    shutil.copy(ecog / "sample_ecog_electrodes.tsv", folder / "sub-01_electrodes.tsv")
    (folder / "sub-01_coordsystem.json").write_text(
        '{"iEEGCoordinateSystem": "Other", "iEEGCoordinateUnits": "m"}'
    )
    events = write_tsv(tmp_path / "e.tsv", ["onset", "duration", "text"], [[1, 1, "boot"]])
    (files,) = list_recordings(tmp_path).values()
    ieeg = open_recording(files, source=Source(events=str(events)))["ieeg"]
    assert ieeg["time"].attrs["sampling_frequency"] == 999.4121105232217
    placed = pd.read_csv(ecog / "sample_ecog_electrodes.tsv", sep="\t", index_col="name")
    by_name = ieeg.swap_dims(electrode="name").sel(name=list(placed.index))
    np.testing.assert_allclose(by_name["x"], placed["x"])
    assert int(np.isfinite(ieeg["x"]).sum()) == len(placed) == 64


def test_fif_with_real_positions(shared_folder: Path) -> None:
    path = shared_folder / "data" / "mne-misc-data" / "ecog" / "sample_ecog_ieeg.fif"
    raw = mne.io.read_raw_fif(path, preload=False, verbose="ERROR")
    ieeg = hgcube.from_mne(raw, {"onset": [0.1], "duration": [0.1], "text": ["boot"]})["ieeg"]
    assert ieeg.sizes == {"electrode": 394, "time": 113}
    np.testing.assert_array_equal(ieeg, raw.get_data())
    assert Counter(ieeg["type"].values.tolist()) == {"ECOG": 320, "SEEG": 74}
    assert np.isfinite(ieeg["x"]).all() and abs(ieeg["x"]).max() < 0.2


def test_values_off_by_a_million_are_flagged(
    shared_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = shared_folder / "data" / "py_neuromodulation-bids"
    (files,) = list_recordings(root).values()
    assert (files.label, files.session, files.run) == ("testsub", "EphysMedOff", "0")
    with pytest.raises(SourceError, match="words of"):
        open_recording(files, source=Source())
    events = write_tsv(tmp_path / "e.tsv", ["onset", "duration", "text"], [[1, 1, "boot"]])
    ieeg = open_recording(files, source=Source(events=str(events)))["ieeg"]
    assert "9 of 9 electrodes (LFP_RIGHT_0" in ieeg.attrs["unit_warning"]
    assert "_ieeg.vhdr" in caplog.text
    alone = mne.io.read_raw_brainvision(files.path, preload=True, verbose="ERROR")
    np.testing.assert_array_equal(ieeg, alone.get_data()[:9])
    assert ieeg["type"].values.tolist() == ["DBS"] * 3 + ["ECOG"] * 6
    assert set(ieeg["hemisphere"].values) == {"R"} and set(ieeg["region"].values) == {"n/a"}
    np.testing.assert_allclose(ieeg["x"][3], 0.037318173999999996)
    assert ieeg["x"].attrs["space"] == "mni" and ieeg.attrs["line_frequency"] == 60


def test_side_cars_of_a_film_recording(shared_folder: Path, tmp_path: Path) -> None:
    source = shared_folder / "data" / "openneuro-ds003688"
    folder = tmp_path / "sub-01" / "ses-iemu" / "ieeg"
    shutil.copytree(source / "sub-01" / "ses-iemu" / "ieeg", folder)
    signal = folder / "sub-01_ses-iemu_task-film_acq-clinical_run-1_ieeg.vhdr"
    signal.write_text("")
    (files,) = list_recordings(tmp_path, task="film").values()
    table = pd.read_csv(
        files.find("channels.tsv"),
        sep="\t",
        keep_default_na=False,
        dtype=str,  # type: ignore[arg-type]
    )
    both = joined(table.astype(object), files)
    coords = electrode_coords(both, "01", np.ones(len(both)))
    placed = pd.read_csv(
        folder / "sub-01_ses-iemu_acq-clinical_electrodes.tsv", sep="\t", index_col="name"
    )
    x = dict(zip(both["name"], coords["x"].values, strict=True))
    assert {name: x[name] for name in placed.index} == pytest.approx(
        (placed["x"] / 1000).to_dict(), abs=1e-12
    )
    assert coords["x"].attrs["space"] == "ACPC"
    assert coords["reference"].values[0] == "G2" and coords["group"].values[0] == "AR"
    assert coords["bad"].values.sum() == (table["status"] == "bad").sum() > 0
    assert files.find("events.tsv") == folder / "sub-01_ses-iemu_task-film_run-1_events.tsv"

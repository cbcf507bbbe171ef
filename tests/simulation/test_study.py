"""The files: names, tables and series of an iBIDS study, and the errors of the entry."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

import hgcube
from hgcube.errors import OptionError, SourceError, UnknownLabelError
from hgcube.simulation import DUTCH_WORDS, study
from hgcube.simulation.design import DEFAULT_ROLES, ELECTRODES_OF_STUDY, Design


def checksums(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_files_have_the_names_of_the_study(study):
    names = {path.name for path in (study / "sub-02" / "ieeg").iterdir()}
    stem = "sub-02_task-wordProduction_"
    assert {
        f"{stem}{suffix}"
        for suffix in (
            "ieeg.nwb",
            "ieeg.json",
            "events.tsv",
            "channels.tsv",
            "space-ACPC_electrodes.tsv",
            "space-ACPC_coordsystem.json",
        )
    } <= names
    assert (study / "participants.tsv").read_text().startswith("participant_id\tage\tsex\nsub-01\t")
    assert json.loads((study / "dataset_description.json").read_text())["Simulated"] is True


def test_series_are_as_in_the_study(study, files):
    subject = files(study, "02")
    voltage, sound, shown = map(subject.series, ("iEEG", "Audio", "Stimulus"))
    assert (voltage.dtype, voltage.shape[1]) == (np.float64, 21)
    assert (subject.rate("iEEG"), subject.rate("Audio")) == (512, 8000)
    assert sound.dtype == np.int16
    assert len(shown) == len(voltage)
    assert 0 < len(voltage) / 512 - len(sound) / 8000 < 0.005
    with h5py.File(subject.nwb) as file:
        stored = file["acquisition/iEEG/data"].attrs
        assert (stored["unit"], stored["conversion"]) == ("volts", 1e-6)


def test_events_agree_with_the_stimulus(study, files):
    subject = files(study, "02")
    events, shown = subject.table("events"), subject.series("Stimulus").astype(str)
    assert events["trial_type"].tolist() == ["word", "fixation"] * 12
    assert list(events.columns) == ["onset", "duration", "trial_type", "value", "sample"]
    onset, duration = events["onset"].astype(float), events["duration"].astype(float)
    sample = events["sample"].astype(int)
    assert (onset * 512 == sample).all()
    assert (onset + duration)[:-1].to_numpy() == pytest.approx(onset[1:].to_numpy(), abs=1e-12)
    length = np.rint(duration * 512).astype(int)
    for at, size, value in zip(sample, length, events["value"], strict=True):
        assert set(shown[at : at + size]) == {value if value != "+" else ""}
    changes = np.flatnonzero(shown[1:] != shown[:-1]) + 1
    assert changes.tolist() == sample[1:].tolist()


def test_electrode_tables(study, files):
    subject = files(study, "02")
    channels = subject.table("channels")
    electrodes = subject.table("space-ACPC_electrodes")
    columns = ["name", "type", "units", "low_cutoff", "high_cutoff", "description"]
    assert list(channels.columns) == [*columns, "sampling_frequency", "status"]
    assert set(channels["units"]) == {"µV"}
    assert channels["name"].is_unique
    assert channels["name"].str.fullmatch(r"[LR][A-Z]+[0-9]+").all()
    assert channels["description"].str.match(r"ctx_[lr]h_|(Left|Right)-").all()
    assert set(channels["name"]) < set(electrodes["name"])
    same = electrodes["name"][electrodes["name"].isin(channels["name"])]
    assert same.tolist() != channels["name"].tolist()
    for _, shaft in electrodes.groupby("group"):
        numbered = shaft.assign(number=shaft["name"].str.extract(r"(\d+)")[0].astype(int))
        places = numbered.sort_values("number")[["x", "y", "z"]].astype(float).to_numpy()
        steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
        assert steps == pytest.approx(3.5, abs=0.03)
        assert (np.sign(places.mean(0)[0]) < 0) == shaft["name"].iloc[0].startswith("L")
    assert np.abs(electrodes[["x", "y", "z"]].astype(float).to_numpy()).max() < 110


def test_bad_electrodes_are_broken_and_every_other_one_is_marked(study, files):
    subject = files(study, "02")
    truth, status = subject.truth(), subject.table("channels")["status"]
    deviation = subject.series("iEEG").std(0)
    assert truth["bad_kind"].value_counts().to_dict() == {"none": 17, "flat": 2, "noisy": 2}
    assert (deviation[truth["bad_kind"] == "flat"] < 1e-9).all()
    noisy = deviation[truth["bad_kind"] == "noisy"]
    assert noisy.min() > 1.5 * np.median(deviation)
    assert ((status == "bad") == truth["marked_bad"]).all()
    assert truth["marked_bad"].sum() == 2
    assert not truth["marked_bad"][truth["bad_kind"] == "none"].any()


def test_valid_by_the_bids_validator(make, features):
    folders = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    command = shutil.which("bids-validator-deno", path=folders)
    if command is None:
        pytest.skip("bids-validator-deno is not installed")
    root = make(n_subjects=2, n_words=4, runs=2, features=features)
    for folder in (root, root / "derivatives" / "hgcube-simulation"):
        done = subprocess.run(
            [command, "--format", "json", str(folder)], capture_output=True, check=False
        )
        issues = json.loads(done.stdout)["issues"]["issues"]
        assert [issue for issue in issues if issue["severity"] == "error"] == []
        assert done.returncode == 0
    (root / "participants.tsv").write_text("participant\n")
    broken = subprocess.run([command, str(root)], capture_output=True, check=False)
    assert broken.returncode != 0


def test_valid_by_pynwb(study, files):
    import pynwb

    subject = files(study, "02")
    with pynwb.NWBHDF5IO(subject.nwb, "r", load_namespaces=False) as io:
        series = io.read().acquisition["iEEG"]
        assert series.data[3, 2] == subject.series("iEEG")[3, 2]
        assert series.conversion == 1e-6
        assert pynwb.validate(io=io) == []


def test_the_reader_finds_what_was_written(study, files):
    tree = hgcube.open_bids(study)
    assert set(tree.children) == {"01", "02"}
    subject, node = files(study, "02"), tree["02"].to_dataset()
    assert node.attrs["simulated"] is True
    volts = node["ieeg"].transpose("electrode", "time").values
    assert volts == pytest.approx(1e-6 * subject.series("iEEG").T, rel=1e-12)
    assert node["ieeg"]["name"].values.tolist() == subject.truth()["name"].tolist()
    assert (node["audio"].values == subject.series("Audio")).all()
    words = subject.truth("words")
    assert node["words"].values.tolist() == words["text"].tolist()
    assert node["words"]["onset"].values == pytest.approx(words["onset"].to_numpy())
    assert set(node["words"]["flag"].values.tolist()) == {""}
    marked = subject.truth()["marked_bad"].to_numpy()
    assert marked.any()
    assert node["ieeg"]["bad"].values[marked].all()


def test_same_seed_same_bytes_and_another_seed_others(make, features):
    first, again, other = (make(features=features, seed=seed) for seed in (5, 5, 6))
    assert checksums(first) == checksums(again)
    assert checksums(first).keys() == checksums(other).keys()
    name = "sub-01/ieeg/sub-01_task-wordProduction_ieeg.nwb"
    assert checksums(first)[name] != checksums(other)[name]


def test_a_subject_does_not_depend_on_the_others(make, features):
    alone, both = make(features=features), make(features=features, n_subjects=2)
    mine, theirs = checksums(alone), checksums(both)
    shared = [name for name in mine if "sub-01" in name]
    assert len(shared) >= 12
    assert {name: mine[name] for name in shared} == {name: theirs[name] for name in shared}
    assert theirs["sub-02/ieeg/sub-02_task-wordProduction_ieeg.nwb"] not in mine.values()


def test_words_are_unique_within_and_partly_shared_between_subjects(make, files):
    root = make(n_subjects=2, n_words=60, n_electrodes=1, sampling_frequency=400.0)
    first, second = (set(files(root, s).truth("words")["text"]) for s in ("01", "02"))
    assert len(first) == len(second) == 60
    assert 0 < len(first & second) < 60


def test_runs_share_out_the_words(make, files):
    root = make(runs=2, n_words=7, drift=0.5)
    runs = [files(root, run=f"_run-{number}") for number in (1, 2)]
    counts = [(run.table("events")["trial_type"] == "word").sum() for run in runs]
    assert counts == [4, 3]
    assert all(run.table("events")["onset"].iloc[0] == "0.0" for run in runs)
    assert runs[0].truth("words")["run"].tolist() == [1] * 4 + [2] * 3
    assert runs[0].series("iEEG")[:100, 0].tolist() != runs[1].series("iEEG")[:100, 0].tolist()


def design(**options):
    defaults = {
        "n_subjects": 10,
        "n_words": 100,
        "n_electrodes": ELECTRODES_OF_STUDY,
        "sampling_frequency": 1024.0,
        "audio_frequency": 48_000.0,
        "word_duration": 2.0,
        "fixation_duration": 1.0,
        "seed": 0,
        "skill": 0.2,
        "roles": DEFAULT_ROLES,
        "n_components": 3,
        "word_variability": 0.15,
        "drift": 0.0,
        "order_effect": 0.0,
        "late_words": 0.02,
        "unspoken_words": 0,
        "bad_electrodes": 0.05,
        "line_frequency": 50.0,
        "runs": 1,
    }
    return Design(**{**defaults, **options})


def test_default_sizes_are_those_of_the_study():
    study = design()
    assert [study.electrodes_of(subject) for subject in study.subjects] == [
        127, 127, 127, 115, 60, 127, 127, 54, 117, 122,
    ]  # fmt: skip
    assert [study.words_of(subject) for subject in study.subjects] == [100] * 9 + [95]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_words": len(DUTCH_WORDS) + 1}, "size of the vocabulary"),
        ({"n_words": 1}, "n_words of at least 2"),
        ({"n_subjects": 0}, "n_subjects of at least 1. Got 0"),
        ({"n_electrodes": -3}, "n_electrodes as one number above 0"),
        ({"n_electrodes": [3, 4]}, "or 1 of them"),
        ({"n_electrodes": []}, "or 1 of them"),
        ({"n_electrodes": "all"}, "one number above 0"),
        ({"n_words": 9.5}, "n_words as a whole number. Got 9.5"),
        ({"sampling_frequency": 256.0}, "at least 400 .high gamma"),
        ({"sampling_frequency": float("nan")}, "sampling_frequency"),
        ({"skill": 1.0}, "skill between 0 and 1"),
        ({"bad_electrodes": -0.1}, "bad_electrodes between 0 and 1"),
        ({"word_duration": 0.3, "fixation_duration": 0.3}, "a response lasts 0.5 s"),
        ({"unspoken_words": 12}, "fewer unspoken_words"),
        ({"runs": 12}, "fewer unspoken_words and runs"),
        ({"roles": {"silent": 0.5}}, "sum to 1"),
        ({"roles": {}}, "sum to 1"),
        ({"roles": {"silent": 1.5, "onset": -0.5}}, "0 or more"),
    ],
)
def test_bad_options_are_named(make, options, message):
    with pytest.raises(OptionError, match=message):
        make(**options)


def test_an_unknown_role_names_the_closest(make):
    with pytest.raises(UnknownLabelError, match="'embedding'"):
        make(roles={"embeding": 1.0})


def test_a_full_folder_is_refused_and_left_alone(tmp_path, make):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(OptionError, match=r"mine\.txt"):
        hgcube.simulate(tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_overwrite_replaces_a_previous_simulation_only(make, files):
    root = make(n_subjects=2, n_words=3)
    (root / "notes.txt").write_text("kept")
    small = {"n_electrodes": 2, "n_words": 5, "audio_frequency": 8000.0}
    with pytest.raises(OptionError, match="overwrite=True"):
        hgcube.simulate(root, n_subjects=1, **small)
    assert (root / "sub-02").exists()
    hgcube.simulate(root, n_subjects=1, overwrite=True, **small)
    assert not (root / "sub-02").exists()
    assert (root / "notes.txt").read_text() == "kept"
    assert len(files(root).truth("words")) == 5


def test_what_the_disk_says_is_passed_on(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="can be written"):
        hgcube.simulate(tmp_path / "file" / "study", n_subjects=1, n_words=2, n_electrodes=1)


def test_a_disk_without_room_is_refused_before_hdf5_crashes_on_it(tmp_path, monkeypatch):
    small = {"n_subjects": 1, "n_words": 2, "n_electrodes": 1, "audio_frequency": 8000.0}
    written = hgcube.simulate(tmp_path / "fits", **small)
    size = next(written.rglob("*.nwb")).stat().st_size
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=size - 1))
    with pytest.raises(SourceError, match=r"0 MB free, about \d+ MB needed"):
        hgcube.simulate(tmp_path / "full", **small)
    assert not list((tmp_path / "full").rglob("*.nwb"))


def test_without_features_nothing_follows_words_and_the_count_is_logged(make, files, caplog):
    with caplog.at_level(logging.INFO, "hgcube"):
        root = make(n_electrodes=10, roles={"embedding": 0.3, "onset": 0.7})
    assert files(root).truth()["role"].value_counts().to_dict() == {"onset": 7, "silent": 3}
    assert "no features, 3 embedding electrodes left silent" in caplog.text


def test_a_study_cut_short_has_no_participants_and_can_be_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"n_subjects": 2, "n_words": 4, "n_electrodes": 3, "audio_frequency": 4000.0}
    write = study._Subject.write

    def dies(self: study._Subject, root: Path) -> None:
        if self.label == "02":
            raise KeyboardInterrupt
        write(self, root)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(study._Subject, "write", dies)
        hgcube.simulate(tmp_path / "bids", **small)
    assert not (tmp_path / "bids" / "participants.tsv").exists()
    hgcube.simulate(tmp_path / "bids", overwrite=True, **small)
    assert (tmp_path / "bids" / "participants.tsv").exists()

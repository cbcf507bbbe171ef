"""The text files of the data set: descriptions, tables and their side-cars."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hgcube.simulation.design import Design

GENERATOR = "hgcube simulate"
TASK = "wordProduction"
DERIVATIVE = "derivatives/hgcube-simulation"

_README = """Simulated reading of single words
=================================

Nobody was recorded. `hgcube simulate` wrote this data set in the form of
SingleWordProductionDutch (Verwoert et al. 2022, Scientific Data 9:434). What is planted in each
electrode and word is in derivatives/hgcube-simulation; no analysis reads it.
"""
_EVENT_COLUMNS = {
    "trial_type": {
        "Description": "What the screen showed",
        "Levels": {"word": "a word to be read aloud", "fixation": "a cross"},
    },
    "value": {"Description": "The word, or + for the cross"},
    "sample": {"Description": "Onset in iEEG samples, from 0"},
}
_ELECTRODE_COLUMNS = {
    "group": {"Description": "Shaft"},
    "hemisphere": {"Description": "Side of the brain", "Levels": {"L": "left", "R": "right"}},
    "label": {"Description": "Anatomical label, Destrieux-like"},
}
_TRUTH_COLUMNS = {
    "subject": "participant label without sub-",
    "name": "electrode, as in channels.tsv",
    "role": "silent | onset (equal response to all words) | embedding (log gain linear in the "
    "leading components of the features) | acoustic (in loudness and duration) | contaminated "
    "(by the sound)",
    "patch": "number of the run of neighbours that share role, weights and skill",
    "planted": "true where the log gain holds word information (embedding, acoustic)",
    "oracle_skill": "share of the variance across words of the mean log envelope (70-170 Hz, "
    "0-0.5 s after voice onset) that the true word-related part explains; n/a if contaminated",
    "gain_sd": "standard deviation across words of the planted log gain",
    "response_gain": "peak log gain of the response to speech onset, equal for all words",
    "contamination": "leaked sound (70-170 Hz) in standard deviations of high gamma",
    "amplitude": "standard deviation of high gamma at rest, in µV",
    "line_amplitude": "amplitude of line noise at the fundamental, in µV",
    "bad_kind": "none | flat | noisy",
    "marked_bad": "true where channels.tsv says so",
    "weight_*": "planted log gain per unit of the column of the words table",
}
_WORD_COLUMNS = {
    "run": "run, from 1",
    "position": "reading order in the session, from 0",
    "text": "the word",
    "sample": "display onset in iEEG samples of the run",
    "word_samples": "display duration in iEEG samples",
    "fixation_samples": "duration of the cross in iEEG samples",
    "onset": "display onset in s",
    "delay": "voice onset - display onset in s; n/a if never spoken",
    "voice_onset": "voice onset in s; n/a if never spoken",
    "voice_duration": "duration of the spoken word in s",
    "loudness": "natural log of the amplitude",
    "late": "true where the delay was drawn as very late",
    "spoken": "false where the word was never spoken",
    "z_*": "z-scored acoustics that the acoustic weights multiply",
    "component_*": "principal components that the embedding weights multiply",
}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write one JSON file, readable by people."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write one BIDS table: tabs, ``n/a`` where empty, lower-case booleans, full precision."""
    shown = table.copy()
    for name in shown.select_dtypes("bool").columns:
        shown[name] = np.where(shown[name], "true", "false")
    shown.to_csv(path, sep="\t", na_rep="n/a", index=False, lineterminator="\n", encoding="utf-8")


def write_description(root: Path) -> None:
    """Write what marks the folder as a simulated data set."""
    write_json(
        root / "dataset_description.json",
        {
            "Name": "Simulated reading of single Dutch words",
            "BIDSVersion": "1.10.0",
            "DatasetType": "raw",
            "License": "CC0",
            "Authors": [GENERATOR],
            "Simulated": True,
            "GeneratedBy": _generated_by("Simulated recordings: nobody was recorded"),
        },
    )
    (root / "README").write_text(_README, encoding="utf-8")


def write_participants(root: Path, design: Design) -> None:
    """Write participants.tsv and its side-car."""
    rngs = [design.rng(subject, "person") for subject in design.subjects]
    table = pd.DataFrame(
        {
            "participant_id": [f"sub-{subject}" for subject in design.subjects],
            "age": [int(rng.integers(16, 60)) for rng in rngs],
            "sex": [str(rng.choice(["F", "M"])) for rng in rngs],
        }
    )
    write_table(root / "participants.tsv", table)
    columns = {
        "age": {"Description": "Simulated age", "Units": "year"},
        "sex": {"Description": "Simulated sex", "Levels": {"F": "female", "M": "male"}},
    }
    write_json(root / "participants.json", columns)


def write_run_tables(
    stem: Path, words: pd.DataFrame, channels: pd.DataFrame, design: Design
) -> None:
    """Write events and channels of one run, named `stem` + suffix."""
    write_table(_beside(stem, "events.tsv"), _events(words, design.sampling_frequency))
    write_json(_beside(stem, "events.json"), _EVENT_COLUMNS)
    write_table(_beside(stem, "channels.tsv"), channels)


def write_recording_json(stem: Path, design: Design, n_electrodes: int, n_samples: int) -> None:
    """Write ieeg.json of one run."""
    content = {
        "TaskName": TASK,
        "TaskDescription": "Reading single words aloud (simulated)",
        "InstitutionName": "none: simulated",
        "Manufacturer": "n/a",
        "ManufacturersModelName": "n/a",
        "SamplingFrequency": design.sampling_frequency,
        "PowerLineFrequency": design.line_frequency,
        "SoftwareFilters": "n/a",
        "HardwareFilters": "n/a",
        "iEEGReference": "none: simulated without a common reference",
        "iEEGGround": "none: simulated",
        "ECOGChannelCount": 0,
        "SEEGChannelCount": n_electrodes,
        "EEGChannelCount": 0,
        "EOGChannelCount": 0,
        "ECGChannelCount": 0,
        "EMGChannelCount": 0,
        "MiscChannelCount": 0,
        "TriggerChannelCount": 0,
        "RecordingDuration": n_samples / design.sampling_frequency,
        "RecordingType": "continuous",
        "ElectricalStimulation": False,
    }
    write_json(_beside(stem, "ieeg.json"), content)


def write_space(stem: Path, contacts: pd.DataFrame, rng: np.random.Generator) -> None:
    """Write electrodes and coordinate system: all contacts, in another order than channels."""
    columns = ["name", "x", "y", "z", "size", "group", "hemisphere", "label"]
    table = contacts.assign(size=5.0, label=contacts["description"])[columns]
    shuffled = table.iloc[rng.permutation(len(table))]
    write_table(_beside(stem, "space-ACPC_electrodes.tsv"), shuffled)
    write_json(_beside(stem, "space-ACPC_electrodes.json"), _ELECTRODE_COLUMNS)
    system = {
        "iEEGCoordinateSystem": "ACPC",
        "iEEGCoordinateUnits": "mm",
        "iEEGCoordinateSystemDescription": "origin at the anterior commissure; right, front, up",
        "iEEGCoordinateProcessingDescription": "none: simulated",
        "iEEGCoordinateProcessingReference": "none: simulated",
    }
    write_json(_beside(stem, "space-ACPC_coordsystem.json"), system)


def channels_table(
    contacts: pd.DataFrame, truth: pd.DataFrame, sampling_frequency: float
) -> pd.DataFrame:
    """Return channels.tsv in file order: µV, anatomical label, status bad where marked."""
    recorded = contacts[contacts["recorded"]]
    return pd.DataFrame(
        {
            "name": recorded["name"].to_numpy(),
            "type": "SEEG",
            "units": "µV",
            "low_cutoff": 0.0,
            "high_cutoff": sampling_frequency / 2,
            "description": recorded["description"].to_numpy(),
            "sampling_frequency": sampling_frequency,
            "status": np.where(truth["marked_bad"], "bad", "n/a"),
        }
    )


def write_truth(root: Path, subject: str, truth: pd.DataFrame, words: pd.DataFrame) -> None:
    """Write what is planted in one subject's electrodes and words."""
    folder = root / DERIVATIVE / f"sub-{subject}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, table, columns in (
        ("truth", truth, _TRUTH_COLUMNS),
        ("words", words, _WORD_COLUMNS),
    ):
        write_table(folder / f"sub-{subject}_{name}.tsv", table)
        write_json(folder / f"sub-{subject}_{name}.json", _described(table, columns))


def write_truth_description(root: Path, options: Mapping[str, Any]) -> None:
    """Write the description of the truth derivative, with all options of the simulation."""
    folder = root / DERIVATIVE
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "Name": "What hgcube simulate planted",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "License": "CC0",
        "Simulated": True,
        "GeneratedBy": _generated_by("Truth of the simulation; never read by an analysis"),
        "Options": dict(options),
    }
    write_json(folder / "dataset_description.json", content)
    (folder / ".bidsignore").write_text("*_truth.*\n*_words.*\n", encoding="utf-8")


def is_simulation(root: Path) -> bool:
    """Whether `root` is a data set that `hgcube.simulate` wrote."""
    path = root / "dataset_description.json"
    try:
        made_by = json.loads(path.read_text(encoding="utf-8"))["GeneratedBy"]
        return bool(made_by[0]["Name"] == GENERATOR)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def _beside(stem: Path, suffix: str) -> Path:
    return stem.with_name(f"{stem.name}_{suffix}")


def _generated_by(text: str) -> list[dict[str, str]]:
    from hgcube import __version__

    return [{"Name": GENERATOR, "Version": __version__, "Description": text}]


def _described(table: pd.DataFrame, texts: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the side-car of `table`; a text for ``weight_*`` serves all such columns."""
    stems = {key[:-1]: text for key, text in texts.items() if key.endswith("*")}
    return {
        column: {"Description": texts.get(column) or stems[f"{column.split('_')[0]}_"]}
        for column in table.columns
    }


def _events(words: pd.DataFrame, sampling_frequency: float) -> pd.DataFrame:
    """Return words and crosses in turn."""
    shown = pd.DataFrame(
        {
            "sample": words["sample"],
            "duration": words["word_samples"] / sampling_frequency,
            "trial_type": "word",
            "value": words["text"],
        }
    )
    cross = pd.DataFrame(
        {
            "sample": words["sample"] + words["word_samples"],
            "duration": words["fixation_samples"] / sampling_frequency,
            "trial_type": "fixation",
            "value": "+",
        }
    )
    events = pd.concat([shown, cross]).sort_values("sample", kind="stable")
    events.insert(0, "onset", events["sample"] / sampling_frequency)
    return events[["onset", "duration", "trial_type", "value", "sample"]]

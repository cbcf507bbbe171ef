"""Small simulated studies, read back with plain h5py and pandas."""

from __future__ import annotations

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from hgcube.simulation import DUTCH_WORDS, simulate

SMALL = {
    "n_subjects": 1,
    "n_electrodes": 6,
    "n_words": 12,
    "sampling_frequency": 512.0,
    "audio_frequency": 8000.0,
    "word_duration": 0.7,
    "fixation_duration": 0.5,
}


class Files:
    """One subject's files."""

    def __init__(self, root, subject="01", run=""):
        self.root, self.subject = root, subject
        self.stem = root / f"sub-{subject}" / "ieeg" / f"sub-{subject}_task-wordProduction{run}"
        self.nwb = self.stem.with_name(f"{self.stem.name}_ieeg.nwb")

    def series(self, name):
        with h5py.File(self.nwb) as file:
            return file[f"acquisition/{name}/data"][:]

    def rate(self, name):
        with h5py.File(self.nwb) as file:
            return file[f"acquisition/{name}/starting_time"].attrs["rate"]

    def table(self, suffix):
        path = self.stem.with_name(f"{self.stem.name}_{suffix}.tsv")
        return pd.read_csv(path, sep="\t", keep_default_na=False, dtype=str)

    def truth(self, name="truth"):
        folder = self.root / "derivatives" / "hgcube-simulation" / f"sub-{self.subject}"
        path = folder / f"sub-{self.subject}_{name}.tsv"
        return pd.read_csv(path, sep="\t", na_values="n/a", dtype={"subject": str})


@pytest.fixture(scope="session")
def make(tmp_path_factory):
    def make(**options):
        return simulate(tmp_path_factory.mktemp("study"), **{**SMALL, **options})

    return make


@pytest.fixture(scope="session")
def files():
    return Files


@pytest.fixture(scope="session")
def features():
    rng = np.random.default_rng(7)
    return xr.DataArray(
        rng.standard_normal((len(DUTCH_WORDS), 30)) * np.linspace(1, 5, 30),
        dims=("word", "feature"),
        coords={"text": ("word", list(DUTCH_WORDS))},
    )


@pytest.fixture(scope="session")
def study(make, features):
    return make(n_subjects=2, n_electrodes=[7, 21], features=features, bad_electrodes=0.2)

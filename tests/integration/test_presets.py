"""Every preset as `hgcube init` writes it goes from the files to both kinds of epochs."""

import numpy as np
import pytest

import hgcube
from hgcube.config import PRESETS
from hgcube.store import create

STEPS = ("recordings", "high_gamma", "epochs")


@pytest.fixture(scope="module")
def bids(tmp_path_factory):
    return hgcube.simulate(
        tmp_path_factory.mktemp("presets") / "bids",
        n_subjects=1,
        n_words=6,
        n_electrodes=4,
        sampling_frequency=512.0,
        audio_frequency=4000.0,
        bad_electrodes=0,
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_makes_epochs(bids, tmp_path, preset):
    create(tmp_path, source=bids, preset=preset)
    outcome = hgcube.run(tmp_path, steps=STEPS, scheduler="synchronous", progress=False)
    assert outcome.complete, outcome
    for target in ("mean", "windows"):
        epochs = hgcube.open_cube(tmp_path, "epochs", subject="01", target=target)
        power = epochs.transpose("electrode", "word", ...).values
        assert np.isfinite(power).mean() > 0.8
        assert (np.nanstd(power, axis=1) > 0).all()

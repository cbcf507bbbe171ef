"""The paper's analysis of recordings without word information: r is high, and is the mean word's.

Files -> reader -> every step of the preset "paper". Electrodes are silent, or respond to every
word's onset alike; what differs between words is noise of the word's own in each electrode.
"""

from dataclasses import replace

import numpy as np
import pytest

import hgcube
from hgcube.embeddings.protocol import EMBEDDERS
from hgcube.embeddings.random import Random
from hgcube.store import create

N_WORDS, N_ELECTRODES = 60, 60
STUDY = """
[embeddings.fasttext_scale]
n_features = 300
[encoding.solvers.ridge]
permutations = 59
"""


class FastTextScale(Random):
    """Vectors of the size of FastText's: sd about .05."""

    def vectors(self, items):
        made = super().vectors(items)
        return replace(made, values=np.float32(0.05) * made.values)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("paper")
    bids = hgcube.simulate(
        folder / "bids",
        n_subjects=1,
        n_words=N_WORDS,
        n_electrodes=N_ELECTRODES,
        sampling_frequency=512.0,
        audio_frequency=4000.0,
        word_duration=1.5,
        fixation_duration=0.5,
        roles={"silent": 0.6, "onset": 0.4},
        word_variability=0.35,
        bad_electrodes=0,
        seed=4,
    )
    study = create(folder / "store", source=bids, preset="paper")
    study.write_text(study.read_text() + STUDY)
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(EMBEDDERS, "fasttext_scale", FastTextScale)
        assert hgcube.run(folder / "store", scheduler="synchronous", progress=False).complete
    return folder / "store"


@pytest.fixture(scope="module")
def elastic_net(store):
    key = {"subject": "01", "space": "fasttext_scale", "solver": "elastic_net"}
    return hgcube.open_cube(store, "results", **key).load()


def expected_r(power):
    """Return what r across electrodes of the mean word must be, with kappa and c.

    Parameters: power (word, electrode), m_j (1 + c z_ij) with z independent. Across electrodes
    var y = var m + c^2 <m^2>, hence r = [1 + a]^(-1/2) with a = c^2 (1 + kappa^2) / kappa^2. The
    training mean has the same noise over its n - 1 words: [1 + a / (n - 1)]^(-1/2). With e the
    deviations from m, both centred over electrodes, r = (1 + u) / (1 + 2u + v)^(1/2), u = e'm / m'm
    and v = e'e / m'm; u and v vary between words around 0 and a, which adds half of the second
    derivatives times their covariances.
    """
    mean = power.mean(axis=0)
    kappa = mean.std() / mean.mean()
    c = np.sqrt(power.var(axis=0, ddof=1).mean() / np.mean(mean**2))
    a = c**2 * (1 + kappa**2) / kappa**2
    centered = mean - mean.mean()
    deviation = (power - mean) - (power - mean).mean(axis=1, keepdims=True)
    u = deviation @ centered / (centered @ centered)
    v = (deviation**2).sum(axis=1) / (centered @ centered)
    spread, d = np.cov(u, v), 1 + a
    curvature = (
        0.5 * (3 * d**-2.5 - 2 * d**-1.5) * spread[0, 0]
        + 0.375 * d**-2.5 * spread[1, 1]
        + (1.5 * d**-2.5 - 0.5 * d**-1.5) * spread[0, 1]
    )
    formula = (d * (1 + a / (len(power) - 1))) ** -0.5
    return formula, curvature, kappa, c


def test_r_of_the_mean_word_is_what_offsets_between_electrodes_give(elastic_net):
    power = elastic_net["observed"].transpose("word", "electrode").values
    r = elastic_net["r_across_electrodes"].sel(predictor="mean_word").values
    formula, curvature, kappa, c = expected_r(power)
    error = r.std(ddof=1) / np.sqrt(r.size)
    print(
        f"\nkappa {kappa:.2f}, c {c:.3f}: r {r.mean():.4f} +- {error:.4f}, formula {formula:.4f}, "
        f"curvature {curvature:+.4f}"
    )
    assert 0.4 < kappa < 0.9
    assert 0.15 < c < 0.4
    assert abs(r.mean() - formula - curvature) < 3 * error
    # Neither the formula nor its correction is idle.
    assert 1 - formula > 10 * error
    assert abs(curvature) < 0.02


def test_the_published_estimator_is_the_mean_word(elastic_net):
    assert elastic_net.attrs["alpha"] == 1.0
    assert elastic_net.attrs["scaling"] == "none"
    assert elastic_net["n_nonzero"].shape == (N_WORDS, N_ELECTRODES)
    assert (elastic_net["n_nonzero"] == 0).all()
    model, mean_word = (
        elastic_net["prediction"].sel(predictor=name).values for name in ("model", "mean_word")
    )
    np.testing.assert_array_equal(model, mean_word)
    power = elastic_net["observed"].transpose(*elastic_net["prediction"].dims[1:]).values
    np.testing.assert_allclose(mean_word, (power.sum(0) - power) / (N_WORDS - 1), rtol=1e-12)
    # Not because nothing could be fitted: a penalty below this one has coefficients.
    assert 0.001 < float(elastic_net["alpha_max"].max()) < 0.5


def test_the_verdict_says_that_no_word_information_is_shown(store, elastic_net):
    verdicts = hgcube.open_cube(store, "verdicts").load().squeeze()
    assert verdicts["case"].item() == "no_word_information"
    assert verdicts["n_tested"].item() == N_ELECTRODES
    assert verdicts["n_found"].item() == 0
    r = elastic_net["r_across_electrodes"].sel(predictor="mean_word").mean().item()
    words = f"the mean word alone {r:.2f} (0 of {N_ELECTRODES} electrodes found"
    assert words in verdicts["verdict"].item()

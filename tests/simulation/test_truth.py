"""The truth is in the signals: skill, roles, voice and leak, measured with plain scipy."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from scipy import signal

from hgcube.errors import CubeError, OptionError, UnknownLabelError
from hgcube.simulation import DUTCH_WORDS
from hgcube.simulation.truth import component_scores

RATE = 512.0


def log_envelope(subject, rate=RATE):
    """Log envelope 70-170 Hz by plain scipy, line harmonics notched (electrode x time)."""
    x = signal.detrend(subject.series("iEEG").T)
    for line in (50, 100, 150):
        stop = signal.butter(4, [line - 2, line + 2], "bandstop", fs=rate, output="sos")
        x = signal.sosfiltfilt(stop, x)
    band = signal.butter(4, [70, 170], "bandpass", fs=rate, output="sos")
    return np.log(np.abs(signal.hilbert(signal.sosfiltfilt(band, x))) + 1e-12)


def target(subject, rate=RATE):
    """Mean log envelope, 0-0.5 s after the true voice onset (electrode x word)."""
    voice = subject.truth("words")["voice_onset"].dropna().to_numpy()
    starts = np.rint(voice * rate).astype(int)
    window = starts[:, None] + np.arange(round(0.5 * rate))
    return log_envelope(subject, rate)[:, window].mean(-1)


def planted_gain(subject):
    """Weights of the electrodes times scores of the words, both as written."""
    truth, words = subject.truth(), subject.truth("words")
    gain = np.zeros((len(truth), len(words)))
    for column in truth.filter(like="weight_"):
        score = column.replace("weight_component", "component").replace("weight_", "z_")
        gain += np.outer(truth[column], words[score])
    return gain


@pytest.mark.parametrize("skill", [0.1, 0.3, 0.6])
def test_measured_share_is_the_stated_oracle_skill(make, files, features, skill):
    subject = files(
        make(
            n_electrodes=40,
            n_words=200,
            skill=skill,
            features=features,
            roles={"embedding": 0.5, "acoustic": 0.5},
        )
    )
    y, gain = target(subject), planted_gain(subject)
    y -= y.mean(1, keepdims=True)
    stated = subject.truth()["oracle_skill"].to_numpy()
    share = 1 - ((y - gain) ** 2).sum(1) / (y**2).sum(1)
    standard_error = (share - stated).std() / np.sqrt(len(share))
    assert standard_error < 0.02
    assert share.mean() == pytest.approx(stated.mean(), abs=3 * standard_error)
    assert stated.mean() == pytest.approx(skill, rel=0.25)
    assert stated.std() > 0.15 * skill
    slope = (y * gain).sum() / (gain**2).sum()
    assert slope == pytest.approx(1, abs=0.06)


def test_unplanted_electrodes_follow_neither_features_nor_acoustics(make, files, features):
    subject = files(
        make(
            n_electrodes=40,
            n_words=150,
            features=features,
            skill=0.6,
            roles={"silent": 0.4, "onset": 0.4, "embedding": 0.2},
            bad_electrodes=0,
        )
    )
    y, truth, words = target(subject), subject.truth(), subject.truth("words")
    scores = words[["component_1", "component_2", "z_loudness", "z_voice_duration"]].to_numpy()
    r = np.corrcoef(y, scores.T)[: len(y), len(y) :]
    unplanted = r[~truth["planted"]]
    assert np.sqrt(np.mean(unplanted**2)) == pytest.approx(150**-0.5, rel=0.25)
    assert np.abs(r[truth["planted"], 0]).mean() > 0.5


def test_onset_electrodes_respond_and_silent_ones_do_not(make, files):
    subject = files(make(n_electrodes=20, n_words=40, roles={"silent": 0.5, "onset": 0.5}))
    truth, words = subject.truth(), subject.truth("words")
    level = log_envelope(subject)
    starts = np.rint(words["voice_onset"].to_numpy() * RATE).astype(int)
    peak, before = (
        level[:, starts[1:, None] + np.arange(*span)].mean((1, 2))
        for span in ((30, 110), (-70, -20))
    )
    good = truth["bad_kind"] == "none"
    rise, onset = peak - before, truth["role"] == "onset"
    assert np.corrcoef(rise[onset], truth["response_gain"][onset])[0, 1] > 0.8
    assert rise[onset].min() > 0.2
    assert np.abs(rise[good & ~onset]).max() < 0.15


def test_offsets_between_electrodes_are_log_normal(make, files):
    subject = files(make(n_electrodes=120, n_words=4, sampling_frequency=400.0))
    truth = subject.truth()
    log_amplitude = np.log(truth["amplitude"])
    assert log_amplitude.std() == pytest.approx(0.55, abs=0.1)
    good = truth["bad_kind"] == "none"
    measured = target(subject, 400.0).mean(1)[good]
    assert np.corrcoef(measured, log_amplitude[good])[0, 1] > 0.9


def test_roles_come_in_shares_and_patches_of_neighbours(make, files, features):
    truth = files(make(n_electrodes=40, n_words=4, features=features)).truth()
    counts = truth["role"].value_counts().to_dict()
    assert counts == {
        "silent": 16, "onset": 10, "embedding": 8, "acoustic": 3, "contaminated": 3,
    }  # fmt: skip
    for _, patch in truth.groupby("patch"):
        assert len(patch) <= 3
        assert patch["role"].nunique() == 1
        assert (np.diff(patch.index) == 1).all()
        assert patch["weight_component_1"].nunique() == 1
    assert (truth["planted"] == truth["role"].isin(["embedding", "acoustic"])).all()
    assert truth["oracle_skill"].isna().equals(truth["role"] == "contaminated")


def test_audio_starts_at_the_stated_voice_onset(make, files):
    subject = files(make(n_words=30, unspoken_words=1))
    words, sound = subject.truth("words"), subject.series("Audio") / 2**15
    assert words["spoken"].sum() == 29
    assert words["voice_onset"].isna().equals(~words["spoken"])
    said = words[words["spoken"]]
    for word in said.itertuples():
        start = round(word.voice_onset * 8000)
        voice = sound[start : start + round(word.voice_duration * 8000)]
        assert np.abs(sound[start - 200 : start]).max() < 0.01 < np.abs(voice[:800]).max()
        assert np.log(voice.std()) == pytest.approx(np.log(0.08) + word.loudness, abs=0.1)
    assert said["delay"].to_numpy() == pytest.approx(said["voice_onset"] - said["onset"])
    silent = words[~words["spoken"]].iloc[0]
    whole = slice(round((silent["onset"] + 0.1) * 8000), round((silent["onset"] + 1.1) * 8000))
    assert np.abs(sound[whole]).max() < 0.01


def test_delays_have_the_median_of_the_study_and_some_are_very_late(make, files):
    root = make(
        n_words=278,
        n_electrodes=1,
        word_duration=2.0,
        fixation_duration=1.0,
        late_words=0.05,
        audio_frequency=2000.0,
        sampling_frequency=400.0,
    )
    words = files(root).truth("words")
    assert words["delay"].median() == pytest.approx(0.43, abs=0.03)
    assert 4 < words["late"].sum() < 28
    assert words["delay"][words["late"]].min() > words["delay"][~words["late"]].median()
    assert (words["voice_onset"] + 0.55 < words["onset"].shift(-1)).iloc[:-1].all()


def test_contaminated_electrodes_hold_the_band_of_the_audio(make, files):
    subject = files(make(n_electrodes=12, roles={"silent": 0.5, "contaminated": 0.5}))
    sound = signal.resample_poly(subject.series("Audio").astype(float), 512, 8000)
    x = subject.series("iEEG")[: len(sound)].T
    band = signal.butter(4, [70, 170], "bandpass", fs=RATE, output="sos")
    r = np.corrcoef(signal.sosfiltfilt(band, np.vstack([x, sound[: x.shape[1]]])))[-1, :-1]
    truth = subject.truth()
    leaking = truth["role"] == "contaminated"
    good = truth["bad_kind"] == "none"
    assert r[leaking].min() > 0.25
    assert np.abs(r[~leaking & good]).max() < 0.1
    assert (truth["contamination"] > 0).equals(leaking)


def test_drift_and_order_change_the_gain_by_what_is_asked(make, files):
    options = {"n_electrodes": 16, "n_words": 100, "roles": {"silent": 1.0}, "bad_electrodes": 0}
    position = np.linspace(-0.5, 0.5, 100)
    plain, ordered, drifting = (
        target(files(make(**options, **change)))
        for change in ({}, {"order_effect": 0.8}, {"drift": 0.4})
    )
    slopes = [np.polyfit(position, y.T, 1)[0].mean() for y in (plain, ordered)]
    assert slopes[1] - slopes[0] == pytest.approx(0.8, abs=0.03)
    added = drifting - plain
    assert np.mean(added.std(1)) == pytest.approx(0.4, abs=0.05)
    steps = np.diff(added, axis=1)
    assert np.abs(steps).mean() < 0.3 * np.abs(added).mean()


def test_scores_are_the_leading_components_of_the_features(features):
    texts = list(DUTCH_WORDS[::-3])
    scores = component_scores(features, "01", texts, 3)
    z = (features.values - features.values.mean(0)) / features.values.std(0)
    variance, axes = np.linalg.eigh(z.T @ z)
    expected = (z[::-1][::3] - z[::-1][::3].mean(0)) @ axes[:, ::-1][:, :3]
    assert np.abs(scores) == pytest.approx(np.abs(expected), abs=1e-8)
    assert np.sign(variance[-1] - variance[-2]) == 1


def test_features_by_subject_and_their_order_do_not_matter(features):
    texts = list(DUTCH_WORDS[:9])
    scores = component_scores(features, "01", texts, 2)
    turned = {"01": features.isel(word=slice(None, None, -1)).transpose("feature", "word")}
    assert component_scores(turned, "01", texts, 2) == pytest.approx(scores, abs=1e-9)
    assert component_scores(features, "01", texts, 99).shape == (9, 30)
    with pytest.raises(UnknownLabelError, match="'01'"):
        component_scores(turned, "1", texts, 2)


def test_features_that_cannot_be_planted_are_refused(make, files, features):
    texts = set(files(make()).truth("words")["text"])
    known = [word for word in DUTCH_WORDS if word not in texts]
    lacking = features.isel(word=[DUTCH_WORDS.index(word) for word in known])
    with pytest.raises(OptionError, match="12 of 12 words without a row"):
        make(features=lacking)
    with pytest.raises(OptionError, match="NaN or infinity in 12 of 12"):
        make(features=features.where(features["text"].isin(known)))
    with pytest.raises(OptionError, match="differ between words"):
        make(features=xr.zeros_like(features))
    with pytest.raises(OptionError, match="coordinate 'text'"):
        make(features=features.drop_vars("text"))
    with pytest.raises(CubeError, match="dims"):
        make(features=features.rename(feature="dimension"))

"""Results as `encode` returns them, with known contents; scores come from their definitions."""

from __future__ import annotations

import numpy as np
import xarray as xr

from hgcube.schema import text_array
from hgcube.variables import describe

REGIONS = ("STG", "IFG", "insula", "hippocampus")
WORDS = ("boot", "huis", "regen", "straat", "helft", "water", "zomer", "kaas")


def loo_mean(observed):
    n_words = observed.shape[0]
    return (observed.sum(0) - observed) / (n_words - 1)


def electrode_coords(subject, n_electrodes, bad=()):
    names = [f"LA{i + 1}" for i in range(n_electrodes)]
    per_electrode = {
        "electrode": text_array([f"{subject}-{name}" for name in names]),
        "name": text_array(names),
        "region": text_array([REGIONS[i % len(REGIONS)] for i in range(n_electrodes)]),
        "bad": np.isin(np.arange(n_electrodes), list(bad)),
        "x": np.linspace(-0.04, 0.04, n_electrodes),
    }
    return {name: ("electrode", values) for name, values in per_electrode.items()}


def word_coords(n_words, flagged=()):
    onset = 3.0 * np.arange(n_words)
    return {
        "word": np.arange(n_words),
        "text": ("word", text_array([WORDS[i % len(WORDS)] for i in range(n_words)])),
        "onset": ("word", onset),
        "duration": ("word", np.full(n_words, 2.0)),
        "voice_onset": ("word", onset + 0.43),
        "flag": (
            "word",
            text_array(["no_voice" if i in flagged else "" for i in range(n_words)]),
        ),
    }


def scores(observed, prediction):
    """Scores by their definitions; `prediction` maps predictor to (word, electrode)."""
    mean = prediction["mean_word"]
    error = observed - mean
    by_electrode, by_word = {}, {}
    for name, predicted in prediction.items():
        delta = predicted - mean
        with np.errstate(invalid="ignore", divide="ignore"):
            by_electrode.setdefault("skill", []).append(
                1 - ((observed - predicted) ** 2).sum(0) / (error**2).sum(0)
            )
            by_electrode.setdefault("r_across_words", []).append(
                (delta * error).sum(0) / np.sqrt((delta**2).sum(0) * (error**2).sum(0))
            )
        r = [np.corrcoef(a, b)[0, 1] for a, b in zip(observed, predicted, strict=True)]
        total = ((observed - observed.mean(1, keepdims=True)) ** 2).sum(1)
        by_word.setdefault("r_across_electrodes", []).append(r)
        by_word.setdefault("r2_across_electrodes", []).append(
            1 - ((observed - predicted) ** 2).sum(1) / total
        )
        by_word.setdefault("r_across_electrodes_centered", []).append(
            np.full(len(r), np.nan)
            if name == "mean_word"
            else [np.corrcoef(a, b)[0, 1] for a, b in zip(error, delta, strict=True)]
        )
    variables = {k: (("predictor", "electrode"), np.array(v)) for k, v in by_electrode.items()}
    return variables | {k: (("predictor", "word"), np.array(v)) for k, v in by_word.items()}


def null_variables(rng, n_electrodes, permutations, planted, plain_only):
    """Studentised statistics: planted ones far above every permutation, the others below most."""
    maxima = np.abs(rng.normal(3.0, 0.4, (2, permutations)))
    studentized = rng.uniform(-1.0, 1.0, (2, n_electrodes))
    studentized[1, list(planted) + list(plain_only)] = 9.0
    studentized[0, list(planted)] = 9.0
    quantiles = np.broadcast_to([[-0.3], [0.3]], (2, 2, n_electrodes))
    per_null = ("null", "electrode")
    return {
        "studentized_r": (per_null, studentized),
        "p_value": (per_null, np.where(studentized > 5, 1 / (permutations + 1), 0.5)),
        "null_quantile": (("null", "quantile", "electrode"), quantiles.copy()),
        "null_max": (("null", "permutation"), maxima),
    }


def fake_result(
    subject="01",
    space="fasttext",
    solver="ridge",
    *,
    n_words=60,
    n_electrodes=8,
    planted=(0, 3),
    plain_only=(),
    gain=0.5,
    spread=2.0,
    permutations=199,
    bad=(),
    flagged=(),
    seed=1,
):
    """One result: the model recovers `gain` of the signal planted on the electrodes `planted`."""
    rng = np.random.default_rng(seed)
    signal = np.zeros((n_words, n_electrodes))
    signal[:, list(planted)] = rng.normal(size=(n_words, len(planted)))
    offsets = rng.normal(0.0, spread, n_electrodes)
    observed = offsets + signal + rng.normal(size=(n_words, n_electrodes))
    mean = loo_mean(observed)
    prediction = {
        "model": mean + gain * signal + 0.02 * rng.normal(size=signal.shape),
        "mean_word": mean,
        "order": mean + 0.02 * rng.normal(size=signal.shape),
    }
    variables = scores(observed, prediction) | {
        "prediction": (("predictor", "word", "electrode"), np.stack(list(prediction.values()))),
        "observed": (("word", "electrode"), observed),
        "collapsed": ("electrode", np.zeros(n_electrodes, dtype=bool)),
        "n_words": ("electrode", np.full(n_electrodes, n_words)),
        "n_nonzero": (("fold", "electrode"), np.ones((n_words, n_electrodes), dtype=int)),
    }
    errors = {k: ((observed - prediction[k]) ** 2).sum(0) for k in ("model", "order")}
    variables["skill_over_order"] = ("electrode", 1 - errors["model"] / errors["order"])
    if permutations:
        variables |= null_variables(rng, n_electrodes, permutations, planted, plain_only)
    labels = {
        "predictor": text_array(list(prediction)),
        "fold": np.arange(n_words),
        "subject": subject,
        "space": space,
        "solver": solver,
        "target": "mean",
    }
    if permutations:
        labels |= {"null": text_array(["order_adjusted", "plain"]), "quantile": [0.025, 0.975]}
    coords = electrode_coords(subject, n_electrodes, bad) | word_coords(n_words, flagged)
    return describe(xr.Dataset(variables, coords | labels))


def fake_epochs(subject="01", *, n_words=12, n_electrodes=4, n_lags=7, seed=3):
    """Epochs around the voice onset; electrode 0 rises after it by 1."""
    rng = np.random.default_rng(seed)
    lag = np.linspace(-0.5, 1.0, n_lags)
    values = rng.normal(0.0, 0.2, (n_words, n_electrodes, n_lags))
    values[:, 0] += (lag > 0).astype(float)
    cube = xr.DataArray(
        values,
        dims=("word", "electrode", "lag"),
        coords={"lag": ("lag", lag, {"units": "s"})}
        | electrode_coords(subject, n_electrodes)
        | word_coords(n_words),
        name="epochs",
        attrs={"units": "ln(V)", "lock": "voice", "target": "windows"},
    )
    return cube.assign_coords(subject=("electrode", text_array([subject] * n_electrodes)))

"""Studies drawn as epochs and features, with or without word information and drift."""

from __future__ import annotations

import numpy as np
import xarray as xr

import hgcube
from hgcube.schema import text_array

# Each subject's smallest p is a multiple of 1/60 or 1/300, and 3 subjects are compared at
# .05 * (1, 2, 3) / 3: with 59 or 299 permutations Benjamini-Hochberg is exact, not conservative.
N_SUBJECTS = 3


def slow_curves(rng, n_words, n_curves, kind):
    """Curves (word, curve) with mean 0 and sd 1; 0 throughout for the kind "none"."""
    position = np.linspace(0, 1, n_words)
    if kind == "none":
        return np.zeros((n_words, n_curves))
    if kind == "random walk":
        curves = np.cumsum(rng.standard_normal((n_words, n_curves)), axis=0)
    else:
        waves = np.cos(np.pi * np.outer(position, np.arange(1, 4)))
        fading = np.exp(-3 * position)[:, np.newaxis]
        shapes = np.hstack([position[:, np.newaxis], fading, waves])
        curves = shapes @ rng.standard_normal((shapes.shape[1], n_curves))
    return (curves - curves.mean(axis=0)) / curves.std(axis=0)


def subject(rng, label, *, n_words, n_electrodes, n_features, drift="none", skill=0.0, planted=0):
    """Epochs and features of one subject.

    The features' variance falls as 1/rank; `planted` electrodes follow, with the oracle skill
    `skill`, a random mixture of the three leading components, each half as much as the one before.
    Half of the electrodes' noise is shared by all of them, as a common reference would have it.
    """
    rank = np.arange(1, n_features + 1)
    vectors = rng.standard_normal((n_words, n_features)) / np.sqrt(rank)
    vectors @= np.linalg.qr(rng.standard_normal((n_features, n_features)))[0]
    vectors += vectors.std() * slow_curves(rng, n_words, n_features, drift)
    noise = np.sqrt(0.5) * rng.standard_normal((n_words, n_electrodes))
    noise += np.sqrt(0.5) * rng.standard_normal((n_words, 1))
    power = noise + slow_curves(rng, n_words, n_electrodes, drift)
    power[:, :planted] += np.sqrt(skill / (1 - skill)) * components(rng, vectors, planted)
    electrode = [f"{label}-A{number}" for number in range(n_electrodes)]
    epochs = xr.DataArray(
        power + 5 * rng.standard_normal(n_electrodes),
        dims=("word", "electrode"),
        coords={
            "electrode": text_array(electrode),
            "subject": ("electrode", text_array([label] * n_electrodes)),
        },
    )
    space = {"space": text_array("vectors")}
    return epochs, xr.DataArray(vectors, dims=("word", "feature"), coords=space)


def components(rng, vectors, n_electrodes):
    """Return curves (word, electrode) with mean 0 and sd 1 in the leading components."""
    scaled = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    leading = np.linalg.svd(scaled, full_matrices=False)[0][:, :3]
    signs = rng.choice([-1.0, 1.0], (3, n_electrodes))
    mixed = leading @ (signs * 2.0 ** -np.arange(3)[:, np.newaxis])
    return (mixed - mixed.mean(axis=0)) / mixed.std(axis=0)


def analysed(rng, *, permutations, **options):
    """Return results and verdicts of one study, from `encode` with the ridge to `verify`."""
    results = []
    for number in range(N_SUBJECTS):
        epochs, features = subject(rng, f"{number + 1:02d}", **options)
        results.append(
            hgcube.encode(
                epochs,
                features,
                solver="ridge",
                standardize="all_words",
                permutations=permutations,
                seed=int(rng.integers(2**32)),
            )
        )
    return results, hgcube.verify(results)

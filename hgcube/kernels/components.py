"""Principal components fitted on training words, from the smaller side of their matrix."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Below this share of the largest variance, a component is rounding.
ROUNDING = 1e-12

Array = npt.NDArray[np.float64]


def principal_scores(features: Array, training: Array, components: float | int) -> Array:
    """Return scores on the principal components of the training words.

    Parameters
    ----------
    features : (word, feature) float64
        Words to score, standardised as `training` is.
    training : (train, feature) float64
        Words that the components are fitted on.
    components : int or float
        How many, as far as there are so many; or the share of the variance, up to 1, that the
        fewest leading ones hold.

    Returns
    -------
    (word, component) float64
        Centred on the training words, all divided by the sd of the first component there: no
        score varies more than a standardised feature, so that penalties keep their scale, and
        smaller components stay smaller. No column where the training words do not vary.
    """
    centred = training - training.mean(axis=0)
    axes, variances = _axes(centred)
    n_kept = _count(variances, components)
    if not n_kept:
        return np.zeros((len(features), 0))
    scores = (features - training.mean(axis=0)) @ axes[:, :n_kept]
    return np.asarray(scores / np.sqrt(variances[0]))


def _axes(centred: Array) -> tuple[Array, Array]:
    """Return axes of length one (feature, component) and their falling variances, rounding cut."""
    wide = centred.shape[1] > centred.shape[0]
    gram = centred @ centred.T if wide else centred.T @ centred
    variances, vectors = (found[..., ::-1] for found in np.linalg.eigh(gram / len(centred)))
    real = variances > ROUNDING * max(float(variances[0]), 0.0)
    variances, vectors = variances[real], vectors[:, real]
    if wide:
        vectors = centred.T @ (vectors / np.sqrt(variances * len(centred)))
    return vectors, variances


def _count(variances: Array, components: float | int) -> int:
    if isinstance(components, int):
        return min(components, len(variances))
    shares = np.cumsum(variances) / max(float(variances.sum()), np.finfo(float).tiny)
    # A share reached up to rounding is reached.
    return min(int(np.searchsorted(shares, components - ROUNDING)) + 1, len(variances))

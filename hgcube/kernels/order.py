"""Slow trends of reading order, as regressors."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def order_regressors(n_words: int, terms: int) -> Array:
    """Return an intercept and the first cosines of reading order (DCT-II).

    Parameters
    ----------
    n_words : int
        Words in reading order.
    terms : int
        Cosines; 0 for the intercept alone.

    Returns
    -------
    (n_words, 1 + terms) float64
        Column k is cos(pi k (i + 1/2) / n_words): orthogonal, dimensionless.

    Examples
    --------
    >>> order_regressors(4, 0).ravel()
    array([1., 1., 1., 1.])
    """
    middle = (np.arange(n_words) + 0.5) / n_words
    return np.cos(np.pi * np.outer(middle, np.arange(terms + 1)))

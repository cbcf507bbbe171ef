"""What every model is shown beside: predictions from no word vector at all.

Each reference takes the order regressors (word, term), the intercept first, and which words each
fold tests and trains on (fold, word); it returns the matrix (word, word) whose product with the
targets are its held-out predictions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hgcube import names as n
from hgcube.kernels.designs import Array, Mask, baseline


def _mean_word(order: Array, testing: Mask, training: Mask) -> Array:
    """Predict the mean of the training words."""
    return baseline(order[:, :1], testing, training)


def _order(order: Array, testing: Mask, training: Mask) -> Array:
    """Predict from reading order, fitted on the training words."""
    return baseline(order, testing, training)


def _previous_word(order: Array, testing: Mask, training: Mask) -> Array:
    """Predict what the word before showed; the mean of the training words for the first.

    With folds of several words the word before may be held out too; it is used all the same.
    """
    matrix = np.eye(len(order), k=-1)
    matrix[0] = _mean_word(order, testing, training)[0]
    return matrix


REFERENCES: dict[str, Callable[[Array, Mask, Mask], Array]] = {
    n.MEAN_WORD: _mean_word,
    n.ORDER: _order,
    n.PREVIOUS_WORD: _previous_word,
}

"""Words into folds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from hgcube import names as n
from hgcube.errors import OptionError, UnknownLabelError

Mask = npt.NDArray[np.bool_]

SCHEMES = ("leave-one-word-out", "k-fold:10", "blocked:10:2", "grouped:run")


def assign_folds(words: xr.DataArray, scheme: str) -> npt.NDArray[np.intp]:
    """Return the fold that holds out each word.

    Parameters
    ----------
    words : xarray.DataArray
        Any cube with the dim ``word``; "grouped" reads one of its word coordinates.
    scheme : str
        ``"leave-one-word-out"``; ``"k-fold:10"``, contiguous; ``"blocked:10:2"``, contiguous and
        two words on either side in no training set; ``"grouped:run"``, one fold for each value
        of the coordinate ``run``.

    Returns
    -------
    (word,) int
        0, 1, ... in order of first appearance.

    Raises
    ------
    OptionError
        For a malformed scheme, or more folds than words.
    UnknownLabelError
        For an unknown scheme or coordinate.

    Examples
    --------
    >>> import xarray as xr
    >>> assign_folds(xr.DataArray([0.0] * 5, dims="word"), "k-fold:2")
    array([0, 0, 0, 1, 1])
    """
    kind, _, options = scheme.partition(":")
    n_words = words.sizes[n.WORD]
    if kind == "leave-one-word-out":
        return np.arange(n_words)
    if kind in ("k-fold", "blocked"):
        n_folds = _number(options.partition(":")[0], scheme, smallest=2)
        if n_folds > n_words:
            raise OptionError(
                f"at most as many folds as words ({n_words})", scheme, "Ask for fewer folds"
            )
        return np.arange(n_words) * n_folds // n_words
    if kind == "grouped":
        return _groups(words, options)
    raise UnknownLabelError.of("scheme of folds", scheme, SCHEMES)


def fold_masks(words: xr.DataArray, scheme: str) -> tuple[Mask, Mask]:
    """Return which words each fold tests and which it is fitted on.

    Parameters
    ----------
    words, scheme
        As `assign_folds`.

    Returns
    -------
    testing, training : (fold, word) bool

    Raises
    ------
    OptionError, UnknownLabelError
        As `assign_folds`; also for fewer than two folds.
    """
    assigned = assign_folds(words, scheme)
    n_folds = int(assigned.max(initial=-1)) + 1
    if n_folds < 2:
        raise OptionError(
            "at least two folds",
            f"{n_folds} from {scheme!r} on {len(assigned)} words",
            "Use another scheme of folds, or more words",
        )
    testing = assigned == np.arange(n_folds)[:, None]
    position = np.arange(len(assigned))
    near = np.abs(position[:, None] - position) <= _gap(scheme)
    return testing, ~(testing @ near)


def _gap(scheme: str) -> int:
    kind, _, options = scheme.partition(":")
    return _number(options.partition(":")[2], scheme, smallest=0) if kind == "blocked" else 0


def _groups(words: xr.DataArray, name: str) -> npt.NDArray[np.intp]:
    by_word = [str(key) for key, coord in words.coords.items() if coord.dims == (n.WORD,)]
    if name not in by_word:
        raise UnknownLabelError.of("coordinate of word", name, by_word)
    labels = words.coords[name].values.tolist()
    order = {label: fold for fold, label in enumerate(dict.fromkeys(labels))}
    return np.array([order[label] for label in labels], dtype=np.intp)


def _number(text: str, scheme: str, *, smallest: int) -> int:
    if not text.isdecimal() or int(text) < smallest:
        raise OptionError(
            f"folds like {', '.join(map(repr, SCHEMES))}",
            repr(scheme),
            f"Write a whole number of at least {smallest} behind each ':'",
        )
    return int(text)

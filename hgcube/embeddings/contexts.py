"""What a language model reads around a word: nothing, the words before it, or its sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.errors import CubeError

CONTEXTS = ("isolated", "transcript", "sentence")
_RUN, _SENTENCE = "run", "sentence"


def around(words: xr.DataArray, context: str, *, window: int, ahead: bool) -> list[tuple[str, str]]:
    """Return the text before and after each word; words of other recordings are never in it.

    Parameters
    ----------
    words : xarray.DataArray
        Text by (word), in the order of `onset` if it has one; ``run`` tells recordings apart.
    context : str
        One of `CONTEXTS`. ``"sentence"`` needs the coordinate ``sentence``: words that follow one
        another with the same label are one sentence.
    window : int
        Words before, in ``"transcript"``.
    ahead : bool
        Whether a sentence goes on after the word.

    Returns
    -------
    list of (str, str)

    Raises
    ------
    CubeError
        If the words' sentences are not named.
    """
    texts = [" ".join(str(text).split()) for text in words.values.tolist()]
    found = [("", "")] * len(texts)
    for places in stretches(words, context):
        for at, place in enumerate(places):
            start = max(0, at - window) if context == "transcript" else 0
            after = places[at + 1 :] if ahead and context == "sentence" else ()
            found[place] = (_joined(texts, places[start:at]), _joined(texts, after))
    return found


def _joined(texts: Sequence[str], places: Sequence[int]) -> str:
    return " ".join(texts[place] for place in places if texts[place])


def stretches(words: xr.DataArray, context: str) -> Iterator[list[int]]:
    """Yield the places of words, in order, that can be each other's context.

    Parameters
    ----------
    words, context
        As `around`. In ``"transcript"`` those of one recording are together.

    Yields
    ------
    list of int
    """
    if context == "isolated":
        return
    runs = _labels(words, _RUN)
    onsets = words[n.ONSET].values if n.ONSET in words.coords else np.zeros(len(runs))
    order = sorted(range(len(runs)), key=lambda place: (runs[place], onsets[place]))
    sentences = _sentences(words) if context == "sentence" else [""] * len(runs)
    for _, places in groupby(order, key=lambda place: (runs[place], sentences[place])):
        yield list(places)


def _labels(words: xr.DataArray, name: str) -> list[str]:
    if name not in words.coords:
        return [""] * words.sizes[n.WORD]
    return [str(label) for label in np.broadcast_to(words[name].values, words.shape).tolist()]


def _sentences(words: xr.DataArray) -> list[str]:
    labels = _labels(words, _SENTENCE)
    unnamed = sum(label in ("", "nan") for label in labels)
    if unnamed:
        raise CubeError(
            "words with the coordinate 'sentence', which names the sentence of each",
            f"{unnamed} of {len(labels)} words without it",
            "Add the coordinate, or use context='transcript'",
        )
    return labels

"""Words -> features: one space of one layer, or the spaces of several layers in one pass."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.embeddings.cache import caching
from hgcube.embeddings.making import embedder, numbered, takes, wraps
from hgcube.embeddings.protocol import Embedder, Vectors
from hgcube.embeddings.vectors import made_vectors
from hgcube.errors import CubeError, OptionError
from hgcube.schema import added_flags, check, finish, text_array, word_coords

_LOG = logging.getLogger("hgcube")

ALIKE = 0.99
"""Vectors of a larger mean cosine with one another are warned of."""

_FIRST_TOKEN = (
    ". A model that reads one word alone gives its first token a state that all words share; a "
    "context or another layer may help"
)

# Of fewer numbers, such as lengths and durations, nothing else is to be expected.
_FEW = 10


def embed(
    words: xr.DataArray,
    embedding: str,
    *,
    audio: xr.DataArray | None = None,
    layer: int | None = None,
    space: str | None = None,
    cache: str | Path | None = None,
    **options: Any,
) -> xr.DataArray:
    """Return the vector of every word.

    Parameters
    ----------
    words : xarray.DataArray
        Text by (word); its coordinates are kept.
    embedding : str
        Family: one of `families`.
    audio : xarray.DataArray, optional
        Sound by (audio_time), for families that hear.
    layer : int, optional
        Of a family with several layers; its own default otherwise. With the option ``layers``,
        all those are made (and kept in `cache`), and this one is returned.
    space : str, optional
        Name of the space these vectors form; the family's by default.
    cache : path, optional
        Folder in which vectors are kept and looked up, so that the same words are embedded once;
        see `hgcube.embeddings.cache`.
    **options
        Of the family, such as ``model=`` (a file).

    Returns
    -------
    xarray.DataArray
        float32 (word, feature), dimensionless, with ``in_vocabulary`` by word and the scalars
        ``space``, ``embedding``, ``layer``, ``depth`` (layer over last layer; NaN for a family
        without layers) and ``control_of`` (a space, or empty). What the family says of itself is
        in the attributes. A word without a vector is a row of NaN with its reason in ``flag``,
        counted in the log and in ``n_without_vector``; ``mean_cosine`` is that of all pairs of
        different words.

    Raises
    ------
    UnknownLabelError
        For an unknown family.
    OptionError
        For an option or a layer that the family does not have, for several layers, or without
        the audio that the family hears.
    CubeError
        If words or audio do not meet their spec, or the family returns what it must not.
    SourceError, MissingExtraError
        If its model cannot be loaded.

    Examples
    --------
    >>> import hgcube, xarray as xr
    >>> words = xr.DataArray(["boot", "huis"], dims="word", coords={"word": [0, 1]})
    >>> hgcube.embed(words, "random", n_features=3).sizes["feature"]
    3
    """
    family = embedder(embedding, **_with_layer(embedding, layer, options))
    place = _place_of(embedding, family.layers, layer)
    made = _made(words, audio, embedding, family, cache)
    labels = {n.SPACE: space or embedding, n.EMBEDDING: embedding}
    return _cube(words, family, made, place, labels)


def embed_layers(
    words: xr.DataArray,
    embedding: str,
    *,
    audio: xr.DataArray | None = None,
    space: str | None = None,
    cache: str | Path | None = None,
    **options: Any,
) -> dict[str, xr.DataArray]:
    """Return the vectors of every word in all layers that ``layers=`` names, in one pass.

    Parameters
    ----------
    words, embedding, audio, space, cache, **options
        As `embed`.

    Returns
    -------
    dict of str to xarray.DataArray
        By space. Layers that are named one by one (a list or ``"all"``) are spaces ``NAME-05``,
        with as many digits as the last layer has; a single one keeps NAME.

    Raises
    ------
    UnknownLabelError, OptionError, CubeError, SourceError, MissingExtraError
        As `embed`.

    Examples
    --------
    >>> import xarray as xr
    >>> from hgcube.embeddings import embed_layers
    >>> words = xr.DataArray(["boot", "huis"], dims="word", coords={"word": [0, 1]})
    >>> list(embed_layers(words, "random", space="noise"))
    ['noise']
    """
    family = embedder(embedding, **options)
    made = _made(words, audio, embedding, family, cache)
    names = numbered(space or embedding, embedding, options)
    return {
        name: _cube(words, family, made, place, {n.SPACE: name, n.EMBEDDING: embedding})
        for place, name in enumerate(names)
    }


def _with_layer(embedding: str, layer: int | None, options: dict[str, Any]) -> dict[str, Any]:
    if layer is None or "layers" in options or wraps(embedding):
        return options
    if not takes(embedding, "layers"):
        raise OptionError(
            "no layer of an embedding without layers",
            f"layer={layer} of {embedding!r}",
            "Leave 'layer' out",
        )
    return {**options, "layers": [layer]}


def _place_of(embedding: str, layers: tuple[int, ...], layer: int | None) -> int:
    if layer in layers:
        return layers.index(layer)
    if layer is None and len(layers) == 1:
        return 0
    raise OptionError(
        f"one of the layers {list(layers)} of the embedding {embedding!r}",
        f"layer={layer}",
        "Choose one with 'layer', or use embeddings.embed_layers for all",
    )


def _made(
    words: xr.DataArray,
    audio: xr.DataArray | None,
    embedding: str,
    family: Embedder,
    cache: str | Path | None,
) -> Vectors:
    check(words, "words")
    if family.hears and audio is None:
        raise OptionError(
            f"audio for the embedding {embedding!r}, which hears the words",
            "none",
            "Pass audio= (audio_time); a study needs it in its recordings, or [source] audio",
        )
    if audio is not None:
        check(audio, "audio")
    items = family.items(words, audio)
    if len(items) != words.sizes[n.WORD]:
        raise CubeError(
            f"{words.sizes[n.WORD]} items of the embedding {embedding!r}, one a word",
            str(len(items)),
            "Mend its 'items'",
        )
    with caching(cache):
        return made_vectors(family, items)


def _cube(
    words: xr.DataArray, family: Embedder, made: Vectors, place: int, labels: Mapping[str, str]
) -> xr.DataArray:
    """Return the vectors of one layer with all that is known of them."""
    vectors = xr.DataArray(made.values[:, place], dims=(n.WORD, n.FEATURE))
    without = np.isnan(vectors.values).any(axis=1)
    if without.any() and not place:
        # The other layers lack the same words.
        _warn_of_missing(words, without, made, labels)
    about = {name: (n.WORD, of_each) for name, of_each in made.words.items() if name != n.FLAG}
    about.setdefault("in_vocabulary", (n.WORD, ~without))
    provenance = family.provenance()
    layer = family.layers[place]
    reads = not family.hears and "layers_total" in provenance
    cosine = _mean_cosine(words, vectors.values, ~without, labels, reads)
    labeled = vectors.assign_coords(
        {
            **word_coords(words),
            **about,
            **{name: (n.FEATURE, of_each) for name, of_each in made.features.items()},
            n.FLAG: (n.WORD, added_flags(words, n.FLAG, n.WORD, made.words[n.FLAG].tolist())),
            **{name: text_array(label) for name, label in labels.items()},
            n.LAYER: layer,
            n.DEPTH: layer / float(provenance.get("layers_total", np.nan)),
            n.CONTROL_OF: text_array(family.control_of),
        }
    )
    counted = {"n_without_vector": int(without.sum()), **cosine}
    return finish(labeled, "features", attrs={**counted, **provenance})


def _warn_of_missing(
    words: xr.DataArray, without: Any, made: Vectors, labels: Mapping[str, str]
) -> None:
    reasons = made.words[n.FLAG].tolist()
    named = [
        f"{text!r} ({reason})" if reason else repr(text)
        for text, reason, missing in zip(words.values.tolist(), reasons, without, strict=True)
        if missing
    ]
    _LOG.warning(
        "space %s: %d of %d words have no vector: %s",
        labels[n.SPACE],
        len(named),
        len(words),
        ", ".join(named[:5]),
    )


def _mean_cosine(
    words: xr.DataArray, vectors: Any, known: Any, labels: Mapping[str, str], reads: bool
) -> dict[str, float]:
    """Return the mean cosine of different texts, as an attribute; warn where all are alike."""
    texts = np.asarray(words.values.tolist(), dtype=str)[known]
    _, first = np.unique(texts, return_index=True)
    cosine = mean_cosine(vectors[known][first])
    if np.isnan(cosine):
        return {}
    if cosine > ALIKE and vectors.shape[1] >= _FEW:
        _LOG.warning(
            "space %s: the vectors of %d words are nearly all alike (mean cosine %.4f). "
            "Standardised features (the default of encode) tell them apart%s",
            labels[n.SPACE],
            len(first),
            cosine,
            _FIRST_TOKEN if reads else "",
        )
    return {"mean_cosine": cosine}


def mean_cosine(vectors: np.ndarray[Any, Any]) -> float:
    """Return the mean cosine of all pairs of vectors.

    Parameters
    ----------
    vectors : numpy.ndarray, shape (word, feature)
        Two or more; those of length 0 are left out.

    Returns
    -------
    float
        NaN for fewer than two that have a direction.

    Examples
    --------
    >>> import numpy as np
    >>> mean_cosine(np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]))
    0.0
    """
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    units = vectors[lengths > 0] / lengths[lengths > 0, np.newaxis]
    count = len(units)
    if count < 2:
        return float("nan")
    # The squared length of the sum holds each pair twice, and each vector with itself once.
    return float((np.square(units.sum(axis=0)).sum() - count) / (count * (count - 1)))

"""Words to vectors: one file a family, one registry, one function."""

from __future__ import annotations

import inspect
import logging
from typing import Any

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.embeddings import fasttext, random
from hgcube.embeddings.protocol import (
    EMBEDDERS,
    Array,
    Embedder,
    Item,
    OfTexts,
    Vectors,
    factory_of,
    register,
)
from hgcube.errors import OptionError, closest
from hgcube.schema import added_flags, check, finish, joined_flags, text_array, word_coords

__all__ = [
    "EMBEDDERS",
    "Embedder",
    "Item",
    "OfTexts",
    "Vectors",
    "embed",
    "embedder",
    "fasttext",
    "made_vectors",
    "random",
    "register",
]


def embed(
    words: xr.DataArray,
    embedding: str,
    *,
    audio: xr.DataArray | None = None,
    layer: int | None = None,
    space: str | None = None,
    **options: Any,
) -> xr.DataArray:
    """Return the vector of every word.

    Parameters
    ----------
    words : xarray.DataArray
        Text by (word); its coordinates are kept.
    embedding : str
        Family: a key of `EMBEDDERS` or a plug-in of the entry point group ``hgcube.embedders``.
    audio : xarray.DataArray, optional
        Sound by (audio_time), for families that hear.
    layer : int, optional
        Of a family with several layers; its own default otherwise.
    space : str, optional
        Name of the space these vectors form; the family's by default.
    **options
        Of the family, such as ``model=`` (a file).

    Returns
    -------
    xarray.DataArray
        float32 (word, feature), dimensionless, with ``in_vocabulary`` by word. A word without
        a vector is a row of NaN with its reason in ``flag``, counted in the log and in
        ``n_without_vector``.

    Raises
    ------
    UnknownLabelError
        For an unknown family.
    OptionError
        For an option that the family does not have.
    SourceError, MissingExtraError
        If its model cannot be loaded.

    Examples
    --------
    >>> import hgcube, xarray as xr
    >>> words = xr.DataArray(["boot", "huis"], dims="word", coords={"word": [0, 1]})
    >>> hgcube.embed(words, "random", n_features=3).sizes["feature"]
    3
    """
    check(words, "words")
    if layer is not None:
        options["layers"] = (layer,)
    family = embedder(embedding, **options)
    made = made_vectors(family, family.items(words, audio))
    labels = {n.SPACE: text_array(space or embedding), "embedding": text_array(embedding)}
    return _cube(words, family, made, 0).assign_coords(labels)


def made_vectors(family: Embedder, items: list[Item]) -> Vectors:
    """Return the vectors of all items; those that are flagged get NaN and their flag.

    Parameters
    ----------
    family : Embedder
    items : list of Item

    Returns
    -------
    Vectors
    """
    usable = np.array([not item.flag for item in items], dtype=bool)
    made = family.vectors([item for item in items if not item.flag])
    values = np.full((len(items), *made.values.shape[1:]), np.nan, dtype=np.float32)
    values[usable] = made.values
    about = {name: _spread(of_some, usable) for name, of_some in made.words.items()}
    flags = [item.flag for item in items]
    if n.FLAG in about:
        flags = [joined_flags(*both) for both in zip(flags, about[n.FLAG].tolist(), strict=True)]
    return Vectors(
        values=values, words={**about, n.FLAG: text_array(flags)}, features=made.features
    )


def _spread(of_some: Array, usable: Array) -> Array:
    everywhere = np.zeros(len(usable), dtype=of_some.dtype)
    everywhere[usable] = of_some
    return everywhere


def _cube(words: xr.DataArray, family: Embedder, made: Vectors, place: int) -> xr.DataArray:
    """Return the vectors of one layer with all that is known of them."""
    vectors = xr.DataArray(made.values[:, place], dims=(n.WORD, n.FEATURE))
    missing = int(np.isnan(vectors.values).any(axis=1).sum())
    if missing:
        _warn_of_missing(words, vectors, made)
    about = {name: (n.WORD, of_each) for name, of_each in made.words.items() if name != n.FLAG}
    about.setdefault("in_vocabulary", (n.WORD, np.ones(len(words), dtype=bool)))
    labeled = vectors.assign_coords(
        {
            **word_coords(words),
            **about,
            **{name: (n.FEATURE, of_each) for name, of_each in made.features.items()},
            n.FLAG: (n.WORD, added_flags(words, n.FLAG, n.WORD, made.words[n.FLAG].tolist())),
            "layer": family.layers[place],
            "control_of": text_array(family.control_of),
        }
    )
    return finish(labeled, "features", attrs={"n_without_vector": missing, **family.provenance()})


def _warn_of_missing(words: xr.DataArray, vectors: xr.DataArray, made: Vectors) -> None:
    reasons = made.words[n.FLAG].tolist()
    without = [
        f"{text} ({reason})" if reason else text
        for text, reason, row in zip(words.values.tolist(), reasons, vectors.values, strict=True)
        if np.isnan(row[0])
    ]
    logging.getLogger("hgcube").warning(
        "%d of %d words have no vector: %s", len(without), words.sizes[n.WORD], without[:5]
    )


def embedder(embedding: str, **options: Any) -> Embedder:
    """Return the family `embedding` with its options, its model not yet loaded.

    Parameters
    ----------
    embedding : str
        Family.
    **options
        As `embed`.

    Returns
    -------
    Embedder

    Raises
    ------
    UnknownLabelError, OptionError
        As `embed`.
    """
    factory = factory_of(embedding)
    signature = inspect.signature(factory)
    unknown = [name for name in options if name not in signature.parameters]
    if unknown:
        raise OptionError(
            f"options of the embedding {embedding!r}",
            repr(unknown[0]),
            f"Did you mean {closest(unknown[0], signature.parameters)}?",
        )
    try:
        signature.bind(**options)
    except TypeError as error:
        raise OptionError(
            f"all options of the embedding {embedding!r}", str(error), "Add it to study.toml"
        ) from None
    return factory(**options)

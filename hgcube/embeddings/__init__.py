"""Words to vectors: one file a family, one registry, one function."""

from __future__ import annotations

import inspect
import logging
from typing import Any

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.embeddings import fasttext, random
from hgcube.embeddings.protocol import EMBEDDERS, Embedder, factory_of, register
from hgcube.errors import OptionError, closest
from hgcube.schema import check, finish, text_array, word_coords

__all__ = ["EMBEDDERS", "Embedder", "embed", "embedder", "fasttext", "random", "register"]


def embed(
    words: xr.DataArray, embedding: str, *, space: str | None = None, **options: Any
) -> xr.DataArray:
    """Return the vector of every word.

    Parameters
    ----------
    words : xarray.DataArray
        Text by (word); its coordinates are kept.
    embedding : str
        Family: a key of `EMBEDDERS` or a plug-in of the entry point group ``hgcube.embedders``.
    space : str, optional
        Name of the space these vectors form; the family's by default.
    **options
        Of the family, such as ``model=`` (a file).

    Returns
    -------
    xarray.DataArray
        float32 (word, feature), dimensionless, with ``in_vocabulary`` by word. A word without
        a vector is a row of NaN, counted in the log and in ``n_without_vector``.

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
    family = embedder(embedding, **options)
    texts = [str(text) for text in words.values.tolist()]
    vectors = xr.DataArray(family.vectors(texts), dims=(n.WORD, n.FEATURE))
    missing = int(np.isnan(vectors.values).any(axis=1).sum())
    if missing:
        logging.getLogger("hgcube").warning(
            "%s: %d of %d words have no vector: %s",
            space or embedding,
            missing,
            len(texts),
            [text for text, row in zip(texts, vectors.values, strict=True) if np.isnan(row[0])][:5],
        )
    labeled = vectors.assign_coords(
        {
            **word_coords(words),
            "in_vocabulary": (n.WORD, family.known(texts)),
            n.SPACE: text_array(space or embedding),
            "embedding": text_array(embedding),
        }
    )
    about = {"n_without_vector": missing, **family.provenance()}
    return finish(labeled, "features", attrs=about)


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

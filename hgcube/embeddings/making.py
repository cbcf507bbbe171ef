"""From names and options to embedders, and the names of the spaces that they make."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from hgcube.embeddings.protocol import Embedder, factory_of
from hgcube.errors import OptionError, closest

NAMING = ("family", "space")
"""What a mapping says of an embedding beside its options."""


def embedder(embedding: str, **options: Any) -> Embedder:
    """Return the family `embedding` with its options, its model not yet loaded.

    Parameters
    ----------
    embedding : str
        Family.
    **options
        As `hgcube.embed`.

    Returns
    -------
    Embedder

    Raises
    ------
    UnknownLabelError, OptionError
        As `hgcube.embed`.
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


def embedder_of(of: Mapping[str, Any]) -> Embedder:
    """Return the embedder that a mapping describes, for families that wrap others.

    Parameters
    ----------
    of : mapping
        ``family``, the options of that family, and perhaps ``space``, the name that it has.

    Returns
    -------
    Embedder

    Raises
    ------
    UnknownLabelError, OptionError
        As `hgcube.embed`.
    """
    if not isinstance(of, Mapping) or "family" not in of:
        raise OptionError(
            "a mapping with 'family' and its options as 'of'",
            repr(of),
            "Name the embedding that this one is made from",
        )
    return embedder(str(of["family"]), **{k: of[k] for k in of if k not in NAMING})


def takes(embedding: str, option: str) -> bool:
    """Return whether a family has an option.

    Parameters
    ----------
    embedding, option : str

    Returns
    -------
    bool
    """
    return option in inspect.signature(factory_of(embedding)).parameters


def wraps(embedding: str) -> bool:
    """Return whether a family is made of other embeddings: its option ``of`` has no default.

    Parameters
    ----------
    embedding : str

    Returns
    -------
    bool
    """
    of = inspect.signature(factory_of(embedding)).parameters.get("of")
    return of is not None and of.default is inspect.Parameter.empty


def names_layers(options: Mapping[str, Any]) -> bool:
    """Return whether options, or those of the one embedding they wrap, name layers one by one.

    Parameters
    ----------
    options : mapping

    Returns
    -------
    bool
        False for a single layer, by its number or as ``"penultimate"``.
    """
    stated, of = options.get("layers"), options.get("of")
    if stated is None and isinstance(of, Mapping):
        return names_layers(of)
    return stated == "all" or (isinstance(stated, Sequence) and not isinstance(stated, str))


def numbered(name: str, embedding: str, options: Mapping[str, Any]) -> list[str]:
    """Return the names of the spaces that an embedding makes, in the order of its layers.

    Parameters
    ----------
    name : str
        Of the embedding.
    embedding : str
        Family.
    options : mapping

    Returns
    -------
    list of str
        `name` alone, or ``NAME-05`` for layers that are named one by one, with as many digits as
        the last layer of the model has.

    Raises
    ------
    UnknownLabelError, OptionError, SourceError, MissingExtraError
        If there are no such layers, or it cannot be known.
    """
    layers = embedder(embedding, **options).layers
    if not names_layers(options) and len(layers) == 1:
        return [name]
    digits = len(str(last_layer(embedding, options)))
    return [f"{name}-{layer:0{digits}}" for layer in layers]


def last_layer(embedding: str, options: Mapping[str, Any]) -> int:
    """Return the last layer that an embedding could have.

    Parameters
    ----------
    embedding : str
    options : mapping

    Returns
    -------
    int
    """
    return max(embedder(embedding, **_of_all_layers(embedding, options)).layers)


def _of_all_layers(embedding: str, options: Mapping[str, Any]) -> dict[str, Any]:
    if takes(embedding, "layers"):
        return {**options, "layers": "all"}
    of = options.get("of")
    if isinstance(of, Mapping):
        below = _of_all_layers(str(of["family"]), {k: of[k] for k in of if k not in NAMING})
        return {**options, "of": {**of, **below}}
    return dict(options)

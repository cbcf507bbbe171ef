"""Items to vectors: each content once, what is kept taken from the cache, what is made checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hgcube import names as n
from hgcube.embeddings.cache import of_one, shelf_of
from hgcube.embeddings.protocol import Array, Embedder, Item, Vectors
from hgcube.errors import CubeError
from hgcube.schema import joined_flags, text_array


def made_vectors(family: Embedder, items: Sequence[Item]) -> Vectors:
    """Return the vectors of all items; those that are flagged get NaN and their flag.

    Inside `cache.caching`, what was made before is read and only the rest is made.

    Parameters
    ----------
    family : Embedder
    items : sequence of Item

    Returns
    -------
    Vectors
        With ``flag`` among its words.

    Raises
    ------
    CubeError
        If the family returns something else than `Vectors` of these items, or other than float32.
    """
    usable = np.array([not item.flag for item in items], dtype=bool)
    digests = [item.digest for item in items if not item.flag]
    distinct = dict(zip(digests, [item for item in items if not item.flag], strict=True))
    made = _of_distinct(family, distinct)
    place = {digest: row for row, digest in enumerate(distinct)}
    rows = np.array([place[digest] for digest in digests], dtype=np.intp)
    values = np.full((len(items), *made.values.shape[1:]), np.nan, dtype=np.float32)
    values[usable] = made.values[rows]
    words = {name: _spread(of_each[rows], usable) for name, of_each in made.words.items()}
    found = words.get(n.FLAG, text_array([""] * len(items))).tolist()
    flags = [joined_flags(item.flag, flag) for item, flag in zip(items, found, strict=True)]
    return Vectors(
        values=values, words={**words, n.FLAG: text_array(flags)}, features=made.features
    )


def _spread(of_some: Array, usable: Array) -> Array:
    everywhere = np.zeros(len(usable), dtype=of_some.dtype)
    everywhere[usable] = of_some
    return everywhere


def _of_distinct(family: Embedder, items: Mapping[str, Item]) -> Vectors:
    shelf = shelf_of(family)
    kept = {} if shelf is None else shelf.read_all(items)
    missing = [digest for digest in items if digest not in kept]
    if items and not missing:
        return _together(list(kept.values()))
    made = _checked(family, [items[digest] for digest in missing])
    if len({_form(each) for each in (*kept.values(), made)}) > 1:
        # Another maker's files; which of them are right only making them anew can tell.
        kept, missing = {}, list(items)
        made = _checked(family, list(items.values()))
    if shelf is not None:
        shelf.write_all(missing, made)
    each = kept | {digest: of_one(made, place) for place, digest in enumerate(missing)}
    return _together([each[digest] for digest in items] or [made])


def _form(made: Vectors) -> tuple[Any, ...]:
    """Return what vectors that are put together have in common."""
    about = {**made.words, **made.features}
    return (made.values.shape[1:], tuple(sorted((k, v.dtype.kind) for k, v in about.items())))


def _together(parts: list[Vectors]) -> Vectors:
    names = parts[0].words
    words = {name: np.concatenate([part.words[name] for part in parts]) for name in names}
    values = np.concatenate([part.values for part in parts])
    return Vectors(values=values, words=words, features=parts[0].features)


def _checked(family: Embedder, items: list[Item]) -> Vectors:
    """Return what the family makes of `items`, if it is what a family must return."""
    made, name = family.vectors(items), type(family).__name__
    if not isinstance(made, Vectors):
        raise _wrong(name, "an object Vectors", type(made).__name__)
    expected = (len(items), len(family.layers))
    values = made.values
    if values.dtype != np.float32 or values.ndim != 3 or values.shape[:2] != expected:
        raise _wrong(
            name,
            f"float32 values (item, layer, feature) of {expected[0]} items x {expected[1]} layers",
            f"{values.dtype} of shape {values.shape}",
        )
    _check_labels(name, n.WORD, made.words, expected[0])
    _check_labels(name, n.FEATURE, made.features, values.shape[2])
    return made


def _check_labels(family: str, along: str, about: Mapping[str, Array], size: int) -> None:
    for label, each in about.items():
        if np.shape(each) != (size,):
            got = f"an array of shape {np.shape(each)}"
            raise _wrong(family, f"{size} values of {label!r}, one a {along},", got)


def _wrong(family: str, expected: str, got: str) -> CubeError:
    return CubeError(f"{expected} from the embedding family {family}", got, "Mend its 'vectors'")

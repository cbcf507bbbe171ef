"""Vectors that were made once, kept by what they are made from.

One file an item, ``<folder>/<family>/<item>.npz``: the first is the digest of the family's class,
provenance and model files, the second of the item. It holds all layers that were made so far. A
file is written beside its place and renamed, so that processes may share a folder; one that cannot
be read is made anew. No pickle is read or written.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from hgcube import __version__
from hgcube.embeddings.contents import content_hash
from hgcube.embeddings.protocol import Array, Embedder, Vectors
from hgcube.schema import text_array

_LOG = logging.getLogger("hgcube")
_FOLDER: ContextVar[Path | None] = ContextVar("folder of the cache", default=None)


@contextmanager
def caching(folder: str | Path | None) -> Iterator[None]:
    """Keep the vectors that are made inside, those of wrapped families among them.

    Parameters
    ----------
    folder : path, optional
        Made if it is not there. None keeps nothing.
    """
    token = _FOLDER.set(None if folder is None else Path(folder))
    try:
        yield
    finally:
        _FOLDER.reset(token)


def shelf_of(family: Embedder) -> Shelf | None:
    """Return where vectors of `family` are kept now; None outside `caching`.

    Parameters
    ----------
    family : Embedder

    Returns
    -------
    Shelf or None
    """
    folder = _FOLDER.get()
    return None if folder is None else Shelf(folder / _identity(family), family.layers)


def _identity(family: Embedder) -> str:
    kind = type(family)
    about = {
        "hgcube": __version__,
        "family": f"{kind.__module__}.{kind.__qualname__}",
        "provenance": family.provenance(),
        "files": [(path.name, content_hash(path)) for path in family.files()],
    }
    return hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class Shelf:
    """Kept vectors of one family with its options.

    Parameters
    ----------
    folder : path
    layers : tuple of int
        Those that are asked for.
    """

    folder: Path
    layers: tuple[int, ...]

    def read_all(self, digests: Iterable[str]) -> dict[str, Vectors]:
        """Return the vectors of those items of which all layers are there, one an item."""
        found = {digest: self._read(digest) for digest in digests}
        return {digest: held for digest, held in found.items() if held is not None}

    def _read(self, digest: str) -> Vectors | None:
        held = self._held(digest)
        if held is None or not set(self.layers) <= set(held.layers):
            return None
        places = [held.layers.index(layer) for layer in self.layers]
        return Vectors(
            values=held.values[np.newaxis, places], words=held.words, features=held.features
        )

    def write_all(self, digests: Sequence[str], made: Vectors) -> None:
        """Keep the vectors of items beside the layers that are there; a full disk is no error."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for place, digest in enumerate(digests):
                self._put(digest, of_one(made, place))
        except OSError as error:
            _LOG.warning("vectors are not kept in %s: %s", self.folder.parent, error)

    def _put(self, digest: str, made: Vectors) -> None:
        by_layer = dict(zip(self.layers, made.values[0], strict=True))
        held = self._held(digest)
        if held is not None and held.values.shape[1:] == made.values.shape[2:]:
            by_layer = {**dict(zip(held.layers, held.values, strict=True)), **by_layer}
        layers = sorted(by_layer)
        parts = {
            "layers": np.array(layers, dtype=np.int64),
            "values": np.stack([by_layer[layer] for layer in layers]),
            **{f"words/{name}": _plain(of_one) for name, of_one in made.words.items()},
            **{f"features/{name}": _plain(of_all) for name, of_all in made.features.items()},
        }
        path = self._place(digest)
        partial = path.with_name(f".partial-{digest}-{os.getpid()}-{uuid4().hex[:8]}")
        with partial.open("wb") as stream:
            np.savez(stream, **parts)
        partial.replace(path)

    def _held(self, digest: str) -> _Held | None:
        path = self._place(digest)
        if not path.is_file():
            return None
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
                return _Held.of(stored)
        # Cut and damaged archives surface as errors of zipfile, zlib, NumPy and struct alike.
        except Exception as error:
            _LOG.debug("%s is made anew: %s", path, error)
            return None

    def _place(self, digest: str) -> Path:
        return self.folder / f"{digest}.npz"


@dataclass(frozen=True)
class _Held:
    """What one file holds."""

    layers: list[int]
    values: Array
    words: dict[str, Array]
    features: dict[str, Array]

    @classmethod
    def of(cls, stored: Mapping[str, Array]) -> _Held:
        layers, values = stored["layers"].tolist(), stored["values"]
        if values.shape[:1] != (len(layers),) or values.ndim != 2:
            raise ValueError(f"{len(layers)} layers and values of shape {values.shape}")
        return cls(layers, values, _under("words", stored), _under("features", stored))


def of_one(made: Vectors, place: int) -> Vectors:
    """Return the vectors of the item at `place` alone.

    Parameters
    ----------
    made : Vectors
    place : int

    Returns
    -------
    Vectors
        Values (1, layer, feature).
    """
    each = slice(place, place + 1)
    words = {name: of_each[each] for name, of_each in made.words.items()}
    return Vectors(values=made.values[each], words=words, features=made.features)


def _plain(labels: Array) -> Any:
    """Return text in fixed width, the only text that NumPy stores without pickle."""
    return np.asarray(labels.tolist(), dtype=str) if labels.dtype.kind in "TO" else labels


def _under(group: str, stored: Mapping[str, Array]) -> dict[str, Array]:
    named = {name.partition("/")[2]: stored[name] for name in stored if name.startswith(group)}
    return {
        name: text_array(each) if each.dtype.kind == "U" else each for name, each in named.items()
    }

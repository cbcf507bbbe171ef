"""FastText word vectors from a Facebook ``.bin`` file, through gensim."""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hgcube import names as n
from hgcube.embeddings.models import package, versions
from hgcube.embeddings.protocol import Item, OfTexts, Vectors, register
from hgcube.errors import SourceError
from hgcube.schema import text_array

MAGIC = (793712314).to_bytes(4, "little")
"""How a ``.bin`` file starts."""
# The further numbers: version, dim, ws, epoch, minCount, neg, wordNgrams, loss, model, bucket,
# minn, maxn (FastText's args.cc).
_HEADER = struct.Struct("<4s12i")
_SUPERVISED = 3


@register("fasttext")
class FastText(OfTexts):
    """FastText vectors; a word out of vocabulary is composed of its sub-words.

    Parameters
    ----------
    model : path
        A ``.bin`` file as FastText writes it (``cc.nl.300.bin`` has 300 dimensions).
    trained_on : str, optional
        What the model learned from, stated in the cube.

    References
    ----------
    Bojanowski et al. (2017), Enriching word vectors with subword information, TACL 5.
    """

    packages = ("gensim",)

    def __init__(self, *, model: str | Path, trained_on: str = "not stated") -> None:
        self._path = Path(model).expanduser()
        self._trained_on = trained_on

    def vectors(self, items: Sequence[Item]) -> Vectors:
        """Return float32 vectors, dims (item, 1, feature).

        A word out of vocabulary is NaN and flagged ``unknown`` if the vocabulary has none of its
        characters: its n-grams fall on those of other words by chance of their hash alone.
        """
        table, alphabet = _load(self._path)
        known = np.array([item.text in table.key_to_index for item in items], dtype=bool)
        rows = np.array([_vector(table, item.text) for item in items], dtype=np.float32)
        rows = rows.reshape(len(items), 1, table.vector_size)
        foreign = np.array([alphabet.isdisjoint(item.text) for item in items], dtype=bool)
        # gensim returns zeros, without a word, for a text that has no n-gram.
        foreign |= ~rows.any(axis=(1, 2))
        rows[foreign] = np.nan
        flags = text_array(["unknown" if is_foreign else "" for is_foreign in foreign])
        return Vectors(values=rows, words={"in_vocabulary": known, n.FLAG: flags})

    def provenance(self) -> dict[str, str]:
        """Return model file, training text, sub-word rule and the version of gensim."""
        return {
            "model": self._path.name,
            "trained_on": self._trained_on,
            "out_of_vocabulary": _header(self._path).rule,
            **versions("gensim"),
        }

    def files(self) -> tuple[Path, ...]:
        """Return the model file."""
        return (self._path,)


def _vector(table: Any, text: str) -> Any:
    if not table.bucket and text not in table.key_to_index:
        return np.zeros(table.vector_size, dtype=np.float32)
    return table.get_vector(text)


@dataclass(frozen=True)
class _Header:
    """What a ``.bin`` file says of its training."""

    kind: int
    shortest: int
    longest: int

    @property
    def rule(self) -> str:
        if not self.longest:
            return "words out of vocabulary have no vector: the model has no sub-words"
        sizes = f"{self.shortest} to {self.longest} characters"
        return f"words out of vocabulary get the mean of their n-grams of {sizes}"


def _header(path: Path) -> _Header:
    if not path.is_file():
        raise SourceError(
            "a FastText .bin file", f"no file {path}", "Correct 'model' in study.toml"
        )
    with path.open("rb") as stream:
        start = stream.read(_HEADER.size)
    if len(start) < _HEADER.size or not start.startswith(MAGIC):
        raise SourceError(
            "a FastText .bin file",
            f"{path.name}, which does not start as one",
            "Use the embedding 'word_vectors' for other files of word vectors",
        )
    numbers = _HEADER.unpack(start)
    return _Header(kind=numbers[9], shortest=numbers[11], longest=numbers[12])


def _load(path: Path) -> tuple[Any, frozenset[str]]:
    if _header(path).kind == _SUPERVISED:
        raise SourceError(
            "FastText vectors trained without labels",
            f"{path.name}, a supervised classifier, whose vectors know labels",
            "Use a model that 'fasttext skipgram' or 'fasttext cbow' trained",
        )
    stat = path.stat()
    return _load_once(path.resolve(), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=2)
def _load_once(path: Path, size: int, _modified: int) -> tuple[Any, frozenset[str]]:
    load = package("gensim.models.fasttext").load_facebook_vectors
    logging.getLogger("hgcube").info("loading FastText model %s (%d bytes)", path.name, size)
    try:
        table = load(str(path))
    # gensim names neither what it cannot read nor a common class of error.
    except Exception as error:
        raise SourceError(
            "an unsupervised FastText .bin file",
            f"{path.name}, which gensim cannot read ({error})",
            "Give the .bin file as FastText wrote it",
        ) from error
    return table, frozenset().union(*table.key_to_index)

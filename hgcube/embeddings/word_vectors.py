"""Static word vectors from a text file (.vec, word2vec, GloVe) or gensim's KeyedVectors."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hgcube import names as n
from hgcube.embeddings.models import package
from hgcube.embeddings.protocol import Array, Item, OfTexts, Vectors, register
from hgcube.embeddings.vector_text import read_vectors
from hgcube.errors import SourceError
from hgcube.schema import text_array


@register("word_vectors")
class WordVectors(OfTexts):
    """A vector for every word of a file; other words have none.

    Parameters
    ----------
    model : path
        A text file of words and numbers, with or without a first line of counts, plain or
        gzipped; or a file that gensim's ``save`` wrote. The latter is a pickle: give only files
        that you trust.
    lowercase : bool
        Whether words are looked up in lower case.
    encoding : str
        Of a text file.
    trained_on : str
        What the vectors were learned from, stated in the cube.
    """

    def __init__(
        self,
        *,
        model: str | Path,
        lowercase: bool = False,
        encoding: str = "utf-8",
        trained_on: str = "not stated",
    ) -> None:
        self._path = Path(model).expanduser()
        self._lowercase, self._encoding, self._trained_on = lowercase, encoding, trained_on

    def vectors(self, items: Sequence[Item]) -> Vectors:
        """Return float32 vectors, dims (item, 1, feature); unknown words are NaN and flagged."""
        asked = [self._asked(item.text) for item in items]
        read = _read_with_gensim if self._is_gensims() else self._read_text
        dimensions, table = read(self._path, dict.fromkeys(asked))
        values = np.full((len(items), 1, dimensions), np.nan, dtype=np.float32)
        for place, word in enumerate(asked):
            if word in table:
                values[place, 0] = table[word]
        known = np.array([word in table for word in asked], dtype=bool)
        flags = text_array(["" if is_known else "unknown" for is_known in known])
        return Vectors(values=values, words={"in_vocabulary": known, n.FLAG: flags})

    def _asked(self, text: str) -> str:
        composed = unicodedata.normalize("NFC", text)
        return composed.lower() if self._lowercase else composed

    def _read_text(self, path: Path, wanted: dict[str, None]) -> tuple[int, dict[str, Array]]:
        logging.getLogger("hgcube").info("looking for %d words in %s", len(wanted), path.name)
        return read_vectors(path, wanted, encoding=self._encoding)

    def _is_gensims(self) -> bool:
        if not self._path.is_file():
            raise SourceError(
                "a file of word vectors", f"no file {self._path}", "Correct 'model' in study.toml"
            )
        with self._path.open("rb") as stream:
            return stream.read(1) == b"\x80"

    def provenance(self) -> dict[str, str]:
        """Return model file, training text, and how words are looked up."""
        return {
            "model": self._path.name,
            "trained_on": self._trained_on,
            "case": "looked up in lower case" if self._lowercase else "looked up as written",
            "encoding": self._encoding,
            "out_of_vocabulary": "words that are not in the file have no vector",
        }

    def files(self) -> tuple[Path, ...]:
        """Return the file, and the arrays that gensim stored beside it."""
        return (self._path, *sorted(self._path.parent.glob(f"{self._path.name}.*.npy")))


def _read_with_gensim(path: Path, wanted: dict[str, None]) -> tuple[int, dict[str, Array]]:
    stat = path.stat()
    table = _loaded(path.resolve(), stat.st_size, stat.st_mtime_ns)
    known = [word for word in wanted if word in table.key_to_index]
    return table.vector_size, {word: table.vectors[table.key_to_index[word]] for word in known}


@lru_cache(maxsize=2)
def _loaded(path: Path, _size: int, _modified: int) -> Any:
    keyed = package("gensim.models").KeyedVectors
    try:
        made = keyed.load(str(path), mmap="r")
        made = getattr(made, "wv", made)
        made.key_to_index, made.vectors, made.vector_size  # noqa: B018 - a pickle may hold anything
    # Pickles of other things and missing arrays surface as errors of any kind.
    except Exception as error:
        raise SourceError(
            "KeyedVectors that gensim stored",
            f"{path.name}, which gensim cannot read ({error})",
            "Store them again with gensim",
        ) from error
    return made

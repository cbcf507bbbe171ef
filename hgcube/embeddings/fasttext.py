"""FastText word vectors from a Facebook ``.bin`` file, through gensim."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from hgcube.embeddings.protocol import Item, OfTexts, Vectors, register
from hgcube.errors import MissingExtraError, SourceError

_OOV_RULE = "words out of vocabulary get the mean of their character n-grams"


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

    def __init__(self, *, model: str | Path, trained_on: str = "not stated") -> None:
        self._path = Path(model)
        self._trained_on = trained_on

    def vectors(self, items: Sequence[Item]) -> Vectors:
        """Return float32 vectors, dims (item, 1, feature); NaN where a word has no known n-gram."""
        table = _load(self._path)
        rows = np.array([table.get_vector(item.text) for item in items], dtype=np.float32)
        rows = rows.reshape(len(items), 1, table.vector_size)
        # gensim returns zeros, without a word, for a text of which it knows no n-gram.
        rows[~rows.any(axis=(1, 2))] = np.nan
        known = np.array([item.text in table.key_to_index for item in items], dtype=bool)
        return Vectors(values=rows, words={"in_vocabulary": known})

    def provenance(self) -> dict[str, str]:
        """Return model file, training text, sub-word rule and the version of gensim."""
        return {
            "model": self._path.name,
            "trained_on": self._trained_on,
            "out_of_vocabulary": _OOV_RULE,
            "gensim_version": version("gensim"),
        }

    def files(self) -> tuple[Path, ...]:
        """Return the model file."""
        return (self._path,)


def _load(path: Path) -> Any:
    if not path.is_file():
        raise SourceError(
            "a FastText .bin file", f"no file {path}", "Correct 'model' in study.toml"
        )
    stat = path.stat()
    return _load_once(path.resolve(), stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=2)
def _load_once(path: Path, size: int, _modified: int) -> Any:
    try:
        from gensim.models.fasttext import load_facebook_vectors
    except ImportError:
        raise MissingExtraError(
            "gensim for FastText", "no such package", "Run: pip install 'hgcube[embed]'"
        ) from None
    logging.getLogger("hgcube").info("loading FastText model %s (%d bytes)", path.name, size)
    try:
        return load_facebook_vectors(str(path))
    except Exception as error:
        raise SourceError(
            "an unsupervised FastText .bin file",
            f"{path.name}, which gensim cannot read ({error})",
            "Give the .bin file as FastText wrote it",
        ) from error

"""Word vectors written as text, read line by line: only the wanted words are kept."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO
from zlib import error as BrokenStream

import numpy as np

from hgcube.embeddings.fasttext import MAGIC
from hgcube.embeddings.protocol import Array
from hgcube.errors import OptionError, SourceError

# The first "line" of a binary file may be the whole file.
_LONGEST_LINE = 1 << 20


def read_vectors(
    path: Path, wanted: Iterable[str], *, encoding: str = "utf-8"
) -> tuple[int, dict[str, Array]]:
    """Return the vectors of the wanted words from a text file, plain or gzipped.

    The file is read once, up to the last wanted word, and one line at a time. Each line is a word
    and its numbers; a first line of two integers is the count of words and dimensions. The first
    of several lines of one word counts.

    Parameters
    ----------
    path : path
    wanted : iterable of str
    encoding : str
        Of the words; one that is not of it is passed over and counted in the log.

    Returns
    -------
    int
        Dimensions.
    dict of str to numpy.ndarray of float32, shape (feature,)
        Of the wanted words that the file has.

    Raises
    ------
    SourceError
        If the file is no such text, ends before its own count of words, or the line of a wanted
        word has other than the right number of finite numbers.
    OptionError
        For an unknown encoding.
    """
    keys = _encoded(wanted, encoding)
    try:
        with _opened(path) as stream:
            count, dimensions, first = _begun(path, stream)
            search = _Search(path, dimensions, keys, encoding)
            search.through(chain([first], stream), count)
    except (EOFError, gzip.BadGzipFile, BrokenStream) as error:
        raise _broken(path, str(error)) from None
    return dimensions, search.found


def _encoded(wanted: Iterable[str], encoding: str) -> dict[bytes, str]:
    """Return the wanted words by their bytes; what the encoding cannot write is in no such file."""
    keys = {}
    for word in wanted:
        try:
            keys[" ".join(word.split()).encode(encoding)] = word
        except UnicodeEncodeError:
            continue
        except LookupError:
            raise OptionError("a known encoding", repr(encoding), "Try 'utf-8'") from None
    return keys


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as plain:
        zipped = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        if not zipped:
            yield plain
            return
        with gzip.open(plain) as stream:
            yield stream  # type: ignore[misc]


def _begun(path: Path, stream: IO[bytes]) -> tuple[int, int, bytes]:
    """Return the stated number of words (or 0), the dimensions and the first word's line."""
    line = stream.readline(_LONGEST_LINE).removeprefix(b"\xef\xbb\xbf")
    if line.startswith(MAGIC):
        raise _broken(path, "a FastText .bin file", "Use the embedding 'fasttext'")
    fields, count = line.split(), 0
    dimensions = len(fields) - 1
    if len(fields) == 2 and all(map(bytes.isdigit, fields)):
        count, dimensions = map(int, fields)
        line = stream.readline(_LONGEST_LINE)
        fields = line.split()
    if not 0 < dimensions < len(fields) or _numbers(fields[-dimensions:]) is None:
        raise _broken(path, "a first word without a vector")
    return count, dimensions, line


@dataclass
class _Search:
    """Wanted words, looked for line after line."""

    path: Path
    dimensions: int
    keys: dict[bytes, str]
    encoding: str
    found: dict[str, Array] = field(default_factory=dict)

    def through(self, lines: Iterable[bytes], count: int) -> None:
        starts = {key.split()[0] for key in self.keys if key}
        number, n_foreign = 0, 0
        for number, line in enumerate(lines, start=1):
            start = line.split(None, 1)[0] if not line.isspace() else b""
            if start in starts:
                self._keep(number, line)
            elif not start.isascii() and not _is_text(start, self.encoding):
                n_foreign += 1
            if len(self.found) == len(self.keys):
                break
        else:
            self._check_end(number, count, n_foreign)

    def _keep(self, number: int, line: bytes) -> None:
        """Keep the line's vector if its word, which may hold spaces, is a wanted one."""
        fields = line.split()
        word = self.keys.get(b" ".join(fields[: -self.dimensions]))
        vector = _numbers(fields[-self.dimensions :])
        if word is not None and vector is not None:
            self.found.setdefault(word, vector)
        elif word is not None or (fields[0] in self.keys and _numbers(fields[1:]) is not None):
            raise _broken(
                self.path,
                f"{len(fields) - 1} fields, not all finite numbers, for the word"
                f" {fields[0].decode(self.encoding)!r} (vector {number} of the file)",
            )

    def _check_end(self, number: int, count: int, n_foreign: int) -> None:
        if number < count:
            raise _broken(self.path, f"{number} words where its first line says {count}")
        if n_foreign:
            logging.getLogger("hgcube").warning(
                "%s: %d of %d words are not %s and were passed over",
                self.path.name,
                n_foreign,
                number,
                self.encoding,
            )


def _numbers(fields: list[bytes]) -> Array | None:
    try:
        numbers = np.array([float(each) for each in fields], dtype=np.float32)
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _is_text(word: bytes, encoding: str) -> bool:
    try:
        word.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _broken(path: Path, got: str, do: str = "Get the file again") -> SourceError:
    return SourceError("a text file of words and their vectors", f"{path.name}: {got}", do)

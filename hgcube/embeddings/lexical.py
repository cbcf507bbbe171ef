"""Spaces of one or few numbers that reviewers ask for: duration, length, frequency, position."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.embeddings.contexts import stretches
from hgcube.embeddings.protocol import Array, Item, OfTexts, Vectors, register
from hgcube.embeddings.segments import RATE, check_lock, coordinate, segments
from hgcube.errors import CubeError, OptionError, SourceError
from hgcube.kernels.order import order_regressors
from hgcube.schema import text_array

SCREEN = 0.02
"""Displays whose durations differ by less, in s, are equally long: a screen draws 60 times a second
or more."""


class _OfNumbers:
    """What families have in common whose vectors are the numbers of their items."""

    layers: tuple[int, ...] = (0,)
    hears = False
    control_of = ""
    _names: tuple[str, ...]

    def vectors(self, items: Sequence[Item]) -> Vectors:
        """Return float32 vectors, dims (item, 1, feature); the feature is a ``quantity``."""
        numbers = np.array([item.numbers for item in items], dtype=np.float32)
        return Vectors(
            values=numbers.reshape(len(items), 1, len(self._names)),
            features={"quantity": text_array(self._names)},
        )

    def files(self) -> tuple[Path, ...]:
        """Return nothing: families that read a table say so themselves."""
        return ()


@register("duration")
class Duration(_OfNumbers):
    """How long each word is spoken, or displayed, in s.

    Parameters
    ----------
    lock : str
        ``"voice"``: from the onset of the voice to where it ends in the audio; ``"display"``: the
        words' coordinate ``duration``.

    Raises
    ------
    OptionError
        For another lock.
    """

    hears = True
    _names = ("duration",)

    def __init__(self, *, lock: str = "voice") -> None:
        check_lock(lock)
        self._lock = lock
        self.hears = lock == "voice"

    def items(self, words: xr.DataArray, audio: xr.DataArray | None) -> list[Item]:
        """Return durations; a word without one is flagged.

        Raises
        ------
        CubeError
            If all displays last equally long, which says nothing of words; without the coordinate.
        """
        if self._lock == "voice":
            heard = segments(words, audio, lock="voice", span=None)
            return [
                item if item.sound is None else Item(numbers=(len(item.sound) / RATE,))
                for item in heard
            ]
        seconds = coordinate(words, n.DURATION)
        known = seconds[np.isfinite(seconds)]
        if len(known) > 1 and np.ptp(known) < SCREEN:
            raise CubeError(
                "displays of unequal duration",
                f"{len(known)} of {known.mean():.3g} s, which says nothing of the words",
                "Use lock='voice' with audio, or leave 'duration' out",
            )
        return [
            Item(numbers=(float(each),)) if each > 0 else Item(flag="no duration")
            for each in seconds
        ]

    def provenance(self) -> dict[str, str]:
        """Return which duration it is."""
        what = "voice, from its onset to its end" if self._lock == "voice" else "display"
        return {"model": f"duration of the {what}, in s", "trained_on": "nothing (measured)"}


@register("letters")
class Letters(OfTexts):
    """Letters and, with a lexicon, phonemes of each word.

    Parameters
    ----------
    lexicon : path, optional
        Text in UTF-8 of lines ``word<TAB>phonemes``, the phonemes separated by spaces. The first
        line of a word counts, and case does not matter. A word that it lacks has no vector.
    """

    def __init__(self, *, lexicon: str | Path | None = None) -> None:
        self._lexicon = None if lexicon is None else Path(lexicon).expanduser()

    def vectors(self, items: Sequence[Item]) -> Vectors:
        """Return float32 counts, dims (item, 1, feature); the feature is a ``quantity``."""
        columns = [[float(_n_letters(item.text)) for item in items]]
        if self._lexicon is not None:
            known = _phonemes(self._lexicon, _state(self._lexicon))
            columns.append([known.get(_key(item.text), np.nan) for item in items])
        return _with_unknown(np.array(columns).T, ("letters", "phonemes")[: len(columns)])

    def provenance(self) -> dict[str, str]:
        """Return what is counted."""
        counted = "letters and digits" + (" and phonemes" if self._lexicon else "")
        named = {} if self._lexicon is None else {"lexicon": self._lexicon.name}
        return {"model": f"number of {counted}", "trained_on": "nothing (counted)", **named}

    def files(self) -> tuple[Path, ...]:
        """Return the lexicon, if there is one."""
        return () if self._lexicon is None else (self._lexicon,)


@register("frequency")
class Frequency(OfTexts):
    """How frequent each word is in a language: log10 of what a table says.

    Parameters
    ----------
    table : path
        Text in UTF-8, TSV or CSV, of words and frequencies or counts (the first two columns); a
        first line whose second field is no number is a heading. Logarithms, such as Zipf values, do
        not belong in it. Case does not matter: all lines of a word are summed. A word that is not
        there, or 0 times, has no vector.
    trained_on : str
        What was counted, stated in the cube.
    """

    def __init__(self, *, table: str | Path, trained_on: str = "not stated") -> None:
        self._table, self._trained_on = Path(table).expanduser(), trained_on

    def vectors(self, items: Sequence[Item]) -> Vectors:
        """Return float32 log10 of frequencies, dims (item, 1, 1)."""
        known = _frequencies(self._table, _state(self._table))
        found = np.array([known.get(_key(item.text), 0.0) for item in items])
        logs = np.log10(found, where=found > 0, out=np.full(len(items), np.nan))
        return _with_unknown(logs[:, np.newaxis], ("log10 frequency",))

    def provenance(self) -> dict[str, str]:
        """Return table and rule."""
        return {
            "model": self._table.name,
            "trained_on": self._trained_on,
            "rule": "log10 of the sum of a word's numbers in the table; case does not matter",
        }

    def files(self) -> tuple[Path, ...]:
        """Return the table."""
        return (self._table,)


@register("order")
class Order(_OfNumbers):
    """Position in the reading: from -1 to 1 within each recording, and slow cosines of it.

    Parameters
    ----------
    terms : int
        Cosines of the position, as `encode` has with ``order_terms`` (`kernels.order`).

    Raises
    ------
    OptionError
        If there are fewer than 0.
    """

    def __init__(self, *, terms: int = 0) -> None:
        if terms < 0:
            raise OptionError("terms of 0 or more", repr(terms), "Raise it")
        self._terms = terms
        self._names = ("position", *(f"cosine {term}" for term in range(1, terms + 1)))

    def items(self, words: xr.DataArray, _audio: xr.DataArray | None) -> list[Item]:
        """Return positions in the order of onsets, if words have them, or of the words."""
        numbers = np.empty((words.sizes[n.WORD], 1 + self._terms))
        for places in stretches(words, "transcript"):
            numbers[places, 0] = 2 * (np.arange(len(places)) + 0.5) / len(places) - 1
            numbers[places, 1:] = order_regressors(len(places), self._terms)[:, 1:]
        return [Item(numbers=tuple(row)) for row in numbers.tolist()]

    def provenance(self) -> dict[str, str]:
        """Return how the position is scaled."""
        cosines = f", and {self._terms} cosines of it" if self._terms else ""
        return {
            "model": f"position in the recording from -1 to 1{cosines}",
            "trained_on": "nothing (counted)",
        }


def _with_unknown(values: Array, names: Sequence[str]) -> Vectors:
    """Return vectors of numbers, those with one missing as a whole missing and flagged."""
    unknown: Array = np.asarray(np.isnan(values).any(axis=1))
    filled = np.where(unknown[:, np.newaxis], np.nan, values).astype(np.float32)
    return Vectors(
        values=filled.reshape(-1, 1, len(names)),
        words={
            "in_vocabulary": ~unknown,
            n.FLAG: text_array(["unknown" if each else "" for each in unknown]),
        },
        features={"quantity": text_array(names)},
    )


def _key(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip().casefold()


def _n_letters(text: str) -> int:
    return sum(map(str.isalnum, unicodedata.normalize("NFC", text)))


def _state(path: Path) -> tuple[int, int]:
    if not path.is_file():
        raise SourceError("a table of words", f"no file {path}", "Correct its path")
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=4)
def _phonemes(path: Path, _now: object) -> dict[str, float]:
    counts: dict[str, float] = {}
    for number, fields in _rows(path, "\t"):
        if len(fields) > 2:
            raise _broken(path, f"{len(fields)} columns in line {number}")
        counts.setdefault(_key(fields[0]), float(len(fields[1].split())))
    if max(counts.values(), default=0) < 2:
        raise _broken(path, "no word of two phonemes with a space between them")
    return counts


@lru_cache(maxsize=4)
def _frequencies(path: Path, _now: object) -> dict[str, float]:
    sums: dict[str, float] = {}
    for number, fields in _rows(path, None):
        try:
            frequency = float(fields[1])
        except ValueError:
            frequency = np.nan
        if np.isfinite(frequency) and frequency >= 0:
            sums[_key(fields[0])] = sums.get(_key(fields[0]), 0.0) + frequency
        elif number > 1:
            raise _broken(path, f"{fields[1]!r} in line {number}, which is no frequency")
    if not sums:
        raise _broken(path, "no word in it")
    return sums


def _rows(path: Path, delimiter: str | None) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines of a table that are not empty, with their numbers from 1."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            stream.seek(0)
            by = delimiter or next((mark for mark in "\t;" if mark in first), ",")
            for number, fields in enumerate(csv.reader(stream, delimiter=by, strict=True), start=1):
                if len(fields) == 1 or (fields and not fields[1].strip()):
                    raise _broken(path, f"one column in line {number}")
                if fields:
                    yield number, fields
    except (UnicodeDecodeError, csv.Error) as error:
        raise _broken(path, str(error)) from None


def _broken(path: Path, got: str) -> SourceError:
    return SourceError(
        "a table of two columns in UTF-8, words first", f"{path.name}: {got}", "Correct the file"
    )

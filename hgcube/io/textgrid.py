"""Praat TextGrid files, long and short text format: the intervals of one tier."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from hgcube.errors import SourceError, UnknownLabelError

_TOKEN = re.compile(
    r'"((?:[^"]|"")*)"|(<exists>)|(?<![\w\[.])(-?\d+(?:\.\d+)?(?:[eE]-?\d+)?)(?![\w\]])'
)
Token = str | float


def read_textgrid(path: Path, *, tier: str) -> pd.DataFrame:
    """Read the labeled intervals of one tier.

    Both text formats hold the same values in the same order; the long one only adds names
    (``xmin =``) and indices in brackets, which are skipped.

    Parameters
    ----------
    path : pathlib.Path
        UTF-8 or UTF-16 text.
    tier : str
        Name of an interval tier, such as ``"words"``.

    Returns
    -------
    pandas.DataFrame
        ``onset``, ``duration`` (s), ``text``; empty intervals left out.

    Raises
    ------
    SourceError
        If the file is no TextGrid.
    UnknownLabelError
        If the tier is not there, naming the closest.
    """
    tokens = _tokens(path)
    try:
        tiers = _tiers(tokens)
    except (IndexError, TypeError, ValueError):
        raise SourceError(f"a whole TextGrid {path}", "a broken one", "Save it again") from None
    if tier not in tiers:
        raise UnknownLabelError.of(f"interval tier of {path.name}", tier, tiers)
    rows = [(start, stop - start, text.strip()) for start, stop, text in tiers[tier]]
    table = pd.DataFrame(rows, columns=["onset", "duration", "text"])
    return table[table["text"] != ""].reset_index(drop=True)


def _tokens(path: Path) -> list[Token]:
    raw = path.read_bytes()
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = raw.decode(encoding, "replace")
    if "ooTextFile" not in text[:80]:
        raise SourceError(f"a TextGrid in text format, {path}", repr(text[:30]), "Save it as text")
    return [
        float(match[3]) if match[3] else match[2] or match[1].replace('""', '"')
        for match in _TOKEN.finditer(text)
    ]


def _tiers(tokens: list[Token]) -> dict[str, list[tuple[float, float, str]]]:
    """Walk: 2 header texts, 2 times, <exists>, tier count, then tier after tier."""
    position = 6
    tiers = {}
    for _ in range(int(tokens[5])):
        kind, name, count = tokens[position], str(tokens[position + 1]), int(tokens[position + 4])
        width = 3 if kind == "IntervalTier" else 2
        rows = [tokens[position + 5 + k * width :][:width] for k in range(count)]
        if kind == "IntervalTier":
            tiers[name] = [(float(row[0]), float(row[1]), str(row[2])) for row in rows]
        position += 5 + count * width
    return tiers

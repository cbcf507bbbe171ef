"""Rows of the benchmark table and how they are printed."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

TITLE = (
    "Synthetic features. Medians; ratio = theirs / ours, in one run, by one thread of one process "
    "where nothing else is said; us are per target, fold and penalty."
)

_WIDTHS = (14, 40, 34, 11, 11, 9, 9, 6)
_TITLES = ("row", "work", "against", "ours", "theirs", "ratio", "at least", "")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison.

    Parameters
    ----------
    name : str
        Kind of row, as given to ``--only``.
    work, against : str
        What was done, and by whom else.
    ours, theirs : float
        Medians, in `unit`; smaller is better. NaN where there is no such number.
    unit : str
    at_least : float, optional
        Ratio that the project promises; None where it promises none.
    note : str
        Accuracy reached, and what was left out.
    """

    name: str
    work: str
    against: str
    ours: float
    theirs: float
    unit: str
    at_least: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float:
        """Theirs over ours."""
        return self.theirs / self.ours if self.ours > 0 else math.inf

    @property
    def verdict(self) -> str:
        """Whether the ratio is as large as promised: "met", "below", or "" without a promise."""
        if self.at_least is None or math.isnan(self.ratio):
            return ""
        return "met" if self.ratio >= self.at_least else "below"

    def as_dict(self) -> dict[str, Any]:
        """Return all columns; numbers that are not finite as None, which JSON can hold."""
        columns = {**asdict(self), "ratio": self.ratio, "verdict": self.verdict}
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in columns.items()
        }


def header() -> str:
    """Return the line of titles."""
    return _line(_TITLES, "note")


def line(row: Row) -> str:
    """Return one row as text."""
    numbers = (f"{_short(value)} {row.unit}" for value in (row.ours, row.theirs))
    needed = "" if row.at_least is None else f"{row.at_least:g}x"
    ratio = "" if math.isnan(row.ratio) else f"{_short(row.ratio)}x"
    return _line((row.name, row.work, row.against, *numbers, ratio, needed, row.verdict), row.note)


def _line(columns: tuple[str, ...], note: str) -> str:
    cells = [
        text.ljust(width) if place < 3 else text.rjust(width)
        for place, (text, width) in enumerate(zip(columns, _WIDTHS, strict=True))
    ]
    return f"{' '.join(cells)}  {note}".rstrip()


def _short(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"

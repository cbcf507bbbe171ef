"""Hand-made tables of bad electrodes and words: marks, never removals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.errors import SourceError, UnknownLabelError
from hgcube.io.bids import read_table
from hgcube.schema import joined_flags, text_array

_REASON = "reason"


def mark_electrodes(recording: xr.Dataset, path: str | Path) -> xr.Dataset:
    """Set ``bad`` and ``bad_reason`` from a table.

    Parameters
    ----------
    recording : xarray.Dataset
        Recording set of one subject.
    path : path
        Tab-separated ``subject``, ``name``, ``reason``; rows of other subjects are passed over.

    Returns
    -------
    xarray.Dataset
        Same electrodes.

    Raises
    ------
    SourceError
        If the table is missing or lacks a column.
    UnknownLabelError
        For a name that the subject does not have, naming the closest.
    """
    reasons = _reasons(path, n.NAME, str(recording.attrs[n.SUBJECT]))
    names = recording[n.NAME].values.astype(object)
    labels = recording[n.ELECTRODE].values.astype(object)
    marked = {name: index for index, name in enumerate(labels)}
    marked |= {name: index for index, name in enumerate(names)}
    bad = recording[n.BAD].values.copy()
    texts = recording[n.BAD_REASON].values.astype(object)
    for name, reason in reasons:
        if name not in marked:
            raise UnknownLabelError.of(f"electrode name in {path}", name, names)
        bad[marked[name]] = True
        texts[marked[name]] = joined_flags(texts[marked[name]], reason)
    return recording.assign_coords(
        {n.BAD: (n.ELECTRODE, bad), n.BAD_REASON: (n.ELECTRODE, text_array(texts))}
    )


def mark_words(recording: xr.Dataset, path: str | Path) -> xr.Dataset:
    """Add ``bad: reason`` to the flags of words from a table; `hgcube.epoch` leaves them out.

    Parameters
    ----------
    recording : xarray.Dataset
        Recording set of one subject.
    path : path
        Tab-separated ``subject``, ``word`` (its text), ``reason``.

    Returns
    -------
    xarray.Dataset
        Same words.

    Raises
    ------
    SourceError
        If the table is missing or lacks a column.
    UnknownLabelError
        For a word that the subject did not read, naming the closest.
    """
    texts = recording["words"].values.astype(object)
    flags = recording[n.FLAG].values.astype(object)
    for word, reason in _reasons(path, n.WORD, str(recording.attrs[n.SUBJECT])):
        where = np.flatnonzero(texts == word)
        if not len(where):
            raise UnknownLabelError.of(f"word in {path}", word, texts)
        for index in where:
            flags[index] = joined_flags(flags[index], f"{n.BAD}: {reason}")
    return recording.assign_coords({n.FLAG: (n.WORD, text_array(flags))})


def _reasons(path: str | Path, column: str, subject: str) -> list[tuple[str, str]]:
    path = Path(path)
    if not path.is_file():
        raise SourceError("a table of bad electrodes or words", f"no file {path}", "Check the path")
    table = read_table(path, [n.SUBJECT, column, _REASON])
    own = table[table[n.SUBJECT].str.removeprefix("sub-") == subject]
    return list(zip(own[column], own[_REASON].replace("", "marked by hand"), strict=True))

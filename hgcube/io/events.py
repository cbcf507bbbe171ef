"""Words and when they were shown: events.tsv, the stimulus track, CSV or TextGrid."""

from __future__ import annotations

import logging
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hgcube import names as n
from hgcube.errors import SourceError
from hgcube.io.arrays import Series
from hgcube.io.bids import NOT_AVAILABLE, read_table
from hgcube.io.textgrid import read_textgrid
from hgcube.schema import finish, text_array

_LOG = logging.getLogger("hgcube")
_NO_WORD = ("", "+", NOT_AVAILABLE, "fixation")
_SHOWN = 5
OUTSIDE = "outside"


def read_events(path: str | Path, *, tier: str = "words") -> pd.DataFrame:
    """Read words from a table or a Praat TextGrid.

    Parameters
    ----------
    path : path
        ``.csv`` (commas) or ``.tsv`` (tabs) with the columns onset, duration (s) and text, or
        ``.TextGrid``.
    tier : str
        Interval tier of a TextGrid.

    Returns
    -------
    pandas.DataFrame
        ``onset``, ``duration`` in s, ``text``.

    Raises
    ------
    SourceError
        If the file is missing or a column or number is wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise SourceError("a table of events", f"no file {path}", "Check the path")
    if path.suffix.casefold() == ".textgrid":
        return read_textgrid(path, tier=tier)
    separator = "\t" if path.suffix.casefold() == ".tsv" else ","
    table = read_table(path, [n.ONSET, n.DURATION, n.TEXT], separator=separator)
    return _timed(table, table[n.TEXT], path)


def bids_words(path: Path) -> pd.DataFrame:
    """Read the words of a BIDS events.tsv.

    Parameters
    ----------
    path : pathlib.Path
        With ``onset``, ``duration``, ``value`` and mostly ``trial_type``.

    Returns
    -------
    pandas.DataFrame
        ``onset``, ``duration``, ``text``: rows whose ``trial_type`` is ``word``; without such
        rows, all whose ``value`` has a letter and is no fixation. Maybe empty.
    """
    table = read_table(path, [n.ONSET, n.DURATION])
    if "value" not in table:
        return _timed(table.iloc[:0], table[n.ONSET].iloc[:0], path)
    word_rows = table.get("trial_type", table["value"]).str.casefold() == "word"
    if not word_rows.any() or "trial_type" not in table:
        word_rows = is_word(table["value"])
    return _timed(table[word_rows], table["value"][word_rows], path)


def is_word(texts: pd.Series) -> pd.Series:
    """Say which texts are words: some letter, and no name of a fixation.

    Parameters
    ----------
    texts : pandas.Series

    Returns
    -------
    pandas.Series of bool
    """
    folded = texts.astype(object).map(str).str.strip().str.casefold()
    words = [any(map(str.isalpha, text)) and text not in _NO_WORD for text in folded]
    return pd.Series(words, texts.index, dtype=bool)


def stimulus_words(stimulus: Series, sampling_frequency: float) -> pd.DataFrame:
    """Turn the runs of a stimulus track into words.

    Parameters
    ----------
    stimulus : Series
        Runs in samples; its own rate, where stated, comes before `sampling_frequency`.
    sampling_frequency : float
        Hz, of the iEEG.

    Returns
    -------
    pandas.DataFrame
        ``onset``, ``duration`` in s, ``text``.
    """
    runs = stimulus.values[is_word(stimulus.values["text"])]
    rate = stimulus.sampling_frequency or sampling_frequency
    return pd.DataFrame(
        {
            n.ONSET: stimulus.start + runs["first"] / rate,
            n.DURATION: runs["length"] / rate,
            n.TEXT: runs["text"],
        }
    ).reset_index(drop=True)


def disagreements(events: pd.DataFrame, stimulus: pd.DataFrame, tolerance: float) -> list[str]:
    """Compare two lists of words, in their order.

    Parameters
    ----------
    events, stimulus : pandas.DataFrame
        ``onset`` in s and ``text``.
    tolerance : float
        s by which onsets may differ.

    Returns
    -------
    list of str
        One sentence a word that only one of them has, or whose onset differs.
    """
    matcher = SequenceMatcher(
        a=events[n.TEXT].tolist(), b=stimulus[n.TEXT].tolist(), autojunk=False
    )
    found = []
    for kind, begin, end, first, last in matcher.get_opcodes():
        ours, theirs = events.iloc[begin:end], stimulus.iloc[first:last]
        if kind == "equal":
            late = np.abs(ours[n.ONSET].to_numpy() - theirs[n.ONSET].to_numpy()) > tolerance
            found += [
                f"{text!r} at {one:.4f} s in the events, {other:.4f} s in Stimulus"
                for text, one, other in zip(
                    ours[n.TEXT][late], ours[n.ONSET][late], theirs[n.ONSET][late], strict=True
                )
            ]
        else:
            found += [f"{_shown(row)} only in the events" for row in ours.itertuples()]
            found += [f"{_shown(row)} only in Stimulus" for row in theirs.itertuples()]
    return found


def agreed_words(
    events: pd.DataFrame | None, stimulus: pd.DataFrame | None, tolerance: float, path: Path
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Choose the words of a recording: the events, checked against the stimulus track.

    Parameters
    ----------
    events, stimulus : pandas.DataFrame or None
        None where the source does not exist.
    tolerance : float
        s by which onsets may differ.
    path : pathlib.Path
        The signal file, for the log and errors.

    Returns
    -------
    words : pandas.DataFrame
        The events; the stimulus where there are none.
    attrs : dict
        ``event_disagreements``: how many and the first of them; "" when the two agree.

    Raises
    ------
    SourceError
        If neither has a word.
    """
    sources = [words for words in (events, stimulus) if words is not None and len(words)]
    if not sources:
        raise SourceError(
            f"words of {path}, in events.tsv or an acquisition 'Stimulus'",
            "no word in either",
            "Add events.tsv with trial_type 'word', or name a table of events",
        )
    if len(sources) == 1:
        return sources[0], {}
    found = disagreements(sources[0], sources[1], tolerance)
    if not found:
        return sources[0], {"event_disagreements": ""}
    count = "1 disagreement" if len(found) == 1 else f"{len(found)} disagreements"
    text = f"{count}: {'; '.join(found[:_SHOWN])}"
    _LOG.warning("%s: %s", path, text)
    return sources[0], {"event_disagreements": text}


def words_cube(
    words: pd.DataFrame,
    *,
    end: float,
    tolerance: float,
    path: Path,
    run: str,
    attrs: dict[str, str],
) -> xr.DataArray:
    """Label the words of one recording.

    Parameters
    ----------
    words : pandas.DataFrame
        ``onset``, ``duration`` in s, ``text``.
    end : float
        s, of the recording.
    tolerance : float
        s by which a word may end after it.
    path : pathlib.Path
        The signal file, for the log.
    run : str
        Label of the run.
    attrs : dict

    Returns
    -------
    xarray.DataArray
        Kind ``words``; words that lie outside the recording keep their place and are flagged.
    """
    onset, duration = words[n.ONSET].to_numpy(float), words[n.DURATION].to_numpy(float)
    within = (onset >= 0) & (onset + duration <= end + tolerance)
    if not within.all():
        _LOG.warning(
            "%s: %d of %d words lie outside the recording", path, (~within).sum(), len(words)
        )
    cube = xr.DataArray(
        text_array(words[n.TEXT]),
        dims=n.WORD,
        coords={
            n.WORD: np.arange(len(words)),
            n.ONSET: (n.WORD, onset, {"units": n.SECOND, "long_name": "display onset"}),
            n.DURATION: (n.WORD, duration, {"units": n.SECOND}),
            n.FLAG: (n.WORD, text_array(np.where(within, "", OUTSIDE))),
            "run": (n.WORD, text_array([run] * len(words))),
        },
    )
    return finish(cube, "words", attrs=attrs)


def _timed(table: pd.DataFrame, texts: pd.Series, path: Path) -> pd.DataFrame:
    seconds = table[[n.ONSET, n.DURATION]].apply(pd.to_numeric, errors="coerce")
    wrong = seconds.isna().any(axis=1) | (seconds[n.DURATION] < 0)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise SourceError(
            f"onset and duration in seconds in {path}",
            f"{table.iloc[row][[n.ONSET, n.DURATION]].tolist()} for {texts.iloc[row]!r}",
            "Correct the row",
        )
    timed: pd.DataFrame = seconds.astype(float).assign(**{n.TEXT: texts})
    ordered: pd.DataFrame = timed.sort_values(n.ONSET, kind="stable")
    return ordered.reset_index(drop=True)


def _shown(row: object) -> str:
    return f"{row.text!r} at {row.onset:.4f} s"  # type: ignore[attr-defined]

"""Measured ratios against other people's programs, in one process and one run."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from hgcube.benchmarking import grid, leave_one_out, power, study, threads
from hgcube.benchmarking.machine import facts
from hgcube.benchmarking.peers import PEERS
from hgcube.benchmarking.table import TITLE as TITLE
from hgcube.benchmarking.table import Row
from hgcube.benchmarking.table import header as header
from hgcube.benchmarking.table import line as line
from hgcube.benchmarking.timing import FULL, QUICK, Effort
from hgcube.cluster import one_thread_each
from hgcube.errors import OptionError, UnknownLabelError

ROWS: dict[str, Callable[[Effort], Iterator[Row]]] = {
    "leave_one_out": leave_one_out.centred,
    "standardized": leave_one_out.standardized,
    "grid": grid.rows,
    "high_gamma": power.rows,
    "threads": threads.rows,
}
"""Kinds of rows that a run without names makes."""

STUDY = "study"


def bench(names: Iterable[str] = (), *, quick: bool = False, share: float = 1.0) -> Iterator[Row]:
    """Measure, and yield each row when it is there.

    Parameters
    ----------
    names : iterable of str
        Of `ROWS`, or "study", which takes hours; all of `ROWS` when empty.
    quick : bool
        Small sizes and few repeats: to see that everything runs, not to be quoted.
    share : float
        Of the study's targets.

    Yields
    ------
    Row

    Raises
    ------
    UnknownLabelError
        If there is no row of such a name.
    OptionError
        If `share` is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise OptionError("a share above 0 and at most 1", repr(share), "Correct --share")
    kinds = {**ROWS, STUDY: lambda effort: study.rows(effort, share)}
    chosen = list(names) or list(ROWS)
    for name in chosen:
        if name not in kinds:
            raise UnknownLabelError.of("kind of row", name, kinds)
    return measured([kinds[name] for name in chosen], QUICK if quick else FULL)


def measured(kinds: Iterable[Callable[[Effort], Iterator[Row]]], effort: Effort) -> Iterator[Row]:
    """Yield the rows of some kinds, one thread for all of them.

    Parameters
    ----------
    kinds : iterable of callable
        `Effort` -> rows.
    effort : Effort

    Yields
    ------
    Row
    """
    with one_thread_each(), warnings.catch_warnings():
        # Peers warn that they did not converge; the gap that they reached is in the table.
        warnings.simplefilter("ignore")
        for rows in kinds:
            yield from rows(effort)


def machine() -> dict[str, str]:
    """Return the facts of this machine and the versions of what is measured."""
    return facts(tuple(peer.package for peer in PEERS.values()))


def absent() -> dict[str, str]:
    """Return the peers that cannot be measured here, and why."""
    return {name: peer.missing for name, peer in PEERS.items() if peer.missing}


def write_json(path: Path, rows: Iterable[Row]) -> None:
    """Write the machine's facts, the peers that are absent and the rows.

    Parameters
    ----------
    path : Path
    rows : iterable of Row
    """
    content = {"machine": machine(), "absent": absent(), "rows": [row.as_dict() for row in rows]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

"""The tolerance at which a peer is as accurate as the table demands."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from hgcube.benchmarking.peers import Peer
from hgcube.benchmarking.problems import Fold, Penalty, relative_gap
from hgcube.benchmarking.timing import PATIENCE, cpu_seconds, targets_for

GAP = 1e-6
"""Largest relative duality gap of any target."""

TOLERANCES = tuple(10.0 ** -(place / 2) for place in range(6, 32))
"""From loose to tight; each peer gets the first that brings every target within `GAP`."""


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """A peer at the loosest tolerance that reaches `GAP`, or at the tightest it was tried with.

    Parameters
    ----------
    call : callable
        Fits `n_targets` targets in one fold.
    n_targets : int
    tolerance, gap : float
        As given, and as reached.
    failure : str
        The error that it raised, if it did.
    """

    call: Callable[[], object]
    n_targets: int
    tolerance: float
    gap: float
    failure: str = ""


def tune(peer: Peer, fold: Fold, penalty: Penalty, seconds: float) -> Tuned:
    """Find the peer's tolerance on a few targets, then on as many as fill `seconds`.

    Parameters
    ----------
    peer : Peer
    fold : Fold
    penalty : Penalty
    seconds : float

    Returns
    -------
    Tuned
        Also of a peer that raises an error: other people's mistakes cost a row, not the table.
    """
    try:
        return _tuned(peer, fold, penalty, seconds)
    except Exception as error:
        failure = f"failed: {type(error).__name__}: {error}".splitlines()[0]
        return Tuned(call=_nothing, n_targets=1, tolerance=0.0, gap=math.inf, failure=failure)


def _nothing() -> None:
    """Stand for the call of a peer that failed."""


def _tuned(peer: Peer, fold: Fold, penalty: Penalty, seconds: float) -> Tuned:
    few = fold.first(peer.batch or 4)
    # What a first call compiles or imports is not its speed.
    peer.solve(few, penalty, TOLERANCES[0])
    place, _, taken = _first_within(peer, few, penalty, 0)
    n_targets = targets_for(seconds, taken / len(few.targets), most=len(fold.targets))
    many = fold.first(peer.batch or n_targets)
    place, gap, _ = _first_within(peer, many, penalty, place)
    return Tuned(
        call=partial(peer.solve, many, penalty, TOLERANCES[place]),
        n_targets=len(many.targets),
        tolerance=TOLERANCES[place],
        gap=gap,
    )


def _first_within(peer: Peer, fold: Fold, penalty: Penalty, start: int) -> tuple[int, float, float]:
    """Return the place of the tolerance, the largest gap, and the seconds of the last call."""
    place, gap, taken, spent = start, math.inf, 0.0, 0.0
    for place in range(start, len(TOLERANCES)):
        call = partial(peer.solve, fold, penalty, TOLERANCES[place])
        weights, taken = cpu_seconds(call)
        gap = float(relative_gap(fold, weights, penalty).max())
        spent += taken
        if gap <= GAP or spent > PATIENCE:
            break
    return place, gap, taken

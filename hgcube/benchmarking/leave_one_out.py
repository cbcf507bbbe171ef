"""Leave-one-word-out elastic nets at single penalties: ours in all folds, a peer in one of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from hgcube.benchmarking.peers import FIT, PEERS, Peer
from hgcube.benchmarking.problems import Fold, Penalty, Problem, make_fold, make_problem
from hgcube.benchmarking.table import Row
from hgcube.benchmarking.timing import FULL, Effort, cpu_seconds, medians, targets_for
from hgcube.benchmarking.tuning import GAP, Tuned, tune
from hgcube.kernels.designs import Path
from hgcube.kernels.solvers import SOLVERS

# From about one to about 150 non-zero coefficients of 300.
PENALTIES = tuple(Penalty(l1=l1, l2=0.1) for l1 in (0.3, 0.2, 0.1, 0.03, 0.01))
SEED = 1
# Targets enough that what a design prepares does not rule the estimate of the time of one.
_FEW = 32


def centred(effort: Effort, penalties: tuple[Penalty, ...] = PENALTIES) -> Iterator[Row]:
    """Yield rows for features and targets centred on each fold's training words.

    Parameters
    ----------
    effort : Effort
    penalties : tuple of Penalty

    Yields
    ------
    Row
        One for each peer that is here, and one for the fastest within `GAP`.
    """
    for cell in _cells(effort, penalties, standardize=False):
        rows = list(cell.rows("leave_one_out", PEERS, effort))
        fit, best = promised(cell.problem.features.shape[1], cell.n_nonzero)
        yield from _with_promise(rows, fit)
        reached = [row for row in rows if row.theirs > 0]
        if reached:
            fastest = min(reached, key=lambda row: row.theirs)
            yield replace(fastest, against=f"best peer: {fastest.against}", at_least=best)


def standardized(effort: Effort, penalties: tuple[Penalty, ...] = PENALTIES) -> Iterator[Row]:
    """Yield rows for features and targets scaled on each fold's training words, and the median.

    Parameters
    ----------
    effort : Effort
    penalties : tuple of Penalty

    Yields
    ------
    Row
    """
    ratios = []
    for cell in _cells(effort, penalties, standardize="fold"):
        for row in _with_promise(list(cell.rows("standardized", {FIT: PEERS[FIT]}, effort)), 9):
            ratios.append(row.ratio)
            yield row
    yield Row(
        name="standardized",
        work="median of the cells",
        against=FIT,
        ours=1.0,
        theirs=float(np.nanmedian(ratios)),
        unit="rel.",
        at_least=25 if effort.sizes == FULL.sizes else None,
    )


def promised(n_features: int, n_nonzero: float) -> tuple[float | None, float | None]:
    """Return the ratios promised against scikit-learn's fit and against the best peer."""
    if n_features < 300:
        return None, None
    if n_nonzero <= 2:
        return 150, 60
    return (40, 28) if n_nonzero < 75 else (100, 45)


def _with_promise(rows: list[Row], at_least: float | None) -> Iterator[Row]:
    for row in rows:
        promise = at_least if row.against == FIT else None
        yield replace(row, at_least=promise)


def _cells(
    effort: Effort, penalties: tuple[Penalty, ...], *, standardize: str | bool
) -> Iterator[Cell]:
    for n_features in effort.sizes:
        problem = make_problem(n_features, effort.most_targets, n_words=effort.n_words, seed=SEED)
        fold = make_fold(problem, effort.n_words // 2, standardize=standardize)
        for penalty in penalties:
            yield Cell.of(problem, fold, penalty, standardize=standardize, seconds=effort.seconds)


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One size and one penalty.

    Parameters
    ----------
    problem : Problem
        Cut to as many targets as fill the seconds aimed at.
    fold : Fold
        The peers' fold, with all targets.
    penalty : Penalty
    ours : callable
        Fits all folds of `problem`.
    n_nonzero : float
        Mean number of non-zero coefficients.
    not_converged : int
        Fits of ours that stopped early.
    """

    problem: Problem
    fold: Fold
    penalty: Penalty
    ours: Callable[[], Path]
    n_nonzero: float
    not_converged: int

    @classmethod
    def of(
        cls,
        problem: Problem,
        fold: Fold,
        penalty: Penalty,
        *,
        standardize: str | bool,
        seconds: float,
    ) -> Cell:
        """Return the cell, its compiled code loaded and its number of targets found."""
        few = problem.first(_FEW)
        fit_all_folds(few, penalty, standardize=standardize)
        _, taken = cpu_seconds(lambda: fit_all_folds(few, penalty, standardize=standardize))
        per_target = taken / few.targets.shape[1]
        many = problem.first(targets_for(seconds, per_target, most=problem.targets.shape[1]))
        path = fit_all_folds(many, penalty, standardize=standardize)
        return cls(
            problem=many,
            fold=fold,
            penalty=penalty,
            ours=partial(fit_all_folds, many, penalty, standardize=standardize),
            n_nonzero=float(path.n_nonzero.mean()),
            not_converged=int(path.not_converged.sum()),
        )

    def rows(self, name: str, peers: Mapping[str, Peer], effort: Effort) -> Iterator[Row]:
        """Time ours and every peer that is here in turns, and yield their rows."""
        tuned = {
            against: tune(peer, self.fold, self.penalty, effort.seconds)
            for against, peer in peers.items()
            if not peer.missing
        }
        calls = {against: one.call for against, one in tuned.items() if not one.failure}
        seconds = medians({"": self.ours, **calls}, effort.repeats)
        n_words, n_features = self.problem.features.shape
        fits = self.problem.targets.shape[1] * n_words
        for against, one in tuned.items():
            theirs = seconds.get(against, math.nan) / one.n_targets * 1e6
            yield Row(
                name=name,
                work=f"p {n_features}, l1 {self.penalty.l1:g}, {self.n_nonzero:.1f} non-zero",
                against=against,
                ours=seconds[""] / fits * 1e6,
                theirs=theirs if one.gap <= GAP else math.nan,
                unit="us",
                note=self._note(one, theirs),
            )

    def _note(self, tuned: Tuned, theirs: float) -> str:
        reached = f"gap {tuned.gap:.1e} at tolerance {tuned.tolerance:.0e}"
        missed = "" if tuned.gap <= GAP else f", not reached in {theirs:.0f} us"
        ours = f"; {self.not_converged} of ours not converged" if self.not_converged else ""
        return (tuned.failure or reached + missed) + ours


def fit_all_folds(problem: Problem, penalty: Penalty, *, standardize: str | bool) -> Path:
    """Return our fit of all folds and targets, with everything that it needs computed anew."""
    design = problem.design(penalty, standardize=standardize)
    return SOLVERS["elastic_net"].prepare(design)(problem.targets)

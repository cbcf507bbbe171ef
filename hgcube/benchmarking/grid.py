"""A whole grid of 10 x 10 penalties: ours in all folds, scikit-learn's kernel warm in one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hgcube.benchmarking.leave_one_out import SEED
from hgcube.benchmarking.peers import KERNEL, PEERS, descent
from hgcube.benchmarking.problems import Fold, Penalty, Problem, make_fold, make_problem
from hgcube.benchmarking.table import Row
from hgcube.benchmarking.timing import Effort, medians
from hgcube.kernels.designs import Path
from hgcube.kernels.elastic_net import sweep

VALUES = np.geomspace(1.0, 1e-3, 10)
# Sweeps after which the kernel gives up on one fit, and the tolerance that reaches gap 1e-6.
CAP = 20_000
TOLERANCE = 5e-7
PROMISED = {50: 100.0, 300: 1000.0}
# What each of the 100 designs prepares is shared by as many targets as a subject has electrodes.
_OURS = 127
# Targets of the kernel for each second that a call should take: it takes far longer.
_PER_SECOND = 16


def rows(effort: Effort, values: tuple[float, ...] = tuple(VALUES)) -> Iterator[Row]:
    """Yield one row for each size.

    Parameters
    ----------
    effort : Effort
    values : tuple of float
        Of l1 and of l2, falling.

    Yields
    ------
    Row
        No row at all where scikit-learn's kernel cannot be called.
    """
    if PEERS[KERNEL].missing:
        return
    for n_features in effort.grid_sizes:
        problem = make_problem(n_features, effort.most_targets, n_words=effort.n_words, seed=SEED)
        yield _row(problem, values, effort)


def _row(problem: Problem, values: tuple[float, ...], effort: Effort) -> Row:
    n_words, n_features = problem.features.shape
    many = problem.first(_OURS)
    # What a first call compiles or imports is not its speed.
    _whole_grid(many.first(1), values[:1])
    n_theirs = max(1, round(effort.seconds * _PER_SECOND))
    fold = make_fold(problem, n_words // 2, standardize=False).first(n_theirs)
    found: list[int] = []
    taken_by = medians(
        {
            "ours": lambda: _whole_grid(many, values),
            "theirs": lambda: found.append(_warm_path(fold, values)),
        },
        effort.repeats,
    )
    capped, fits = found[-1], len(values) ** 2
    return Row(
        name="grid",
        work=f"p {n_features}, {len(values)} x {len(values)} penalties",
        against=f"{KERNEL}, warm path",
        ours=taken_by["ours"] / (many.targets.shape[1] * n_words * fits) * 1e6,
        theirs=taken_by["theirs"] / (len(fold.targets) * fits) * 1e6,
        unit="us",
        at_least=PROMISED.get(n_features),
        note=f"{capped} of {len(fold.targets) * fits} of theirs hit the cap of {CAP} sweeps",
    )


def _whole_grid(problem: Problem, values: tuple[float, ...]) -> Path:
    """Go down l1 from the last solution, as the kernel does, for each l2."""
    design = problem.design(Penalty(l1=values[0], l2=values[0]), standardize=False)
    l1, l2 = np.tile(values, len(values)), np.repeat(values, len(values))
    return sweep(design, l1, l2)(problem.targets)


def _warm_path(fold: Fold, values: tuple[float, ...]) -> int:
    """Run the kernel down l1 from the last solution; return how often it hit the cap."""
    descend = descent(fold, TOLERANCE, CAP)
    capped = 0
    for l2 in values:
        for target, weights in enumerate(np.zeros_like(fold.products)):
            for l1 in values:
                capped += descend(target, weights, Penalty(l1=l1, l2=l2)) >= CAP
    return capped

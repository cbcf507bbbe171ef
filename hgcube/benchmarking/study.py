"""The whole study, or a share of it: wall seconds on two workers, scikit-learn's time beside."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np

from hgcube.benchmarking import sklearn_study as theirs
from hgcube.benchmarking.problems import Penalty, Problem, make_problem
from hgcube.benchmarking.table import Row
from hgcube.benchmarking.timing import Effort
from hgcube.kernels.choice import added_predictions
from hgcube.kernels.designs import Array, Design, elastic_candidates
from hgcube.kernels.permutations import permutation_table, refitted_null
from hgcube.kernels.solvers import SOLVERS

S = TypeVar("S")
T = TypeVar("T")

ELECTRODES = (127, 127, 127, 115, 60, 127, 127, 54, 117, 122)
SPACES = (768, 300, 50)
"""Features of GPT-2, FastText and 50 components of Wav2Vec, drawn synthetically; the slow first."""

WORKERS = 2
INNER_FOLDS = 10
NULL_PENALTY = Penalty(l1=0.2, l2=0.1)
_SEED = 3


Fit = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One way to fit the whole study.

    Parameters
    ----------
    work : str
    limit : float
        Wall seconds that the project promises to stay under.
    prepare : callable
        One subject in one space -> a call that fits it; what the features alone decide is done.
    theirs : callable
        Problem -> scikit-learn's CPU seconds for one target, all folds.
    """

    work: str
    limit: float
    prepare: Callable[[Problem], Fit]
    theirs: Callable[[Problem], float]


def rows(
    effort: Effort,
    share: float = 1.0,
    electrodes: tuple[int, ...] = ELECTRODES,
    spaces: tuple[int, ...] = SPACES,
) -> Iterator[Row]:
    """Yield two rows for each job: against its limit and against scikit-learn.

    Parameters
    ----------
    effort : Effort
    share : float
        Of each subject's targets that are fitted; their time, without that of what depends on
        the features alone, is extrapolated from them.
    electrodes : tuple of int
        Targets of each subject.
    spaces : tuple of int
        Features of each space.

    Yields
    ------
    Row
    """
    problems = _problems(share, effort.n_words, electrodes, spaces)
    used = sum(problem.targets.shape[1] for problem in problems)
    whole = sum(electrodes) * len(spaces)
    for job, short in zip(jobs(effort.permutations), jobs(1), strict=True):
        for problem in problems[:: len(electrodes)]:
            # What is compiled on a first call is paid once per machine.
            short.prepare(problem.first(1))()
        fits, preparing = _wall(job.prepare, problems)
        _, fitting = _wall(lambda fit: fit(), fits)
        seconds = preparing + fitting * whole / used
        yield from _rows(job, seconds, _their_seconds(job, problems, electrodes), used / whole)


def _rows(job: Job, seconds: float, scikit_learn: float, share: float) -> Iterator[Row]:
    extrapolated = "" if share == 1 else f"; extrapolated from {share:.1%} of the targets"
    limit = Row(
        name="study",
        work=job.work,
        against=f"the limit of {job.limit:.0f} s",
        ours=seconds,
        theirs=job.limit,
        unit="s",
        at_least=1.0,
        note=f"wall, {WORKERS} workers{extrapolated}",
    )
    yield limit
    yield replace(
        limit,
        against="scikit-learn",
        theirs=scikit_learn,
        at_least=None,
        note="theirs extrapolated from a few targets in one fold of each space",
    )


def jobs(permutations: int) -> tuple[Job, ...]:
    """Return the five jobs."""
    return (
        Job(
            work="elastic net, 10 penalties",
            limit=60,
            prepare=_path,
            theirs=theirs.path_seconds,
        ),
        Job(
            work=f"elastic net, nested, inner {INNER_FOLDS}-fold",
            limit=15 * 60,
            prepare=partial(_nested, INNER_FOLDS),
            theirs=partial(theirs.nested_seconds, INNER_FOLDS),
        ),
        Job(
            work="elastic net, nested, inner leave-one-out",
            limit=60 * 60,
            prepare=partial(_nested, None),
            theirs=partial(theirs.nested_seconds, None),
        ),
        Job(
            work=f"ridge, nested, {permutations} permutations",
            limit=3 * 60,
            prepare=partial(_ridge_null, permutations),
            theirs=partial(theirs.ridge_null_seconds, permutations),
        ),
        Job(
            work=f"elastic net, l1 {NULL_PENALTY.l1:g}, {permutations} permutations",
            limit=20 * 60,
            prepare=partial(_net_null, permutations),
            theirs=partial(theirs.net_null_seconds, NULL_PENALTY, permutations),
        ),
    )


def candidates(problem: Problem) -> list[Penalty]:
    """Return the elastic net's own ten candidates."""
    pairs = zip(*elastic_candidates(problem.design(standardize="fold")), strict=True)
    return [Penalty(l1=alpha * ratio, l2=alpha * (1 - ratio)) for alpha, ratio in pairs]


def _problems(
    share: float, n_words: int, electrodes: tuple[int, ...], spaces: tuple[int, ...]
) -> list[Problem]:
    """Return one problem for each subject and space, space by space, features shared by subjects.

    Shares are rounded up to one target, which makes the extrapolated time the larger.
    """
    problems = []
    for n_features in spaces:
        drawn = make_problem(n_features, sum(electrodes), n_words=n_words, seed=_SEED)
        ends = np.cumsum(electrodes)
        for end, count in zip(ends, electrodes, strict=True):
            first = end - count
            last = first + max(1, round(share * count))
            targets = np.ascontiguousarray(drawn.targets[:, first:last])
            problems.append(Problem(features=drawn.features, targets=targets))
    return problems


def _wall(call: Callable[[S], T], items: list[S]) -> tuple[list[T], float]:
    """Return what `call` makes of all items on all workers, and the wall seconds."""
    began = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        made = list(pool.map(call, items))
    return made, time.perf_counter() - began


def _their_seconds(job: Job, problems: list[Problem], electrodes: tuple[int, ...]) -> float:
    """Return scikit-learn's seconds on as many workers, were they never idle."""
    one_of_each = problems[:: len(electrodes)]
    return sum(job.theirs(problem) for problem in one_of_each) * sum(electrodes) / WORKERS


def _path(problem: Problem) -> Fit:
    fitters = [
        SOLVERS["elastic_net"].prepare(problem.design(penalty, standardize="fold"))
        for penalty in candidates(problem)
    ]
    return lambda: [fitter(problem.targets).not_converged for fitter in fitters]


def _nested(inner: int | None, problem: Problem) -> Fit:
    design = replace(problem.design(standardize="fold"), inner=inner)
    return partial(_added("elastic_net", design), problem.targets)


def _null(solver: str, design: Design, permutations: int, problem: Problem) -> Fit:
    """Prepare to refit all permutations, the penalty chosen anew in each of them."""
    n_words = len(problem.features)
    mean = np.full((n_words, n_words), 1 / n_words)
    without_own = (1.0 - np.eye(n_words)) / (n_words - 1)
    table = permutation_table(n_words, permutations, block=None, seed=_SEED)
    added = _added(solver, design)
    return partial(refitted_null, added, without_own, mean, problem.targets, table)


def _ridge_null(permutations: int, problem: Problem) -> Fit:
    return _null("ridge", problem.design(standardize="all_words"), permutations, problem)


def _net_null(permutations: int, problem: Problem) -> Fit:
    design = problem.design(NULL_PENALTY, standardize="fold")
    return _null("elastic_net", design, permutations, problem)


def _added(solver: str, design: Design) -> Callable[[Array], Array]:
    """Return targets -> what the model adds at the penalty chosen for each fold and target."""
    fitter = SOLVERS[solver].prepare(design)

    def added(targets: Array) -> Array:
        each_alone = np.arange(targets.shape[1])
        path = fitter(targets)
        return added_predictions(path, targets, design.testing, design.training, each_alone)

    return added

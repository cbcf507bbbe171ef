"""What a fit costs, in seconds and bytes, from its sizes alone.

The seconds are those of one core of a machine of 2026, and constants: how work is cut follows
from them, and the cut decides the last bits, so a faster machine must cut alike.
`tests/benchmarks/test_costs.py` holds them against the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hgcube.kernels.designs import penalties
from hgcube.kernels.ridge import MULTIPLES

# Permuted targets that are fitted at once, and arrays of the size of one block that are held.
_COLUMNS = 2_560
_COPIES = 2


@dataclass(frozen=True, kw_only=True)
class Work:
    """Sizes of the fit of one subject and space.

    Parameters
    ----------
    solver : str
        Key of `hgcube.kernels.solvers.SOLVERS`.
    n_words, n_features, n_folds : int
    n_candidates : int
        Penalties among which each fold chooses.
    n_inner : int
        Folds of the training words that judge them.
    permutations : int
        Of all nulls together.
    nested : bool
        Whether each permutation chooses anew.
    strict : bool
        Whether each fold scales the features for itself.
    components : int
        Principal components that each fold has for itself; 0 for the features.
    """

    solver: str
    n_words: int
    n_features: int
    n_folds: int
    penalties: tuple[float, ...] = (0.1,)
    n_inner: int = 1
    permutations: int = 0
    nested: bool = False
    strict: bool = True
    components: int = 0

    @property
    def of_null(self) -> Work:
        """What each permutation repeats."""
        return self if self.nested else replace(self, penalties=self.penalties[-1:])

    @property
    def n_candidates(self) -> int:
        """Number of penalties."""
        return len(self.penalties)


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Seconds: those that all targets of a block share, and those of each target."""

    shared: float
    each: float


def cost_of(work: Work) -> Cost:
    """Return the predicted seconds of a fit.

    Parameters
    ----------
    work : Work

    Returns
    -------
    Cost
    """
    return COSTS[work.solver](work)


def memory_of(work: Work, n_targets: int) -> int:
    """Return the predicted bytes of a block at its peak.

    Parameters
    ----------
    work : Work
    n_targets : int
        Of the block.

    Returns
    -------
    int
    """
    by_target = work.n_words + 2 * work.n_folds
    columns = max(n_targets, _COLUMNS) if work.permutations else 0
    numbers = (
        3 * work.n_features**2
        + 12 * work.n_words * (work.n_words + work.n_features)
        + _of_folds(work)
        + n_targets * work.n_candidates * by_target
        + columns * work.of_null.n_candidates * by_target
        + (4 * n_targets + work.n_words) * work.permutations
    )
    return 8 * _COPIES * numbers


def _of_folds(work: Work) -> int:
    """Return the numbers that folds, or pairs of words, hold for themselves."""
    if work.solver == "ridge":
        return 0 if _is_closed(work) else 3 * work.n_folds * work.n_words**2
    by_pairs = work.n_candidates > 1 and work.n_inner >= work.n_words
    return 2 * work.n_words**3 if by_pairs else 0


def penalties_of(
    solver: str,
    alpha: float | tuple[float, ...] | None,
    l1_ratio: float | tuple[float, ...],
    n_words: int,
) -> tuple[float, ...]:
    """Return the candidates of a fold, from the arguments of `hgcube.encode`.

    Parameters
    ----------
    solver : str
    alpha, l1_ratio : float or tuple of float
    n_words : int

    Returns
    -------
    tuple of float
        alpha * l1_ratio, of ridge alpha.
    """
    if solver == "ridge":
        return tuple(np.atleast_1d(MULTIPLES if alpha is None else alpha).tolist())
    ratios = np.atleast_1d(l1_ratio)
    if alpha is None:
        return tuple(np.tile(penalties(n_words), len(ratios)).tolist())
    return tuple(np.outer(ratios, alpha).ravel().tolist())


def _ridge(work: Work) -> Cost:
    """Every fit is a matrix times the targets; the closed form serves all folds at once."""
    nulls = 2 if work.permutations else 0
    return Cost(
        shared=_designs(work) + nulls * _designs(work.of_null),
        each=_column(work) + work.permutations * _column(work.of_null),
    )


def _is_closed(work: Work) -> bool:
    one_by_one = work.n_folds == work.n_words and work.n_inner >= work.n_words
    return one_by_one and not (work.strict or work.components)


def _designs(work: Work) -> float:
    one = _EIGEN * work.n_words**2 * (work.n_words + work.n_features)
    if _is_closed(work):
        return one * work.n_candidates
    judged_apart = work.n_candidates > 1 and (work.components or work.n_inner < work.n_words)
    return one * work.n_folds * (1 + (work.n_inner if judged_apart else 0))


def _column(work: Work) -> float:
    """Return seconds of one target or permutation."""
    if _is_closed(work):
        return work.n_candidates * work.n_words * (_COLUMN + _PRODUCT * work.n_words)
    return work.n_candidates * work.n_words * work.n_folds * _ROW


def _elastic_net(work: Work) -> Cost:
    """Folds follow from all words' fit by leaving words out, unless they have components."""
    n_designs = sum(number for number, _ in _left_out(work)) if work.components else 1.0
    nulls = 3 if work.permutations else 1
    longest = work.n_words if work.components else max(work.n_words, work.n_features)
    return Cost(
        shared=n_designs
        * nulls
        * _EIGEN
        * work.n_words
        * longest
        * (work.n_words + work.n_features),
        each=_paths(work) + work.permutations * _paths(work.of_null),
    )


def _paths(work: Work) -> float:
    """Return seconds of one target: more for weak penalties, and for many words left out."""
    used = work.components or work.n_features
    dense = _DENSE * used**0.9 * (work.n_words / 100) ** 0.5
    strengths = np.clip(np.array(work.penalties) / _WEAK, _DENSEST, None)
    path = float((_FIT + dense * strengths**-1.7).sum())
    if work.components:
        return sum(number for number, _ in _left_out(work)) * path
    return float(sum(number * left**0.6 * path for number, left in _left_out(work)))


def _left_out(work: Work) -> list[tuple[float, float]]:
    """Return how many sets of words are left out, and their size: outer folds, inner folds."""
    tested = work.n_words / work.n_folds
    outer = (work.n_folds, tested)
    if work.n_candidates == 1:
        return [outer]
    # Two words are left out once, whichever is the inner one.
    pairs = 0.5 if work.n_inner >= work.n_words else 1.0
    inner = min(work.n_inner, work.n_words - 1)
    return [outer, (work.n_folds * inner * pairs, tested + (work.n_words - tested) / inner)]


def _sklearn(work: Work) -> Cost:
    ours = _elastic_net(work)
    return Cost(shared=ours.shared, each=_SLOWER * ours.each)


COSTS: dict[str, Callable[[Work], Cost]] = {
    "elastic_net": _elastic_net,
    "elastic_net_sklearn": _sklearn,
    "ridge": _ridge,
}

# Seconds: a multiplication in decompositions, and in products with many columns; a word of a
# column, and of a column in one fold.
_EIGEN = 4e-10
_PRODUCT = 1.4e-10
_COLUMN = 1e-8
_ROW = 6e-9
# Seconds of one penalty with few words left out, and what a feature adds at the densest one.
_FIT = 1.5e-6
_DENSE = 1.6e-7
# Penalties weaker than this share of the densest cost no more: all words are in use.
_DENSEST = 0.3
# The penalty that the dense part is measured at.
_WEAK = 0.03
_SLOWER = 30

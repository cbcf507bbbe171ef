"""What scikit-learn would take for one target of the study, from a few targets in one fold."""

from __future__ import annotations

from hgcube.benchmarking.peers import by_fit
from hgcube.benchmarking.problems import Fold, Penalty, Problem, make_fold
from hgcube.benchmarking.timing import cpu_seconds
from hgcube.kernels.designs import elastic_candidates
from hgcube.kernels.ridge import MULTIPLES

TARGETS = 4
# scikit-learn's own scale; it reaches a relative gap of 1e-6.
TOLERANCE = 5e-7
_COLUMNS = 1024


def path_seconds(problem: Problem) -> float:
    """Return the CPU seconds of a warm ``enet_path`` over the candidates, Gram matrix given."""
    from sklearn.linear_model import enet_path

    fold = _fold(problem)
    alphas, ratios = elastic_candidates(problem.design(standardize="fold"))

    def fit() -> None:
        for target, products in zip(fold.targets, fold.products, strict=True):
            enet_path(
                fold.columns,
                target,
                l1_ratio=ratios[0],
                alphas=alphas,
                precompute=fold.gram,
                Xy=products,
                tol=TOLERANCE,
                max_iter=100_000,
            )

    return _of_all_folds(cpu_seconds(fit)[1], len(fold.targets), problem)


def nested_seconds(inner: int | None, problem: Problem) -> float:
    """Return the CPU seconds of ``ElasticNetCV`` with `inner` folds; leave-one-out when None."""
    from sklearn.linear_model import ElasticNetCV
    from sklearn.model_selection import LeaveOneOut

    fold = _fold(problem)
    alphas, ratios = elastic_candidates(problem.design(standardize="fold"))
    model = ElasticNetCV(
        l1_ratio=ratios[0],
        alphas=alphas,
        cv=LeaveOneOut() if inner is None else inner,
        tol=TOLERANCE,
        max_iter=100_000,
    )
    _, taken = cpu_seconds(lambda: [model.fit(fold.columns, target) for target in fold.targets])
    return _of_all_folds(taken, len(fold.targets), problem)


def ridge_null_seconds(permutations: int, problem: Problem) -> float:
    """Return the CPU seconds of ``RidgeCV``, a penalty for each target and permutation."""
    from sklearn.linear_model import RidgeCV

    fold = make_fold(problem, 0, standardize="fold").first(_COLUMNS)
    alphas = MULTIPLES * fold.features.shape[1]
    model = RidgeCV(alphas=alphas, alpha_per_target=True, fit_intercept=False)
    _, taken = cpu_seconds(lambda: model.fit(fold.features, fold.targets.T))
    return _of_all_folds(taken, len(fold.targets), problem) * (permutations + 1)


def net_null_seconds(penalty: Penalty, permutations: int, problem: Problem) -> float:
    """Return the CPU seconds of ``ElasticNet`` on all columns at once, Gram matrix given."""
    fold = make_fold(problem, 0, standardize="fold").first(_COLUMNS // 8)
    _, taken = cpu_seconds(lambda: by_fit(fold, penalty, TOLERANCE))
    return _of_all_folds(taken, len(fold.targets), problem) * (permutations + 1)


def _fold(problem: Problem) -> Fold:
    return make_fold(problem, 0, standardize="fold").first(TARGETS)


def _of_all_folds(seconds: float, n_targets: int, problem: Problem) -> float:
    return seconds / n_targets * len(problem.features)

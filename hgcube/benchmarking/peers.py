"""Other people's elastic nets, called at their fastest for one fold and many targets.

Each takes the fold's Gram matrix, products and Lipschitz constant for free where it can use them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from hgcube.benchmarking.fista import BATCH, fista
from hgcube.benchmarking.problems import Fold, Penalty
from hgcube.kernels.designs import Array

Solve = Callable[[Fold, Penalty, float], Array]

MOST_SWEEPS = 100_000
# First parameters of scikit-learn's kernel; it is private and changes between versions.
_KERNEL = ("w", "alpha", "beta", "Q", "q", "y", "max_iter", "tol", "rng", "random", "positive")


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One other solver.

    Parameters
    ----------
    solve : callable
        (fold, penalty, tolerance) -> weights (target, feature).
    package, module : str
        As installed and as imported.
    batch : int, optional
        Targets that it is given at once, by repetition if need be; None for as many as there are.
    """

    solve: Solve
    package: str = "scikit-learn"
    module: str = "sklearn"
    batch: int | None = None

    @property
    def missing(self) -> str:
        """Why it cannot be run here; empty if it can."""
        if find_spec(self.module) is None:
            return "not installed"
        if self.solve is by_kernel and _kernel() is None:
            return "its kernel has other parameters in this version"
        return ""


def by_fit(fold: Fold, penalty: Penalty, tolerance: float) -> Array:
    """Fit all targets in one call of scikit-learn's estimator, its Gram matrix given."""
    from sklearn.linear_model import ElasticNet

    model = ElasticNet(
        alpha=penalty.alpha,
        l1_ratio=penalty.l1_ratio,
        fit_intercept=False,
        precompute=fold.gram,
        max_iter=MOST_SWEEPS,
        tol=tolerance,
    )
    return np.atleast_2d(model.fit(fold.features, fold.targets.T).coef_)


def by_target(fold: Fold, penalty: Penalty, tolerance: float) -> Array:
    """Fit target by target with scikit-learn's estimator, as most programs do."""
    from sklearn.linear_model import ElasticNet

    model = ElasticNet(
        alpha=penalty.alpha,
        l1_ratio=penalty.l1_ratio,
        fit_intercept=False,
        max_iter=MOST_SWEEPS,
        tol=tolerance,
    )
    return np.array([model.fit(fold.columns, target).coef_ for target in fold.targets])


def by_path(fold: Fold, penalty: Penalty, tolerance: float) -> Array:
    """Call scikit-learn's ``enet_path`` without its checks, Gram matrix and products given."""
    from sklearn import config_context
    from sklearn.linear_model import enet_path

    def one(target: Array, products: Array) -> Any:
        return enet_path(
            fold.columns,
            target,
            l1_ratio=penalty.l1_ratio,
            alphas=[penalty.alpha],
            precompute=fold.gram,
            Xy=products,
            check_input=False,
            tol=tolerance,
            max_iter=MOST_SWEEPS,
        )[1][:, 0]

    with config_context(skip_parameter_validation=True):
        pairs = zip(fold.targets, fold.products, strict=True)
        return np.array([one(target, products) for target, products in pairs])


def _kernel() -> Callable[..., Any] | None:
    """Return scikit-learn's Cython kernel if its parameters are those known here."""
    try:
        from sklearn.linear_model._cd_fast import enet_coordinate_descent_gram

        known = tuple(inspect.signature(enet_coordinate_descent_gram).parameters)
    except (ImportError, ValueError):
        return None
    matches = known[: len(_KERNEL)] == _KERNEL
    return enet_coordinate_descent_gram if matches else None


def descent(
    fold: Fold, tolerance: float, sweeps: int = MOST_SWEEPS
) -> Callable[[int, Array, Penalty], int]:
    """Return scikit-learn's Cython kernel, which its public functions wrap, bound to a fold.

    Parameters
    ----------
    fold : Fold
    tolerance : float
    sweeps : int
        At most.

    Returns
    -------
    callable
        (target, weights, penalty) -> sweeps taken; it moves the weights in place.
    """
    kernel = _kernel()
    if kernel is None:
        raise NotImplementedError("scikit-learn's kernel has other parameters in this version")
    n_words = len(fold.features)
    rng = np.random.RandomState(0)

    def descend(target: int, weights: Array, penalty: Penalty) -> int:
        l1, l2 = penalty.l1 * n_words, penalty.l2 * n_words
        products, values = fold.products[target], fold.targets[target]
        choices = (sweeps, tolerance, rng, False, False)
        return int(kernel(weights, l1, l2, fold.gram, products, values, *choices)[3])

    return descend


def by_kernel(fold: Fold, penalty: Penalty, tolerance: float) -> Array:
    """Call scikit-learn's Cython kernel directly."""
    descend = descent(fold, tolerance)
    weights = np.zeros_like(fold.products)
    for target, row in enumerate(weights):
        descend(target, row, penalty)
    return weights


def by_celer(fold: Fold, penalty: Penalty, tolerance: float) -> Array:
    """Call celer's path at one penalty (Massias et al. 2018, ICML)."""
    from celer import celer_path

    return np.array(
        [
            celer_path(
                fold.columns,
                target,
                "lasso",
                alphas=np.array([penalty.alpha]),
                l1_ratio=penalty.l1_ratio,
                tol=tolerance,
            )[1][:, 0]
            for target in fold.targets
        ]
    )


def by_skglm(fold: Fold, penalty: Penalty, tolerance: float) -> Array:
    """Call skglm's Anderson-accelerated coordinate descent (Bertrand et al. 2022, NeurIPS)."""
    from skglm.datafits import Quadratic
    from skglm.penalties import L1_plus_L2
    from skglm.solvers import AndersonCD
    from skglm.utils.jit_compilation import compiled_clone

    datafit = compiled_clone(Quadratic())
    elastic = compiled_clone(L1_plus_L2(penalty.alpha, penalty.l1_ratio))
    solver = AndersonCD(tol=tolerance, fit_intercept=False, max_iter=200, max_epochs=MOST_SWEEPS)
    return np.array(
        [solver.solve(fold.columns, target, datafit, elastic)[0] for target in fold.targets]
    )


def by_glmnet(fold: Fold, penalty: Penalty, tolerance: float) -> Array:
    """Call glmnet's Fortran (Friedman et al. 2010, J. Stat. Softw. 33(1)).

    It scales each target to sd 1 and with it the l1 part only, so it is given l1 / sd.
    """
    from glmnet import ElasticNet

    def one(target: Array) -> Any:
        spread = target.std()
        scaled = Penalty(l1=penalty.l1 / spread, l2=penalty.l2)
        model = ElasticNet(
            alpha=scaled.l1_ratio,
            lambda_path=[scaled.alpha],
            standardize=False,
            fit_intercept=False,
            n_splits=0,
            tol=tolerance,
            max_iter=10 * MOST_SWEEPS,
        )
        return np.ravel(model.fit(fold.features, target / spread).coef_path_[:, -1]) * spread

    return np.array([one(target) for target in fold.targets])


FIT = "scikit-learn, all targets, Gram"
KERNEL = "scikit-learn's kernel"

PEERS: dict[str, Peer] = {
    FIT: Peer(solve=by_fit),
    "scikit-learn, target by target": Peer(solve=by_target),
    "scikit-learn, enet_path": Peer(solve=by_path),
    KERNEL: Peer(solve=by_kernel),
    "celer": Peer(solve=by_celer, package="celer", module="celer"),
    "skglm": Peer(solve=by_skglm, package="skglm", module="skglm"),
    "glmnet": Peer(solve=by_glmnet, package="python-glmnet", module="glmnet"),
    "FISTA in torch": Peer(solve=fista, package="torch", module="torch", batch=BATCH),
}
"""The elastic nets to measure against, by the name in the table."""

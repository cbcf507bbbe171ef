"""All that is fitted for a block of targets: model, references and nulls, around missing words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hgcube import names as n
from hgcube.kernels.choice import Choice, choose
from hgcube.kernels.designs import ROUNDING, Array, Design, Mask
from hgcube.kernels.order import order_regressors
from hgcube.kernels.permutations import QUANTILES, on_words, permutation_table, refitted_null
from hgcube.kernels.plan import Plan
from hgcube.kernels.references import REFERENCES
from hgcube.kernels.solvers import SOLVERS

Outputs = dict[str, npt.NDArray[Any]]


def fit_targets(targets: Array, features: Array, *, plan: Plan) -> Outputs:
    """Fit every target on its own words.

    Parameters
    ----------
    targets : (target, word) float64
        NaN where a target lacks a word; all NaN where it is not to be fitted.
    features : (word, feature) float64
        A word with a NaN is left out for all targets.
    plan : Plan

    Returns
    -------
    dict of str to array
        Target first: ``prediction`` (target, predictor, word); ``chosen_alpha``,
        ``chosen_l1_ratio``, ``alpha_max``, ``n_nonzero`` (target, fold); ``collapsed``,
        ``n_words``, ``not_converged`` (target,); with permutations also ``studentized_r``,
        ``p_value`` (target, null), ``null_quantile`` (target, null, quantile), ``permuted``
        (target, null, permutation). NaN (-inf in ``permuted``) where nothing was fitted.
    """
    out = _empty(plan, len(targets))
    known = np.isfinite(targets) & np.isfinite(features).all(axis=1)
    for used, members in _patterns(known):
        if plan.fits(used):
            group = _Group.of(targets[members][:, used].T, features[used], used, plan)
            _write(out, members, used, group)
    return out


def _patterns(known: Mask) -> Iterator[tuple[Mask, npt.NDArray[np.intp]]]:
    """Yield each pattern of known words and the targets that have it."""
    patterns, home = np.unique(known, axis=0, return_inverse=True)
    for number, used in enumerate(patterns):
        yield used, np.flatnonzero(home.ravel() == number)


def _empty(plan: Plan, n_targets: int) -> Outputs:
    n_folds, n_words = plan.testing.shape
    n_nulls = len(plan.nulls)
    shapes: dict[str, tuple[int, ...]] = {
        "prediction": (len(plan.predictors), n_words),
        "chosen_alpha": (n_folds,),
        "chosen_l1_ratio": (n_folds,),
        "alpha_max": (n_folds,),
        "n_nonzero": (n_folds,),
        "studentized_r": (n_nulls,),
        "p_value": (n_nulls,),
        "null_quantile": (n_nulls, len(QUANTILES)),
    }
    return {
        **{name: np.full((n_targets, *shape), np.nan) for name, shape in shapes.items()},
        "permuted": np.full((n_targets, n_nulls, plan.permutations), -np.inf),
        "collapsed": np.zeros(n_targets, dtype=bool),
        "n_words": np.zeros(n_targets, dtype=np.int64),
        "not_converged": np.zeros(n_targets, dtype=np.int64),
    }


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Targets that share their words."""

    targets: Array
    features: Array
    order: Array
    used: Mask
    plan: Plan

    @classmethod
    def of(cls, targets: Array, features: Array, used: Mask, plan: Plan) -> _Group:
        """Return the group, its plan and order regressors cut to the words in `used`."""
        own = replace(plan, testing=plan.testing[:, used], training=plan.training[:, used])
        order = order_regressors(len(used), plan.order_terms)[used]
        return cls(targets=targets, features=features, order=order, used=used, plan=own)

    def design(self, *, with_order: bool) -> Design:
        return Design(
            features=self.features,
            unpenalized=self.order if with_order else self.order[:, :1],
            testing=self.plan.testing,
            training=self.plan.training,
            standardize=self.plan.standardize,
            alphas=self.plan.alphas,
            l1_ratios=self.plan.l1_ratios,
            inner=self.plan.inner,
        )

    def reference(self, name: str) -> Array:
        """Return the matrix (word, word) of a reference's held-out predictions."""
        return REFERENCES[name](self.order, self.plan.testing, self.plan.training)

    def fit(self) -> tuple[Choice, npt.NDArray[np.int64], Array]:
        """Return what the model chose, its unfinished fits, and its predictions (word, target)."""
        solver = SOLVERS[self.plan.solver]
        path = solver.prepare(self.design(with_order=solver.order_in_model))(self.targets)
        groups = np.arange(self.targets.shape[1])
        choice = choose(path, self.targets, self.plan.testing, self.plan.training, groups)
        under = self.reference(n.ORDER if solver.order_in_model else n.MEAN_WORD)
        return choice, path.not_converged, under @ self.targets + choice.added

    def null(self, kind: str) -> tuple[Array, Array, Array, Array]:
        """Return studentised r, p, quantiles and permuted r of one null, target last."""
        adjusted = kind == n.ORDER_ADJUSTED
        design = self.design(with_order=adjusted)
        solver = SOLVERS[self.plan.solver]
        if design.alphas is None and solver.null_alpha is not None:
            design = replace(design, alphas=(solver.null_alpha(design),))
        fitter = solver.prepare(design)
        table = permutation_table(
            len(self.used),
            self.plan.permutations,
            block=self.plan.block if adjusted else None,
            seed=self.plan.seed,
        )
        null = refitted_null(
            lambda columns: fitter(columns).added[0],
            self.reference(n.ORDER if adjusted else n.MEAN_WORD),
            design.unpenalized @ np.linalg.pinv(design.unpenalized),
            self.targets,
            on_words(table, self.used),
        )
        return null.studentized_r, null.p_value, null.quantiles, null.permuted


def _write(out: Outputs, members: npt.NDArray[np.intp], used: Mask, group: _Group) -> None:
    plan = group.plan
    choice, not_converged, predicted = group.fit()
    rows = [
        predicted if name == n.MODEL else group.reference(name) @ group.targets
        for name in plan.predictors
    ]
    out["prediction"][np.ix_(members, np.arange(len(rows)), used)] = np.stack(rows).transpose(
        2, 0, 1
    )
    tested = plan.testing.any(axis=1)
    for name, values in (
        ("chosen_alpha", choice.alpha),
        ("chosen_l1_ratio", choice.l1_ratio),
        ("alpha_max", choice.alpha_max),
        ("n_nonzero", choice.n_nonzero),
    ):
        out[name][np.ix_(members, tested)] = values[tested].T
    spread = group.targets.std(axis=0)
    flat = spread <= ROUNDING * np.abs(group.targets).max(axis=0)
    out["collapsed"][members] = flat | (np.abs(choice.added).max(axis=0) <= ROUNDING * spread)
    out["n_words"][members] = used.sum()
    out["not_converged"][members] = not_converged
    for number, kind in enumerate(plan.nulls):
        for name, values in zip(
            ("studentized_r", "p_value", "null_quantile", "permuted"), group.null(kind), strict=True
        ):
            out[name][members, number] = values.T

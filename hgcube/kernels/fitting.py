"""All that is fitted for a block of targets: model, references and nulls, around missing words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from hgcube import names as n
from hgcube.kernels.choice import Choice, Groups, added_predictions, choose
from hgcube.kernels.coefficients import coefficients, fitted_to_all
from hgcube.kernels.designs import ROUNDING, Array, Design, Mask, Path, Solver, product
from hgcube.kernels.order import order_regressors
from hgcube.kernels.permutations import QUANTILES, on_words, permutation_table, refitted_null
from hgcube.kernels.plan import Plan
from hgcube.kernels.references import REFERENCES
from hgcube.kernels.solvers import SOLVERS

Outputs = dict[str, npt.NDArray[Any]]


def fit_targets(targets: Array, features: Array, groups: Groups, *, plan: Plan) -> Outputs:
    """Fit every target on its own words.

    Parameters
    ----------
    targets : (target, word) float64
        NaN where a target lacks a word; all NaN where it is not to be fitted.
    features : (word, feature) float64
        A word with a NaN is left out for all targets.
    groups : (target,) int
        Targets of the same number, and with the same words, choose their penalty together.
    plan : Plan

    Returns
    -------
    dict of str to array
        Target first: ``prediction`` (target, predictor, word); ``chosen_alpha``,
        ``chosen_l1_ratio``, ``alpha_max``, ``n_nonzero`` (target, fold); ``collapsed``,
        ``n_words``, ``not_converged`` (target,); ``coefficient`` (target, coefficient fold,
        feature); with permutations also ``studentized_r``, ``p_value`` (target, null),
        ``null_quantile`` (target, null, quantile), ``permuted`` (target, null, permutation). NaN
        (-inf in ``permuted``) where nothing was fitted.
    """
    out = _empty(plan, len(targets), features.shape[1])
    known = np.isfinite(targets) & np.isfinite(features).all(axis=1)
    for used, members in _patterns(known):
        if plan.fits(used):
            group = _Group.of(
                targets[members][:, used].T, features[used], used, groups[members], plan
            )
            _write(out, members, used, group)
    return out


def _patterns(known: Mask) -> Iterator[tuple[Mask, npt.NDArray[np.intp]]]:
    """Yield each pattern of known words and the targets that have it."""
    patterns, home = np.unique(known, axis=0, return_inverse=True)
    for number, used in enumerate(patterns):
        yield used, np.flatnonzero(home.ravel() == number)


def _empty(plan: Plan, n_targets: int, n_features: int) -> Outputs:
    n_folds, n_words = plan.testing.shape
    n_nulls = len(plan.nulls)
    shapes: dict[str, tuple[int, ...]] = {
        "prediction": (len(plan.predictors), n_words),
        "chosen_alpha": (n_folds,),
        "chosen_l1_ratio": (n_folds,),
        "alpha_max": (n_folds,),
        "alpha_ratio": (n_folds,),
        "n_nonzero": (n_folds,),
        "coefficient": (len(plan.coefficients), n_features),
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
    choosing: Groups
    plan: Plan

    @classmethod
    def of(
        cls, targets: Array, features: Array, used: Mask, choosing: Groups, plan: Plan
    ) -> _Group:
        """Return the group, its plan and order regressors cut to the words in `used`."""
        own = replace(plan, testing=plan.testing[:, used], training=plan.training[:, used])
        order = order_regressors(len(used), plan.order_terms)[used]
        return cls(
            targets=targets,
            features=features,
            order=order,
            used=used,
            choosing=np.unique(choosing, return_inverse=True)[1],
            plan=own,
        )

    @property
    def solver(self) -> Solver:
        return SOLVERS[self.plan.solver]

    def design(self, *, with_order: bool) -> Design:
        plan = self.plan
        return Design(
            features=self.features,
            unpenalized=self.order if with_order else self.order[:, :1],
            testing=plan.testing,
            training=plan.training,
            standardize=plan.standardize,
            alphas=plan.alphas,
            l1_ratios=plan.l1_ratios,
            inner=plan.inner,
            max_active=plan.max_active,
            components=plan.components,
        )

    def reference(self, name: str) -> Array:
        """Return the matrix (word, word) of a reference's held-out predictions."""
        return REFERENCES[name](self.order, self.plan.testing, self.plan.training)

    @cached_property
    def path(self) -> Path:
        """The model's path."""
        design = self.design(with_order=self.solver.order_in_model)
        return self.solver.prepare(design)(self.targets)

    @cached_property
    def choice(self) -> Choice:
        """The model's choice."""
        plan = self.plan
        return choose(self.path, self.targets, plan.testing, plan.training, self.choosing)

    def predicted(self) -> Array:
        """Return the model's predictions (word, target)."""
        under = self.reference(n.ORDER if self.solver.order_in_model else n.MEAN_WORD)
        return product(under, self.targets) + self.choice.added

    def coefficients(self, fold: str | int) -> Array:
        """Return the coefficients (target, feature) of a fold, or of all words."""
        design = self.design(with_order=self.solver.order_in_model)
        if isinstance(fold, str):
            words, alpha, l1_ratio = self.chosen_on_all_words(design)
        else:
            words = self.plan.training[fold]
            alpha, l1_ratio = self.choice.alpha[fold], self.choice.l1_ratio[fold]
        return coefficients(self.solver, design, self.targets, words, alpha, l1_ratio).T

    def chosen_on_all_words(self, design: Design) -> tuple[Mask, Array, Array]:
        """Return all words, and the penalties chosen on them as inside a fold."""
        whole = fitted_to_all(design)
        padded = np.pad(self.targets, ((0, 1), (0, 0)))
        path = self.solver.prepare(whole)(padded)
        choice = choose(path, padded, whole.testing, whole.training, self.choosing)
        return whole.training[0, :-1], choice.alpha[0], choice.l1_ratio[0]

    def null(self, kind: str) -> tuple[Array, Array, Array, Array]:
        """Return studentised r, p, quantiles and permuted r of one null, target last."""
        plan, adjusted = self.plan, kind == n.ORDER_ADJUSTED
        design = self.null_design(with_order=adjusted)
        table = permutation_table(
            len(self.used),
            plan.permutations,
            block=plan.block if adjusted else None,
            seed=plan.seed,
        )
        null = refitted_null(
            self.refitted(design),
            self.reference(n.ORDER if adjusted else n.MEAN_WORD),
            design.unpenalized @ np.linalg.pinv(design.unpenalized),
            self.targets,
            on_words(table, self.used),
        )
        return null.studentized_r, null.p_value, null.quantiles, null.permuted

    def null_design(self, *, with_order: bool) -> Design:
        """Return the design of a null: the model's, or the same at one penalty."""
        design = self.design(with_order=with_order)
        if self.plan.null == "nested":
            return design
        fixed = self.plan.prespecified_alpha
        if fixed is None and self.solver.null_alpha is not None:
            fixed = self.solver.null_alpha(design)
        return replace(design, alphas=None if fixed is None else (fixed,), max_active=None)

    def refitted(self, design: Design) -> Callable[[Array], Array]:
        """Return what a refit adds to permuted targets (word, permutation x target)."""
        fitter = self.solver.prepare(design)
        n_groups = self.choosing.max() + 1

        def added(columns: Array) -> Array:
            copies = np.arange(columns.shape[1] // len(self.choosing))
            groups = (copies[:, None] * n_groups + self.choosing).ravel()
            masks = design.testing, design.training
            return added_predictions(fitter(columns), columns, *masks, groups)

        return added


def _write(out: Outputs, members: npt.NDArray[np.intp], used: Mask, group: _Group) -> None:
    plan, choice = group.plan, group.choice
    rows = [
        group.predicted() if name == n.MODEL else product(group.reference(name), group.targets)
        for name in plan.predictors
    ]
    out["prediction"][np.ix_(members, np.arange(len(rows)), used)] = np.stack(rows).transpose(
        2, 0, 1
    )
    tested = np.asarray(plan.testing.any(axis=1))
    for name, values in (
        ("chosen_alpha", choice.alpha),
        ("chosen_l1_ratio", choice.l1_ratio),
        ("alpha_max", choice.alpha_max),
        ("alpha_ratio", _ratio(choice.alpha, choice.alpha_max)),
        ("n_nonzero", choice.n_nonzero),
    ):
        out[name][np.ix_(members, tested)] = values[tested].T
    spread = group.targets.std(axis=0)
    flat = spread <= ROUNDING * np.abs(group.targets).max(axis=0)
    out["collapsed"][members] = flat | (np.abs(choice.added).max(axis=0) <= ROUNDING * spread)
    out["n_words"][members] = used.sum()
    out["not_converged"][members] = group.path.not_converged
    for number, fold in enumerate(plan.coefficients):
        if isinstance(fold, str) or tested[fold]:
            out["coefficient"][members, number] = group.coefficients(fold)
    for number, kind in enumerate(plan.nulls):
        for name, values in zip(
            ("studentized_r", "p_value", "null_quantile", "permuted"), group.null(kind), strict=True
        ):
            out[name][members, number] = values.T


def _ratio(alpha: Array, alpha_max: Array) -> Array:
    """Return alpha / alpha_max; inf where a target that does not vary has an alpha_max of 0."""
    return np.divide(alpha, alpha_max, out=np.full_like(alpha, np.inf), where=alpha_max > 0)

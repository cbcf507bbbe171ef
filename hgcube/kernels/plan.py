"""All settings of a fit, checked."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hgcube import names as n
from hgcube.errors import OptionError, UnknownLabelError
from hgcube.kernels.designs import Mask
from hgcube.kernels.references import REFERENCES
from hgcube.kernels.solvers import SOLVERS


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All settings of a fit.

    Parameters
    ----------
    solver : str
        Key of `SOLVERS`.
    testing, training : (fold, word) bool
    predictors : tuple of str
        "model" and the references, in the order of the result.
    standardize, alphas, l1_ratios, inner, max_active, components
        As in `Design`.
    order_terms : int
        Cosines of reading order.
    permutations, block, seed : int
        Of the nulls; `block` is that of the order-adjusted one.
    null : {"fixed", "nested"}
        One penalty fixed beforehand in all permutations, or every choice made again in each.
    null_alpha : float, optional
        The fixed one, where it is neither the only candidate nor the solver's own.
    choose : {"electrode", "region", "subject"}
        Who chooses together.
    coefficients : tuple
        Folds, and "all_words", whose coefficients are returned.
    """

    solver: str
    testing: Mask
    training: Mask
    predictors: tuple[str, ...]
    standardize: str | bool
    alphas: tuple[float, ...] | None = None
    l1_ratios: tuple[float, ...] = (0.5,)
    inner: int | None = None
    max_active: int | None = None
    components: float | int | None = None
    order_terms: int
    permutations: int
    block: int
    seed: int
    null: str = "fixed"
    null_alpha: float | None = None
    choose: str = n.ELECTRODE
    coefficients: tuple[str | int, ...] = ()

    @classmethod
    def of(
        cls,
        *,
        alpha: float | Sequence[float] | None,
        l1_ratio: float | Sequence[float],
        inner: str | int,
        **others: Any,
    ) -> Plan:
        """Return the plan for arguments as `hgcube.encode` takes them."""
        return cls(
            alphas=None if alpha is None else tuple(_rising(alpha)[::-1]),
            l1_ratios=tuple(_rising(l1_ratio)),
            inner=_n_inner(inner),
            **others,
        )

    @property
    def nulls(self) -> tuple[str, ...]:
        """Kinds of null: without order terms nothing can be adjusted for."""
        if not self.permutations:
            return ()
        return (n.ORDER_ADJUSTED, n.PLAIN) if self.order_terms else (n.PLAIN,)

    @property
    def fewest_training_words(self) -> int:
        """Training words that every fold needs: one more, inside, than there are order terms."""
        needs_order = n.ORDER in self.predictors or SOLVERS[self.solver].order_in_model
        inside = 1 + (self.order_terms if needs_order or self.permutations else 0)
        judged = 0 if self.inner is None else math.ceil(inside / (self.inner - 1))
        return inside + max(1, judged)

    @property
    def prespecified_alpha(self) -> float | None:
        """The penalty of a fixed null that the settings state."""
        if self.null_alpha is None and self.alphas is not None and len(self.alphas) == 1:
            return self.alphas[0]
        return self.null_alpha

    def fits(self, used: Mask) -> bool:
        """Tell whether every fold that tests a word in `used` has training words enough."""
        tests = self.testing[:, used].any(axis=1)
        fewest = self.training[tests][:, used].sum(axis=1).min(initial=int(used.sum()))
        return bool(used.any() and fewest >= self.fewest_training_words)


def _rising(stated: float | Sequence[float]) -> list[float]:
    """Return one or several numbers as a rising list without repeats."""
    return sorted({float(value) for value in np.atleast_1d(np.asarray(stated, dtype=float))})


def _n_inner(stated: str | int) -> int | None:
    if stated == "leave-one-out":
        return None
    if isinstance(stated, str):
        raise OptionError("inner 'leave-one-out' or a number of folds", repr(stated), "Correct it")
    return stated


def check_plan(plan: Plan) -> None:
    """Raise for a setting that cannot be; warn of permutations too few for p < .05.

    Parameters
    ----------
    plan : Plan

    Raises
    ------
    OptionError, UnknownLabelError
    """
    if plan.solver not in SOLVERS:
        raise UnknownLabelError.of("solver", plan.solver, SOLVERS)
    for reference in plan.predictors[1:]:
        if reference not in REFERENCES:
            raise UnknownLabelError.of("reference", reference, REFERENCES)
    for name, smallest in (("order_terms", 0), ("permutations", 0), ("block", 2)):
        if getattr(plan, name) < smallest:
            raise OptionError(f"{name} >= {smallest}", repr(getattr(plan, name)), "Correct it")
    if plan.standardize not in ("fold", "all_words", False):
        raise OptionError(
            "standardize 'fold', 'all_words' or False", repr(plan.standardize), "Use one of them"
        )
    _check_penalties(plan)
    _check_choice(plan)
    _check_null(plan)
    _check_coefficients(plan)
    if 0 < plan.permutations < 20:
        logging.getLogger("hgcube").warning(
            "%d permutations cannot give a p below %.3f",
            plan.permutations,
            1 / (plan.permutations + 1),
        )


def _check_penalties(plan: Plan) -> None:
    sparse = SOLVERS[plan.solver].sparse
    for alpha in (*(plan.alphas or ()), plan.null_alpha):
        if alpha is not None and not 0 < alpha < np.inf:
            raise OptionError(
                "alpha > 0", repr(alpha), "Give a positive penalty, or None to choose it"
            )
    for l1_ratio in plan.l1_ratios:
        if not 0 <= l1_ratio <= 1:
            raise OptionError("l1_ratio from 0 to 1", repr(l1_ratio), "Correct it")
        if sparse and l1_ratio == 0:
            raise OptionError("l1_ratio > 0", f"0 with {plan.solver!r}", "Use solver='ridge'")
    if plan.alphas is None and sparse and plan.standardize is False:
        raise OptionError(
            "alpha with standardize=False",
            "alpha=None, whose candidates are in standardised units",
            "Give alpha, or standardize",
        )


def _check_choice(plan: Plan) -> None:
    if plan.alphas == () or plan.l1_ratios == ():
        raise OptionError("at least one penalty", "none", "Name one, or alpha=None to choose it")
    if plan.inner is not None and plan.inner < 2:
        raise OptionError(
            "inner 'leave-one-out' or at least 2 folds", repr(plan.inner), "Correct it"
        )
    if plan.choose not in (n.ELECTRODE, n.REGION, n.SUBJECT):
        raise OptionError(
            "choose 'electrode', 'region' or 'subject'", repr(plan.choose), "Use one of them"
        )
    if plan.max_active is not None and (plan.max_active < 1 or not SOLVERS[plan.solver].sparse):
        raise OptionError(
            "max_active >= 1, of a sparse solver",
            f"{plan.max_active!r} with {plan.solver!r}",
            "Correct it or leave it out",
        )
    components = plan.components
    if components is not None and not (
        components >= 1 if isinstance(components, int) else 0 < components <= 1
    ):
        raise OptionError(
            "components: how many, or a share of the variance in (0, 1]",
            repr(components),
            "Correct it",
        )


def _check_null(plan: Plan) -> None:
    if plan.null not in ("fixed", "nested"):
        raise OptionError("null 'fixed' or 'nested'", repr(plan.null), "Use one of them")
    if not plan.permutations or plan.null == "nested":
        return
    solver = SOLVERS[plan.solver]
    if plan.prespecified_alpha is None and solver.null_alpha is None:
        raise OptionError(
            f"a penalty fixed beforehand for the null of {plan.solver!r}",
            f"no single alpha and no null_alpha with permutations={plan.permutations}",
            "Give null_alpha, or null='nested', set permutations=0, or use solver='ridge' for "
            "inference",
        )
    if solver.sparse and len(plan.l1_ratios) > 1:
        raise OptionError(
            "one l1_ratio for a null at a penalty fixed beforehand",
            f"{plan.l1_ratios}",
            "Give one, or null='nested'",
        )


def _check_coefficients(plan: Plan) -> None:
    known = (n.ALL_WORDS, *range(len(plan.testing)))
    # Before the words are read no fold is known.
    for fold in plan.coefficients if len(plan.testing) else ():
        if fold not in known:
            raise UnknownLabelError.of("fold of coefficients", fold, known)

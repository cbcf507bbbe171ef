"""All settings of a fit, checked."""

from __future__ import annotations

import logging
from dataclasses import dataclass

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
    standardize, alphas, l1_ratios, inner
        As in `Design`.
    order_terms : int
        Cosines of reading order.
    permutations, block, seed : int
        Of the nulls; `block` is that of the order-adjusted one.
    """

    solver: str
    testing: Mask
    training: Mask
    predictors: tuple[str, ...]
    standardize: str | bool
    alphas: tuple[float, ...] | None
    l1_ratios: tuple[float, ...]
    inner: int | None
    order_terms: int
    permutations: int
    block: int
    seed: int

    @property
    def nulls(self) -> tuple[str, ...]:
        """Kinds of null: without order terms nothing can be adjusted for."""
        if not self.permutations:
            return ()
        return (n.ORDER_ADJUSTED, n.PLAIN) if self.order_terms else (n.PLAIN,)

    @property
    def fewest_training_words(self) -> int:
        """Training words that every fold needs: two more than there are order terms."""
        needs_order = n.ORDER in self.predictors or SOLVERS[self.solver].order_in_model
        return 2 + (self.order_terms if needs_order or self.permutations else 0)

    def fits(self, used: Mask) -> bool:
        """Tell whether every fold that tests a word in `used` has training words enough."""
        tests = self.testing[:, used].any(axis=1)
        fewest = self.training[tests][:, used].sum(axis=1).min(initial=int(used.sum()))
        return bool(used.any() and fewest >= self.fewest_training_words)


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
    _check_penalty(plan)
    if plan.standardize not in ("fold", "all_words", False):
        raise OptionError(
            "standardize 'fold', 'all_words' or False", repr(plan.standardize), "Use one of them"
        )
    if 0 < plan.permutations < 20:
        logging.getLogger("hgcube").warning(
            "%d permutations cannot give a p below %.3f",
            plan.permutations,
            1 / (plan.permutations + 1),
        )


def _check_penalty(plan: Plan) -> None:
    for alpha in plan.alphas or ():
        if not 0 < alpha < np.inf:
            raise OptionError(
                "alpha > 0", repr(alpha), "Give a positive penalty, or None to choose it"
            )
    sparse = SOLVERS[plan.solver].sparse
    for l1_ratio in plan.l1_ratios:
        if not 0 <= l1_ratio <= 1:
            raise OptionError("l1_ratio from 0 to 1", repr(l1_ratio), "Correct it")
        if sparse and l1_ratio == 0:
            raise OptionError("l1_ratio > 0", f"0 with {plan.solver!r}", "Use solver='ridge'")
    if plan.permutations and plan.alphas is None and SOLVERS[plan.solver].null_alpha is None:
        raise OptionError(
            f"a penalty fixed beforehand for the null of {plan.solver!r}",
            f"alpha=None with permutations={plan.permutations}",
            "Give alpha, set permutations=0, or use solver='ridge' for inference",
        )

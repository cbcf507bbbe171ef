"""Elastic nets fold by fold, each from a Gram matrix of its own (compiled)."""

from __future__ import annotations

import numpy as np
from numba import njit

from hgcube.kernels.active_sets import (
    OPTIONS,
    Floats,
    Problem,
    Subset,
    new_active,
    new_work,
)
from hgcube.kernels.descent import solve
from hgcube.kernels.shared import Candidates, Results


@njit(**OPTIONS)
def directly(
    gram: Floats,
    products: Floats,
    spreads: Floats,
    candidates: Candidates,
    test: Floats,
    out: Results,
) -> None:
    """Fit every target on one training set of its own, down the candidates.

    gram (feature, feature), products (target, feature), spreads (target,), test (word, feature);
    the candidates' l1 and l2 are of all training words. `out` is overwritten: added (target,
    candidate, word), n_nonzero (target, candidate), not_converged (target,).
    """
    n_features = gram.shape[0]
    # Types as in `paths`, so that nothing is compiled twice.
    everything = Subset(np.empty(0, np.int64), np.empty((1, 1))[:0, :0], np.ones(n_features))
    active, work = new_active(n_features), new_work(1, n_features)
    for t in range(len(products)):
        if not np.isfinite(products[t].sum()):
            out.not_converged[t] += candidates.l1.size
            continue
        problem, count = Problem(gram, gram, np.empty(0), products[t]), np.int64(0)
        for c in range(candidates.l1.size):
            count = np.int64(0) if candidates.first[c] else count
            l1, l2 = candidates.l1[c] * spreads[t], candidates.l2[c]
            count, met = solve(problem, everything, l1, l2, active, count, work)
            out.n_nonzero[t, c], out.not_converged[t] = count, out.not_converged[t] + (not met)
            for i in range(len(test)):
                for a in range(count):
                    out.added[t, c, i] += test[i, active.members[a]] * active.weights[a]

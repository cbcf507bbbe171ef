"""The estimators by name. A faster engine takes a name's place behind the same `Solver`."""

from __future__ import annotations

from hgcube.kernels import elastic_net, ridge, sklearn_net
from hgcube.kernels.designs import Solver

SOLVERS: dict[str, Solver] = {
    "elastic_net": Solver(
        prepare=elastic_net.prepare,
        order_in_model=False,
        sparse=True,
        null_alpha=None,
        warm_up=elastic_net.warm_up,
    ),
    "elastic_net_sklearn": Solver(
        prepare=sklearn_net.prepare, order_in_model=False, sparse=True, null_alpha=None
    ),
    "ridge": Solver(
        prepare=ridge.prepare, order_in_model=True, sparse=False, null_alpha=ridge.null_alpha
    ),
}

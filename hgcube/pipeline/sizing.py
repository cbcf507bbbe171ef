"""How parts are cut and what memory a task needs, from sizes that are known beforehand."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.chunks import ELECTRODES_PER_BLOCK, block_of_results, bytes_per_task
from hgcube.folds import assign_folds
from hgcube.kernels.costs import Work, memory_of, penalties_of
from hgcube.pipeline.study import Study
from hgcube.store import Key, part_sizes

# Of features that are not made yet: as many as most models have.
_FEATURES = 768


def recording_memory(study: Study, key: Key) -> int:
    """Return the bytes of the task that reads one recording."""
    return bytes_per_task("recordings", _signal(study.sizes(key[0])))


def high_gamma_blocks(study: Study, key: Key) -> int:
    """Return in how many blocks one recording is filtered."""
    return math.ceil(study.sizes(key[0])[n.ELECTRODE] / ELECTRODES_PER_BLOCK)


def high_gamma_memory(study: Study, key: Key) -> int:
    """Return the bytes of a task that filters one block."""
    return bytes_per_task("high_gamma", _signal(study.sizes(key[0])))


def epochs_memory(study: Study, key: Key) -> int:
    """Return the bytes of the task that cuts one subject's epochs."""
    return bytes_per_task("epochs", _signal(study.sizes_of(key[0])))


def result_block(study: Study, key: Key) -> dict[str, int]:
    """Return the electrodes and lags that one task fits."""
    sizes = _epoch_sizes(study, key)
    if study.analysis.encoding.solvers[key[2]].choose != n.ELECTRODE:
        # Targets that choose together cannot be cut.
        return {dim: sizes[dim] for dim in (n.ELECTRODE, n.LAG)}
    return block_of_results(_work(study, key, sizes), sizes)


def result_blocks(study: Study, key: Key) -> int:
    """Return in how many blocks one result is fitted."""
    sizes, cut = _epoch_sizes(study, key), result_block(study, key)
    return math.prod(math.ceil(sizes[dim] / size) for dim, size in cut.items())


def result_memory(study: Study, key: Key) -> int:
    """Return the bytes of a task that fits one block of a result."""
    work = _work(study, key, _epoch_sizes(study, key))
    return memory_of(work, math.prod(result_block(study, key).values()))


def _signal(sizes: dict[str, int]) -> dict[str, int]:
    return {dim: sizes[dim] for dim in (n.ELECTRODE, n.TIME)}


def _epoch_sizes(study: Study, key: Key) -> dict[str, int]:
    """Return words, electrodes and lags, as stored or as they will be."""
    target, epochs = study.analysis.encoding.target, study.analysis.epochs
    lags = round((epochs.lags[1] - epochs.lags[0]) / epochs.step) + 1
    expected = {n.LAG: lags if target == "windows" else 1}
    stored = part_sizes(study.store, "epochs", (key[0], target))
    sizes = {**expected, **(stored or study.sizes_of(key[0]))}
    return {dim: sizes[dim] for dim in (n.WORD, n.ELECTRODE, n.LAG)}


def _work(study: Study, key: Key, sizes: dict[str, int]) -> Work:
    encoding = study.analysis.encoding
    stated, n_words = encoding.solvers[key[2]], sizes[n.WORD]
    features = part_sizes(study.store, "features", (key[1], key[0])).get(n.FEATURE, _FEATURES)
    return Work(
        solver=key[2],
        n_words=n_words,
        n_features=features,
        n_folds=_n_folds(encoding.folds, n_words),
        penalties=penalties_of(key[2], stated.alpha, stated.l1_ratio, n_words),
        n_inner=n_words if stated.inner == "leave-one-out" else stated.inner,
        permutations=stated.permutations * (2 if encoding.order_terms else 1),
        nested=stated.null == "nested",
        strict=stated.standardize == "fold",
        components=_n_components(stated.components, min(features, n_words)),
    )


def _n_components(stated: float | None, most: int) -> int:
    if stated is None:
        return 0
    return min(stated, most) if isinstance(stated, int) else math.ceil(stated * most / 2)


def _n_folds(scheme: str, n_words: int) -> int:
    if scheme.startswith("grouped"):
        return n_words
    return int(assign_folds(xr.DataArray(np.zeros(n_words), dims=n.WORD), scheme).max()) + 1

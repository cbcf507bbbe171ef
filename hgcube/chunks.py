"""How arrays are cut: a function of the kind, the sizes and the dtype, never of the workers.

The cut decides which numbers are added in which order, so results are bitwise the same on one
worker and on a hundred only if it depends on nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import xarray as xr
from dask.base import compute
from dask.delayed import delayed
from dask.utils import format_bytes, parse_bytes

from hgcube import names as n
from hgcube.errors import SettingsError
from hgcube.kernels.costs import Work, cost_of, memory_of

Made = TypeVar("Made")

ELECTRODES_PER_BLOCK = 16
WORDS_PER_BLOCK = 10
WHOLE = 2**20

# Of one block of results.
SECONDS = 4.0
SHARED = 3
BYTES = 2**29

RULES: dict[str, dict[str, int]] = {
    "recordings": {n.ELECTRODE: ELECTRODES_PER_BLOCK},
    "high_gamma": {n.ELECTRODE: ELECTRODES_PER_BLOCK},
    "epochs": {n.WORD: WORDS_PER_BLOCK},
    "features": {},
    "results": {n.WORD: WORDS_PER_BLOCK},
    "tables": {n.SPACE: 1},
    "verdicts": {},
}

# Arrays of the size of one block that a task of the step holds at its peak.
COPIES = {"recordings": 3, "high_gamma": 12, "epochs": 4}


def plan(kind: str, sizes: Mapping[str, int], dtype: object) -> dict[str, int]:
    """Return the chunk sizes of one variable of a part.

    Parameters
    ----------
    kind : str
        Kind of part, a key of `RULES`; others are one chunk.
    sizes : mapping of str to int
        Dimensions of the variable.
    dtype : dtype
        Of the variable. Variables up to 1 MiB are one chunk: small files cost more than they save.

    Returns
    -------
    dict of str to int

    Examples
    --------
    >>> plan("epochs", {"word": 100, "electrode": 127, "lag": 30}, "float64")
    {'word': 10, 'electrode': 127, 'lag': 30}
    >>> plan("epochs", {"word": 100, "electrode": 127}, "float64")
    {'word': 100, 'electrode': 127}
    """
    small = math.prod(sizes.values()) * np.dtype(dtype).itemsize <= WHOLE  # type: ignore[call-overload]
    rules = {} if small else RULES.get(kind, {})
    return {dim: max(1, min(size, rules.get(dim, size))) for dim, size in sizes.items()}


def in_blocks(cube: xr.DataArray, cut: Mapping[str, int] | None = None) -> xr.DataArray:
    """Return the cube cut as it is computed: blocks of electrodes, every other dim whole.

    Parameters
    ----------
    cube : xarray.DataArray
    cut : mapping of str to int, optional
        Sizes of a block along the dims that are cut otherwise; those that `cube` lacks are
        ignored.

    Returns
    -------
    xarray.DataArray
        Coordinates stay as they are: Dask coordinates cannot be queried.
    """
    sizes = {n.ELECTRODE: ELECTRODES_PER_BLOCK, **(cut or {})}
    return cube.copy(data=cube.variable.chunk({d: sizes.get(str(d), -1) for d in cube.dims}).data)


def made_of_stretches(
    audio: xr.DataArray,
    stretches: Sequence[slice],
    makers: Sequence[Callable[[np.ndarray[Any, Any]], Made]],
) -> list[Made]:
    """Return what is made of stretches of a long signal, of which nothing else is read.

    Parameters
    ----------
    audio : xarray.DataArray
        Of one dim, maybe lazy.
    stretches : sequence of slice
        In samples; they may overlap.
    makers : sequence of callable
        One a stretch: samples -> anything small.

    Returns
    -------
    list
    """
    pieces = [audio[stretch].data for stretch in stretches]
    if audio.chunks is None:
        return [make(piece) for make, piece in zip(makers, pieces, strict=True)]
    # unoptimised, the graphs share the blocks of the file: stretches overlap, no block loads twice
    whole = [piece.rechunk(-1).to_delayed(optimize_graph=False).item() for piece in pieces]
    made = [delayed(make, pure=True)(piece) for make, piece in zip(makers, whole, strict=True)]
    return list(compute(*made))  # type: ignore[no-untyped-call]


def block_of_results(work: Work, sizes: Mapping[str, int]) -> dict[str, int]:
    """Return the electrodes and lags that one task fits, with all folds, penalties, permutations.

    A block takes about `SECONDS` by the cost model and `BYTES` at most. Work that its targets
    share is done again in every block, so a block's own work is at least `SHARED` times that;
    a whole subject is one block if that is enough. Electrodes are cut first, lags only where
    one electrode's are too many.

    Parameters
    ----------
    work : Work
        Sizes of the fit.
    sizes : mapping of str to int
        Electrodes and lags of the subject.

    Returns
    -------
    dict of str to int
        Blocks of a dim differ by what is left over at its end.

    Examples
    --------
    >>> work = Work(solver="ridge", n_words=100, n_features=300, n_folds=100)
    >>> block_of_results(work, {"electrode": 127, "lag": 31})
    {'electrode': 127, 'lag': 31}
    """
    n_electrodes, n_lags = sizes[n.ELECTRODE], sizes[n.LAG]
    most = _most_targets(work, n_electrodes * n_lags)
    if most < n_lags:
        return {n.ELECTRODE: 1, n.LAG: _evenly(n_lags, most)}
    return {n.ELECTRODE: _evenly(n_electrodes, most // n_lags), n.LAG: n_lags}


def _most_targets(work: Work, n_targets: int) -> int:
    cost, least = cost_of(work), memory_of(work, 0)
    by_time = max(SECONDS, SHARED * cost.shared) / cost.each
    each = (memory_of(work, n_targets) - least) / n_targets
    return max(1, math.floor(min(by_time, (BYTES - least) / each)))


def _evenly(size: int, most: int) -> int:
    return math.ceil(size / math.ceil(size / most))


def bytes_per_task(kind: str, sizes: Mapping[str, int]) -> int:
    """Return the memory in bytes that one task of the step needs at its peak, by estimate.

    Parameters
    ----------
    kind : str
        Kind of part that the step makes.
    sizes : mapping of str to int
        Dimensions of what one task reads, all electrodes counted.

    Returns
    -------
    int
    """
    block = {
        dim: min(size, ELECTRODES_PER_BLOCK) if dim == n.ELECTRODE else size
        for dim, size in sizes.items()
    }
    return math.prod(block.values()) * 8 * COPIES.get(kind, 1)


def refuse_oversized(what: str, needed: int, memory: str) -> None:
    """Raise if a task does not fit a worker's memory.

    Parameters
    ----------
    what : str
        Name of the part.
    needed : int
        Bytes per task.
    memory : str
        Limit of one worker, such as ``"4GiB"``.

    Raises
    ------
    SettingsError
        With both numbers, or if `memory` is no size.
    """
    try:
        limit = parse_bytes(memory)
    except ValueError:
        raise SettingsError(
            "a size of memory in [execution]", repr(memory), "Write it like '4GiB'"
        ) from None
    if needed > limit:
        raise SettingsError(
            f"tasks of {what} that fit a worker's {format_bytes(limit)}",
            f"{format_bytes(needed)} for one task",
            f"Set [execution] memory to {math.ceil(needed / 2**30)}GiB and fewer workers",
        )

"""How arrays are cut: a function of the kind, the sizes and the dtype, never of the workers.

The cut decides which numbers are added in which order, so results are bitwise the same on one
worker and on a hundred only if it depends on nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import xarray as xr
from dask.utils import format_bytes, parse_bytes

from hgcube import names as n
from hgcube.errors import SettingsError

ELECTRODES_PER_BLOCK = 16
WORDS_PER_BLOCK = 10
WHOLE = 2**20

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
COPIES = {"recordings": 3, "high_gamma": 12, "epochs": 4, "results": 4}


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


def in_blocks(cube: xr.DataArray) -> xr.DataArray:
    """Return the cube cut as it is computed: blocks of electrodes, every other dim whole.

    Parameters
    ----------
    cube : xarray.DataArray

    Returns
    -------
    xarray.DataArray
        Coordinates stay as they are: Dask coordinates cannot be queried.
    """
    cut = {dim: ELECTRODES_PER_BLOCK if dim == n.ELECTRODE else -1 for dim in cube.dims}
    return cube.copy(data=cube.variable.chunk(cut).data)


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

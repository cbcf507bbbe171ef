"""Label queries: ``cube.hg.sel(subject="04", region=["IFG", "STG"], word="boot")``.

xarray's own ``sel`` refuses two plain coordinates of one dim, and lists on them; a MultiIndex
cannot be written to Zarr. Boolean masks per dim do all of it, and compute nothing.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Generic, TypeVar

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.errors import OptionError, UnknownLabelError

T = TypeVar("T", xr.DataArray, xr.Dataset)


class _LabelQueries(Generic[T]):
    """Label queries on a cube; adds no computation."""

    def __init__(self, cube: T) -> None:
        self._cube: T = cube

    def sel(self, **labels: object) -> T:
        """Select by the values of any one-dimensional coordinates.

        Parameters
        ----------
        **labels
            ``coordinate=value``, a list of values, or a slice (both ends included).
            ``word="boot"`` selects by the coordinate ``text``.

        Returns
        -------
        xarray.DataArray or xarray.Dataset
            Every dim is kept. Lazy if the cube is.

        Raises
        ------
        UnknownLabelError
            If a coordinate or a label does not exist, naming the closest ones.

        Examples
        --------
        >>> import hgcube, xarray as xr
        >>> cube = xr.DataArray(
        ...     [1.0, 2.0], dims="electrode", coords={"region": ("electrode", ["IFG", "STG"])}
        ... )
        >>> cube.hg.sel(region="STG").values
        array([2.])
        """
        masks: dict[Hashable, np.ndarray[Any, Any]] = {}
        for name, wanted in labels.items():
            coord = self._coordinate(name, wanted)
            if coord.ndim == 0:
                _matching(coord.expand_dims("one"), name, wanted)
                continue
            (dim,) = coord.dims
            masks[dim] = masks.get(dim, True) & _matching(coord, name, wanted)
        found = {dim: np.flatnonzero(mask) for dim, mask in masks.items()}
        return self._cube.isel(found)

    def _coordinate(self, name: str, wanted: object) -> xr.DataArray:
        by_text = name == n.WORD and n.TEXT in self._cube.coords and _is_text(wanted)
        name = n.TEXT if by_text else name
        if name not in self._cube.coords:
            raise UnknownLabelError.of("coordinate", name, map(str, self._cube.coords))
        coord: xr.DataArray = self._cube.coords[name]
        if coord.ndim > 1:
            raise OptionError(
                "a coordinate with one dim",
                f"{name!r} with dims {coord.dims}",
                "Select with where(...) instead",
            )
        return coord


def _is_text(wanted: object) -> bool:
    first = wanted[0] if isinstance(wanted, list | tuple) and wanted else wanted
    return isinstance(first, str)


def _matching(coord: xr.DataArray, name: str, wanted: object) -> np.ndarray[Any, Any]:
    values = coord.values
    if isinstance(wanted, slice):
        low = True if wanted.start is None else values >= wanted.start
        high = True if wanted.stop is None else values <= wanted.stop
        return np.broadcast_to(np.asarray(low & high), values.shape)
    asked = list(wanted) if isinstance(wanted, list | tuple | set | np.ndarray) else [wanted]
    known = set(values.tolist())
    for label in asked:
        if label not in known:
            raise UnknownLabelError.of(name, label, sorted(known, key=str))
    return np.array([value in asked for value in values.tolist()], dtype=bool)


@xr.register_dataarray_accessor("hg")  # type: ignore[no-untyped-call]
class DataArrayQueries(_LabelQueries[xr.DataArray]):
    """``DataArray.hg``: label queries."""


@xr.register_dataset_accessor("hg")  # type: ignore[no-untyped-call]
class DatasetQueries(_LabelQueries[xr.Dataset]):
    """``Dataset.hg``: label queries."""

"""What each kind of cube must look like, as data, and the two functions that hold stages to it.

A cube is a plain :class:`xarray.DataArray` or :class:`xarray.Dataset`. A stage begins with
`check` and ends with `finish`; nothing else touches names, units or attributes.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import xarray as xr
from xarray.indexes import RangeIndex

from hgcube import names as n
from hgcube.errors import CubeError, UnknownLabelError

SCHEMA_VERSION = 1

Cube = TypeVar("Cube", xr.DataArray, xr.Dataset)


@dataclass(frozen=True, kw_only=True)
class CubeSpec:
    """Spec of one kind of cube that is a single array.

    Parameters
    ----------
    dims : tuple of str
        Dimensions in their order on disk; those in `optional` may be absent.
    optional : tuple of str
        Dimensions that may be absent.
    dtypes : str
        Accepted NumPy dtype kinds (``"f"``, ``"fiu"``, ``"TUO"``).
    units : tuple of str
        Accepted units; the first is the default that `finish` writes. Only an array that
        states its units is held to them: plain arrays are welcome in every stage.
    coords : tuple of str
        Coordinates demanded at the store, not of a plain array.
    long_name : str
        Written by `finish`.
    made_by : str
        The step that makes it, so that a view can name what is missing.
    """

    dims: tuple[str, ...]
    optional: tuple[str, ...] = ()
    dtypes: str = "f"
    units: tuple[str, ...] = (n.DIMENSIONLESS,)
    coords: tuple[str, ...] = ()
    long_name: str = ""
    made_by: str = ""


_POWER_UNITS = (n.VOLT, n.LOG_VOLT, n.LOG_RATIO, n.STORED_UNITS, n.LOG_STORED)
_WORD_COORDS = (n.TEXT, n.ONSET, n.DURATION)

SPECS: dict[str, CubeSpec] = {
    "recording": CubeSpec(
        dims=(n.ELECTRODE, n.TIME),
        units=(n.VOLT, n.STORED_UNITS),
        coords=(n.SUBJECT, n.NAME, n.TYPE, n.REGION, n.BAD, n.STORED_SCALE),
        long_name="intracranial EEG",
        made_by="recordings",
    ),
    "audio": CubeSpec(
        dims=(n.AUDIO_TIME,),
        dtypes="fi",
        units=(n.DIMENSIONLESS,),
        long_name="audio",
        made_by="recordings",
    ),
    "words": CubeSpec(
        dims=(n.WORD,),
        dtypes="TUO",
        units=(),
        coords=(n.ONSET, n.DURATION),
        long_name="word read aloud",
        made_by="recordings",
    ),
    "high_gamma": CubeSpec(
        dims=(n.ELECTRODE, n.TIME),
        units=_POWER_UNITS,
        coords=(n.SUBJECT, n.NAME, n.REGION, n.BAD),
        long_name="high-gamma envelope",
        made_by="high_gamma",
    ),
    "epochs": CubeSpec(
        dims=(n.WORD, n.ELECTRODE, n.LAG),
        optional=(n.LAG,),
        units=_POWER_UNITS,
        coords=(*_WORD_COORDS, n.SUBJECT, n.NAME, n.REGION, n.BAD),
        long_name="high gamma of each word",
        made_by="epochs",
    ),
    "features": CubeSpec(
        dims=(n.WORD, n.FEATURE),
        coords=(*_WORD_COORDS, n.SPACE, "embedding"),
        long_name="embedding of each word",
        made_by="features",
    ),
}


def check(cube: Cube, kind: str, *, stored: bool = False) -> Cube:
    """Return `cube` unchanged if it meets the spec of `kind`; raise otherwise.

    Parameters
    ----------
    cube : xarray.DataArray
        Any array; nothing is computed.
    kind : str
        A key of `SPECS`.
    stored : bool
        Also demand the study coordinates that only the store needs.

    Returns
    -------
    xarray.DataArray
        `cube` itself.

    Raises
    ------
    CubeError
        Naming the dims, dtype, units or coordinates that do not fit.
    """
    spec = spec_of(kind)
    if not isinstance(cube, xr.DataArray):
        raise CubeError(
            f"a DataArray of kind {kind!r}",
            type(cube).__name__,
            "Pass the variable, not its Dataset or tree",
        )
    _check_dims(cube, kind, spec)
    _check_content(cube, kind, spec)
    _check_labels(cube, kind)
    missing = [name for name in spec.coords if stored and name not in cube.coords]
    if missing:
        raise CubeError(
            f"coordinates {list(spec.coords)} on a stored {kind!r} cube",
            f"none named {missing}",
            f"Make the cube with the step {spec.made_by!r}, or assign the coordinates",
        )
    return cube


def finish(
    array: xr.DataArray,
    kind: str,
    *,
    units: str | None = None,
    long_name: str | None = None,
    attrs: Mapping[str, object] | None = None,
) -> xr.DataArray:
    """Name, order and describe what a stage computed. Attributes of the input never leak.

    Parameters
    ----------
    array : xarray.DataArray
        Result of ``xr.apply_ufunc``; stays lazy.
    kind : str
        A key of `SPECS`.
    units : str, optional
        One of the spec's units; the first of them by default.
    long_name : str, optional
        Overrides the spec's.
    attrs : mapping, optional
        Further attributes, such as the settings that made the cube.

    Returns
    -------
    xarray.DataArray
        With the spec's dim order, the kind as name, and only these attributes.

    Raises
    ------
    CubeError
        If the result does not meet the spec.
    """
    spec = spec_of(kind)
    own: dict[Hashable, Any] = {"kind": kind, "long_name": long_name or spec.long_name}
    if spec.units:
        own["units"] = units or spec.units[0]
    order = [dim for dim in spec.dims if dim in array.dims]
    cube = array.transpose(*order, ...).rename(kind).drop_attrs(deep=False)
    return check(cube.assign_attrs({**own, **(attrs or {})}), kind)


def word_coords(words: xr.DataArray) -> dict[str, xr.DataArray]:
    """Return the coordinates that everything made from `words` carries, `text` among them.

    Parameters
    ----------
    words : xarray.DataArray
        Kind ``words``: text by word, with onset, duration and flags as coordinates.

    Returns
    -------
    dict of str to xarray.DataArray
        Ready for ``assign_coords``.
    """
    coords = {str(name): coord for name, coord in words.coords.items() if coord.dims == (n.WORD,)}
    return {**coords, n.TEXT: words.reset_coords(drop=True).drop_attrs()}


def sampling_frequency(cube: xr.DataArray, dim: str = n.TIME) -> float:
    """Return the sampling frequency in Hz that the time coordinate states.

    Parameters
    ----------
    cube : xarray.DataArray
        With the coordinate `dim`.
    dim : str
        ``"time"`` or ``"audio_time"``.

    Returns
    -------
    float

    Raises
    ------
    CubeError
        If the coordinate or its attribute ``sampling_frequency`` is absent.
    """
    stated = cube[dim].attrs.get(n.SAMPLING_FREQUENCY) if dim in cube.coords else None
    if stated is None:
        raise CubeError(
            f"the attribute 'sampling_frequency' (Hz) on the coordinate {dim!r}",
            f"{cube.name or 'an array'} with dims {cube.dims} without it",
            f"Assign it: cube[{dim!r}].attrs['sampling_frequency'] = ...",
        )
    return float(stated)


def audio_axis(n_samples: int, sampling_frequency: float, start: float) -> xr.Coordinates:
    """Return the coordinate `audio_time` in s: a range, not an array in memory.

    Parameters
    ----------
    n_samples : int
    sampling_frequency : float
        Hz.
    start : float
        s between the first iEEG sample and the first audio sample.

    Returns
    -------
    xarray.Coordinates
    """
    stop = start + n_samples / sampling_frequency
    index = RangeIndex.linspace(start, stop, n_samples, endpoint=False, dim=n.AUDIO_TIME)
    axis = xr.Coordinates.from_xindex(index)
    axis[n.AUDIO_TIME].attrs.update(
        {"units": n.SECOND, n.SAMPLING_FREQUENCY: float(sampling_frequency)}
    )
    return axis


def audio_start(audio: xr.DataArray) -> float:
    """Return the time of the first sample in s; 0 for none.

    Parameters
    ----------
    audio : xarray.DataArray
        Kind ``audio``. Its axis may be on Dask, as ``audio.chunk()`` puts it, whose single elements
        are no numbers.

    Returns
    -------
    float
    """
    return float(audio[n.AUDIO_TIME][:1].values[0]) if audio.size else 0.0


def passed_on(cube: xr.DataArray, *attributes: str) -> dict[str, Any]:
    """Return those of `attributes` that `cube` has: the few that a stage hands on by name."""
    return {name: cube.attrs[name] for name in attributes if name in cube.attrs}


def spec_of(kind: str) -> CubeSpec:
    """Return the spec of `kind`; raise `UnknownLabelError` naming the closest kinds."""
    if kind not in SPECS:
        raise UnknownLabelError.of("kind of cube", kind, SPECS)
    return SPECS[kind]


def text_array(values: object) -> np.ndarray[Any, Any]:
    """Return labels as NumPy's variable-length strings, the one string dtype Zarr takes whole."""
    return np.asarray(np.asarray(values, dtype=object), dtype=np.dtypes.StringDType())


def joined_flags(*flags: str) -> str:
    """Return flags, each maybe several joined by ``";"``, as one such text without repeats.

    Examples
    --------
    >>> joined_flags("silent;early", "", "early")
    'silent;early'
    """
    return ";".join(dict.fromkeys(part for flag in flags for part in flag.split(";") if part))


def added_flags(
    cube: xr.DataArray | xr.Dataset, name: str, dim: str, new: Iterable[str]
) -> np.ndarray[Any, Any]:
    """Return the text coordinate `name` along `dim` with further flags, empty ones left out.

    Parameters
    ----------
    cube : xarray.DataArray or xarray.Dataset
        Without the coordinate nothing was flagged before.
    name, dim : str
    new : iterable of str
        One per label of `dim`.

    Returns
    -------
    (dim,) text
    """
    before = [""] * cube.sizes[dim] if name not in cube.coords else cube[name].values.tolist()
    return text_array([joined_flags(old, flag) for old, flag in zip(before, new, strict=True)])


def bad_electrodes(cube: xr.DataArray | xr.Dataset) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return which electrodes the coordinate ``bad`` marks; none where there is no such."""
    if n.BAD not in cube.coords:
        return np.zeros(cube.sizes[n.ELECTRODE], dtype=bool)
    return np.asarray(cube[n.BAD].values, dtype=bool)


def _check_dims(cube: xr.DataArray, kind: str, spec: CubeSpec) -> None:
    missing = [dim for dim in spec.dims if dim not in cube.dims and dim not in spec.optional]
    extra = [dim for dim in cube.dims if dim not in spec.dims]
    if missing or extra:
        raise CubeError(
            f"a {kind!r} cube with dims {spec.dims}",
            f"dims {dict(cube.sizes)}",
            f"Rename or select: missing {missing}, not known here {extra}",
        )


def _check_content(cube: xr.DataArray, kind: str, spec: CubeSpec) -> None:
    if cube.dtype.kind not in spec.dtypes:
        raise CubeError(
            f"a {kind!r} cube with dtype of kind {spec.dtypes!r}",
            f"{cube.dtype} with dims {dict(cube.sizes)}",
            "Convert it with .astype(...)",
        )
    stated = cube.attrs.get("units")
    if stated is not None and spec.units and stated not in spec.units:
        raise CubeError(
            f"a {kind!r} cube in {' or '.join(spec.units)}",
            f"units {stated!r}",
            "Convert the values and set attrs['units']",
        )


def _check_labels(cube: xr.DataArray, kind: str) -> None:
    for dim, own in cube.xindexes.items():
        if isinstance(own, RangeIndex):  # unique by construction; audio's is never made in memory
            continue
        index = own.to_pandas_index()
        if index.has_duplicates:
            twice = index[index.duplicated()][:3].tolist()
            raise CubeError(
                f"unique labels along {dim!r} of a {kind!r} cube",
                f"{twice} more than once",
                "Rename or drop the duplicates",
            )

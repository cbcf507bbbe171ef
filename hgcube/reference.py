"""Recording -> re-referenced recording: the only stage that looks across electrodes."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.errors import CubeError, OptionError, UnknownLabelError
from hgcube.kernels.referencing import group_means
from hgcube.schema import (
    added_flags,
    bad_electrodes,
    check,
    finish,
    joined_flags,
    passed_on,
    text_array,
)

_LOG = logging.getLogger("hgcube")
_NAMED = re.compile(r"(?P<stem>.*?)(?P<number>\d+)")
_UNNUMBERED = -2
_Place = tuple[tuple[str, str], int]
_LONE = "no other good electrode to refer to"


def rereference(recording: xr.DataArray, scheme: str = "bipolar") -> xr.DataArray:
    """Return the recording against another reference.

    Parameters
    ----------
    recording : xarray.DataArray
        (electrode, time). The coordinates ``name`` (else the labels), ``group`` and ``bad`` are
        used where they are.
    scheme : {"bipolar", "shaft", "average", "none", "auto"}
        ``auto``: bipolar if any electrode has a neighbour on its shaft, else none. ``bipolar``:
        each electrode minus the next on its shaft (same group, same name but for the number at
        its end, number one higher). ``shaft``: minus the mean of the good electrodes of its
        shaft. ``average``: minus the mean of all good electrodes. ``none``: as it is. Samples
        that are not finite never enter a mean.

    Returns
    -------
    xarray.DataArray
        Kind ``recording``, lazy if the input is, with the coordinate ``reference``. Bipolar pairs
        are labelled ``"01-LA1-LA2"``, have the coordinates ``anode`` and ``cathode``, lie midway,
        keep everything else of the anode, are bad if a member is, and have ``stored_scale`` only
        where both members agree; electrodes in no pair are counted in the attribute
        ``n_unpaired``. An electrode without a good companion in its mean is NaN and bad.

    Raises
    ------
    OptionError
        If no pair, or no second good electrode, exists; or the electrodes have no names.
    UnknownLabelError
        If there is no such scheme.
    CubeError
        If the recording does not meet its spec.
    """
    if scheme == "auto":
        scheme = _scheme_for(check(recording, "recording"))
    if scheme not in SCHEMES:
        raise UnknownLabelError.of("reference", scheme, [*SCHEMES, "auto"])
    referenced = SCHEMES[scheme](check(recording, "recording"))
    if scheme != "none" or n.REFERENCE not in recording.coords:
        label = text_array([scheme] * referenced.sizes[n.ELECTRODE])
        referenced = referenced.assign_coords({n.REFERENCE: (n.ELECTRODE, label)})
    return finish(
        referenced,
        "recording",
        units=recording.attrs.get("units"),
        attrs={
            **passed_on(recording, n.LINE_FREQUENCY, n.SIMULATED),
            **passed_on(referenced, "n_unpaired"),
        },
    )


def _scheme_for(recording: xr.DataArray) -> str:
    if _pairs(_places(recording)):
        return "bipolar"
    _LOG.warning("no electrode has a neighbour on its shaft: left against its recorded reference")
    return "none"


def _unchanged(recording: xr.DataArray) -> xr.DataArray:
    return recording


def _average(recording: xr.DataArray) -> xr.DataArray:
    return _minus_means(recording, np.zeros(recording.sizes[n.ELECTRODE], dtype=np.intp))


def _shaft(recording: xr.DataArray) -> xr.DataArray:
    shafts = [shaft for shaft, _ in _places(recording)]
    number = {shaft: i for i, shaft in enumerate(dict.fromkeys(shafts))}
    return _minus_means(recording, np.array([number[shaft] for shaft in shafts]))


def _minus_means(recording: xr.DataArray, group: np.ndarray[Any, Any]) -> xr.DataArray:
    bad = bad_electrodes(recording)
    members = [np.flatnonzero((group == i) & ~bad).tolist() for i in range(group.max() + 1)]
    lone = np.array([len(members[i]) < 2 for i in group])
    if lone.all():
        raise OptionError(
            "at least two good electrodes to average",
            f"{int((~bad).sum())} good of {bad.size}",
            "Use scheme='none'",
        )
    members = [positions if len(positions) > 1 else [] for positions in members]
    across = recording.chunk({n.ELECTRODE: -1, n.TIME: "auto"}) if recording.chunks else recording
    means = xr.apply_ufunc(
        group_means,
        across,
        kwargs={"members": members},
        input_core_dims=[[n.ELECTRODE]],
        output_core_dims=[["reference_group"]],
        join="exact",
        dask="parallelized",
        output_dtypes=[recording.dtype],
        dask_gufunc_kwargs={"output_sizes": {"reference_group": len(members)}},
    )
    own = means.isel(reference_group=xr.DataArray(group, dims=n.ELECTRODE))
    if recording.chunks:
        own = own.chunk(recording.chunksizes)
    referenced = _subtract(recording, own)
    return _mark_lone(referenced, lone)


def _mark_lone(recording: xr.DataArray, lone: np.ndarray[Any, Any]) -> xr.DataArray:
    if not lone.any():
        return recording
    _LOG.warning("%d of %d electrodes have %s: NaN and bad", lone.sum(), lone.size, _LONE)
    reasons = added_flags(recording, n.BAD_REASON, n.ELECTRODE, np.where(lone, _LONE, "").tolist())
    return recording.assign_coords(
        {
            n.BAD: (n.ELECTRODE, bad_electrodes(recording) | lone),
            n.BAD_REASON: (n.ELECTRODE, reasons),
        }
    )


def _bipolar(recording: xr.DataArray) -> xr.DataArray:
    places = _places(recording)
    pairs = _pairs(places)
    if not pairs:
        raise OptionError(
            "neighbours along a shaft, such as LA1 and LA2",
            f"no pair among {len(places)} electrodes ({', '.join(_names(recording)[:5])}, ...)",
            "Use scheme='none'",
        )
    unpaired = len(places) - len({i for pair in pairs for i in pair})
    if unpaired:
        _LOG.warning("bipolar: %d of %d electrodes are in no pair", unpaired, len(places))
    first, second = (list(members) for members in zip(*pairs, strict=True))
    anode, cathode = recording.isel(electrode=first), recording.isel(electrode=second)
    coords = _pair_coords(anode, cathode)
    kept = anode.drop_vars(n.ELECTRODE, errors="ignore").assign_coords(coords)
    other = cathode.chunk(anode.chunksizes) if anode.chunks else cathode
    return _subtract(kept, other).assign_attrs(n_unpaired=unpaired)


def _pairs(places: list[_Place]) -> list[tuple[int, int]]:
    position = {place: i for i, place in enumerate(places)}
    return [
        (i, position[shaft, number + 1])
        for i, (shaft, number) in enumerate(places)
        if (shaft, number + 1) in position
    ]


def _subtract(recording: xr.DataArray, reference: xr.DataArray) -> xr.DataArray:
    """Subtract arrays of one shape; the first gives the labels."""
    difference: xr.DataArray = xr.apply_ufunc(
        np.subtract,
        recording,
        reference.drop_vars([name for name in reference.coords if name != n.TIME]),
        join="exact",
        dask="parallelized",
        output_dtypes=[recording.dtype],
    )
    return difference


def _pair_coords(anode: xr.DataArray, cathode: xr.DataArray) -> dict[str, Any]:
    names, other = _names(anode), _names(cathode)
    labels = anode[n.ELECTRODE].values if n.ELECTRODE in anode.coords else names
    pairs = {
        n.ELECTRODE: [f"{label}-{name}" for label, name in zip(labels, other, strict=True)],
        n.NAME: [f"{a}-{b}" for a, b in zip(names, other, strict=True)],
        n.ANODE: names,
        n.CATHODE: other,
    }
    coords: dict[str, Any] = {k: (n.ELECTRODE, text_array(v)) for k, v in pairs.items()}
    for name, combine in _COMBINED.items():
        if name in anode.coords:
            a, b = anode[name], cathode[name]
            coords[name] = (n.ELECTRODE, combine(a.values, b.values), a.attrs)
    return coords


def _midway(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray((a.astype(np.float64) + b) / 2)


def _agreed(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.where(a == b, a, np.nan)


def _reasons(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return text_array([joined_flags(*pair) for pair in zip(a.tolist(), b.tolist(), strict=True)])


_COMBINED: dict[str, Callable[[Any, Any], np.ndarray[Any, Any]]] = {
    "x": _midway,
    "y": _midway,
    "z": _midway,
    n.STORED_SCALE: _agreed,
    n.BAD: np.logical_or,
    n.BAD_REASON: _reasons,
}


def _places(recording: xr.DataArray) -> list[_Place]:
    """Return shaft (group, stem of the name) and number of each electrode."""
    names = _names(recording)
    groups = recording.coords.get(n.GROUP)
    group = [""] * len(names) if groups is None else [str(label) for label in groups.values]
    found = [_NAMED.fullmatch(name) for name in names]
    return [
        ((g, match["stem"]), int(match["number"])) if match else ((g, name), _UNNUMBERED)
        for g, name, match in zip(group, names, found, strict=True)
    ]


def _names(recording: xr.DataArray) -> list[str]:
    for coord in (n.NAME, n.ELECTRODE):
        if coord in recording.coords:
            return [str(name) for name in recording[coord].values]
    raise CubeError(
        "electrode names, to find neighbours",
        "neither the coordinate 'name' nor labels along 'electrode'",
        "Assign one, or use scheme='none' or scheme='average'",
    )


SCHEMES: dict[str, Callable[[xr.DataArray], xr.DataArray]] = {
    "none": _unchanged,
    "average": _average,
    "bipolar": _bipolar,
    "shaft": _shaft,
}

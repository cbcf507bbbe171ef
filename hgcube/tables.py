"""Flat tables over all subjects, and the padded subject x electrode x lag x word cube."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.errors import CubeError, OptionError
from hgcube.schema import check, text_array
from hgcube.variables import Results, describe, result_parts

logger = logging.getLogger("hgcube")

GRID = (n.SPACE, n.SOLVER)
_NEVER_POOLED = {n.FOLD, n.PERMUTATION}
Epochs = Mapping[str, xr.DataArray] | Iterable[xr.DataArray]


def by_electrode(results: Results, verdicts: xr.Dataset | None = None) -> xr.Dataset:
    """Pool every score by electrode over subjects, spaces and solvers.

    Parameters
    ----------
    results : Dataset, DataTree, mapping or iterable of Dataset
        What `encode` returned.
    verdicts : xarray.Dataset, optional
        What `verify` returned for the same results; adds ``p_adjusted`` (space, null, electrode)
        and ``found`` (space, electrode).

    Returns
    -------
    xarray.Dataset
        dims (space, solver, predictor, electrode[, lag]); electrode coords with ``subject``. What
        was not run is NaN (0 words, not collapsed) and counted in the attribute ``missing``.

    Raises
    ------
    OptionError
        If there is no result.
    """
    parts = [_with_subject(part, n.ELECTRODE) for part in result_parts(results)]
    table = _pooled(parts, n.ELECTRODE, unpooled={n.WORD})
    if verdicts is None:
        return table
    added = verdicts[["p_adjusted", "found"]].reset_coords(drop=True)
    aligned = added.reindex(space=table[n.SPACE], electrode=table[n.ELECTRODE], fill_value=_FILL)
    return table.merge(aligned, join="exact", compat="override", combine_attrs="override")


def by_word(results: Results) -> xr.Dataset:
    """Pool every score by word over subjects, spaces and solvers.

    Parameters
    ----------
    results : Dataset, DataTree, mapping or iterable of Dataset
        What `encode` returned.

    Returns
    -------
    xarray.Dataset
        dims (space, solver, predictor, word[, lag]); ``word`` is labelled ``"01-000"``, with
        coords ``subject``, ``position`` and all word coords. NaN where not run, counted in the
        attribute ``missing``.

    Raises
    ------
    OptionError
        If there is no result.
    """
    parts = [_labelled_words(part) for part in result_parts(results)]
    return _pooled(parts, n.WORD, unpooled={n.ELECTRODE})


def to_padded(epochs: Epochs) -> xr.DataArray:
    """Make the literal subject x electrode x lag x word cube, padded with NaN.

    Parameters
    ----------
    epochs : mapping of subject to epochs, or iterable of epochs
        Epochs (word, electrode[, lag]) of one subject each, of one target and one set of lags.
        An iterable needs the electrode coordinate ``subject``.

    Returns
    -------
    xarray.DataArray
        (subject, electrode[, lag], word); ``electrode`` and ``word`` count from 0 inside each
        subject, with coords ``electrode_label``, ``name``, ``region`` (subject, electrode) and
        ``text`` (subject, word), empty where padded. Lazy if the epochs are.

    Raises
    ------
    OptionError
        If there are no epochs, or one subject twice.
    CubeError
        If lags or units differ between subjects.
    """
    cubes = _by_subject(epochs)
    first = next(iter(cubes.values()))
    for subject, cube in cubes.items():
        _check_alike(subject, first, cube)
    sizes = {dim: max(c.sizes[dim] for c in cubes.values()) for dim in (n.ELECTRODE, n.WORD)}
    padded = [_padded(cube, sizes) for cube in cubes.values()]
    joined = xr.concat(padded, dim=n.SUBJECT, join="exact", combine_attrs="override")
    whole = joined.assign_coords({n.SUBJECT: text_array(list(cubes)), **_padded_coords(cubes)})
    whole.attrs = {**first.attrs, "padded_with": "NaN"}
    return whole.transpose(n.SUBJECT, n.ELECTRODE, ..., n.WORD)


_FILL: dict[Hashable, Any] = {"p_adjusted": np.nan, "found": False}


def _with_subject(part: xr.Dataset, dim: str) -> xr.Dataset:
    subjects = text_array([str(part[n.SUBJECT].item())] * part.sizes[dim])
    return part.drop_vars(n.SUBJECT).assign_coords({n.SUBJECT: (dim, subjects)})


def _labelled_words(part: xr.Dataset) -> xr.Dataset:
    subject = str(part[n.SUBJECT].item())
    positions = part[n.WORD].values
    labels = text_array([f"{subject}-{position:03d}" for position in positions])
    named = _with_subject(part, n.WORD)
    return named.assign_coords({n.WORD: labels, n.POSITION: (n.WORD, positions)})


def _pooled(parts: list[xr.Dataset], dim: str, unpooled: set[str]) -> xr.Dataset:
    """Write each part into its place of arrays that are filled with "missing"."""
    skipped = _NEVER_POOLED | unpooled
    chosen = {
        str(name): variable.dims
        for part in parts
        for name, variable in part.data_vars.items()
        if dim in variable.dims and not skipped & set(variable.dims)
    }
    labels = _labels(parts, {*GRID, *(str(d) for dims in chosen.values() for d in dims)})
    pooled = {
        name: ((*GRID, *dims), _filled(name, (*GRID, *map(str, dims)), parts, labels))
        for name, dims in chosen.items()
    }
    table = xr.Dataset(pooled, {**labels, **_pooled_coords(parts, dim, labels[dim])})
    missing = _missing(parts, labels)
    if missing:
        logger.warning("table by %s: %d parts are missing: %s", dim, len(missing), missing)
    return describe(table).assign_attrs(kind=f"{dim}s", n_missing=len(missing), missing=missing)


def _labels(parts: list[xr.Dataset], dims: set[str]) -> dict[str, Any]:
    """Return all labels of each dim, in the order in which they are first met."""
    labels = {}
    for dim in sorted(dims):
        met = dict.fromkeys(
            label for part in parts if dim in part for label in np.ravel(part[dim].values).tolist()
        )
        is_text = any(isinstance(label, str) for label in met)
        labels[dim] = text_array(list(met)) if is_text else np.array(list(met))
    return labels


def _filled(
    name: str, dims: tuple[str, ...], parts: list[xr.Dataset], labels: dict[str, Any]
) -> np.ndarray[Any, Any]:
    index = {dim: {label: i for i, label in enumerate(labels[dim].tolist())} for dim in dims}
    having = [part for part in parts if name in part]
    dtype = np.result_type(*(part[name].dtype for part in having))
    filled = np.full([len(labels[dim]) for dim in dims], _missing_value(dtype), dtype)
    for part in having:
        at = [[index[d][label] for label in np.atleast_1d(part[d].values).tolist()] for d in dims]
        variable = part[name].transpose(*(d for d in dims if d in part[name].dims))
        filled[np.ix_(*at)] = variable.values[np.newaxis, np.newaxis]
    return filled


def _missing_value(dtype: np.dtype[Any]) -> Any:
    return np.nan if dtype.kind == "f" else np.zeros((), dtype)[()]


def _pooled_coords(
    parts: list[xr.Dataset], dim: str, labels: np.ndarray[Any, Any]
) -> dict[str, tuple[str, np.ndarray[Any, Any]]]:
    """Join the coordinates along `dim`; a column that one subject lacks is empty there."""
    known: dict[str, dict[str, Any]] = {}
    for part in parts:
        for name, coord in part.coords.items():
            if coord.dims == (dim,) and name != dim:
                values = zip(part[dim].values.tolist(), coord.values.tolist(), strict=True)
                column = known.setdefault(str(name), {})
                column.update({label: value for label, value in values if label not in column})
    return {name: (dim, _column(column, labels.tolist())) for name, column in known.items()}


def _column(column: dict[str, Any], labels: list[str]) -> np.ndarray[Any, Any]:
    present = list(column.values())
    if any(isinstance(value, str) for value in present):
        return text_array([str(column.get(label, "")) for label in labels])
    if all(isinstance(value, bool) for value in present):
        return np.array([column.get(label, False) for label in labels])
    whole = all(isinstance(value, int) for value in present) and len(column) == len(labels)
    return np.array([column.get(label, np.nan) for label in labels], int if whole else float)


def _missing(parts: list[xr.Dataset], labels: dict[str, Any]) -> list[str]:
    subjects = dict.fromkeys(str(part[n.SUBJECT].values[0]) for part in parts)
    made = {(str(p[n.SUBJECT].values[0]), p[n.SPACE].item(), p[n.SOLVER].item()) for p in parts}
    return [
        f"{subject}/{space}/{solver}"
        for subject in subjects
        for space in labels[n.SPACE].tolist()
        for solver in labels[n.SOLVER].tolist()
        if (subject, space, solver) not in made
    ]


def _by_subject(epochs: Epochs) -> dict[str, xr.DataArray]:
    if isinstance(epochs, Mapping):
        pairs = [(str(subject), cube) for subject, cube in epochs.items()]
    else:
        pairs = [(_subject_of(cube), cube) for cube in epochs]
    cubes = {subject: check(cube, "epochs") for subject, cube in pairs}
    if not pairs or len(cubes) < len(pairs):
        got = [subject for subject, _ in pairs] or "none"
        raise OptionError(
            "epochs of one or more subjects, each once", f"{got}", "Join a subject's runs first"
        )
    return cubes


def _subject_of(cube: xr.DataArray) -> str:
    stated = set(np.ravel(check(cube, "epochs").coords[n.SUBJECT].values).tolist())
    if len(stated) != 1:
        raise CubeError(
            "epochs of one subject", f"subjects {sorted(stated)}", "Select one subject per cube"
        )
    return str(stated.pop())


def _check_alike(subject: str, first: xr.DataArray, cube: xr.DataArray) -> None:
    lags = [c[n.LAG].values if n.LAG in c.dims else np.array([]) for c in (first, cube)]
    units = [c.attrs.get("units") for c in (first, cube)]
    if not np.array_equal(lags[0], lags[1]) or units[0] != units[1]:
        raise CubeError(
            f"the lags and units of the first subject ({lags[0].size} lags, {units[0]})",
            f"subject {subject!r} with {lags[1].size} lags, {units[1]}",
            "Make all epochs with the same settings",
        )


def _padded(cube: xr.DataArray, sizes: dict[str, int]) -> xr.DataArray:
    bare = cube.reset_coords(drop=True).drop_vars([n.WORD, n.ELECTRODE], errors="ignore")
    widths = {dim: (0, size - cube.sizes[dim]) for dim, size in sizes.items()}
    padded: xr.DataArray = bare.pad(widths, constant_values=np.nan)
    return padded


def _padded_coords(cubes: dict[str, xr.DataArray]) -> dict[str, tuple[tuple[str, str], Any]]:
    sources = {
        "electrode_label": (n.ELECTRODE, n.ELECTRODE),
        n.NAME: (n.ELECTRODE, n.NAME),
        n.REGION: (n.ELECTRODE, n.REGION),
        n.TEXT: (n.WORD, n.TEXT),
    }
    coords = {}
    for name, (dim, source) in sources.items():
        columns = [c[source].values.tolist() if source in c.coords else [] for c in cubes.values()]
        width = max(c.sizes[dim] for c in cubes.values())
        rows = [[str(v) for v in column] + [""] * (width - len(column)) for column in columns]
        coords[name] = ((n.SUBJECT, dim), text_array(rows))
    return coords

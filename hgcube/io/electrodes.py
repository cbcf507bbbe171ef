"""Electrode coordinates: channels.tsv and electrodes.tsv joined by name."""

from __future__ import annotations

import logging
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from hgcube import names as n
from hgcube.errors import SourceError
from hgcube.io.bids import NOT_AVAILABLE, RecordingFiles, entities, read_json, read_table
from hgcube.schema import text_array
from hgcube.variables import VARIABLES

_LOG = logging.getLogger("hgcube")
_INTRACRANIAL = ("SEEG", "ECOG", "DBS")
_METRES = {"m": 1.0, "cm": 1e-2, "mm": 1e-3}
_POSITION = ("x", "y", "z")
# One dtype per column whatever a subject's table holds, so that subjects can be joined.
_NUMERIC = (*_POSITION, "size", "impedance", "low_cutoff", "high_cutoff", n.SAMPLING_FREQUENCY)
_REGION_COLUMNS = ("region", "location", "anat", "anatomy", "label", "description")
_TAKEN = {
    *(n.ELECTRODE, n.TIME, n.AUDIO_TIME, n.WORD, n.ONSET, n.DURATION, n.FLAG, n.VOICE_ONSET),
    *("run", "ieeg", "audio", "words", n.SUBJECT, n.STORED_SCALE, n.BAD, n.BAD_REASON, n.TEXT),
    *(n.LAG, n.FEATURE, n.SPACE, n.SOLVER, n.PREDICTOR, n.FOLD, n.PERMUTATION, n.NULL, n.QUANTILE),
    *("embedding", "layer", "control_of", "target", "position", "contaminated", *VARIABLES),
}
_UNKNOWN = ("", NOT_AVAILABLE)
# MNE-BIDS writes the kind of electrode as its description.
_NO_REGIONS = (
    "Electrocorticography",
    "StereoEEG",
    "Deep Brain Stimulation",
    "ElectroEncephaloGram",
)


def electrode_rows(table: pd.DataFrame, path: Path) -> NDArray[np.bool_]:
    """Say which rows are electrodes: intracranial types, or scalp EEG when there are none.

    Parameters
    ----------
    table : pandas.DataFrame
        With ``name`` and maybe ``type``.
    path : pathlib.Path
        Named in the log and in errors.

    Returns
    -------
    array of bool, shape (n_rows,)
        All True when no row states a type. The others are counted in the log.

    Raises
    ------
    SourceError
        If no row is an electrode, or two of them have one name.
    """
    types = _column(table, n.TYPE).str.upper()
    keep = types.isin(_INTRACRANIAL)
    if not keep.any():
        keep = (types == "EEG") | types.isin([kind.upper() for kind in _UNKNOWN])
        if keep.any():
            _LOG.warning(
                "%s: no type is %s; all %d columns of type EEG or n/a are taken for electrodes",
                *(path, ", ".join(_INTRACRANIAL), keep.sum()),
            )
    if not keep.any():
        raise SourceError(
            f"electrodes of type {', '.join(_INTRACRANIAL)} or EEG in {path}",
            str(dict(Counter(types))),
            "Mend the column 'type'",
        )
    if not keep.all():
        _LOG.info("%s: left out %s", path, dict(Counter(types[~keep])))
    twice = [name for name, count in Counter(table["name"][keep]).items() if count > 1]
    if twice:
        raise SourceError(f"unique electrode names in {path}", f"{twice} twice", "Rename them")
    return keep.to_numpy()


def electrode_coords(
    table: pd.DataFrame, subject: str, stored_scale: NDArray[np.float64]
) -> dict[str, xr.Variable]:
    """Turn a joined electrode table into the coordinates of ``electrode``.

    Parameters
    ----------
    table : pandas.DataFrame
        One row an electrode; see `joined`.
    subject : str
    stored_scale : array of float
        Volts per stored number.

    Returns
    -------
    dict of str to xarray.Variable
        The standard coordinates and every other column; labels are ``"<subject>-<name>"``.
    """
    columns = {
        **{_free_name(str(column)): table[column] for column in table},
        n.TYPE: _column(table, n.TYPE),
        n.STATUS: _column(table, n.STATUS),
        n.GROUP: _groups(table),
        n.HEMISPHERE: _hemispheres(table),
        n.REGION: _regions(table),
        **{axis: _column(table, axis) for axis in _POSITION},
    }
    own = {name: _values(name, column) for name, column in columns.items()}
    status = _column(table, n.STATUS).str.casefold() == "bad"
    reasons = _column(table, "status_description").where(status, "")
    own |= {
        n.ELECTRODE: text_array([f"{subject}-{name}" for name in table["name"]]),
        n.SUBJECT: text_array([subject] * len(table)),
        n.STORED_SCALE: np.asarray(stored_scale, dtype=float),
        n.BAD: status.to_numpy(dtype=bool),
        n.BAD_REASON: text_array(reasons.where(~status | ~reasons.isin(_UNKNOWN), "status bad")),
    }
    coords = {name: xr.Variable((n.ELECTRODE,), values) for name, values in own.items()}
    for axis in _POSITION:
        coords[axis].attrs = {"units": n.METRE, "space": table.attrs.get("space", NOT_AVAILABLE)}
    return coords


def joined(table: pd.DataFrame, files: RecordingFiles) -> pd.DataFrame:
    """Add the columns of electrodes.tsv to a column table, by name, positions in metres.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of channels.tsv, in the file's order.
    files : RecordingFiles

    Returns
    -------
    pandas.DataFrame
        Same rows; where both tables have a column, electrodes.tsv fills what is ``n/a``.
        ``attrs["space"]`` names the coordinate system.

    Raises
    ------
    SourceError
        For a name twice in electrodes.tsv or a position that is no number.
    """
    located = _located(files)
    if located is None:
        return table
    path, factor, space = located
    electrodes = read_table(path, ["name"])
    if electrodes["name"].duplicated().any():
        twice = electrodes["name"][electrodes["name"].duplicated()].tolist()
        raise SourceError(f"unique names in {path}", f"{twice} twice", "Rename them")
    axes = [axis for axis in _POSITION if axis in electrodes]
    placed = electrodes[axes].apply(_numbers, path=path)
    if np.isnan(factor) and placed.notna().to_numpy().any():
        _LOG.warning("%s: no length unit in coordsystem.json; positions left NaN", path)
    electrodes[axes] = placed * factor
    beside = electrodes.set_index("name").reindex(table["name"])
    _log_unplaced(table, electrodes, path)
    both = table.copy()
    for column in beside:
        fill = beside[column].reset_index(drop=True).set_axis(table.index)
        own = table[column] if column in table else pd.Series(NOT_AVAILABLE, table.index)
        both[column] = own.where(~own.isin(_UNKNOWN), fill.astype(object).fillna(NOT_AVAILABLE))
    both.attrs["space"] = space
    return both


def _located(files: RecordingFiles) -> tuple[Path, float, str] | None:
    """Find the electrodes.tsv with known length units, else the most specific, in NaN metres."""
    best: tuple[Path, float, str] | None = None
    for path in files.find_all("electrodes.tsv"):
        system = _coordinate_system(files, path)
        factor = _METRES.get(str(system.get("iEEGCoordinateUnits", "")), np.nan)
        space = str(system.get("iEEGCoordinateSystem", NOT_AVAILABLE))
        if space in ("Other", *_UNKNOWN):
            space = entities(path).get("space", space)
        if best is None or np.isfinite(factor) or not np.isfinite(best[1]):
            best = path, factor, space
    return best


def _coordinate_system(files: RecordingFiles, electrodes: Path) -> dict[str, Any]:
    space = entities(electrodes).get("space")
    fitting = [
        path for path in files.find_all("coordsystem.json") if entities(path).get("space") == space
    ]
    return read_json(fitting[-1]) if fitting else {}


def _log_unplaced(table: pd.DataFrame, electrodes: pd.DataFrame, path: Path) -> None:
    absent = table["name"][~table["name"].isin(electrodes["name"])].tolist()
    if absent:
        _LOG.info("%s: no row for %d electrodes (%s)", path, len(absent), absent[:3])


def _column(table: pd.DataFrame, name: str) -> pd.Series:
    if name in table:
        return table[name]
    return pd.Series(NOT_AVAILABLE, table.index, dtype=object, name=name)


def _free_name(column: str) -> str:
    # A variable with a slash in its name is a group to Zarr, and no variable to a DataTree.
    name = column.replace("/", "_")
    return f"{name}_column" if name in _TAKEN else name


def _values(name: str, column: pd.Series) -> NDArray[Any]:
    return _loose_numbers(column) if name in _NUMERIC else text_array(column)


def _loose_numbers(column: pd.Series) -> NDArray[np.float64]:
    numbers = pd.to_numeric(column, errors="coerce")
    lost = column[numbers.isna() & ~column.isin([*_UNKNOWN, np.nan])]
    if len(lost):
        _LOG.warning(
            "column %r: %d texts are no numbers (%r)", column.name, len(lost), lost.iloc[0]
        )
    return numbers.to_numpy(dtype=float)


def _numbers(column: pd.Series, path: Path) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = column[numbers.isna() & ~column.str.casefold().isin([*_UNKNOWN, "nan"])]
    if len(wrong):
        raise SourceError(
            f"numbers in column {column.name!r} of {path}",
            repr(wrong.iloc[0]),
            "Correct it, or write n/a",
        )
    return numbers.astype(float)


def _groups(table: pd.DataFrame) -> pd.Series:
    from_name = table["name"].map(shaft)
    stated = _column(table, n.GROUP)
    return stated.where(~stated.isin(_UNKNOWN), from_name)


def shaft(name: str) -> str:
    """Return the shaft or grid in an electrode's name.

    Parameters
    ----------
    name : str

    Returns
    -------
    str
        The name without its closing number and what joins the two.

    Examples
    --------
    >>> shaft("LA12"), shaft("L'3"), shaft("LFP_RIGHT_0"), shaft("LACN 1"), shaft("Ref")
    ('LA', "L'", 'LFP_RIGHT', 'LACN', 'Ref')
    """
    return re.sub(r"[\s_-]*\d+$", "", name) or name


def _regions(table: pd.DataFrame) -> pd.Series:
    region = pd.Series(NOT_AVAILABLE, table.index, dtype=object)
    for column in _REGION_COLUMNS:
        region = region.where(~region.isin(_UNKNOWN), _column(table, column))
        region = region.where(~region.isin(_NO_REGIONS), NOT_AVAILABLE)
    return region


def _hemispheres(table: pd.DataFrame) -> pd.Series:
    primes = table["name"].str.contains("['\u2019]", regex=True).any()
    stated = _column(table, n.HEMISPHERE).str[:1].str.upper()
    guessed = [
        hemisphere(name, region, primes=bool(primes))
        for name, region in zip(table["name"], _regions(table), strict=True)
    ]
    return stated.where(stated.isin(["L", "R"]), pd.Series(guessed, table.index))


def hemisphere(name: str, region: str = "", *, primes: bool = False) -> str:
    """Read the hemisphere from an electrode's region label or name.

    Parameters
    ----------
    name, region : str
    primes : bool
        Some name of the recording has a prime, so that names without one are on the right.

    Returns
    -------
    str
        ``"L"``, ``"R"`` or ``"n/a"``.

    Examples
    --------
    >>> hemisphere("LA2"), hemisphere("B3", "ctx_rh_G_front"), hemisphere("LFP_RIGHT_0")
    ('L', 'R', 'R')
    >>> hemisphere("L'3", primes=True), hemisphere("L3", primes=True), hemisphere("G1")
    ('L', 'R', 'n/a')
    """
    said = re.search(r"(?:^|[^a-z])(lh|rh|left|right)(?:[^a-z]|$)", f"{region} {name}".casefold())
    if said:
        return said.group(1)[0].upper()
    if primes:
        return "L" if re.search("['\u2019]", name) else "R"
    shaft_name = re.match(r"([LR])[A-Za-z]+[\s_-]*\d+$", name)
    return shaft_name.group(1) if shaft_name else NOT_AVAILABLE

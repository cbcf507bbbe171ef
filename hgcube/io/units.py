"""Volts per stored number: what the side-car says, what the file says, what the signal says."""

from __future__ import annotations

import logging
import unicodedata
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LOG = logging.getLogger("hgcube")
_PREFIXES = {
    "": 1.0,
    "m": 1e-3,
    "milli": 1e-3,
    "\u03bc": 1e-6,
    "u": 1e-6,
    "micro": 1e-6,
    "n": 1e-9,
    "nano": 1e-9,
}
PLAUSIBLE_VOLTS = (1e-7, 2e-2)


def volts_per(unit: str) -> float | None:
    """Return the volts in one `unit`, or None for anything that is no unit of voltage.

    Parameters
    ----------
    unit : str
        ``"V"``, ``"mV"``, micro-volts in any spelling, ``"nV"``, ``"volts"``.

    Returns
    -------
    float or None

    Examples
    --------
    >>> volts_per("uV"), volts_per("mV"), volts_per("n/a")
    (1e-06, 0.001, None)
    """
    # NFKC folds the micro sign (U+00B5) into the Greek letter (U+03BC).
    text = unicodedata.normalize("NFKC", unit).strip()
    for ending in ("volts", "volt", "V"):
        if text.casefold().endswith(ending.casefold()):
            return _PREFIXES.get(text[: len(text) - len(ending)])
    return None


def reconcile(
    stated: Sequence[str], of_file: NDArray[np.float64] | None, names: Sequence[str], path: Path
) -> tuple[NDArray[np.float64], dict[str, str]]:
    """Decide the volts per stored number of each column, and say where sources disagree.

    Parameters
    ----------
    stated : sequence of str
        ``units`` of channels.tsv, one a column.
    of_file : array of float or None
        Volts per stored number by the signal file; None when it says nothing.
    names : sequence of str
        Electrode names, for the log.
    path : pathlib.Path
        The signal file, for the log.

    Returns
    -------
    scale : array of float
        channels.tsv where it says something, else the file, else 1.
    attrs : dict
        ``unit_disagreement`` when the two differ by more than 1 %, ``unit_warning`` when
        neither says anything.
    """
    table = np.array([volts_per(unit) or np.nan for unit in stated])
    file = np.full(len(table), np.nan) if of_file is None else of_file
    scale = np.where(np.isnan(table), file, table)
    attrs = {}
    differ = np.abs(table - file) > 0.01 * np.abs(table)
    if differ.any():
        first = int(np.flatnonzero(differ)[0])
        attrs["unit_disagreement"] = (
            f"channels.tsv says {table[first]:g} V per stored number, the file {file[first]:g}, "
            f"for {_some(names, differ)}; channels.tsv was taken"
        )
        _LOG.warning("%s: %s", path, attrs["unit_disagreement"])
    unknown = np.isnan(scale)
    if unknown.any():
        attrs["unit_warning"] = f"no unit stated for {_some(names, unknown)}; volts assumed"
        _LOG.warning("%s: %s", path, attrs["unit_warning"])
    return np.where(unknown, 1.0, scale), attrs


def implausible(sample: NDArray[np.float64], names: Sequence[str], path: Path) -> dict[str, str]:
    """Flag amplitudes that no intracranial recording has; nothing is rescaled.

    Parameters
    ----------
    sample : array of float, shape (n_electrodes, n_times)
        A few seconds in volts.
    names : sequence of str
        Electrode names.
    path : pathlib.Path
        Named in the log.

    Returns
    -------
    dict
        ``unit_warning`` when the median absolute deviation of some electrode lies outside
        0.1 uV to 20 mV; flat and NaN electrodes are not a matter of units.
    """
    with np.errstate(invalid="ignore"):
        centred = np.abs(sample - np.median(sample, axis=1, keepdims=True))
    amplitude = np.median(centred, axis=1)
    low, high = PLAUSIBLE_VOLTS
    wrong = (amplitude > 0) & ((amplitude < low) | (amplitude > high))
    if not wrong.any():
        return {}
    typical = float(np.median(amplitude[wrong]))
    text = (
        f"amplitudes of about {typical:.2g} V (plausible: {low:g} to {high:g} V) on "
        f"{_some(names, wrong)}; values were left as they are"
    )
    _LOG.warning("%s: %s", path, text)
    return {"unit_warning": text}


def _some(names: Sequence[str], chosen: NDArray[Any]) -> str:
    found = [name for name, one in zip(names, chosen, strict=True) if one]
    shown = ", ".join(found[:3]) + (", ..." if len(found) > 3 else "")
    return f"{len(found)} of {len(names)} electrodes ({shown})"

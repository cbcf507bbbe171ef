"""What a store holds for a report, and what is missing from it, without ever failing on a part."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xarray as xr

from hgcube import names as n
from hgcube.config import Analysis, read_study
from hgcube.embeddings.stated import BANDS, Stated
from hgcube.errors import HgcubeError, StoreError
from hgcube.store import KEYS, Entry, Part, open_part, part_name, read_ledger

Cube = xr.DataArray | xr.Dataset
NOTES = ("unit_warning", "unit_disagreement", "event_disagreements")
LOADED = ("epochs", "tables", "verdicts")


@dataclass(frozen=True)
class Gap:
    """Something that is not there, and what mends it."""

    part: str
    why: str
    do: str


@dataclass(frozen=True, kw_only=True)
class Contents:
    """Everything the page is made from.

    Parameters
    ----------
    store : Path
    analysis : Analysis
        Settings in study.toml.
    ledger : dict
        Part to what the store knows about it.
    electrodes, words, verdicts : xarray.Dataset or None
        None where not made yet.
    epochs : xarray.DataArray or None
        Of one subject, with lags.
    about : dict
        Space to what its embedder says about itself.
    simulated : bool
    notes : list of str
        What the readers found odd in the recordings.
    gaps : list of Gap
    """

    store: Path
    analysis: Analysis
    ledger: dict[Part, Entry]
    electrodes: xr.Dataset | None
    words: xr.Dataset | None
    verdicts: xr.Dataset | None
    epochs: xr.DataArray | None
    about: dict[str, dict[str, Any]] = field(default_factory=dict)
    simulated: bool = False
    notes: list[str] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)


def read(store: str | Path) -> Contents:
    """Read what the report needs from a store.

    Parameters
    ----------
    store : path
        The store's folder; it needs a study.toml and may be empty otherwise.

    Returns
    -------
    Contents

    Raises
    ------
    StoreError
        If there is no such folder.
    SettingsError
        If there is no study.toml, or a wrong one.
    """
    folder = Path(store)
    if not folder.is_dir():
        raise StoreError("the folder of a store", f"{folder}", "Check the path")
    analysis, _ = read_study(folder / "study.toml")
    ledger = read_ledger(folder)
    gaps = _gaps(folder, ledger, analysis)
    verdicts = _dataset(folder, ledger, ("verdicts", ("all",)), gaps)
    electrodes = _dataset(folder, ledger, ("tables", ("electrodes",)), gaps)
    words = _dataset(folder, ledger, ("tables", ("words",)), gaps)
    recordings = _recordings(folder, ledger, gaps)
    return Contents(
        store=folder,
        analysis=analysis,
        ledger=ledger,
        electrodes=electrodes,
        words=words,
        verdicts=verdicts,
        epochs=_epochs(folder, ledger, verdicts, gaps),
        about=_about(folder, ledger, gaps),
        simulated=_any_simulated(recordings),
        notes=_notes(recordings),
        gaps=list(dict.fromkeys(gaps)),
    )


def made(ledger: dict[Part, Entry], kind: str) -> list[tuple[str, ...]]:
    """Return the keys of all parts of `kind` that are done."""
    return [key for (known, key), e in ledger.items() if known == kind and e.status == "done"]


def counts(ledger: dict[Part, Entry]) -> list[tuple[str, int, int]]:
    """Return (kind, parts done, parts failed) for every kind, in the order of the steps."""
    number = Counter((kind, entry.status) for (kind, _), entry in ledger.items())
    return [(kind, number[kind, "done"], number[kind, "failed"]) for kind in KEYS]


def _gaps(store: Path, ledger: dict[Part, Entry], analysis: Analysis) -> list[Gap]:
    command = f"hgcube run {store.resolve().name}"
    gaps = [
        Gap(part_name(*part), e.error, f"Mend the cause, then: {command}")
        for part, e in ledger.items()
        if e.status == "failed"
    ]
    fitted, unfitted = _spaces(store, ledger, analysis)
    gaps += [
        Gap(f"results of {space}", BANDS, "Fit each band as a space of its own")
        for space in unfitted
    ]
    empty = [kind for kind in KEYS if not made(ledger, kind)]
    gaps += [Gap(kind, "not made yet", f"{command} --steps {kind}") for kind in empty]
    return gaps + [
        Gap(part_name(kind, key), "not made yet", f"{command} --steps {kind}")
        for kind, key in _expected(ledger, analysis, fitted, unfitted)
        if kind not in empty and (kind, key) not in ledger
    ]


def _spaces(
    store: Path, ledger: dict[Part, Entry], analysis: Analysis
) -> tuple[list[str], list[str]]:
    """Return the spaces that are fitted and those that are not; as stored without their models."""
    stated = Stated(analysis.embeddings, store)
    try:
        bands = {space: len(stated.bands(space)) for space in sorted(stated.spaces)}
    except HgcubeError:
        return sorted({key[0] for key in made(ledger, "features")}), []
    fitted = [space for space, count in bands.items() if count < 2]
    return fitted, [space for space in bands if space not in fitted]


def _expected(
    ledger: dict[Part, Entry], analysis: Analysis, fitted: list[str], unfitted: list[str]
) -> list[Part]:
    """Return the parts that the settings ask for, of every subject with a recording."""
    subjects = sorted({key[0].partition("_")[0] for key in made(ledger, "recordings")})
    solvers = sorted(analysis.encoding.enabled)
    parts: list[Part] = [("epochs", (s, t)) for s in subjects for t in ("mean", "windows")]
    parts += [("features", (x, s)) for x in [*fitted, *unfitted] for s in subjects]
    return parts + [("results", (s, x, v)) for s in subjects for x in fitted for v in solvers]


def _open(store: Path, ledger: dict[Part, Entry], part: Part, gaps: list[Gap]) -> Cube | None:
    """Open a part; one that cannot be read becomes a gap, whatever the reason."""
    kind, key = part
    if key not in made(ledger, kind):
        return None
    try:
        cube = open_part(store, kind, key)
        return cube.load() if kind in LOADED else cube
    except HgcubeError as error:
        why, do = f"expected {error.expected}, got {error.got}", error.do
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        why, do = f"cannot be read: {error}", "Delete its folder and run 'hgcube run' again"
    gaps.append(Gap(part_name(kind, key), why, do))
    return None


def _dataset(
    store: Path, ledger: dict[Part, Entry], part: Part, gaps: list[Gap]
) -> xr.Dataset | None:
    cube = _open(store, ledger, part, gaps)
    return cube if isinstance(cube, xr.Dataset) else None


def _epochs(
    store: Path, ledger: dict[Part, Entry], verdicts: xr.Dataset | None, gaps: list[Gap]
) -> xr.DataArray | None:
    """Return the epochs with lags of the subject with the most found electrodes."""
    keys = [key for key in made(ledger, "epochs") if key[1] == "windows"]
    if not keys:
        return None
    found = {} if verdicts is None else _found_by_subject(verdicts)
    best = max(keys, key=lambda key: found.get(key[0], 0))
    cube = _open(store, ledger, ("epochs", best), gaps)
    return cube if isinstance(cube, xr.DataArray) else None


def _found_by_subject(verdicts: xr.Dataset) -> dict[str, int]:
    total = verdicts["n_found"].sum(n.SPACE)
    return dict(zip(total[n.SUBJECT].values.tolist(), total.values.tolist(), strict=True))


def _about(store: Path, ledger: dict[Part, Entry], gaps: list[Gap]) -> dict[str, dict[str, Any]]:
    about: dict[str, dict[str, Any]] = {}
    for key in made(ledger, "features"):
        if key[0] not in about:
            cube = _open(store, ledger, ("features", key), gaps)
            about[key[0]] = {} if cube is None else {str(k): v for k, v in cube.attrs.items()}
    return about


def _recordings(store: Path, ledger: dict[Part, Entry], gaps: list[Gap]) -> dict[str, xr.Dataset]:
    opened = {
        key[0]: _open(store, ledger, ("recordings", key), gaps)
        for key in made(ledger, "recordings")
    }
    return {label: cube for label, cube in opened.items() if isinstance(cube, xr.Dataset)}


def _any_simulated(recordings: dict[str, xr.Dataset]) -> bool:
    return any(
        attrs.get(n.SIMULATED)
        for cube in recordings.values()
        for attrs in (cube.attrs, *(variable.attrs for variable in cube.data_vars.values()))
    )


def _notes(recordings: dict[str, xr.Dataset]) -> list[str]:
    """Return what the readers had to say about units and words, by recording."""
    return [
        f"Recording {label}: {variable.attrs[note]}"
        for label, cube in recordings.items()
        for variable in cube.data_vars.values()
        for note in NOTES
        if variable.attrs.get(note)
    ]

"""`verify`: p, q, found electrodes, and one verdict per subject and space."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.errors import OptionError
from hgcube.inference.cases import Reading, decide
from hgcube.inference.evidence import (
    REFERENCES,
    Evidence,
    gather,
    mean_over_words,
    skill_with_interval,
)
from hgcube.inference.flags import flags_of
from hgcube.inference.statistics import Mask, level_inside, permutations_needed, q_values
from hgcube.schema import text_array
from hgcube.variables import Results, describe, result_parts

logger = logging.getLogger("hgcube")

NULLS = (n.ORDER_ADJUSTED, n.PLAIN)
Key = tuple[str, str]


@dataclass(frozen=True)
class _Row:
    evidence: Evidence
    q: dict[str, float]
    found: Mask
    reading: Reading


def verify(results: Results, *, level: float = 0.05) -> xr.Dataset:
    """Decide, from stored statistics alone, what each subject and embedding shows.

    Electrodes: p adjusted by the studentised maximum within each subject and space. Subjects:
    Benjamini-Hochberg over all subjects x spaces of the smallest adjusted p. Electrodes are read
    only inside selected subjects, at ``level * selected / tested`` (Benjamini and Bogomolov 2014).
    The ridge decides where it has permutations, else the first solver that has. Bad electrodes
    are not read. With lags, an electrode is read at the lag of its largest statistic.

    Parameters
    ----------
    results : Dataset, DataTree, mapping or iterable of Dataset
        What `encode` returned for all subjects, spaces and solvers of a study.
    level : float
        False discovery rate over subjects and spaces.

    Returns
    -------
    xarray.Dataset
        ``p_adjusted`` (space, null, electrode), ``found`` (space, electrode), ``q_value``
        (subject, space, null); ``case``, ``verdict``, ``flags``, ``n_tested``, ``n_found``,
        ``mean_skill`` (subject, space) and ``mean_skill_interval`` (subject, space, quantile).

    Raises
    ------
    OptionError
        If `level` is not between 0 and 1, or there is no result.
    CubeError
        If a result lacks its scalar coordinates.
    """
    if not 0 < level < 1:
        raise OptionError("a level between 0 and 1", f"{level!r}", "Use 0.05")
    rows = _rows(gather(result_parts(results), level), level)
    for row in rows.values():
        if row.reading.reason:
            logger.warning(
                "subject %s, space %s not tested: %s",
                row.evidence.subject,
                row.evidence.space,
                row.reading.reason,
            )
    verdicts = xr.merge([_by_electrode(rows), _by_subject(rows, level)], join="exact")
    return describe(verdicts).assign_attrs(kind="verdicts", level=level)


def _rows(evidence: list[Evidence], level: float) -> dict[Key, _Row]:
    q = {null: q_values(np.array([_smallest(e, null) for e in evidence])) for null in NULLS}
    deciding = np.array([q[e.null][i] for i, e in enumerate(evidence)])
    inside = level_inside(deciding, level)
    rows = {}
    for i, e in enumerate(evidence):
        found = np.zeros(e.tested.shape, dtype=bool)
        if deciding[i] <= level:
            found = e.p[e.null] <= inside
        own = {null: float(q[null][i]) for null in NULLS}
        rows[e.subject, e.space] = _Row(e, own, found, _reading(e, own, found, level, evidence))
    return rows


def _smallest(e: Evidence, null: str) -> float:
    if e.reason or null not in e.p:
        return float("nan")
    return float(np.nanmin(e.p[null]))


def _reading(
    e: Evidence, q: dict[str, float], found: Mask, level: float, others: list[Evidence]
) -> Reading:
    chosen = found if found.any() else e.tested
    skill, low, high = skill_with_interval(e.result, chosen, level=level)
    regions = (
        e.result[n.REGION].values[found] if n.REGION in e.result.coords else [""] * found.sum()
    )
    return Reading(
        reason=e.reason,
        selected=q[e.null] <= level,
        selected_plain=q[n.PLAIN] <= level,
        q=q[e.null],
        r_model=mean_over_words(e.result, "r_across_electrodes", n.MODEL),
        r_mean_word=mean_over_words(e.result, "r_across_electrodes", n.MEAN_WORD),
        n_tested=int(e.tested.sum()),
        regions=tuple(str(region) for region in regions),
        skill=skill,
        low=low,
        high=high,
        skill_over_order=_mean(e.result, "skill_over_order", chosen),
        contaminated=_contaminated(e.result, found),
        beyond_controls=_beyond_controls(e.result, chosen, skill),
        beyond_untrained=_beyond_untrained(e, chosen, skill, others),
    )


def _mean(result: xr.Dataset, variable: str, electrodes: Mask) -> float:
    if variable not in result or not electrodes.any():
        return float("nan")
    return float(result[variable].values[electrodes].mean())


def _contaminated(result: xr.Dataset, found: Mask) -> bool | None:
    if "contaminated" not in result.coords or not found.any():
        return None
    return bool(result["contaminated"].values[found].all())


def _beyond_controls(result: xr.Dataset, chosen: Mask, skill: float) -> float | None:
    controls = [p for p in result[n.PREDICTOR].values.tolist() if p not in REFERENCES]
    if not controls or not chosen.any():
        return None
    best = result["skill"].sel(predictor=controls).isel(electrode=chosen).mean(n.ELECTRODE).max()
    return skill - float(best)


def _beyond_untrained(
    e: Evidence, chosen: Mask, skill: float, others: list[Evidence]
) -> float | None:
    """Compare with the same subject's spaces that say they control this one."""
    labels = e.result[n.ELECTRODE].values[chosen]
    skills = [
        float(o.result["skill"].sel(predictor=n.MODEL, electrode=labels).mean())
        for o in others
        if o.subject == e.subject and _control_of(o.result) == e.space
    ]
    return skill - max(skills) if skills and labels.size else None


def _control_of(result: xr.Dataset) -> str:
    return str(result["control_of"].item()) if "control_of" in result.coords else ""


def _by_electrode(rows: dict[Key, _Row]) -> xr.Dataset:
    spaces = sorted({space for _, space in rows})
    coords = _electrode_coords(rows)
    place = {label: i for i, label in enumerate(coords[n.ELECTRODE][1])}
    p = np.full((len(spaces), len(NULLS), len(place)), np.nan)
    found = np.zeros((len(spaces), len(place)), dtype=bool)
    for (_, space), row in rows.items():
        where = [place[label] for label in row.evidence.result[n.ELECTRODE].values.tolist()]
        found[spaces.index(space), where] = row.found
        for null, values in row.evidence.p.items():
            p[spaces.index(space), NULLS.index(null), where] = values
    return xr.Dataset(
        {
            "p_adjusted": ((n.SPACE, n.NULL, n.ELECTRODE), p),
            "found": ((n.SPACE, n.ELECTRODE), found),
        },
        {n.SPACE: text_array(spaces), n.NULL: text_array(NULLS), **coords},
    )


def _electrode_coords(rows: dict[Key, _Row]) -> dict[str, Any]:
    known: dict[str, tuple[str, str, str]] = {}
    for row in rows.values():
        result = row.evidence.result
        nothing = [""] * result.sizes[n.ELECTRODE]
        columns = [result[k].values if k in result.coords else nothing for k in (n.NAME, n.REGION)]
        for label, name, region in zip(result[n.ELECTRODE].values, *columns, strict=True):
            known.setdefault(str(label), (row.evidence.subject, str(name), str(region)))
    columns_of = zip(*known.values(), strict=True)
    named = zip((n.ELECTRODE_SUBJECT, n.NAME, n.REGION), columns_of, strict=True)
    return {
        n.ELECTRODE: (n.ELECTRODE, text_array(list(known))),
        **{name: (n.ELECTRODE, text_array(values)) for name, values in named},
    }


def _by_subject(rows: dict[Key, _Row], level: float) -> xr.Dataset:
    subjects = sorted({subject for subject, _ in rows})
    spaces = sorted({space for _, space in rows})
    tested = sum(not row.reading.reason for row in rows.values())
    needed = permutations_needed(level / max(tested, 1))
    records = [[_record(rows.get((s, x)), needed) for x in spaces] for s in subjects]
    dims = {"q_value": (n.NULL,), "mean_skill_interval": (n.QUANTILE,)}
    variables = {}
    for name in records[0][0]:
        values = [[record[name] for record in row] for row in records]
        is_text = name in ("case", "verdict", "flags")
        array = text_array(values) if is_text else np.array(values)
        variables[name] = ((n.SUBJECT, n.SPACE, *dims.get(name, ())), array)
    coords = {
        n.SUBJECT: text_array(subjects),
        n.SPACE: text_array(spaces),
        n.NULL: text_array(NULLS),
        n.QUANTILE: [level / 2, 1 - level / 2],
    }
    return xr.Dataset(variables, coords)


def _record(row: _Row | None, needed: int) -> dict[str, Any]:
    if row is None:
        reading = Reading(reason="no result for this subject and embedding")
        q, flags = {}, ""
    else:
        reading, q, flags = row.reading, row.q, flags_of(row.evidence, needed=needed)
    case, verdict = decide(reading)
    return {
        "q_value": [q.get(null, np.nan) for null in NULLS],
        "case": case,
        "verdict": verdict,
        "flags": flags,
        "n_tested": reading.n_tested,
        "n_found": len(reading.regions),
        "mean_skill": reading.skill,
        "mean_skill_interval": [reading.low, reading.high],
    }

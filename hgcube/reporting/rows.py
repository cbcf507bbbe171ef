"""Rows of the report's tables: every score beside its references, its axis in its name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.views.drawing import TITLES
from hgcube.views.scores import r2_counts

PREDICTORS = (n.MODEL, n.MEAN_WORD, n.ORDER)
FLAG_WORDS = {
    "negative_r2": "R2 across electrodes is negative: mean {}",
    "spread_of_r": "r across electrodes varies much from word to word: sd {}",
    "r_without_skill": "r across electrodes {} is due to offsets between electrodes, not to words",
    "flagged_words": "words with a flag (see the word table): {}",
    "out_of_vocabulary": "words not in the embedding's vocabulary: {}",
    "bad_electrodes": "electrodes marked bad and not read: {}",
    "few_permutations": "only {} permutations: one subject alone could not be selected",
}
CASE_TITLES = {
    "not_tested": "Not tested",
    "no_word_information": "No word information shown",
    "reading_order": "Not beyond reading order",
    "contaminated": "May be sound",
    "no_gain": "Detectable, no gain",
    "measured_controls": "Not beyond controls",
    "not_specific": "Not specific",
    "word_information": "Word information",
}
MOST_ELECTRODES = 200


def headlines(verdicts: xr.Dataset) -> list[str]:
    """Return for each space in how many of the tested subjects it carries word information."""
    counted = []
    for space in verdicts[n.SPACE].values.tolist():
        case = verdicts["case"].sel(space=space).values
        tested, shown = (case != "not_tested").sum(), (case == "word_information").sum()
        counted.append(f"{space}: word information in {shown} of {tested} subjects tested.")
    return counted


def cards(verdicts: xr.Dataset) -> list[dict[str, Any]]:
    """Return one card per subject and space: case, sentence, q and flags in words."""
    found = []
    for subject in verdicts[n.SUBJECT].values.tolist():
        for space in verdicts[n.SPACE].values.tolist():
            one = verdicts.sel(subject=subject, space=space)
            case = str(one["case"].item())
            found.append(
                {
                    "subject": subject,
                    "space": space,
                    "case": case,
                    "title": CASE_TITLES[case],
                    "verdict": str(one["verdict"].item()),
                    "q": number(float(one["q_value"].sel(null=n.ORDER_ADJUSTED)), 4),
                    "flags": flag_words(str(one["flags"].item())),
                }
            )
    return found


def flag_words(flags: str) -> list[str]:
    """Return each flag as a plain sentence without its full stop."""
    named = [flag.partition("=") for flag in flags.split(";") if flag]
    return [FLAG_WORDS.get(name, name).format(value) for name, _, value in named]


def scores(words: xr.Dataset, electrodes: xr.Dataset) -> list[dict[str, Any]]:
    """Return the paper's table with its references: one row per subject, space and solver."""
    return [
        {
            "subject": subject,
            "space": space,
            "solver": solver,
            "r": {p: spread(by_word, "r_across_electrodes", p) for p in PREDICTORS},
            "r2": {p: spread(by_word, "r2_across_electrodes", p) for p in PREDICTORS},
            "centered": spread(by_word, "r_across_electrodes_centered", n.MODEL),
            "skill": spread(by_electrode, "skill", n.MODEL),
        }
        for subject, space, solver, by_word, by_electrode in _cells(words, electrodes)
    ]


def bins(words: xr.Dataset) -> list[dict[str, Any]]:
    """Return words per bin of R2 for model and mean word, per space and solver."""
    return [
        {
            "space": space,
            "solver": solver,
            "predictor": TITLES[predictor],
            "counts": [f"{count:.1f}" for count in counts],
        }
        for space in words[n.SPACE].values.tolist()
        for solver in words[n.SOLVER].values.tolist()
        for predictor in (n.MODEL, n.MEAN_WORD)
        if sum(counts := r2_counts(words.sel(space=space, solver=solver), predictor))
    ]


def found_electrodes(electrodes: xr.Dataset) -> list[dict[str, Any]]:
    """Return found electrodes with region, skill, r and adjusted p, best first in each space."""
    if "found" not in electrodes:
        return []
    solver = inference_solver(electrodes)
    rows = []
    for space in electrodes[n.SPACE].values.tolist():
        one = electrodes.sel(space=space)
        kept = one.isel(electrode=one["found"].values).sel(solver=solver, predictor=n.MODEL)
        rows += [_electrode(kept.isel(electrode=i), space) for i in range(kept.sizes[n.ELECTRODE])]
    return sorted(rows, key=lambda row: (row["space"], row["subject"], -row["order"]))


def not_converged(electrodes: xr.Dataset) -> int:
    """Return how many fits stopped before they converged."""
    return int(electrodes["not_converged"].sum()) if "not_converged" in electrodes else 0


def inference_solver(electrodes: xr.Dataset) -> str:
    """Return the solver whose statistics decided: ridge where it has any."""
    solvers = [str(solver) for solver in electrodes[n.SOLVER].values]
    if "studentized_r" not in electrodes:
        return solvers[0]
    statistic = electrodes["studentized_r"]
    having = [s for s in solvers if statistic.sel(solver=s).notnull().any()]
    return min(having or solvers, key=lambda solver: solver != "ridge")


def spread(part: xr.Dataset, variable: str, predictor: str) -> tuple[str, str]:
    """Return mean and standard deviation of a score as text; the latter empty where undefined."""
    if variable not in part or predictor not in part[n.PREDICTOR].values:
        return "not run", ""
    values = part[variable].sel(predictor=predictor).values
    values = values[np.isfinite(values)]
    if not values.size:
        return "undefined", ""
    sd = number(float(values.std(ddof=1)), 3) if values.size > 1 else ""
    return number(float(values.mean()), 3), sd


def number(value: float, digits: int) -> str:
    """Return a number as text, without a minus sign before a zero."""
    return "n/a" if np.isnan(value) else f"{round(value, digits) + 0.0:.{digits}f}"


def _cells(
    words: xr.Dataset, electrodes: xr.Dataset
) -> Iterator[tuple[str, str, str, xr.Dataset, xr.Dataset]]:
    for space in words[n.SPACE].values.tolist():
        for solver in words[n.SOLVER].values.tolist():
            for subject in dict.fromkeys(words[n.SUBJECT].values.tolist()):
                by_word = words.sel(space=space, solver=solver).hg.sel(subject=subject)
                if by_word["r_across_electrodes"].notnull().any():
                    cell = electrodes.sel(space=space, solver=solver).hg.sel(subject=subject)
                    yield subject, space, solver, by_word, cell


def _electrode(one: xr.Dataset, space: str) -> dict[str, Any]:
    null = n.ORDER_ADJUSTED if one["p_adjusted"].sel(null=n.ORDER_ADJUSTED).notnull() else n.PLAIN
    best = one.max(n.LAG) if n.LAG in one.dims else one
    over_order = float(best["skill_over_order"]) if "skill_over_order" in best else np.nan
    return {
        "space": space,
        "subject": str(one[n.SUBJECT].item()),
        "electrode": str(one[n.ELECTRODE].item()),
        "region": str(one[n.REGION].item()) if n.REGION in one.coords else "",
        "order": float(best["skill"]),
        "skill": number(float(best["skill"]), 3),
        "over_order": number(over_order, 3),
        "r": number(float(best["r_across_words"]), 3),
        "p": number(float(one["p_adjusted"].sel(null=null)), 4),
    }

"""Named warnings beside a verdict, each with its number."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.inference.evidence import Evidence, mean_over_words, usable

SPREAD_LIMIT = 0.3
ARTEFACT_R = 0.9


def flags_of(evidence: Evidence, *, needed: int) -> str:
    """Return the flags of one subject and space, joined by ``;``.

    ``negative_r2``, ``spread_of_r``: scores across electrodes that vary or fail;
    ``r_without_skill``: r across electrodes above .9 that the mean word alone explains;
    ``flagged_words``, ``out_of_vocabulary``, ``bad_electrodes``: counts; ``few_permutations``:
    their number, where a single subject with an effect could not pass among all others.

    Parameters
    ----------
    evidence : Evidence
    needed : int
        Permutations from which one subject alone can be selected.
    """
    found = [flag(evidence.result) for flag in FLAGS]
    permutations = evidence.result.sizes.get(n.PERMUTATION, needed)
    if permutations < needed:
        found.append(f"few_permutations={permutations}")
    return ";".join(text for text in found if text)


def _negative_r2(result: xr.Dataset) -> str:
    r2 = mean_over_words(result, "r2_across_electrodes", n.MODEL)
    return f"negative_r2={r2:.2f}" if r2 < 0 else ""


def _spread_of_r(result: xr.Dataset) -> str:
    if "r_across_electrodes" not in result:
        return ""
    r = result["r_across_electrodes"].sel(predictor=n.MODEL).values
    r = r[np.isfinite(r)]
    spread = float(r.std(ddof=1)) if r.size > 1 else 0.0
    return f"spread_of_r={spread:.2f}" if spread > SPREAD_LIMIT else ""


def _r_without_skill(result: xr.Dataset) -> str:
    r = mean_over_words(result, "r_across_electrodes", n.MODEL)
    skill = result["skill"].sel(predictor=n.MODEL).values[usable(result)]
    explained = skill.size > 0 and float(np.mean(skill)) <= 0
    return f"r_without_skill={r:.2f}" if r > ARTEFACT_R and explained else ""


def _flagged_words(result: xr.Dataset) -> str:
    flags = result[n.FLAG].values.tolist() if n.FLAG in result.coords else []
    count = sum(bool(flag) for flag in flags)
    return f"flagged_words={count}" if count else ""


def _out_of_vocabulary(result: xr.Dataset) -> str:
    known = result.coords.get("in_vocabulary")
    count = 0 if known is None else int((~known.values.astype(bool)).sum())
    return f"out_of_vocabulary={count}" if count else ""


def _bad_electrodes(result: xr.Dataset) -> str:
    count = int((~usable(result)).sum())
    return f"bad_electrodes={count}" if count else ""


FLAGS: tuple[Callable[[xr.Dataset], str], ...] = (
    _negative_r2,
    _spread_of_r,
    _r_without_skill,
    _flagged_words,
    _out_of_vocabulary,
    _bad_electrodes,
)

"""What the result of one subject and space says, as plain numbers that a verdict needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.inference.statistics import (
    Floats,
    Mask,
    adjusted_p,
    mean_skill_interval,
    permutations_needed,
)
from hgcube.schema import bad_electrodes

MINIMUM_WORDS = 50
REFERENCES = (n.MODEL, n.MEAN_WORD, n.ORDER, n.PREVIOUS_WORD)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One subject and space before it is compared with the others.

    Parameters
    ----------
    result : xarray.Dataset
        Without `lag`.
    p : dict
        Label of the null to adjusted p by electrode.
    reason : str
        Why it was not tested; empty when it was.
    """

    result: xr.Dataset
    p: dict[str, Floats] = field(default_factory=dict)
    reason: str = ""

    @property
    def subject(self) -> str:
        """Label of the subject."""
        return str(self.result[n.SUBJECT].item())

    @property
    def space(self) -> str:
        """Label of the space."""
        return str(self.result[n.SPACE].item())

    @property
    def null(self) -> str:
        """The null that decides: order-adjusted wherever it was run."""
        return n.ORDER_ADJUSTED if n.ORDER_ADJUSTED in self.p else n.PLAIN

    @property
    def tested(self) -> Mask:
        """Electrodes with a p."""
        nothing = np.full(self.result.sizes[n.ELECTRODE], np.nan)
        return ~np.isnan(self.p.get(self.null, nothing))


def gather(parts: Iterable[xr.Dataset], level: float) -> list[Evidence]:
    """Return one Evidence per subject and space, from the estimator of inference.

    Ridge decides wherever it has permutations, else the first solver that has.

    Parameters
    ----------
    parts : iterable of xarray.Dataset
        What `encode` returned.
    level : float
        From which follows how many permutations are needed.

    Returns
    -------
    list of Evidence
        Sorted by subject and space.
    """
    groups: dict[tuple[str, str], list[xr.Dataset]] = {}
    for part in parts:
        groups.setdefault((str(part[n.SUBJECT].item()), str(part[n.SPACE].item())), []).append(part)
    return [_evidence(min(groups[key], key=_rank), level) for key in sorted(groups)]


def usable(result: xr.Dataset) -> Mask:
    """Return which electrodes are not marked bad."""
    return ~bad_electrodes(result)


def mean_over_words(result: xr.Dataset, variable: str, predictor: str) -> float:
    """Return the mean over words of a per-word score, NaN where it is not there."""
    if variable not in result or predictor not in result[n.PREDICTOR].values:
        return float("nan")
    values = result[variable].sel(predictor=predictor).values
    return float(np.mean(values[np.isfinite(values)])) if np.isfinite(values).any() else np.nan


def skill_with_interval(
    result: xr.Dataset, electrodes: Mask, *, level: float
) -> tuple[float, float, float]:
    """Return mean skill of some electrodes and its interval, from stored predictions.

    Parameters
    ----------
    result : xarray.Dataset
        Without `lag`.
    electrodes : (electrode,) bool
    level : float
        The interval is stated for 1 - `level`.

    Returns
    -------
    mean, low, high : float
        Dimensionless; NaN where there is no electrode or no prediction.
    """
    stored = {n.MODEL, n.MEAN_WORD} <= set(result[n.PREDICTOR].values.tolist())
    if not electrodes.any() or "prediction" not in result or not stored:
        return np.nan, np.nan, np.nan
    chosen = result.isel(electrode=electrodes)
    error = (chosen["prediction"] - chosen["observed"]) ** 2
    by_word = error.transpose(n.PREDICTOR, n.WORD, n.ELECTRODE)
    return mean_skill_interval(
        by_word.sel(predictor=n.MODEL).values,
        by_word.sel(predictor=n.MEAN_WORD).values,
        level=level,
    )


def _rank(part: xr.Dataset) -> tuple[bool, bool, str]:
    solver = str(part[n.SOLVER].item())
    return "null_max" not in part, solver != "ridge", solver


def _evidence(part: xr.Dataset, level: float) -> Evidence:
    result = _without_lag(part)
    if "null_max" not in result:
        return Evidence(result=result, reason="no permutations were run")
    p = {str(null): _p_of(result, str(null)) for null in result[n.NULL].values}
    return Evidence(result=result, p=p, reason=_reason(result, p, level))


def _p_of(result: xr.Dataset, null: str) -> Floats:
    statistic = result["studentized_r"].sel(null=null).values.astype(float)
    statistic = np.where(usable(result), statistic, np.nan)
    return adjusted_p(statistic, result["null_max"].sel(null=null).values)


def _reason(result: xr.Dataset, p: dict[str, Floats], level: float) -> str:
    tested = ~np.isnan(next(iter(p.values())))
    if not tested.any():
        return "no usable electrode"
    words = int(result["n_words"].values[tested].max())
    if words < MINIMUM_WORDS:
        return f"{words} words, at least {MINIMUM_WORDS} are needed"
    if result["collapsed"].values[tested].all():
        return "the model collapsed to its reference in every fold of every electrode"
    permutations = result.sizes[n.PERMUTATION]
    needed = permutations_needed(level)
    if permutations < needed:
        return f"{permutations} permutations, at least {needed} are needed at level {level:g}"
    return ""


def _without_lag(result: xr.Dataset) -> xr.Dataset:
    """Read each electrode at the lag of its largest statistic, words averaged over lags."""
    if n.LAG not in result.dims:
        return result
    by_electrode = [k for k, v in result.data_vars.items() if {n.ELECTRODE, n.LAG} <= set(v.dims)]
    if "studentized_r" in result:
        null = n.ORDER_ADJUSTED if n.ORDER_ADJUSTED in result[n.NULL].values else n.PLAIN
        guide = result["studentized_r"].sel(null=null)
    else:
        guide = result["skill"].sel(predictor=n.MODEL)
    peak = guide.fillna(-np.inf).argmax(n.LAG).drop_vars(n.NULL, errors="ignore")
    at_peak = result[by_electrode].isel(lag=peak.drop_vars(n.PREDICTOR, errors="ignore"))
    rest = result.drop_vars(by_electrode).mean(n.LAG, keep_attrs=True)
    joined = rest.merge(at_peak.drop_vars(n.LAG), join="exact")
    if "studentized_r" in result:
        # the maximum runs over lags too, for every null
        joined["studentized_r"] = result["studentized_r"].max(n.LAG)
    return joined

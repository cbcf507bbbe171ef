"""What each variable of a result, table or verdict means: dims, units, long name, maker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import xarray as xr

from hgcube import names as n
from hgcube.errors import CubeError, OptionError, UnknownLabelError

Results = xr.Dataset | xr.DataTree | Mapping[Any, xr.Dataset] | Iterable[xr.Dataset]


@dataclass(frozen=True, kw_only=True)
class VariableSpec:
    """Spec of one variable of a result or table.

    Parameters
    ----------
    dims : tuple of str
        Dimensions of the variable inside one (subject, space, solver) result; `lag` may follow.
        Tables put `space` and `solver` in front.
    long_name, units : str
        Written by `finish`.
    made_by : str
        The step that makes it.
    """

    dims: tuple[str, ...]
    long_name: str
    units: str = n.DIMENSIONLESS
    made_by: str = "results"


_PER_ELECTRODE = (n.PREDICTOR, n.ELECTRODE)
_PER_WORD = (n.PREDICTOR, n.WORD)
_PER_FOLD = (n.FOLD, n.ELECTRODE)

VARIABLES: dict[str, VariableSpec] = {
    "prediction": VariableSpec(
        dims=(n.PREDICTOR, n.WORD, n.ELECTRODE),
        long_name="prediction of each held-out word",
        units="of the epochs",
    ),
    "observed": VariableSpec(
        dims=(n.WORD, n.ELECTRODE), long_name="observed high gamma", units="of the epochs"
    ),
    "skill": VariableSpec(dims=_PER_ELECTRODE, long_name="skill: 1 - SS(predictor)/SS(mean word)"),
    "skill_over_order": VariableSpec(
        dims=(n.ELECTRODE,),
        long_name="skill over reading order: 1 - SS(model)/SS(order)",
    ),
    "r_across_words": VariableSpec(
        dims=_PER_ELECTRODE, long_name="fold-corrected Pearson r across words"
    ),
    "r_across_words_plain": VariableSpec(
        dims=_PER_ELECTRODE, long_name="plain Pearson r across words (biased under leave-one-out)"
    ),
    "r_across_electrodes": VariableSpec(
        dims=_PER_WORD, long_name="Pearson r across electrodes, per word"
    ),
    "r2_across_electrodes": VariableSpec(
        dims=_PER_WORD, long_name="R2 across electrodes, per word"
    ),
    "r_across_electrodes_centered": VariableSpec(
        dims=_PER_WORD,
        long_name="Pearson r across electrodes, training means removed, per word",
    ),
    "r_pooled": VariableSpec(
        dims=(n.PREDICTOR,), long_name="Pearson r over all words and electrodes pooled"
    ),
    "n_nonzero": VariableSpec(dims=_PER_FOLD, long_name="non-zero coefficients"),
    "chosen_alpha": VariableSpec(dims=_PER_FOLD, long_name="chosen penalty (scikit-learn's alpha)"),
    "chosen_l1_ratio": VariableSpec(dims=_PER_FOLD, long_name="chosen l1_ratio"),
    "alpha_max": VariableSpec(
        dims=_PER_FOLD, long_name="smallest penalty at which every coefficient is zero"
    ),
    "alpha_ratio": VariableSpec(
        dims=_PER_FOLD, long_name="chosen penalty over alpha_max; 0 for ridge"
    ),
    "coefficient": VariableSpec(
        dims=(n.COEFFICIENT_FOLD, n.FEATURE, n.ELECTRODE),
        long_name="coefficient of the standardised feature at the chosen penalty",
        units="sd of the target, or of the epochs where nothing is standardised",
    ),
    "collapsed": VariableSpec(
        dims=(n.ELECTRODE,), long_name="model equals its reference in every fold"
    ),
    "not_converged": VariableSpec(
        dims=(n.ELECTRODE,), long_name="fits that stopped before their tolerance"
    ),
    "n_words": VariableSpec(dims=(n.ELECTRODE,), long_name="words the electrode was fitted on"),
    "studentized_r": VariableSpec(
        dims=(n.NULL, n.ELECTRODE),
        long_name="fold-corrected r in standard deviations of its own null",
    ),
    "p_value": VariableSpec(
        dims=(n.NULL, n.ELECTRODE), long_name="p of the electrode alone, refitted permutations"
    ),
    "null_quantile": VariableSpec(
        dims=(n.NULL, n.QUANTILE, n.ELECTRODE),
        long_name="null quantiles of fold-corrected r",
    ),
    "null_max": VariableSpec(
        dims=(n.NULL, n.PERMUTATION), long_name="each permutation's maximum of studentized_r"
    ),
    "p_adjusted": VariableSpec(
        dims=(n.NULL, n.ELECTRODE),
        long_name="p adjusted over the subject's electrodes (studentised maximum)",
        made_by="verdicts",
    ),
    "q_value": VariableSpec(
        dims=(n.NULL,),
        long_name="Benjamini-Hochberg q of the subject's smallest adjusted p",
        made_by="verdicts",
    ),
    "found": VariableSpec(
        dims=(n.ELECTRODE,),
        long_name="word information found: adjusted p passes inside a selected subject",
        made_by="verdicts",
    ),
    "n_tested": VariableSpec(dims=(), long_name="electrodes tested", made_by="verdicts"),
    "n_found": VariableSpec(dims=(), long_name="electrodes found", made_by="verdicts"),
    "mean_skill": VariableSpec(
        dims=(),
        long_name="mean skill of the found electrodes (of all tested ones where none is found)",
        made_by="verdicts",
    ),
    "mean_skill_interval": VariableSpec(
        dims=(n.QUANTILE,),
        long_name="approximate interval of mean_skill: jackknife over words of held-out errors; "
        "covers less than stated, and takes no account of the choice of the electrodes",
        made_by="verdicts",
    ),
    "case": VariableSpec(dims=(), long_name="first row that applies", made_by="verdicts"),
    "verdict": VariableSpec(dims=(), long_name="verdict in plain words", made_by="verdicts"),
    "flags": VariableSpec(dims=(), long_name="named warnings, joined by ';'", made_by="verdicts"),
}


def describe(dataset: xr.Dataset) -> xr.Dataset:
    """Give every variable of a result or table its units and long name from `VARIABLES`.

    Parameters
    ----------
    dataset : xarray.Dataset
        Variables named in `VARIABLES`, any dims.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    UnknownLabelError
        If a variable has no spec.
    """
    described = dataset.copy(deep=False)
    for name, variable in described.data_vars.items():
        if name not in VARIABLES:
            raise UnknownLabelError.of("result variable", name, VARIABLES)
        spec = VARIABLES[str(name)]
        variable.attrs = {"units": spec.units, "long_name": spec.long_name}
    return described


def result_parts(results: Results) -> list[xr.Dataset]:
    """Return the results of one subject and space each that `results` holds, as a list.

    Parameters
    ----------
    results : Dataset, DataTree, mapping or iterable of Dataset
        What `encode` returned, or what ``open_results(store, by="subject")`` opens.

    Returns
    -------
    list of xarray.Dataset

    Raises
    ------
    OptionError
        If there is none.
    CubeError
        If a part has no scalar coordinates ``subject``, ``space``, ``solver``.
    """
    if isinstance(results, xr.Dataset):
        found = [results]
    elif isinstance(results, xr.DataTree):
        found = [node.to_dataset() for node in results.subtree if node.data_vars]
    else:
        given = results.values() if isinstance(results, Mapping) else results
        found = list(cast("Iterable[xr.Dataset]", given))
    if not found:
        raise OptionError("at least one result", "none", "Run the step 'results' first")
    for part in found:
        scalars = [name for name, coord in part.coords.items() if coord.ndim == 0]
        missing = [name for name in (n.SUBJECT, n.SPACE, n.SOLVER) if name not in scalars]
        if missing:
            raise CubeError(
                "results of one subject, space and solver each (scalar coordinates)",
                f"one with dims {dict(part.sizes)} without {missing}",
                "Pass what hgcube.encode returned",
            )
    return found

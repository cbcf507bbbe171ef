"""What `encode` is given: its words, electrodes and counts, checked."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from hgcube import names as n
from hgcube.errors import CubeError
from hgcube.kernels.plan import Plan

_LOG = logging.getLogger("hgcube")


def counts_of(epochs: xr.DataArray, features: xr.DataArray, plan: Plan) -> dict[str, int]:
    """Count words and electrodes; raise if no electrode can be fitted for want of words."""
    counts = {"n_electrodes": epochs.sizes[n.ELECTRODE], "n_features": features.sizes[n.FEATURE]}
    if n.BAD in epochs.coords:
        counts["n_electrodes_bad"] = int(epochs[n.BAD].sum())
    if epochs.chunks is None:
        fittable = without_bad(epochs).notnull().any([d for d in epochs.dims if d != n.ELECTRODE])
        counts["n_electrodes_used"] = int(fittable.sum())
    missing = without_vector(features)
    if missing is None:
        return counts
    if missing.any():
        _LOG.warning("%d of %d words have no vector and are left out", missing.sum(), len(missing))
    if not plan.fits(~missing):
        raise CubeError(
            f"at least {plan.fewest_training_words} training words in every fold",
            f"{(~missing).sum()} of {len(missing)} words with vectors; {_smallest(plan, ~missing)}",
            "Use fewer order_terms, other folds, or more words",
        )
    return {**counts, "n_words": len(missing), "n_words_used": int((~missing).sum())}


def _smallest(plan: Plan, known: npt.NDArray[np.bool_]) -> str:
    """Name the fold with the fewest training words, and its first words."""
    tested = plan.testing[:, known].any(axis=1)
    if not tested.any():
        return "no fold tests any of them"
    sizes = np.where(tested, plan.training[:, known].sum(axis=1), known.size + 1)
    fold = int(sizes.argmin())
    words = np.flatnonzero(plan.testing[fold] & known)[:3].tolist()
    return f"fold {fold}, which tests the words {words}, trains on {sizes[fold]}"


def without_bad(epochs: xr.DataArray) -> xr.DataArray:
    """Return the epochs with bad electrodes as NaN."""
    kept = epochs.reset_coords(drop=True)
    return kept.where(~epochs[n.BAD].reset_coords(drop=True)) if n.BAD in epochs.coords else kept


def without_vector(features: xr.DataArray) -> npt.NDArray[np.bool_] | None:
    """Tell which words have no vector; None where only computing it would tell."""
    if features.chunks is not None:
        return None
    known = np.isfinite(features.transpose(n.WORD, n.FEATURE).values)
    return np.asarray(~known.all(axis=1))


def electrode_names(epochs: xr.DataArray) -> list[str]:
    """Return the labels of the electrodes, or their numbers where there are none."""
    return [str(label) for label in epochs[n.ELECTRODE].values.tolist()]


def whole(cube: xr.DataArray, *dims: str) -> xr.DataArray:
    """Put all of `dims` into one chunk if `cube` is chunked: a word-wise store is 5 MB a part."""
    return cube if cube.chunks is None else cube.chunk({d: -1 for d in dims if d in cube.dims})


def with_labels(cube: xr.DataArray) -> xr.DataArray:
    """Load the coordinates, which `chunk` makes lazy too; never the values."""
    lazy = {name: coord for name, coord in cube.coords.items() if coord.chunks is not None}
    return cube.assign_coords(
        {name: coord.compute(scheduler="synchronous") for name, coord in lazy.items()}
    )


def subject_of(epochs: xr.DataArray) -> str:
    """Return the one subject of the epochs; raise `CubeError` for several."""
    subjects = epochs.coords[n.SUBJECT].values if n.SUBJECT in epochs.coords else [""]
    labels = list(dict.fromkeys(np.ravel(subjects).tolist()))
    if len(labels) != 1:
        raise CubeError(
            "epochs of one subject",
            f"{len(labels)} subjects {labels[:5]}",
            "Select one: epochs.hg.sel(subject=...)",
        )
    return str(labels[0])


def check_words(epochs: xr.DataArray, features: xr.DataArray) -> None:
    """Raise unless the words are the same, in the same order."""
    subject_of(epochs)
    for name in (n.WORD, n.TEXT):
        if name in epochs.coords and name in features.coords:
            _check_labels(name, epochs[name].values.tolist(), features[name].values.tolist())
    _check_labels("number of words", [epochs.sizes[n.WORD]], [features.sizes[n.WORD]])


def check_bands(features: xr.DataArray) -> None:
    """Raise if the features are several bands, which one penalty would mix."""
    if n.BAND not in features.coords:
        return
    bands = list(dict.fromkeys(features[n.BAND].values.tolist()))
    if len(bands) > 1:
        raise CubeError(
            "features of one band",
            f"{len(bands)} bands {bands[:5]}, which need a penalty each",
            "Fit each alone: features.isel(feature=features.band == 'NAME')",
        )


def _check_labels(name: str, of_epochs: list[Any], of_features: list[Any]) -> None:
    pairs = zip(of_epochs, of_features, strict=False)
    differ = [pair for pair in pairs if pair[0] != pair[1]]
    if differ or len(of_epochs) != len(of_features):
        raise CubeError(
            f"the same {name!r} in epochs and features",
            f"{len(of_epochs)} and {len(of_features)} words; (epochs, features) differ at "
            f"{differ[:3] or 'the end'}",
            "Make both from the same words, or select and order them alike",
        )


def choosing_groups(epochs: xr.DataArray, choose: str) -> xr.DataArray:
    """Return a number (electrode[, lag]) that targets which choose together share.

    Parameters
    ----------
    epochs : xarray.DataArray
    choose : {"electrode", "region", "subject"}
        Lags of an electrode that chooses for itself choose for themselves too.

    Raises
    ------
    CubeError
        If regions are asked for and `epochs` has no coordinate ``region``.
    """
    labels = _labels_of_groups(epochs, choose)
    dims = [dim for dim in (n.ELECTRODE, n.LAG) if dim in epochs.dims]
    shape = tuple(epochs.sizes[dim] for dim in dims)
    numbers = np.arange(np.prod(shape)).reshape(shape)
    shared = {label: -1 - place for place, label in enumerate(dict.fromkeys(labels))}
    for electrode, label in enumerate(labels):
        if label:
            numbers[electrode] = shared[label]
    return xr.DataArray(numbers, dims=dims)


def _labels_of_groups(epochs: xr.DataArray, choose: str) -> list[str]:
    """Return each electrode's group; empty where it chooses for itself."""
    if choose == n.ELECTRODE:
        return [""] * epochs.sizes[n.ELECTRODE]
    if choose == n.SUBJECT:
        return [choose] * epochs.sizes[n.ELECTRODE]
    if n.REGION not in epochs.coords:
        raise CubeError(
            "epochs with the coordinate 'region'",
            "none, and choose='region'",
            "Assign it, or use choose='electrode' or 'subject'",
        )
    labels = [str(label) for label in epochs[n.REGION].values.tolist()]
    labels = ["" if label in ("n/a", "nan") else label for label in labels]
    if "" in labels:
        _LOG.info("%d of %d electrodes have no region", labels.count(""), len(labels))
    return labels

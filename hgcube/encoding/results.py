"""What a result says of itself: coordinates, dim order, units and settings."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.encoding.inputs import subject_of, without_vector
from hgcube.kernels.plan import Plan
from hgcube.kernels.solvers import SOLVERS
from hgcube.schema import added_flags, text_array
from hgcube.variables import VARIABLES, describe

_OWN_ATTRS = ("kind", "long_name", "units")


def finished(
    result: xr.Dataset,
    epochs: xr.DataArray,
    features: xr.DataArray,
    settings: Mapping[str, object],
) -> xr.Dataset:
    """Give the result its coordinates, dim order, units, long names and attributes."""
    lag = (n.LAG,) if n.LAG in epochs.dims else ()
    ordered = {
        str(name): variable.transpose(*VARIABLES[str(name)].dims, *lag, missing_dims="ignore")
        for name, variable in result.data_vars.items()
    }
    described = describe(xr.Dataset(ordered, attrs={}))
    if "units" in epochs.attrs:
        for name in ("prediction", "observed"):
            described[name].attrs["units"] = epochs.attrs["units"]
    inputs = {**epochs.attrs, **features.attrs}
    kept = {name: value for name, value in inputs.items() if name not in _OWN_ATTRS}
    if n.SIMULATED in inputs:
        kept[n.SIMULATED] = max(cube.attrs.get(n.SIMULATED, False) for cube in (epochs, features))
    described = described.assign_coords(
        _coords(described, epochs, features, str(settings["solver"]))
    )
    return described.assign_attrs({**kept, **settings})


def _coords(
    result: xr.Dataset, epochs: xr.DataArray, features: xr.DataArray, solver: str
) -> dict[str, xr.DataArray]:
    """Return the inputs' coordinates of the result's dims, and the scalar ones."""
    kept = set(result.dims)
    target = epochs.attrs.get("target", "windows" if n.LAG in epochs.dims else "mean")
    scalars = {n.SPACE: "", n.SOLVER: solver, "target": target}
    coords = {name: xr.DataArray(text_array(text)) for name, text in scalars.items()}
    coords |= {str(name): coord for name, coord in features.coords.items() if coord.ndim == 0}
    for cube in (features, epochs):
        coords |= {
            str(name): coord.reset_coords(drop=True)
            for name, coord in cube.coords.items()
            if coord.ndim and set(coord.dims) <= kept
        }
    coords[n.SUBJECT] = xr.DataArray(text_array(subject_of(epochs)))
    missing = without_vector(features)
    if missing is not None and missing.any():
        new = np.where(missing, "no_vector", "").tolist()
        flagged = epochs if n.FLAG in epochs.coords else features
        coords[n.FLAG] = xr.DataArray(added_flags(flagged, n.FLAG, n.WORD, new), dims=n.WORD)
    return coords


def settings_of(plan: Plan) -> dict[str, object]:
    """Return the settings of a fit as attributes; those that were not set are left out."""
    fixed = plan.prespecified_alpha or "mean eigenvalue of XX'"
    stated = {
        "solver": plan.solver,
        "scaling": plan.standardize or "none",
        "alpha": "nested" if plan.alphas is None else _one_or_more(plan.alphas),
        "l1_ratio": _one_or_more(plan.l1_ratios) if SOLVERS[plan.solver].sparse else 0.0,
        "inner": plan.inner or "leave-one-out",
        "choose": plan.choose,
        "max_active": plan.max_active,
        "components": plan.components,
        "order_terms": plan.order_terms,
        "order_in_model": int(SOLVERS[plan.solver].order_in_model and plan.order_terms > 0),
        "permutations": plan.permutations,
        "block": plan.block,
        "seed": plan.seed,
    }
    if plan.nulls:
        stated["alpha_of_null"] = "nested" if plan.null == "nested" else fixed
    return {name: value for name, value in stated.items() if value is not None}


def _one_or_more(values: tuple[float, ...]) -> float | list[float]:
    return values[0] if len(values) == 1 else list(values)

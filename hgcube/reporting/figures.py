"""Figures of the report: views drawn as SVG, inside the page itself."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.errors import MissingExtraError
from hgcube.reporting.contents import Contents
from hgcube.reporting.rows import inference_solver
from hgcube.views import drawing, electrodes, envelope, r2_bins

PAPER_SOLVER = "elastic_net"
MOST_ENVELOPES = 4


@dataclass(frozen=True)
class Figure:
    """One drawing: where it stands, its caption, and its SVG as a data URI."""

    section: str
    caption: str
    uri: str


def figures(contents: Contents) -> tuple[list[Figure], str]:
    """Draw what the stored cubes allow.

    Returns
    -------
    list of Figure
    str
        Why there are none; empty when drawing works.
    """
    try:
        drawing.plotting()
    except MissingExtraError as error:
        return [], str(error)
    drawn = [draw(contents) for draw in (_bins, _scores, _envelopes)]
    return [figure for some in drawn for figure in some], ""


def _bins(contents: Contents) -> list[Figure]:
    words = contents.words
    if words is None:
        return []
    solvers = words[n.SOLVER].values.tolist()
    solver = PAPER_SOLVER if PAPER_SOLVER in solvers else solvers[0]
    return [
        Figure(
            "bins",
            f"R2 across electrodes of each held-out word, {space}, {solver}: words per subject in "
            "each bin, the model beside the mean word alone.",
            uri_of(r2_bins(words.sel(space=space, solver=solver))),
        )
        for space in words[n.SPACE].values.tolist()
    ]


def _scores(contents: Contents) -> list[Figure]:
    table = contents.electrodes
    if table is None:
        return []
    solver = inference_solver(table)
    kinds = {
        "skill": "Skill over the mean word",
        "r_across_words": f"Fold-corrected r across words{_null_words(table)}",
    }
    return [
        Figure(
            "electrodes",
            f"{words} of each electrode, {space}, {solver}. Diamonds: found electrodes.",
            uri_of(electrodes(table.sel(space=space, solver=solver), kind)),
        )
        for space in table[n.SPACE].values.tolist()
        for kind, words in kinds.items()
        if kind in table
    ]


def _null_words(table: xr.Dataset) -> str:
    if n.QUANTILE not in table.coords:
        return ""
    low, *_, high = table[n.QUANTILE].values
    return f" (band: quantiles {low:g} to {high:g} of its refitted null)"


def _envelopes(contents: Contents) -> list[Figure]:
    epochs = contents.epochs
    if epochs is None:
        return []
    lock = epochs.attrs.get("lock", "voice")
    chosen = [None, *_interesting(contents, epochs)]
    return [
        Figure(
            "envelope",
            f"Around the {lock} onset (line): mean over words, band: 95 % interval of that mean.",
            uri_of(envelope(epochs, electrode)),
        )
        for electrode in chosen
    ]


def _interesting(contents: Contents, epochs: xr.DataArray) -> list[str]:
    """Return found electrodes of the subject, else those that change most after the onset."""
    labels = epochs[n.ELECTRODE].values.tolist()
    if contents.electrodes is not None and "found" in contents.electrodes:
        by_electrode = contents.electrodes["found"].any(n.SPACE)
        named = contents.electrodes[n.ELECTRODE].values[by_electrode.values]
        found = [label for label in named.tolist() if label in labels]
        if found:
            return found[: MOST_ENVELOPES - 1]
    mean = epochs.mean(n.WORD)
    change = np.nan_to_num((mean.max(n.LAG) - mean.min(n.LAG)).values)
    return [labels[i] for i in np.argsort(change)[::-1][: MOST_ENVELOPES - 1]]


def uri_of(element: Any) -> str:
    """Return a figure as the address of an SVG that is in the address itself.

    Parameters
    ----------
    element : holoviews element, overlay or layout

    Returns
    -------
    str
    """
    hv = drawing.plotting()
    svg, _ = hv.renderer("matplotlib").instance(fig="svg", dpi=72)(element, fmt="svg")
    encoded = base64.b64encode(svg.encode()).decode()
    return f"data:image/svg+xml;base64,{encoded}"

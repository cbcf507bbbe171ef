"""Figures of scores, each beside its reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.views.drawing import COLOURS, TITLES, framed, plotting, styled

R2_EDGES = (-np.inf, *(i / 10 for i in range(10)), np.inf)
R2_BINS = ("< 0", "0-.1", *(f".{i}-.{i + 1}" for i in range(1, 9)), ".9-1")


LABELS = {"skill": "skill over the mean word", "r_across_words": "r across words"}


def r2_bins(word_table: xr.Dataset) -> Any:
    """Draw how many words fall into each bin of R2 across electrodes: model and mean word.

    The bins are those of the paper (0-.1 ... .9-1), and one for negative R2; counts are means
    over subjects.

    Parameters
    ----------
    word_table : xarray.Dataset
        The table by word, with one space and one solver selected.

    Returns
    -------
    holoviews.Bars
    """
    hv = plotting()
    rows = [
        (label, TITLES[predictor], count)
        for predictor in (n.MODEL, n.MEAN_WORD)
        for label, count in zip(R2_BINS, r2_counts(word_table, predictor), strict=True)
    ]
    bins = hv.Dimension("bin", label="R2 across electrodes, per word")
    predictors = hv.Dimension("predictor", values=[TITLES[n.MODEL], TITLES[n.MEAN_WORD]])
    bars = hv.Bars(rows, [bins, predictors], hv.Dimension("words", label="words per subject"))
    colours = hv.Cycle([COLOURS[n.MODEL], COLOURS[n.MEAN_WORD]])
    common = {"stacked": False, "framewise": True, "legend_position": "top"}
    return styled(
        bars,
        matplotlib={
            "color": colours,
            "multi_level": False,
            "fig_inches": (9.6, 3.2),
            "aspect": 3.0,
            **common,
        },
        bokeh={"color": "predictor", "cmap": colours.values, "responsive": True, **common},
    )


def r2_counts(word_table: xr.Dataset, predictor: str) -> list[float]:
    """Return words per bin of R2 across electrodes, mean over subjects.

    Parameters
    ----------
    word_table : xarray.Dataset
        The table by word, with one space and one solver selected.
    predictor : str

    Returns
    -------
    list of float
        One per `R2_BINS`; words without a score are in none.
    """
    r2 = word_table["r2_across_electrodes"].sel(predictor=predictor)
    r2 = r2.mean(n.LAG) if n.LAG in r2.dims else r2
    scored = np.isfinite(r2.values)
    subjects = len(set(word_table[n.SUBJECT].values[scored].tolist()))
    counts, _ = np.histogram(r2.values[scored], R2_EDGES)
    return [float(count) / max(subjects, 1) for count in counts]


def electrodes(electrode_table: xr.Dataset, variable: str = "skill") -> Any:
    """Draw a score of the model for each electrode, found ones marked.

    Parameters
    ----------
    electrode_table : xarray.Dataset
        The table by electrode, with one space and one solver selected.
    variable : str
        ``"skill"``, or ``"r_across_words"``, whose null quantiles are drawn as a band.

    Returns
    -------
    holoviews.Overlay
        Electrodes in their order, subjects side by side.
    """
    hv = plotting()
    table = electrode_table.sel(predictor=n.MODEL)
    table = table.max(n.LAG, keep_attrs=True) if n.LAG in table[variable].dims else table
    places, values = np.arange(table.sizes[n.ELECTRODE]), table[variable].values
    found = _found(table)
    score = hv.Dimension(variable, label=LABELS.get(variable, variable))
    where = hv.Dimension("place", label="electrodes of each subject")
    layers = _null_band(table, variable, (where, score))
    for name, mask in (("other", ~found), ("found", found)):
        points = hv.Scatter((places[mask], values[mask]), where, score, label=f"{name} electrodes")
        layers.append(_points(points, name))
    starts, centres = _subject_places(table)
    lines = [_thin(line) for line in (hv.HLine(0.0), *(hv.VLine(x - 0.5) for x in starts[1:]))]
    overlay = hv.Overlay([*layers, *lines])
    return framed(
        overlay,
        xticks=centres,
        xlim=(-1, len(places)),
        legend_position="top",
        show_grid=False,
    )


def _found(table: xr.Dataset) -> np.ndarray[Any, np.dtype[np.bool_]]:
    if "found" not in table:
        return np.zeros(table.sizes[n.ELECTRODE], dtype=bool)
    return table["found"].values.astype(bool)


def _null_band(table: xr.Dataset, variable: str, dims: tuple[Any, Any]) -> list[Any]:
    if variable != "r_across_words" or "null_quantile" not in table:
        return []
    null = n.ORDER_ADJUSTED if n.ORDER_ADJUSTED in table[n.NULL].values else n.PLAIN
    quantiles = table["null_quantile"].sel(null=null)
    ends = [quantiles.isel(quantile=i).values for i in (0, -1)]
    stated = [f"{float(q):.3g}" for q in quantiles[n.QUANTILE].values[[0, -1]]]
    where, score = dims
    band = plotting().Area(
        (np.arange(len(ends[0])), ends[1], ends[0]),
        where,
        [score, "low"],
        label=f"null, quantiles {stated[0]} to {stated[1]}",
    )
    grey = COLOURS["null"]
    return [
        styled(
            band,
            matplotlib={"facecolor": grey, "alpha": 0.45, "linewidth": 0},
            bokeh={"fill_color": grey, "fill_alpha": 0.45, "line_width": 0},
        )
    ]


def _thin(line: Any) -> Any:
    look = {"color": COLOURS["observed"], "alpha": 0.6}
    return styled(line, matplotlib={**look, "linewidth": 0.8}, bokeh={**look, "line_width": 1})


def _points(points: Any, name: str) -> Any:
    # shape as well as colour tells them apart
    marker = {"found": ("D", "diamond"), "other": ("o", "circle")}[name]
    return styled(
        points,
        matplotlib={"color": COLOURS[name], "marker": marker[0], "s": 26},
        bokeh={"color": COLOURS[name], "marker": marker[1], "size": 7},
    )


def _subject_places(table: xr.Dataset) -> tuple[list[int], list[tuple[float, str]]]:
    """Return where each subject's electrodes begin, and a tick at the middle of them."""
    labels = table[n.SUBJECT].values
    subjects = list(dict.fromkeys(labels.tolist()))
    places = [np.flatnonzero(labels == subject) for subject in subjects]
    ticks = [(float(p.mean()), subject) for p, subject in zip(places, subjects, strict=True)]
    return [int(p[0]) for p in places], ticks

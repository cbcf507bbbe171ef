"""Figures of high gamma: around the onset, and as a model rebuilds one word."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.errors import CubeError, UnknownLabelError
from hgcube.schema import bad_electrodes, check
from hgcube.views.drawing import COLOURS, TITLES, framed, plotting, styled

_NORMAL_95 = 1.96


def envelope(epochs: xr.DataArray, electrode: str | None = None) -> Any:
    """Draw high gamma around the onset: mean over words with its 95 % interval.

    Parameters
    ----------
    epochs : xarray.DataArray
        (word, electrode, lag).
    electrode : str, optional
        Label of one electrode; by default the mean of all electrodes that are not bad.

    Returns
    -------
    holoviews.Overlay
        Interval of the mean (1.96 standard errors over words), mean, and a line at the onset.

    Raises
    ------
    CubeError
        If the epochs have no `lag`.
    UnknownLabelError
        If there is no such electrode.
    """
    check(epochs, "epochs")
    if n.LAG not in epochs.dims:
        raise CubeError(
            "epochs with lags (target 'windows')",
            f"dims {dict(epochs.sizes)}",
            "Open the epochs of target 'windows'",
        )
    by_word = _one_electrode(epochs, electrode).transpose(n.WORD, n.LAG)
    count = by_word.count(n.WORD)
    half = _NORMAL_95 * by_word.std(n.WORD, ddof=1) / np.sqrt(count)
    return _envelope(epochs, electrode, (by_word.mean(n.WORD), half, int(count.max())))


def reconstruction(result: xr.Dataset, word: int | str) -> Any:
    """Draw one held-out word across electrodes: observed, model, and the mean word alone.

    Parameters
    ----------
    result : xarray.Dataset
        Of one subject, space and solver, without `lag`.
    word : int or str
        Position, or text (the first such word).

    Returns
    -------
    holoviews.Overlay

    Raises
    ------
    UnknownLabelError
        If there is no such word.
    """
    hv = plotting()
    position = _position(result, word)
    one = result[["observed", "prediction"]].isel(word=position)
    unit = str(result["observed"].attrs.get("units", ""))
    value = hv.Dimension("high_gamma", label="high gamma", unit=unit)
    places = np.arange(one.sizes[n.ELECTRODE])
    observed = hv.Scatter((places, one["observed"].values), "electrode", value, label="observed")
    layers = [_dots(observed, COLOURS["observed"])]
    for predictor in (n.MODEL, n.MEAN_WORD):
        values = one["prediction"].sel(predictor=predictor).values
        curve = hv.Curve((places, values), "electrode", value, label=TITLES[predictor])
        layers.append(_line(curve, COLOURS[predictor]))
    text = str(one[n.TEXT].item()) if n.TEXT in one.coords else str(word)
    return framed(hv.Overlay(layers), title=f"word {position} '{text}', held out")


def _one_electrode(epochs: xr.DataArray, electrode: str | None) -> xr.DataArray:
    if electrode is None:
        return epochs.isel(electrode=~bad_electrodes(epochs)).mean(n.ELECTRODE)
    if electrode not in epochs[n.ELECTRODE].values:
        raise UnknownLabelError.of("electrode", electrode, epochs[n.ELECTRODE].values)
    return epochs.sel(electrode=electrode)


def _envelope(
    epochs: xr.DataArray, electrode: str | None, drawn: tuple[xr.DataArray, xr.DataArray, int]
) -> Any:
    hv = plotting()
    mean, half, n_words = drawn
    lock = "voice onset" if epochs.attrs.get("lock", "voice") == "voice" else "display onset"
    lag = hv.Dimension("lag", label=f"time from {lock}", unit="s")
    value = hv.Dimension("high_gamma", label="high gamma", unit=str(epochs.attrs.get("units", "")))
    lags = mean[n.LAG].values
    band = hv.Spread((lags, mean.values, half.values), lag, [value, "half"])
    curve = hv.Curve((lags, mean.values), lag, value)
    colour = COLOURS[n.MODEL]
    band = styled(
        band,
        matplotlib={"facecolor": colour, "alpha": 0.25, "linewidth": 0},
        bokeh={"color": colour, "alpha": 0.25, "line_width": 0},
    )
    overlay = band * _line(curve, colour) * _line(hv.VLine(0.0), COLOURS["found"])
    return framed(overlay, title=_title(epochs, electrode, n_words), show_legend=False)


def _title(epochs: xr.DataArray, electrode: str | None, n_words: int) -> str:
    if electrode is None:
        return f"mean of {(~bad_electrodes(epochs)).sum()} electrodes, {n_words} words"
    region = (
        str(epochs[n.REGION].sel(electrode=electrode).item()) if n.REGION in epochs.coords else ""
    )
    return f"{electrode} {region}, {n_words} words".replace(" ,", ",")


def _position(result: xr.Dataset, word: int | str) -> int:
    labels = result[n.TEXT if isinstance(word, str) else n.WORD].values.tolist()
    if word not in labels:
        raise UnknownLabelError.of("word", word, labels)
    return int(labels.index(word))


def _line(curve: Any, colour: str) -> Any:
    return styled(
        curve,
        matplotlib={"color": colour, "linewidth": 1.6},
        bokeh={"color": colour, "line_width": 2},
    )


def _dots(scatter: Any, colour: str) -> Any:
    return styled(
        scatter, matplotlib={"color": colour, "s": 16}, bokeh={"color": colour, "size": 5}
    )

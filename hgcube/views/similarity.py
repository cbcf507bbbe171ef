"""How alike words are in each space: one panel a layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import xarray as xr
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from hgcube import names as n
from hgcube.errors import CubeError
from hgcube.schema import check
from hgcube.views.drawing import plotting, styled

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]

MOST_WORDS = 100
"""More labels cannot be read in one panel."""

_INCHES_A_WORD = 0.115
_SMALLEST_PANEL = 3.0
_MARGIN = 1.4
_WIDE = 30


def word_similarity(
    features: xr.DataArray | Sequence[xr.DataArray], *, most_words: int = MOST_WORDS
) -> Any:
    """Draw the cosine of every two words' standardised vectors, one panel a space.

    Features are standardised over the words that are shown (mean 0, sd 1), so that what all words
    share is no similarity. All panels have the same words in the same order: that of an average
    linkage clustering of their mean similarity. A text that is there several times is shown once.
    Titles say the layer, the mean cosine of different words (standardised, and raw as ``embed``
    found it), and how many words are not shown.

    Parameters
    ----------
    features : xarray.DataArray or sequence of it
        (word, feature) of one or several spaces, of the same words.
    most_words : int
        Only so many words are shown, the first ones.

    Returns
    -------
    holoviews.Image or holoviews.Layout
        One ``Image`` a space, several in a layout. Colours end where 99 % of the pairs of
        different words do.

    Raises
    ------
    CubeError
        If there is no cube, the words differ, or fewer than two have a vector in all spaces.
    """
    cubes = [features] if isinstance(features, xr.DataArray) else list(features)
    cubes = [check(cube, "features").transpose(n.WORD, n.FEATURE) for cube in cubes]
    places, absent = _shown(cubes, most_words)
    each = [similarity(cube.isel({n.WORD: places}).values) for cube in cubes]
    order = _clustered(np.mean(each, axis=0))
    texts = [_texts(cubes[0])[place] for place in np.asarray(places)[order]]
    limit = _limit(each)
    panels = [
        _panel(
            one[np.ix_(order, order)], texts, limit, _title(cube, one, absent), cube is cubes[-1]
        )
        for cube, one in zip(cubes, each, strict=True)
    ]
    return panels[0] if len(panels) == 1 else _laid_out(panels, len(texts))


def similarity(vectors: Array) -> Array:
    """Return the cosine of every two standardised vectors.

    Parameters
    ----------
    vectors : numpy.ndarray, shape (word, feature)

    Returns
    -------
    numpy.ndarray of float64, shape (word, word)
        0 for a word whose vector is the mean of all.
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    spread = centred.std(axis=0)
    # What does not vary beyond its rounding says nothing of words.
    varies = spread > 1e-6 * np.abs(vectors).max(axis=0, initial=0.0)
    scaled = centred[:, varies] / spread[varies]
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    units = np.divide(scaled, lengths, out=np.zeros_like(scaled), where=lengths > 0)
    cosines: Array = np.clip(units @ units.T, -1.0, 1.0)
    return cosines


def _texts(cube: xr.DataArray) -> list[str]:
    labels = cube[n.TEXT if n.TEXT in cube.coords else n.WORD].values
    return [str(label) for label in labels.tolist()]


def _shown(cubes: list[xr.DataArray], most_words: int) -> tuple[list[int], list[str]]:
    """Return the first place of each text that has a vector everywhere, and what is not shown."""
    if not cubes:
        raise CubeError("one or more 'features' cubes", "none", "Name a space that is stored")
    texts = _texts(cubes[0])
    if any(_texts(cube) != texts for cube in cubes):
        raise CubeError("spaces of the same words", "other words", "Pass one subject's spaces")
    known = np.all([np.isfinite(cube.values).all(axis=1) for cube in cubes], axis=0)
    first = {text: place for place, text in reversed([*enumerate(texts)]) if known[place]}
    places = sorted(first.values())
    if len(places) < 2:
        raise CubeError(
            "two or more words with a vector in every space",
            f"{len(places)} of {len(texts)}",
            "Look at 'flag' for why the others have none",
        )
    counted = {
        "more words": len(places) - most_words,
        "without vector": len(set(texts) - set(first)),
    }
    return places[:most_words], [f"{count} {what}" for what, count in counted.items() if count > 0]


def _clustered(cosines: Array) -> Array:
    if len(cosines) < 3:
        return np.arange(len(cosines))
    distance = 1.0 - (cosines + cosines.T) / 2
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
    return np.asarray(leaves_list(tree))


def _limit(each: list[Array]) -> float:
    pairs = np.concatenate([np.abs(one[np.triu_indices(len(one), 1)]) for one in each])
    return max(0.1, round(float(np.quantile(pairs, 0.99)), 2))


def _title(cube: xr.DataArray, cosines: Array, absent: list[str]) -> str:
    name = str(cube[n.SPACE].item()) if n.SPACE in cube.coords else "features"
    control = str(cube[n.CONTROL_OF].item()) if n.CONTROL_OF in cube.coords else ""
    said = [f"mean cosine {cosines[np.triu_indices(len(cosines), 1)].mean():.2f}", *absent]
    # That of standardised vectors is near -1 / (words - 1) whatever the space; the raw one is not.
    if "mean_cosine" in cube.attrs:
        said.insert(1, f"raw {cube.attrs['mean_cosine']:.2f}")
    # A family without layers has no depth.
    if n.DEPTH in cube.coords and np.isfinite(cube[n.DEPTH].item()):
        said.insert(0, f"layer {cube[n.LAYER].item()}")
    first = f"{name}, control of {control}" if control else name
    return "\n".join([first, ", ".join(said)])


def _laid_out(panels: list[Any], n_words: int) -> Any:
    columns = 2 if n_words > _WIDE else min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    size = _inches(n_words) + _MARGIN
    matplotlib = {
        "fig_inches": (columns * size, rows * size),
        "hspace": _MARGIN / size,
        "vspace": _MARGIN / size,
        "sublabel_format": "",
    }
    return styled(plotting().Layout(panels).cols(columns), matplotlib=matplotlib, bokeh={})


def _inches(n_words: int) -> float:
    return max(_SMALLEST_PANEL, n_words * _INCHES_A_WORD)


def _panel(cosines: Array, texts: list[str], limit: float, title: str, last: bool) -> Any:
    hv, count = plotting(), len(texts)
    size = _inches(count)
    ticks = list(enumerate(texts))
    value = hv.Dimension("cosine")
    words = (hv.Dimension("word"), hv.Dimension("other word"))
    places = np.arange(count)
    image = hv.Image((places, places, cosines), list(words), value)
    common = {
        "title": title,
        "xlabel": "",
        "ylabel": "",
        "xticks": ticks,
        "yticks": ticks,
        "invert_yaxis": True,
        "colorbar": last,  # one scale for all; beside others it would cover their words
        "clim": (-limit, limit),
    }
    return styled(
        image,
        matplotlib={
            **common,
            "cmap": "RdBu_r",
            "xrotation": 90,
            "aspect": "square",
            "fig_inches": size,
            "fontsize": {"ticks": 6, "title": 10, "labels": 8, "cticks": 7},
            "cformatter": "%.2g",
        },
        bokeh={
            **common,
            "cmap": "RdBu_r",
            "xrotation": 90,
            "frame_width": int(72 * size),
            "frame_height": int(72 * size),
            "tools": ["hover"],
            "fontsize": {"ticks": "6pt"},
        },
    )

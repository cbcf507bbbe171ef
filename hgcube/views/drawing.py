"""What all views share: the plotting library, its absence, colours for colour-blind eyes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hgcube import names as n
from hgcube.errors import MissingExtraError

# Okabe and Ito (2008)
COLOURS = {
    n.MODEL: "#0072B2",
    n.MEAN_WORD: "#E69F00",
    n.ORDER: "#009E73",
    "observed": "#222222",
    "found": "#D55E00",
    "other": "#8A8A8A",
    "null": "#BBBBBB",
}
TITLES = {n.MODEL: "model", n.MEAN_WORD: "mean word", n.ORDER: "reading order"}


def plotting() -> Any:
    """Return the module holoviews with at least one backend loaded.

    Returns
    -------
    module

    Raises
    ------
    MissingExtraError
        If holoviews or matplotlib is not installed.
    """
    try:
        import holoviews

        if not holoviews.Store.loaded_backends():
            holoviews.extension("matplotlib")
    except ImportError as error:
        raise MissingExtraError(
            "holoviews and matplotlib for figures",
            str(error),
            'Run: pip install "hgcube[viz]"',
        ) from None
    return holoviews


def styled(element: Any, *, matplotlib: Mapping[str, Any], bokeh: Mapping[str, Any]) -> Any:
    """Return `element` with its options for every backend that is loaded.

    Parameters
    ----------
    element : holoviews element or overlay
    matplotlib, bokeh : mapping
        Options by backend.

    Returns
    -------
    holoviews element or overlay
    """
    loaded = plotting().Store.loaded_backends()
    for backend, options in (("matplotlib", matplotlib), ("bokeh", bokeh)):
        if backend in loaded:
            element = element.opts(**options, backend=backend)
    return element


def framed(overlay: Any, **options: Any) -> Any:
    """Return an overlay with the frame that all figures have.

    Parameters
    ----------
    overlay : holoviews overlay
    **options
        Plot options that both backends know, such as ``title`` or ``xticks``.

    Returns
    -------
    holoviews overlay
        Axes scaled to what is shown (``framewise``).
    """
    common = {"framewise": True, "show_grid": True, **options}
    return styled(
        overlay,
        matplotlib={"aspect": 2.0, "fig_inches": (6.4, 3.2), **common},
        bokeh={"responsive": True, "height": 320, **common},
    )

"""One page about an embedding of a store: its spaces, and how alike words are in each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from hgcube import __version__
from hgcube import names as n
from hgcube.errors import HgcubeError, UnknownLabelError
from hgcube.reporting.figures import uri_of
from hgcube.reporting.page import write_page
from hgcube.store import Key, open_part, read_ledger
from hgcube.views import word_similarity

_SAID_ELSEWHERE = ("kind", "long_name", "units", "n_without_vector", "mean_cosine")


def embedding_page(store: str | Path, embedding: str) -> Path:
    """Write one self-contained HTML page about the spaces of an embedding.

    Parameters
    ----------
    store : path
        The store's folder.
    embedding : str
        NAME of ``[embeddings.NAME]``.

    Returns
    -------
    pathlib.Path
        ``<store>/embedding-NAME.html``; opens offline.

    Raises
    ------
    UnknownLabelError
        If the store has no features of it.
    StoreError
        If it cannot be written.
    """
    folder = Path(store)
    keys = _keys(folder, embedding)
    subject = min(of for _, of in keys)
    cubes = {space: _features(folder, (space, of)) for space, of in keys if of == subject}
    figure, no_figure = _figure(list(cubes.values()))
    context = {
        "embedding": embedding,
        "version": __version__,
        "name": folder.resolve().name,
        "subject": subject,
        "rows": spaces(folder, embedding),
        "figure": figure,
        "no_figure": no_figure,
        "about": _about(list(cubes.values())[-1].attrs),
    }
    return write_page(folder / f"embedding-{embedding}.html", "embedding.html", context)


def spaces(store: str | Path, embedding: str) -> list[dict[str, Any]]:
    """Return what a store holds of an embedding, one row a space.

    Parameters
    ----------
    store : path
    embedding : str
        NAME of ``[embeddings.NAME]``.

    Returns
    -------
    list of dict
        Space, layer, depth, what it controls, features, subjects, words of all of them, words
        without vector, and the first subject's mean cosine of raw vectors.

    Raises
    ------
    UnknownLabelError
        If the store has no features of it.
    """
    by_space: dict[str, list[Key]] = {}
    for key in _keys(Path(store), embedding):
        by_space.setdefault(key[0], []).append(key)
    return [
        _row([_features(Path(store), key) for key in sorted(keys)]) for keys in by_space.values()
    ]


def _row(cubes: list[xr.DataArray]) -> dict[str, Any]:
    first, depth = cubes[0], float(cubes[0][n.DEPTH])
    cosine = first.attrs.get("mean_cosine")
    return {
        "space": str(first[n.SPACE].item()),
        "layer": "" if np.isnan(depth) else int(first[n.LAYER]),
        "depth": "" if np.isnan(depth) else f"{depth:.2f}",
        "control_of": str(first[n.CONTROL_OF].item()),
        "features": first.sizes[n.FEATURE],
        "subjects": len(cubes),
        "words": sum(cube.sizes[n.WORD] for cube in cubes),
        "without vector": sum(int(cube.attrs["n_without_vector"]) for cube in cubes),
        "mean cosine": "" if cosine is None else f"{cosine:.3f}",
    }


def _keys(store: Path, embedding: str) -> list[Key]:
    found = [
        key
        for (kind, key), entry in read_ledger(store).items()
        if kind == "features"
        and entry.status == "done"
        and embedding in entry.settings.get("embeddings", {})
    ]
    if not found:
        raise UnknownLabelError(
            f"features of the embedding {embedding!r} in {store}",
            "none",
            f"Make them with 'hgcube embed {store} --embedding {embedding}'",
        )
    return found


def _features(store: Path, key: Key) -> xr.DataArray:
    part = open_part(store, "features", key)
    return part.load() if isinstance(part, xr.DataArray) else part["features"].load()


def _figure(cubes: list[xr.DataArray]) -> tuple[str, str]:
    """Return the figure, or why there is none."""
    try:
        return uri_of(word_similarity(cubes)), ""
    except HgcubeError as error:
        return "", str(error)


def _about(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        str(name): said
        for name, said in attrs.items()
        if name not in _SAID_ELSEWHERE and not str(name).lower().startswith(("hgcube", "conv"))
    }

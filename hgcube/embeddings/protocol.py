"""What an embedding family is, and the registry it joins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from hgcube.errors import UnknownLabelError


@runtime_checkable
class Embedder(Protocol):
    """One family with its model at hand. Made by a factory that takes the options.

    A family lives in one file, registers its factory in `EMBEDDERS`, or comes from another
    package through the entry point group ``hgcube.embedders``.
    """

    def vectors(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        """Return one row per text, float32, dims (word, feature); NaN where there is no vector."""
        ...

    def known(self, texts: Sequence[str]) -> np.ndarray[Any, Any]:
        """Return for each text whether it is in the model's own vocabulary (bool)."""
        ...

    def provenance(self) -> dict[str, str]:
        """Return what the cube must say about where its numbers come from."""
        ...

    def files(self) -> tuple[Path, ...]:
        """Return the files whose contents the vectors depend on."""
        ...


Factory: TypeAlias = Callable[..., Embedder]

EMBEDDERS: dict[str, Factory] = {}


def register(family: str) -> Callable[[Factory], Factory]:
    """Return a decorator that puts a factory into `EMBEDDERS` under `family`.

    Parameters
    ----------
    family : str

    Returns
    -------
    callable
    """

    def put(factory: Factory) -> Factory:
        EMBEDDERS[family] = factory
        return factory

    return put


def factory_of(family: str) -> Factory:
    """Return the factory of `family`, our own or a plug-in's.

    Parameters
    ----------
    family : str

    Returns
    -------
    callable

    Raises
    ------
    UnknownLabelError
        Naming the closest families.
    """
    if family in EMBEDDERS:
        return EMBEDDERS[family]
    plugins = {point.name: point for point in entry_points(group="hgcube.embedders")}
    if family in plugins:
        factory: Factory = plugins[family].load()
        return factory
    raise UnknownLabelError.of("embedding family", family, [*EMBEDDERS, *plugins])

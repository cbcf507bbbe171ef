"""What an embedding family is, and the registry it joins."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import xarray as xr

from hgcube.errors import MissingExtraError, UnknownLabelError

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Item:
    """All that the vector of one word is made from: items of one digest have one vector.

    Parameters
    ----------
    text : str
        The word.
    before, after : str
        What a model reads around it.
    sound : numpy.ndarray of float32, shape (samples,), optional
        What a model hears: mono, at the family's own rate.
    numbers : tuple of float
        What is known of the word beside text and sound, such as its duration in s.
    flag : str
        Why the word cannot have a vector; such items are not given to `Embedder.vectors`.
    """

    text: str = ""
    before: str = ""
    after: str = ""
    sound: Array | None = None
    numbers: tuple[float, ...] = ()
    flag: str = ""

    @property
    def digest(self) -> str:
        """Return the identity of the content, 32 hexadecimal digits."""
        said = repr((self.text, self.before, self.after, self.numbers)).encode()
        heard = b"" if self.sound is None else self.sound.tobytes()
        return hashlib.blake2b(said + b"\0" + heard, digest_size=16).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """What a family makes of items.

    Parameters
    ----------
    values : numpy.ndarray of float32, shape (item, layer, feature)
        NaN where an item has no vector.
    words : mapping of str to array of shape (item,)
        Further coordinates of `word`: ``in_vocabulary``, ``n_tokens``, and ``flag`` for what only
        the model could find.
    features : mapping of str to array of shape (feature,)
        Coordinates of `feature`, such as ``lag`` in s or ``frequency`` in Hz.
    """

    values: Array
    words: Mapping[str, Array] = field(default_factory=dict)
    features: Mapping[str, Array] = field(default_factory=dict)


@runtime_checkable
class Embedder(Protocol):
    """One family with its options. Made by a factory; a model is loaded when `vectors` needs it.

    A family lives in one file, registers its factory in `EMBEDDERS`, or comes from another
    package through the entry point group ``hgcube.embedders``. Of the factory's options, all by
    keyword, these have a meaning to others: ``layers`` (a list, or ``"all"``), ``model`` (a file,
    a folder or a name of the hub), and ``of``, the embedding that this one is made from where it
    has no default, else the name of the space that it controls. A factory may say ``packages``,
    the optional packages that it imports.
    """

    @property
    def layers(self) -> tuple[int, ...]:
        """Return the layers along the second axis of `vectors`; (0,) for a family without."""
        ...

    @property
    def hears(self) -> bool:
        """Return whether items are made from the audio."""
        ...

    @property
    def control_of(self) -> str:
        """Return the space that this one controls, or ``""``."""
        ...

    def items(self, words: xr.DataArray, audio: xr.DataArray | None) -> list[Item]:
        """Return one item per word; one that cannot have a vector says why in its flag."""
        ...

    def vectors(self, items: Sequence[Item]) -> Vectors:
        """Return the vectors of all `layers` of items without a flag, in one pass.

        An item's vector does not depend on which others it is given with.
        """
        ...

    def provenance(self) -> dict[str, str]:
        """Return what the cube must say about where its numbers come from.

        All options that change a vector are in it: with the contents of `files` it is what kept
        vectors are known by. ``layers_total`` is the last layer of a family that has layers.
        """
        ...

    def files(self) -> tuple[Path, ...]:
        """Return the files whose contents the vectors depend on."""
        ...


class OfTexts:
    """What families that know a word by its text alone have in common."""

    layers: tuple[int, ...] = (0,)
    hears = False
    control_of = ""

    def items(self, words: xr.DataArray, _audio: xr.DataArray | None) -> list[Item]:
        """Return the texts; one without a letter or digit is flagged ``empty``."""
        return [
            Item(text=text, flag="" if any(map(str.isalnum, text)) else "empty")
            for text in map(str, words.values.tolist())
        ]

    def files(self) -> tuple[Path, ...]:
        """Return nothing: such families that read files say so themselves."""
        return ()


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


def known_families() -> list[str]:
    """Return the names of all families, plug-ins last.

    Returns
    -------
    list of str
    """
    return list(dict.fromkeys([*EMBEDDERS, *(point.name for point in _plugins())]))


def origin_of(family: str) -> str:
    """Return the distribution that brings a family: ``"hgcube"``, or a plug-in's.

    Parameters
    ----------
    family : str

    Returns
    -------
    str
    """
    if family in EMBEDDERS:
        return "hgcube"
    brings = [point.dist.name for point in _plugins() if point.name == family and point.dist]
    return next(iter(brings), "")


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
    MissingExtraError
        If a plug-in cannot be loaded.
    """
    if family in EMBEDDERS:
        return EMBEDDERS[family]
    for point in _plugins():
        if point.name == family:
            return _loaded(point)
    raise UnknownLabelError.of("embedding family", family, known_families())


def _plugins() -> EntryPoints:
    return entry_points(group="hgcube.embedders")


def _loaded(point: EntryPoint) -> Factory:
    try:
        factory: Factory = point.load()
    # What another package does when it is imported is not known here.
    except Exception as error:
        raise MissingExtraError(
            f"a plug-in {point.value} for the embedding family {point.name!r}",
            f"{type(error).__name__}: {error}",
            "Install it again, or without it",
        ) from error
    return factory

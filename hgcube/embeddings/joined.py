"""Several embeddings side by side, each a band of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.embeddings.making import embedder_of
from hgcube.embeddings.protocol import Array, Item, Vectors, register
from hgcube.embeddings.vectors import made_vectors
from hgcube.errors import OptionError
from hgcube.schema import joined_flags, text_array


@dataclass(frozen=True, kw_only=True, eq=False)
class _Beside(Item):
    """What each band's vector of one word is made from."""

    parts: tuple[Item, ...]

    @property
    def digest(self) -> str:
        known = [(part.digest, part.flag) for part in self.parts]
        return hashlib.blake2b(repr(known).encode(), digest_size=16).hexdigest()


@register("joined")
class Joined:
    """Several embeddings side by side, kept apart as named bands.

    Nothing is scaled or mixed: the coordinate ``band`` says which features are whose. A word that
    has no vector in one band is NaN there and flagged with the band's name.

    Parameters
    ----------
    of : list of mapping
        Two or more embeddings of one layer each: ``family``, its options, and ``space``, the name
        of the band. In study.toml names of spaces.

    Raises
    ------
    OptionError
        For fewer than two, for one of several layers, or for a name that two have.
    """

    layers: tuple[int, ...] = (0,)
    control_of = ""

    def __init__(self, *, of: Sequence[Mapping[str, Any]]) -> None:
        if isinstance(of, Mapping | str) or len(of) < 2:
            raise OptionError("a list of two or more embeddings", repr(of), "Correct 'of'")
        self._parts = [embedder_of(each) for each in of]
        self.bands = tuple(str(each.get("space", each["family"])) for each in of)
        several = [
            f"{band} has {len(part.layers)}"
            for band, part in zip(self.bands, self._parts, strict=True)
            if len(part.layers) > 1
        ]
        twice = [band for band in self.bands if self.bands.count(band) > 1]
        if several or twice:
            raise OptionError(
                "bands of one layer each and with names of their own",
                several[0] if several else f"{twice[0]!r} twice",
                "Name one layer, such as 'NAME-05'" if several else "Leave one out",
            )

    @property
    def hears(self) -> bool:
        """Return whether any band does."""
        return any(part.hears for part in self._parts)

    def items(self, words: xr.DataArray, audio: xr.DataArray | None) -> list[Item]:
        """Return the items of all bands; a word that no band can have is flagged."""
        by_band = [part.items(words, audio) for part in self._parts]
        return [
            _Beside(parts=parts, flag=self._flag([item.flag for item in parts], every=True))
            for parts in zip(*by_band, strict=True)
        ]

    def vectors(self, items: Sequence[Item]) -> Vectors:
        """Return float32 vectors, dims (item, 1, feature), with ``band`` by feature."""
        beside = [item.parts for item in items if isinstance(item, _Beside)]
        made = [
            made_vectors(part, [parts[place] for parts in beside])
            for place, part in enumerate(self._parts)
        ]
        flags = zip(*(each.words[n.FLAG].tolist() for each in made), strict=True)
        sizes = [each.values.shape[2] for each in made]
        return Vectors(
            values=np.concatenate([each.values for each in made], axis=2),
            words={
                **_of_words(self.bands, made),
                n.FLAG: text_array([self._flag(of_word) for of_word in flags]),
            },
            features={
                **_of_features(made),
                n.BAND: text_array(np.repeat(np.array(self.bands, dtype=object), sizes)),
            },
        )

    def _flag(self, of_bands: Sequence[str], *, every: bool = False) -> str:
        """Return which band lacks the word and why; nothing unless `every` band does, if so."""
        if every and not all(of_bands):
            return ""
        return joined_flags(
            *(
                f"{band}: {why}"
                for band, flag in zip(self.bands, of_bands, strict=True)
                for why in filter(None, flag.split(";"))
            )
        )

    def provenance(self) -> dict[str, str]:
        """Return what each band says of itself, its name before it."""
        return {
            f"{band}: {name}": said
            for band, part in zip(self.bands, self._parts, strict=True)
            for name, said in part.provenance().items()
        }

    def files(self) -> tuple[Path, ...]:
        """Return those of all bands."""
        return tuple(dict.fromkeys(path for part in self._parts for path in part.files()))


def _of_words(bands: Sequence[str], made: list[Vectors]) -> dict[str, Array]:
    """Return whether all bands know a word, and what else each says of it."""
    known = [each.words["in_vocabulary"] for each in made if "in_vocabulary" in each.words]
    named = [name for each in made for name in each.words]
    others = {
        name if named.count(name) == 1 else f"{name}_{band}": each.words[name]
        for band, each in zip(bands, made, strict=True)
        for name in each.words
        if name not in ("in_vocabulary", n.FLAG)
    }
    return {**others, "in_vocabulary": np.logical_and.reduce(known)} if known else others


def _of_features(made: list[Vectors]) -> dict[str, Array]:
    """Return every coordinate that any band has; NaN or "" where another has none."""
    kinds = {name: each.features[name].dtype for each in made for name in each.features}
    return {
        name: np.concatenate([_or_nothing(each, name, kind) for each in made])
        for name, kind in kinds.items()
    }


def _or_nothing(made: Vectors, name: str, kind: np.dtype[Any]) -> Array:
    if name in made.features:
        return np.asarray(made.features[name], dtype=float if kind.kind in "iuf" else None)
    size = made.values.shape[2]
    return np.full(size, np.nan) if kind.kind in "iuf" else text_array([""] * size)

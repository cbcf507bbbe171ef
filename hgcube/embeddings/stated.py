"""The embeddings of a study.toml, resolved: spaces, options, paths, and what is made of what."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import xarray as xr

from hgcube.embeddings.making import NAMING, embedder, names_layers, numbered, takes, wraps
from hgcube.embeddings.protocol import Embedder
from hgcube.errors import SettingsError, UnknownLabelError, closest

PATHS = ("model", "table", "lexicon", "sounds")
"""Options that may be paths, seen from the store's folder."""

BANDS = "bands need a penalty each, which no estimator has yet"
"""Why spaces of several bands are stored but not fitted."""

SPEAKER = "speaker"
"""The option that names a recording whose sound is heard instead of the word's own."""


@dataclass(frozen=True)
class Space:
    """One space of a study: an embedding, and a layer where several are named."""

    name: str
    table: str
    layer: int | None = None


@dataclass(frozen=True)
class Stated:
    """The tables ``[embeddings.NAME]`` of a study.

    Parameters
    ----------
    tables : mapping
        NAME to the options of its embedder, and ``family`` where NAME is not one.
    folder : path
        The store's, in which relative paths are looked up first.
    """

    tables: Mapping[str, Mapping[str, Any]]
    folder: Path

    @cached_property
    def spaces(self) -> dict[str, Space]:
        """Return the spaces by name: what others are made of before them, layers in order.

        Raises
        ------
        SettingsError, UnknownLabelError, OptionError, SourceError, MissingExtraError
            If layers are named of a model whose layers cannot be known.
        """
        ordered = sorted(self.tables, key=lambda table: (self._height(table), table))
        found = [space for table in ordered for space in self.of_table(table)]
        return {space.name: space for space in found}

    def of_table(self, table: str) -> Iterator[Space]:
        """Go through the spaces of one table; raises as `spaces`."""
        family, options = self.resolved(table)
        if not names_layers(options):
            # One space, whether or not its model is here.
            yield Space(table, table)
            return
        layers = embedder(family, **options).layers
        for name, layer in zip(numbered(table, family, options), layers, strict=True):
            yield Space(name, table, layer)

    def embedding(self, space: str) -> tuple[str, dict[str, Any]]:
        """Return the family and all resolved options of the table that a space is of."""
        return self.resolved(self.spaces[space].table)

    def embedder(self, table: str) -> Embedder:
        """Return the embedder of a table, all its layers."""
        family, options = self.resolved(table)
        return embedder(family, **options)

    def bands(self, space: str) -> tuple[str, ...]:
        """Return the bands that a space keeps apart; none for most."""
        if not wraps(self._family(self.spaces[space].table)):
            return ()
        return tuple(getattr(self.embedder(self.spaces[space].table), "bands", ()))

    def controlled(self, space: str) -> str:
        """Return the space that a control's space controls: the same layer, where several are."""
        one = self.spaces[space]
        of = self.tables[one.table].get("of", "")
        if not isinstance(of, str) or of not in self.tables:
            return of if isinstance(of, str) else ""
        layer = self.embedder(one.table).layers[0] if one.layer is None else one.layer
        same = [each.name for each in self.of_table(of) if each.layer == layer]
        return same[0] if same else of

    def together(self, table: str) -> str:
        """Return one name for all tables that are made of one another, and so share vectors."""
        links = {
            name: {self._table_of(each)[0] for each in self._made_of(name)} for name in self.tables
        }
        found: set[str] = set()
        reached = {table}
        while reached > found:
            found = reached
            reached = found.union(
                *(below for name, below in links.items() if name in found),
                (name for name, below in links.items() if below & found),
            )
        return min(found)

    def settings(self, space: str) -> dict[str, Any]:
        """Return what changes the numbers of a space: files by name, of several layers its own."""
        one = self.spaces[space]
        family, options = self.resolved(one.table)
        return {one.table: _told({"family": family, **options}, one.layer)}

    def resolved(self, table: str, below: tuple[str, ...] = ()) -> tuple[str, dict[str, Any]]:
        """Return family and options of a table: paths found, and what it is made of as mappings.

        Raises
        ------
        SettingsError
            If embeddings are made of one another in a circle.
        UnknownLabelError
            If ``of`` names what does not exist.
        """
        if table in below:
            raise SettingsError(
                "embeddings that are not made of themselves",
                " of ".join(repr(name) for name in (*below, table)),
                f"Correct 'of' under [embeddings.{table}]",
            )
        options = {name: self._found(name, value) for name, value in self.tables[table].items()}
        family = str(options.pop("family", table))
        of = options.get("of")
        if made_of := self._made_of(table):
            mappings = [self._mapping(space, (*below, table)) for space in made_of]
            options["of"] = mappings[0] if isinstance(of, str) else mappings
        elif isinstance(of, str) and of:
            self._table_of(of)
        return family, options

    def _height(self, table: str, below: tuple[str, ...] = ()) -> int:
        """Return how many embeddings stand on one another below this one; 0 in a circle."""
        if table in below:
            return 0
        made_of = [self._table_of(space)[0] for space in self._made_of(table)]
        return max((self._height(each, (*below, table)) + 1 for each in made_of), default=0)

    def _made_of(self, table: str) -> list[str]:
        of = self.tables[table].get("of")
        if of is None or not wraps(self._family(table)):
            return []
        return [of] if isinstance(of, str) else [str(each) for each in of]

    def _mapping(self, space: str, below: tuple[str, ...]) -> dict[str, Any]:
        table, layers = self._table_of(space)
        family, options = self.resolved(table, below)
        return {**options, **layers, **dict(zip(NAMING, (family, space), strict=True))}

    def _table_of(self, space: str) -> tuple[str, dict[str, Any]]:
        """Return the table of a name in ``of``, and the layer it names: NAME, or NAME-05."""
        if space in self.tables:
            return space, {}
        table, layer = re.fullmatch(r"(.*?)(?:-(\d+))?", space).groups()  # type: ignore[union-attr]
        if layer is None or table not in self.tables or not takes(self._family(table), "layers"):
            raise UnknownLabelError(
                "the name of another embedding or space in 'of'",
                repr(space),
                f"Did you mean {closest(space, self.tables)}?",
            )
        return table, {"layers": [int(layer)]}

    def _family(self, table: str) -> str:
        return str(self.tables[table].get("family", table))

    def _found(self, name: str, value: Any) -> Any:
        if name in PATHS and isinstance(value, str) and (self.folder / value).exists():
            return str(self.folder / value)
        return value


def recordings_named(options: Mapping[str, Any]) -> list[str]:
    """Return the recordings whose sound an embedding is made from, beside the words' own.

    Parameters
    ----------
    options : mapping
        Resolved; ``speaker`` names a recording, by its label.

    Returns
    -------
    list of str
    """
    own = [options[SPEAKER]] if isinstance(options.get(SPEAKER), str) else []
    of = options.get("of")
    below = of if isinstance(of, list) else [of] if isinstance(of, Mapping) else []
    return [*own, *(label for each in below for label in recordings_named(each))]


def with_recordings(
    options: Mapping[str, Any], opened: Callable[[str], xr.Dataset]
) -> dict[str, Any]:
    """Return options with the recording set in the place of its label.

    Parameters
    ----------
    options : mapping
        Resolved.
    opened : callable
        Label to recording set, with ``words`` and ``audio``.

    Returns
    -------
    dict
    """
    given = dict(options)
    if isinstance(given.get(SPEAKER), str):
        given[SPEAKER] = opened(given[SPEAKER])
    of = given.get("of")
    if isinstance(of, Mapping):
        given["of"] = with_recordings(of, opened)
    elif isinstance(of, list):
        given["of"] = [with_recordings(each, opened) for each in of]
    return given


def _told(options: Mapping[str, Any], layer: int | None) -> dict[str, Any]:
    told = {name: _named(name, value) for name, value in options.items()}
    of = options.get("of")
    if isinstance(of, Mapping):
        told["of"] = _told(of, None if "layers" in options else layer)
    elif isinstance(of, list):
        told["of"] = {each["space"]: _told(each, None) for each in of}
    if layer is not None and "layers" in options:
        told["layers"] = [layer]
    return told


def _named(name: str, value: Any) -> Any:
    # Where a file is does not change numbers; what is in it does, and is an input.
    return Path(value).name if name in PATHS and Path(str(value)).exists() else value

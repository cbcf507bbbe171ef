"""What embeddings there are, what each needs, and what of that is not here."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from hgcube.embeddings import models
from hgcube.embeddings.protocol import Factory, factory_of, known_families, origin_of
from hgcube.errors import HgcubeError, MissingExtraError


@dataclass(frozen=True)
class Family:
    """One embedding family, as `hgcube embeddings` lists it.

    Parameters
    ----------
    name : str
    makes : str
        The first line of its docstring.
    needs : tuple of str
        Packages, the model, other options without a default, and audio.
    missing : tuple of str
        What of that is not here, with the command that gets it.
    origin : str
        The distribution that brings it: ``"hgcube"``, or a plug-in's.
    """

    name: str
    makes: str
    needs: tuple[str, ...]
    missing: tuple[str, ...]
    origin: str


def families() -> list[Family]:
    """Return all families, those of plug-ins last. No model and no package of theirs is loaded.

    Returns
    -------
    list of Family
        A plug-in that cannot be loaded says why in `missing`.
    """
    return [_described(name) for name in known_families()]


def table() -> Any:
    """Return all families as a table to print.

    Returns
    -------
    rich.table.Table
    """
    from rich.table import Table

    made = Table("embedding", box=None, pad_edge=False)
    for column, ratio in (("makes", 5), ("needs", 4), ("not here", 4)):
        made.add_column(column, ratio=ratio, overflow="fold")
    for family in families():
        missing = "\n".join(family.missing) or "-"
        made.add_row(family.name, family.makes, "\n".join(family.needs) or "-", missing)
    return made


def missing_packages(factory: Factory) -> list[str]:
    """Return the optional packages that a family says it imports and that are not installed.

    Parameters
    ----------
    factory : callable

    Returns
    -------
    list of str
    """
    return [name for name in _said(factory, "packages", ()) if find_spec(name) is None]


def _described(name: str) -> Family:
    origin = origin_of(name)
    try:
        factory = factory_of(name)
    except MissingExtraError as error:
        return Family(name, "a plug-in", (), (error.got,), origin)
    needs, missing = (
        [*_said(factory, "packages", ())],
        _to_install(missing_packages(factory), origin),
    )
    options = inspect.signature(factory).parameters
    needs += [
        f"{each.name} = ..." for each in options.values() if each.default is inspect.Parameter.empty
    ]
    model = options["model"].default if "model" in options else inspect.Parameter.empty
    if isinstance(model, str):
        needs.append(model)
        missing += _to_download(model)
    if _said(factory, "hears", False) is True:
        needs.append("audio")
    return Family(name, _first_line(factory), tuple(needs), tuple(missing), origin)


def _said(factory: Any, name: str, otherwise: Any) -> Any:
    """Return what a class says, also where the factory is a partial one."""
    of_class = getattr(getattr(factory, "func", factory), name, otherwise)
    return getattr(factory, name, of_class)


def _first_line(factory: Factory) -> str:
    return (inspect.getdoc(factory) or "").partition("\n")[0]


def _to_install(packages: Iterable[str], origin: str) -> list[str]:
    named = " and ".join(packages)
    # Our extra does not bring what a plug-in needs.
    how = "pip install 'hgcube[embed]'" if origin == "hgcube" else f"see what {origin} asks for"
    return [f"no {named}: {how}"] if named else []


def _to_download(model: str) -> list[str]:
    try:
        models.found(model)
    except HgcubeError as error:
        return [f"no {model}: {error.do.removeprefix('Run: ')}"]
    return []

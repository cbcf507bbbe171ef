"""Every public name loads, is what its home says, and is documented."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module

import pytest

import hgcube

FUNCTIONS = sorted(set(hgcube.__all__) - {"__version__", "views"})


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_name_is_a_documented_function(name: str) -> None:
    function = getattr(hgcube, name)
    assert inspect.isfunction(function)
    doc = inspect.getdoc(function)
    assert doc is not None
    for section in ("Parameters\n---", "Returns\n---"):
        assert section in doc
    for parameter in inspect.signature(function).parameters:
        assert parameter in doc


def test_the_homes_in_code_and_in_type_hints_are_the_same() -> None:
    source = inspect.getsource(import_module("hgcube"))
    for name in FUNCTIONS:
        assert f"from hgcube.{hgcube._HOMES[name]} import {name} as {name}\n" in source


def test_every_name_loads_in_a_fresh_process() -> None:
    program = "import hgcube; [getattr(hgcube, name) for name in (*hgcube.__all__, 'views')]"
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'reprot'"):
        hgcube.reprot  # noqa: B018

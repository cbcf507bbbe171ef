"""Loading compiled kernels: numba compiles them once per machine, and a first run says so."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

_LOG = logging.getLogger("hgcube")


@cache
def announced(name: str) -> ModuleType:
    """Import a module of compiled kernels; say so where they are still to be compiled.

    Parameters
    ----------
    name : str
        Module below `hgcube.kernels`; importing it loads numba, which takes a while.

    Returns
    -------
    module
    """
    module = importlib.import_module(f"hgcube.kernels.{name}")
    if not _on_disk(module):
        _LOG.warning(
            "compiling the kernels of %s, once per machine: up to a minute", name.replace("_", " ")
        )
    return module


def compile_once(name: str, example: Callable[[], object]) -> None:
    """Run an example that uses every kernel of a module, unless this machine has compiled them.

    Done before work is handed to other processes, where each would compile for itself, unseen.

    Parameters
    ----------
    name : str
        As `announced`.
    example : callable
    """
    if not _on_disk(announced(name)):
        example()


def _on_disk(module: ModuleType) -> bool:
    """Tell whether numba's cache holds kernels of the module."""
    from numba.core.dispatcher import Dispatcher

    own = {
        name: kernel
        for name, kernel in vars(module).items()
        if isinstance(kernel, Dispatcher) and kernel.__module__ == module.__name__
    }
    return any(
        any(Path(str(kernel.stats.cache_path)).glob(f"*{name}-*.nbi"))
        for name, kernel in own.items()
    )

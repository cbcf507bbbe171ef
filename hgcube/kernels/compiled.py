"""Loading compiled kernels: numba compiles them once per machine, and a first run says so.

Another process compiles them, and this one loads what it left: kernels just compiled and kernels
loaded differ in their last bits, and results must not depend on who came first. Numba knows a
kernel's own file but not those that it calls, so a stamp of all sources tells whether what lies on
the disk is theirs.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

_LOG = logging.getLogger("hgcube")

# Module of compiled kernels -> the module with an `example` that runs all of them.
_EXAMPLES = {
    "lanes": "filters",
    "hilbert": "filters",
    "leaving_out": "elastic_net",
    "own_grams": "elastic_net",
}
_COMPILING = "HGCUBE_COMPILING"
_STAMP = "hgcube-kernels.stamp"


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
    if _COMPILING not in os.environ and not _interpreted():
        folder = _cache_of(module)
        _drop_stale(folder)
        if not any(folder.glob(f"{name}.*.nbi")):
            _compile(name)
    return module


def _interpreted() -> bool:
    """Tell whether numba is told not to compile, to look into its functions."""
    from numba import config

    return bool(config.DISABLE_JIT)


def _cache_of(module: ModuleType) -> Path:
    """Return the folder of numba's cache for a module."""
    from numba.core.dispatcher import Dispatcher

    kernels = (kernel for kernel in vars(module).values() if isinstance(kernel, Dispatcher))
    return Path(str(next(kernels).stats.cache_path))


def _drop_stale(folder: Path) -> None:
    """Remove what was compiled from other sources."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    text = b"".join(path.read_bytes() for path in sources)
    current, stamp = hashlib.blake2b(text).hexdigest(), folder / _STAMP
    if stamp.is_file() and stamp.read_text() == current:
        return
    for source in sources:
        for old in folder.glob(f"{source.stem}.*.nb[ic]"):
            old.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    stamp.write_text(current)


def _compile(name: str) -> None:
    _LOG.warning(
        "compiling the kernels of %s, once per machine: up to a minute", name.replace("_", " ")
    )
    run = f"from hgcube.kernels.{_EXAMPLES[name]} import example; example()"
    done = subprocess.run(
        [sys.executable, "-c", run],
        env={**os.environ, _COMPILING: "1"},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        # They are compiled where they are used, then.
        _LOG.debug("compiling apart failed: %s", done.stderr)

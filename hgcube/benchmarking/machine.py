"""The facts of the machine that a table of times belongs to."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("numpy", "scipy", "scikit-learn", "numba", "mne")


def facts(peers: tuple[str, ...] = ()) -> dict[str, str]:
    """Return what a reader needs to compare two tables.

    Parameters
    ----------
    peers : tuple of str
        Names on the package index of optional peers.

    Returns
    -------
    dict of str to str
        Versions of packages that are not installed read "not installed".
    """
    names = dict.fromkeys(("hgcube", *PACKAGES, *peers))
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": _memory(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "BLAS": _blas(),
        **{name: _version(name) for name in names},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> str:
    from dask.utils import format_bytes
    from distributed.system import MEMORY_LIMIT

    return format_bytes(MEMORY_LIMIT)


def _blas() -> str:
    from threadpoolctl import threadpool_info

    found = {
        " ".join(str(pool.get(key)) for key in ("internal_api", "version", "architecture"))
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    }
    return ", ".join(sorted(found)) or "unknown"

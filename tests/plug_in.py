"""A package that brings an embedding family, as pip would install it."""

from __future__ import annotations

from pathlib import Path

SOURCE = '''"""Word length, from another package."""

import numpy as np

from hgcube.embeddings import Item, OfTexts, Vectors


class Length(OfTexts):
    """Number of characters, and its square.

    Parameters
    ----------
    power : int
    """

    packages = ("numpy",)

    def __init__(self, *, power: int = 2):
        self.power = power

    def vectors(self, items):
        lengths = np.array([len(item.text) for item in items], dtype=np.float32)
        values = np.stack([lengths, lengths**self.power], axis=1)
        return Vectors(values=values.reshape(len(items), 1, 2))

    def provenance(self):
        return {"model": f"length to the power of {self.power}", "trained_on": "nothing"}
'''


def install(site: Path) -> Path:
    """Write the package `wordlength` and its metadata into a folder for `sys.path`."""
    about = site / "wordlength-1.0.dist-info"
    about.mkdir(parents=True)
    (site / "wordlength.py").write_text(SOURCE)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: wordlength\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[hgcube.embedders]\nlength = wordlength:Length\nbroken = wordlength_absent:Nothing\n"
    )
    return site

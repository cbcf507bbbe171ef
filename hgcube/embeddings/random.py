"""Random vectors: the control that knows which word it is and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from hgcube.embeddings.protocol import Item, OfTexts, Vectors, register


@register("random")
class Random(OfTexts):
    """Independent standard normal vectors, the same for the same text and seed everywhere.

    Parameters
    ----------
    n_features : int
        Length of a vector.
    seed : int
        Of the stream that, with the text, decides each vector.
    """

    def __init__(self, *, n_features: int = 100, seed: int = 0) -> None:
        self._n_features = n_features
        self._seed = seed

    def vectors(self, items: Sequence[Item]) -> Vectors:
        """Return float32 vectors, dims (item, 1, feature)."""
        rows = [self._generator(item.text).standard_normal(self._n_features) for item in items]
        values = np.asarray(rows, dtype=np.float32).reshape(len(items), 1, self._n_features)
        return Vectors(values=values)

    def provenance(self) -> dict[str, str]:
        """Return that nothing was learned."""
        model = f"random normal of {self._n_features} features, seed {self._seed}"
        return {"model": model, "trained_on": "nothing (untrained)"}

    def _generator(self, text: str) -> np.random.Generator:
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        return np.random.default_rng([self._seed, int.from_bytes(digest)])

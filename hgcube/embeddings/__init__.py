"""Words to vectors: one file a family, one registry, one function."""

from __future__ import annotations

from hgcube.embeddings import (
    acoustics,
    controls,
    fasttext,
    joined,
    language_model,
    lexical,
    random,
    speech_model,
    word_vectors,
)
from hgcube.embeddings.cache import caching
from hgcube.embeddings.families import Family, families
from hgcube.embeddings.making import embedder, embedder_of
from hgcube.embeddings.protocol import (
    EMBEDDERS,
    Embedder,
    Item,
    OfTexts,
    Vectors,
    register,
)
from hgcube.embeddings.stage import embed, embed_layers
from hgcube.embeddings.vectors import made_vectors

__all__ = [
    "EMBEDDERS",
    "Embedder",
    "Family",
    "Item",
    "OfTexts",
    "Vectors",
    "acoustics",
    "caching",
    "controls",
    "embed",
    "embed_layers",
    "embedder",
    "embedder_of",
    "families",
    "fasttext",
    "joined",
    "language_model",
    "lexical",
    "made_vectors",
    "random",
    "register",
    "speech_model",
    "word_vectors",
]

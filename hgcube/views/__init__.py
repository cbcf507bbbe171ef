"""Stored cubes as HoloViews elements; nothing here computes a score."""

from hgcube.views.scores import electrodes, r2_bins
from hgcube.views.signals import envelope, reconstruction
from hgcube.views.similarity import word_similarity

__all__ = ["electrodes", "envelope", "r2_bins", "reconstruction", "word_similarity"]

"""iBIDS/NWB studies with known truth; calls no embedder and is never read back by a shortcut."""

from hgcube.simulation.design import DEFAULT_ROLES, ROLES
from hgcube.simulation.study import simulate
from hgcube.simulation.vocabulary import DUTCH_GROUPS, DUTCH_WORDS

__all__ = ["DEFAULT_ROLES", "DUTCH_GROUPS", "DUTCH_WORDS", "ROLES", "simulate"]

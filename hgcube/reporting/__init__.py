"""One self-contained HTML page about a store, from what is stored and nothing else."""

from hgcube.reporting.page import report

__all__ = ["report"]

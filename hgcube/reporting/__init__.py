"""One self-contained HTML page about a store, from what is stored and nothing else."""

from hgcube.reporting.embedding import embedding_page, spaces
from hgcube.reporting.page import report

__all__ = ["embedding_page", "report", "spaces"]

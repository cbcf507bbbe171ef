"""From epochs and features to held-out predictions, scores and nulls."""

from hgcube.encoding.stage import encode

__all__ = ["encode"]

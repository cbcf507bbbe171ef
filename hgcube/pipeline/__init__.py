"""Steps on a study: planned, run on Dask, resumed, and explained."""

from __future__ import annotations

from hgcube.pipeline.embedding import embed_study
from hgcube.pipeline.planning import plan, status
from hgcube.pipeline.running import Outcome, run
from hgcube.pipeline.steps import STEPS, Step

__all__ = ["STEPS", "Outcome", "Step", "embed_study", "plan", "run", "status"]

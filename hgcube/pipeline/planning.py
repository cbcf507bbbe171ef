"""What a run would do, and whether it fits."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from hgcube.chunks import refuse_oversized
from hgcube.errors import SourceError
from hgcube.pipeline.checking import check_study
from hgcube.pipeline.state import PartState, States
from hgcube.pipeline.steps import STEPS, Step
from hgcube.pipeline.study import Study, open_study


def plan(store: str | Path) -> pd.DataFrame:
    """Return what a run would do, part by part. Nothing is computed.

    Parameters
    ----------
    store : path
        Folder with ``study.toml``.

    Returns
    -------
    pandas.DataFrame
        One row per part: kind, key, state, tasks to run (0 where done) and bytes per task at the
        peak (0 where small). Those of results are estimates until their inputs are made.

    Raises
    ------
    SettingsError
        If a task does not fit the memory of a worker, with both numbers.
    """
    study = open_study(store)
    check_study(study)
    states = States(study, STEPS)
    rows = [_row(study, step, state) for step in STEPS for state in states.of(step)]
    return pd.DataFrame(rows)


def status(store: str | Path) -> pd.DataFrame:
    """Return the state of every part of a store, and why it is stale or failed.

    Parameters
    ----------
    store : path
        Folder with ``study.toml``.

    Returns
    -------
    pandas.DataFrame
        One row per part: kind, key, state (done, missing, stale or failed) and why.

    Raises
    ------
    SettingsError
        If ``study.toml`` cannot be used.
    """
    study = open_study(store)
    rows = [
        {
            "kind": state.expected.kind,
            "key": "/".join(state.expected.key),
            "state": state.state,
            "why": state.why,
        }
        for state in States(study, STEPS)
    ]
    return pd.DataFrame(rows)


def _row(study: Study, step: Step, state: PartState) -> dict[str, object]:
    key, why = state.expected.key, state.why
    try:
        blocks, needed = step.blocks(study, key), step.memory(study, key)
    except SourceError as error:
        blocks, needed, why = 1, 0, str(error)
    if state.state != "done":
        refuse_oversized(state.name, needed, study.execution.memory)
    return {
        "kind": step.kind,
        "key": "/".join(key),
        "state": state.state,
        "tasks": 0 if state.state == "done" else blocks,
        "bytes_per_task": needed,
        "why": why,
    }

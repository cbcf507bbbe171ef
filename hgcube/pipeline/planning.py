"""What a run would do, and whether it fits."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from hgcube.chunks import ELECTRODES_PER_BLOCK, bytes_per_task, refuse_oversized
from hgcube.errors import SourceError
from hgcube.pipeline.checking import check_study
from hgcube.pipeline.state import PartState, States
from hgcube.pipeline.steps import STEPS, Step
from hgcube.pipeline.study import Study, open_study
from hgcube.store import Key


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
        peak (0 where not known before its inputs are made).

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


def bytes_of(study: Study, step: Step, key: Key) -> int:
    """Return the bytes that one task of a part needs at its peak, 0 where not known.

    Parameters
    ----------
    study : Study
    step : Step
    key : tuple of str

    Returns
    -------
    int
    """
    sizes = step.sizes(study, key)
    return bytes_per_task(step.kind, sizes) if sizes else 0


def _row(study: Study, step: Step, state: PartState) -> dict[str, object]:
    key, why = state.expected.key, state.why
    try:
        sizes = step.sizes(study, key)
        needed = bytes_of(study, step, key)
    except SourceError as error:
        sizes, needed, why = {}, 0, str(error)
    if state.state != "done":
        refuse_oversized(state.name, needed, study.execution.memory)
    blocks = math.ceil(sizes.get("electrode", 1) / ELECTRODES_PER_BLOCK)
    return {
        "kind": step.kind,
        "key": "/".join(key),
        "state": state.state,
        "tasks": 0 if state.state == "done" else 1 if step.one_task else blocks,
        "bytes_per_task": needed,
        "why": why,
    }

"""A pipeline of two quick steps, to try the mechanics without signals."""

from __future__ import annotations

import os
import time
from pathlib import Path

import dask.array as da
import numpy as np
import xarray as xr

from hgcube.errors import CubeError
from hgcube.pipeline.steps import Cube, Step
from hgcube.pipeline.study import Study
from hgcube.store import Key, open_part

LABELS = ("01", "02", "03")


def study_in(store: Path, text: str = "") -> Path:
    store.mkdir(parents=True, exist_ok=True)
    (store / "study.toml").write_text(text)
    (store / "source.txt").write_text("one")
    return store


def noise(study: Study, key: Key) -> Cube:
    """Fails, and dawdles, as files beside the store say."""
    if (study.store / f"fail-{key[0]}").exists():
        raise CubeError("a good recording", "a broken one", "Mend it")
    time.sleep(float(os.environ.get("HGCUBE_TEST_DAWDLE", "0")))
    seed = int(key[0]) + study.analysis.seed
    blocks = [
        da.from_array(np.random.default_rng([seed, block]).standard_normal((16, 9000)))
        for block in range(3)
    ]
    return xr.Dataset({"ieeg": (("electrode", "time"), da.concatenate(blocks))})


def spread(study: Study, key: Key) -> Cube:
    recording = open_part(study.store, "recordings", key)["ieeg"]
    centred = (recording - recording.mean("time")) ** study.analysis.signal.order
    labels = dict.fromkeys(("subject", "name", "region"), key[0])
    return (
        (centred / centred.std("time")).rename("high_gamma").assign_coords({**labels, "bad": False})
    )


def total(study: Study, key: Key) -> Cube:
    parts = [open_part(study.store, "high_gamma", (label,)) for label in LABELS]
    return xr.Dataset({"skill": sum(part.mean("time") for part in parts)})


STEPS = (
    Step(
        kind="recordings",
        keys=lambda _: [(label,) for label in LABELS],
        sources=lambda study, _: {"source.txt": study.store / "source.txt"},
        settings=lambda study, _: {"seed": study.analysis.seed},
        build=noise,
    ),
    Step(
        kind="high_gamma",
        keys=lambda _: [(label,) for label in LABELS],
        needs=lambda _, key: [("recordings", key)],
        settings=lambda study, _: {"signal": study.analysis.signal.model_dump(mode="json")},
        build=spread,
        blocks=lambda *_: 3,
    ),
    Step(
        kind="tables",
        keys=lambda _: [("electrodes",)],
        needs=lambda *_: [("high_gamma", (label,)) for label in LABELS],
        settings=lambda *_: {},
        build=total,
    ),
)

"""The step results in many blocks: the same bits whoever computes them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import cloudpickle
import numpy as np
import pytest

import hgcube
from hgcube import chunks
from hgcube.encoding import encode
from hgcube.pipeline.running import _pending
from hgcube.pipeline.state import States
from hgcube.pipeline.steps import STEPS
from hgcube.pipeline.study import open_study
from hgcube.store import open_cube, read_ledger

N_FEATURES = 200
STUDY = f"""
[epochs]
lags = [-0.1, 0.1]
step = 0.1
[embeddings.random]
n_features = {N_FEATURES}
[encoding]
target = "windows"
order_terms = 2
[encoding.solvers.ridge]
standardize = "all_words"
permutations = 40
null = "nested"
[encoding.solvers.elastic_net]
standardize = "fold"
alpha = [0.8, 0.4]
inner = 3
permutations = 20
null_alpha = 0.4
"""
RESULTS = next(step for step in STEPS if step.kind == "results")
SOLVERS = ("elastic_net", "ridge")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of one subject with all that results need."""
    folder = tmp_path_factory.mktemp("results")
    bids = hgcube.simulate(
        folder / "bids",
        n_subjects=1,
        n_words=14,
        n_electrodes=5,
        sampling_frequency=512.0,
        audio_frequency=4000.0,
        word_duration=1.0,
        fixation_duration=0.5,
    )
    (folder / "store").mkdir()
    (folder / "store" / "study.toml").write_text(f'[source]\nroot = "{bids}"\n{STUDY}')
    steps = ["recordings", "high_gamma", "epochs", "features"]
    assert hgcube.run(
        folder / "store", steps=steps, scheduler="synchronous", progress=False
    ).complete
    return folder / "store"


@pytest.fixture
def many_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "SECONDS", 1e-6)
    monkeypatch.setattr(chunks, "SHARED", 0)


def sums(store: Path) -> dict[str, str]:
    ledger = read_ledger(store)
    return {key[2]: entry.checksum for (kind, key), entry in ledger.items() if kind == "results"}


def made(store: Path, folder: Path, **where: object) -> dict[str, str]:
    shutil.copytree(store, folder)
    assert hgcube.run(folder, steps=["results"], progress=False, **where).complete
    return sums(folder)


BY_ITSELF = """
import sys, hgcube
from hgcube import chunks
chunks.SECONDS, chunks.SHARED = 1e-6, 0
hgcube.run(sys.argv[1], steps=["results"], scheduler=sys.argv[2], workers=2, progress=False)
"""


@pytest.mark.timeout(600)
def test_the_same_bits_on_every_scheduler(store: Path, tmp_path: Path, many_blocks: None) -> None:
    planned = hgcube.plan(store).query("kind == 'results'")
    assert (planned["tasks"] > 5).all(), "nothing is cut"
    # A process that has just compiled a kernel rounds otherwise than those that load it.
    made(store, tmp_path / "compiled", workers=1)
    found = {}
    for scheduler in ("synchronous", "threads"):
        folder = tmp_path / scheduler
        shutil.copytree(store, folder)
        subprocess.run([sys.executable, "-c", BY_ITSELF, str(folder), scheduler], check=True)
        found[scheduler] = sums(folder)
    for workers in (1, 2, 4):
        found[str(workers)] = made(store, tmp_path / str(workers), workers=workers)
    one = found["synchronous"]
    assert set(one) == set(SOLVERS)
    assert found == dict.fromkeys(found, one)


def test_one_block_is_made_by_the_worker_and_equals_many(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (hgcube.plan(store).query("kind == 'results'")["tasks"] == 1).all()
    made(store, tmp_path / "one", scheduler="synchronous")
    monkeypatch.setattr(chunks, "SECONDS", 1e-6)
    monkeypatch.setattr(chunks, "SHARED", 0)
    made(store, tmp_path / "many", scheduler="synchronous")
    for solver in SOLVERS:
        one, many = (open_cube(tmp_path / cut, "results", solver=solver) for cut in ("one", "many"))
        for name in ("prediction", "null_max", "chosen_alpha"):
            np.testing.assert_allclose(many[name], one[name], rtol=1e-9, atol=1e-9, err_msg=name)


def test_targets_that_choose_together_are_one_block(store: Path, many_blocks: None) -> None:
    study = open_study(store)
    ridge = study.analysis.encoding.solvers["ridge"].model_copy(update={"choose": "subject"})
    study.analysis.encoding.solvers["ridge"] = ridge
    assert RESULTS.blocks(study, ("01", "random", "ridge")) == 1
    assert RESULTS.blocks(study, ("01", "random", "elastic_net")) > 1


def test_features_are_in_the_graph_once(store: Path, many_blocks: None) -> None:
    study = open_study(store)
    states = States(study, STEPS).of(RESULTS)
    graph = _pending(study, RESULTS, states[0].expected).__dask_graph__()
    fits = [key for key in graph if "fit_block" in str(key)]
    assert len(fits) > 5
    features = 14 * N_FEATURES * 4
    each = [len(cloudpickle.dumps(task)) for task in graph.values()]
    assert sum(size >= features for size in each) == 1


def test_the_stage_alone_gives_the_same(store: Path, tmp_path: Path) -> None:
    made(store, tmp_path / "one", scheduler="synchronous")
    stored = open_cube(tmp_path / "one", "results", solver="elastic_net").load()
    direct = encode(
        open_cube(store, "epochs", subject="01", target="windows").load(),
        open_cube(store, "features", subject="01").load(),
        alpha=(0.8, 0.4),
        inner=3,
        permutations=20,
        null_alpha=0.4,
        order_terms=2,
    )
    np.testing.assert_array_equal(direct["prediction"], stored["prediction"])

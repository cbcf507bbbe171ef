"""What Dask and the store add to the kernels of a realistic step results.

Wall time is that of `hgcube.run` on two one-thread workers that are there already. Each worker
counts its seconds in the kernels (`fit_targets`) and in the store (opening, writing and summing
parts). Storage is the second over both workers' wall time; Dask is all that is neither: building
and sending graphs, scheduling, scores between blocks, and workers that wait for the last block.
"""

import functools
import pkgutil
import sys
import time

import cloudpickle
import distributed
import pytest

import hgcube
from hgcube.store import create

STUDY = """
[embeddings.random]
n_features = 300
[encoding.solvers.elastic_net]
inner = "leave-one-out"
[encoding.solvers.ridge]
standardize = "all_words"
null = "nested"
permutations = 10000
"""
COUNTED = (
    ("kernels", "encoding.stage.fit_targets"),
    ("storage", "store.parts._write_lazily"),
    ("storage", "store.parts._finish"),
    ("storage", "store.parts.WholeChunks.__setitem__"),
    ("storage", "pipeline.steps.open_part"),
    ("storage", "pipeline.sizing.part_sizes"),
)


class Clock(distributed.WorkerPlugin):
    def setup(self, worker):
        worker.seconds = {"kernels": 0.0, "storage": 0.0}
        for kind, path in COUNTED:
            place, _, name = path.rpartition(".")
            home = pkgutil.resolve_name(f"hgcube.{place}")
            setattr(home, name, counted(worker.seconds, kind, getattr(home, name)))


def counted(seconds, kind, function):
    @functools.wraps(function)
    def timed(*args, **options):
        began = time.perf_counter()
        try:
            return function(*args, **options)
        finally:
            seconds[kind] += time.perf_counter() - began

    return timed


def seconds_of(dask_worker):
    return dask_worker.seconds


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_dask_and_the_store_cost_little(tmp_path):
    bids = hgcube.simulate(
        tmp_path / "bids",
        n_subjects=1,
        n_electrodes=127,
        sampling_frequency=512.0,
        audio_frequency=4000.0,
    )
    store = tmp_path / "store"
    study = create(store, source=bids)
    study.write_text(study.read_text() + STUDY)
    hgcube.run(store, steps=["recordings", "high_gamma", "epochs", "features"], progress=False)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.register_plugin(Clock())
        began = time.perf_counter()
        outcome = hgcube.run(store, client=client, steps=["results"], progress=False)
        wall = time.perf_counter() - began
        each = client.run(seconds_of).values()
    assert outcome.complete, outcome
    kernels, storage = (sum(seconds[kind] for seconds in each) for kind in ("kernels", "storage"))
    dask = 2 * wall - kernels - storage
    print(f"\nwall {wall:.1f} s on two workers: kernels {kernels:.1f} s")
    print(f"Dask {dask / wall / 2:.2%}, storage {storage / wall / 2:.2%}")
    assert kernels > 60, "too little work to say anything"
    assert dask < 0.02 * 2 * wall
    assert storage < 0.01 * 2 * wall

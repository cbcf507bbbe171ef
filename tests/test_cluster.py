from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from hgcube.cluster import connect
from hgcube.config import Execution
from hgcube.errors import SettingsError

KEPT: list[Any] = []


def take_two_threads() -> None:
    from threadpoolctl import threadpool_limits

    KEPT.append(threadpool_limits(2))


def give_back() -> None:
    KEPT.pop().restore_original_limits()


def test_a_given_client_gets_its_threads_back() -> None:
    import dask
    import distributed

    blas_threads()
    with (
        distributed.LocalCluster(n_workers=2, processes=False, dashboard_address=None) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        # Only the thread that limited a pool last can limit it again: here, the workers' own.
        client.run(take_two_threads)
        assert set(blas_threads()) == {2}
        with connect(Execution(scheduler="synchronous"), client) as opened:
            assert opened is client
            assert set(blas_threads()) == {1}
            assert dask.config.get("scheduler", None) == "synchronous"
        assert client.status == "running"
        assert set(blas_threads()) == {2}
        assert dask.config.get("scheduler", None) is None
        client.run(give_back)


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_local_schedulers_need_no_client(scheduler: str) -> None:
    with connect(Execution(scheduler=scheduler)) as opened:
        assert opened is None
        assert set(blas_threads()) == {1}


def test_a_scheduler_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    import distributed

    def refuse(**where: object) -> None:
        raise OSError(f"nobody at {where['address']}")

    monkeypatch.setattr(distributed, "Client", refuse)
    address = "tcp://127.0.0.1:9"
    with (
        pytest.raises(SettingsError, match="nobody at tcp"),
        connect(Execution(scheduler=address)),
    ):
        pass


def blas_threads() -> list[int]:
    import scipy.linalg  # noqa: F401 - loads the pools that are counted
    from threadpoolctl import threadpool_info

    # OpenMP counts for each thread that asks; only BLAS changes the last bits.
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_a_local_cluster_is_on_loopback_and_shared(tmp_path: Path) -> None:
    import distributed

    with connect(Execution(workers=1, memory="1GiB")) as client:
        info = client.scheduler_info()
        (worker,) = info["workers"].values()
        assert info["address"].startswith("tcp://127.0.0.1:")
        assert client.dashboard_link.startswith("http://127.0.0.1:")
        assert (worker["nthreads"], worker["memory_limit"]) == (1, 2**30)
        assert client.submit(os.getpid).result() != os.getpid()
        pools = client.submit(blas_threads_source()).result()
        assert pools
        assert set(pools) == {1}
        own = client.submit(os.getpid, pure=False).result()
        client.run(os.kill, own, signal.SIGINT)
        assert client.submit(os.getpid, pure=False).result() == own  # Ctrl-C is not for workers
        with connect(Execution(scheduler=info["address"])) as remote:
            assert remote.scheduler_info()["id"] == info["id"]
        file = tmp_path / "scheduler.json"
        client.write_scheduler_file(str(file))
        with connect(Execution(scheduler=str(file))) as by_file:
            assert by_file.scheduler_info()["id"] == info["id"]
        with (
            distributed.Client(info["address"]) as ambient,
            connect(Execution()) as found,
        ):
            assert found is ambient
        assert client.status == "running"
    assert client.status == "closed"


def blas_threads_source() -> object:
    import sys

    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    return blas_threads


@pytest.mark.parametrize("workers", [0, -3])
def test_a_cluster_without_workers_would_wait_for_ever(workers: int) -> None:
    with (
        pytest.raises(SettingsError, match=f"at least 1 worker. Got {workers}"),
        connect(Execution().model_copy(update={"workers": workers})),
    ):
        pass
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        Execution(workers=workers)

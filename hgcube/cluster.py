"""Execution settings -> something that computes graphs. The only module that knows distributed."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hgcube.config import Execution
from hgcube.errors import SettingsError

LOCAL_SCHEDULERS = ("synchronous", "threads")


@contextmanager
def connect(execution: Execution, client: Any = None) -> Iterator[Any]:
    """Yield what computes: a client, or None for Dask's local schedulers.

    In this order: the given client; what ``execution.scheduler`` names (an address, a scheduler
    file, ``"synchronous"`` or ``"threads"``); the client that is open already; a new local
    cluster of one-thread processes on the loopback interface. Only what was opened here is closed.

    Parameters
    ----------
    execution : Execution
    client : distributed.Client, optional

    Yields
    ------
    distributed.Client or None

    Raises
    ------
    SettingsError
        If the scheduler cannot be reached.
    """
    if client is not None:
        yield client
    elif execution.scheduler in LOCAL_SCHEDULERS:
        # A sum that BLAS splits over threads is rounded otherwise than on a worker with one.
        with one_thread_each():
            yield None
    elif execution.scheduler:
        with _remote(execution.scheduler) as opened:
            yield opened
    elif (ambient := _ambient()) is not None:
        yield ambient
    else:
        with _local(execution) as opened:
            yield opened


def _ambient() -> Any:
    import distributed

    try:
        return distributed.default_client()
    except ValueError:
        return None


@contextmanager
def _remote(scheduler: str) -> Iterator[Any]:
    import distributed

    where = {"scheduler_file": scheduler} if Path(scheduler).is_file() else {"address": scheduler}
    try:
        client = distributed.Client(**where, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as error:
        raise SettingsError(
            "a scheduler that answers, a scheduler file, 'synchronous' or 'threads'",
            f"{scheduler!r} ({error})",
            "Start one with 'dask scheduler', or leave it out for a local cluster",
        ) from None
    with client:
        client.register_worker_callbacks(_limit_worker)
        yield client


@contextmanager
def _local(execution: Execution) -> Iterator[Any]:
    import distributed

    if execution.workers is not None and execution.workers < 1:
        raise SettingsError(
            "at least 1 worker", str(execution.workers), "Leave it out for one a core"
        )
    with (
        distributed.LocalCluster(
            n_workers=execution.workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=execution.memory,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        client.register_worker_callbacks(_limit_worker)
        # Ctrl-C reaches every process of the terminal; this one ends its workers itself.
        client.register_worker_callbacks(_ignore_interrupts)
        yield client


def one_thread_each() -> Any:
    """Give the BLAS and OpenMP pools of this process one thread, as its tasks have.

    Returns
    -------
    threadpoolctl.threadpool_limits
        A context that gives the threads back at its end.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    return threadpool_limits(1)


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _limit_worker() -> None:
    one_thread_each()

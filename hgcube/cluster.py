"""Execution settings -> something that computes graphs. The only module that knows distributed."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import dask

from hgcube.config import Execution
from hgcube.errors import SettingsError

LOCAL_SCHEDULERS = ("synchronous", "threads")

# A process can hold several workers; the last to let go gives back what it had before the first.
_SETTINGS: list[ExitStack] = []


@contextmanager
def connect(execution: Execution, client: Any = None) -> Iterator[Any]:
    """Yield what computes: a client, or None for Dask's local schedulers.

    In this order: the given client; what ``execution.scheduler`` names (an address, a scheduler
    file, ``"synchronous"`` or ``"threads"``); the client that is open already; a new local
    cluster of one-thread processes on the loopback interface. Only what was opened here is closed,
    and workers that were there before get their threads back.

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
        with _prepared(client):
            yield client
    elif execution.scheduler in LOCAL_SCHEDULERS:
        with _task_settings():
            yield None
    elif execution.scheduler:
        with _remote(execution.scheduler) as opened, _prepared(opened):
            yield opened
    elif (ambient := _ambient()) is not None:
        with _prepared(ambient):
            yield ambient
    else:
        with _local(execution) as opened, _prepared(opened):
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
        # Ctrl-C reaches every process of the terminal; this one ends its workers itself.
        client.register_worker_callbacks(_ignore_interrupts)
        yield client


@contextmanager
def _prepared(client: Any) -> Iterator[None]:
    """Give every worker, now or later, the settings of tasks, and its own back at the end."""
    import distributed

    class Settings(distributed.WorkerPlugin):  # type: ignore[misc]
        def setup(self, worker: Any) -> None:  # noqa: ARG002 - distributed names it
            _enter_task_settings()

        def teardown(self, worker: Any) -> None:  # noqa: ARG002
            _leave_task_settings()

    name = f"hgcube-{uuid4().hex}"
    client.register_plugin(Settings(), name=name)
    try:
        yield
    finally:
        if client.status == "running":
            client.unregister_worker_plugin(name)


def _enter_task_settings() -> None:
    stack = ExitStack()
    stack.enter_context(_task_settings())
    _SETTINGS.append(stack)


def _leave_task_settings() -> None:
    _SETTINGS.pop().close()


@contextmanager
def _task_settings() -> Iterator[None]:
    # What a task computes within itself stays in it.
    with one_thread_each(), dask.config.set(scheduler="synchronous"):
        yield


def one_thread_each() -> Any:
    """Give the BLAS and OpenMP pools of this process one thread.

    A sum that BLAS splits over threads is rounded otherwise than on a worker with one.

    Returns
    -------
    threadpoolctl.threadpool_limits
        A context that gives the threads back at its end.
    """
    import scipy.linalg  # noqa: F401 - only pools that are loaded can be limited
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

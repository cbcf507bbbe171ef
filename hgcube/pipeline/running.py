"""Making what is missing, step by step, the parts of a step side by side."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dask
from dask.base import compute
from dask.delayed import Delayed, delayed
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from hgcube.chunks import refuse_oversized
from hgcube.cluster import connect
from hgcube.errors import HgcubeError, UnknownLabelError
from hgcube.pipeline.checking import check_study
from hgcube.pipeline.state import PartState, States
from hgcube.pipeline.steps import STEPS, Cube, Step
from hgcube.pipeline.study import Study, open_study
from hgcube.store import Entry, Key, locked, part_name, record_failure, sweep, write_part

logger = logging.getLogger("hgcube")


@dataclass
class Outcome:
    """What a run did.

    Parameters
    ----------
    made : list of str
        Names of the parts that were made.
    failed : dict
        Part to why.
    waiting : dict
        Part to the parts that it waits for.
    """

    made: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, list[str]] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Return whether nothing failed or waits."""
        return not self.failed and not self.waiting


def run(
    store: str | Path,
    *,
    client: Any = None,
    steps: Sequence[str] | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
) -> Outcome:
    """Make every part of a store that is missing, stale or failed.

    Parameters
    ----------
    store : path
        Folder with ``study.toml``.
    client : distributed.Client, optional
        Where to compute; else the client that is open, else a local cluster.
    steps : sequence of str, optional
        Only these steps, by the name of their kind.
    workers : int, optional
        Processes of the local cluster.
    scheduler : str, optional
        Address of a scheduler, a scheduler file, ``"threads"`` or ``"synchronous"``.
    progress : bool
        Whether to show bars and the address of Dask's dashboard.

    Returns
    -------
    Outcome
        One failed part does not stop the others; the ledger keeps its error.

    Raises
    ------
    SettingsError, OptionError, UnknownLabelError, SourceError
        If ``study.toml`` cannot be used or asks for what does not exist.
    StoreError
        If another run holds the store.
    UnknownLabelError
        For an unknown step.

    Notes
    -----
    A local cluster starts new Python processes: call this from ``if __name__ == "__main__":`` in
    a script.
    """
    study = open_study(store, workers=workers, scheduler=scheduler)
    check_study(study)
    if not study.analysis.embeddings:
        logger.warning("study.toml has no [embeddings.NAME]: nothing is made after the epochs")
    return run_steps(study, STEPS, only=steps, client=client, progress=progress)


def run_steps(
    study: Study,
    steps: Sequence[Step],
    *,
    only: Sequence[str] | None = None,
    client: Any = None,
    progress: bool = True,
) -> Outcome:
    """Run `steps` on a study; see `run`.

    Parameters
    ----------
    study : Study
    steps : sequence of Step
        The whole pipeline, in order.
    only, client, progress
        As ``steps``, ``client`` and ``progress`` of `run`.

    Returns
    -------
    Outcome
    """
    kinds = [step.kind for step in steps]
    for name in only or ():
        if name not in kinds:
            raise UnknownLabelError.of("step", name, kinds)
    outcome = Outcome()
    with locked(study.store):
        sweep(study.store)
        states = States(study, steps)
        if only is None and all(state.state == "done" for state in states):
            return outcome
        with (
            # What building a part computes is not for the workers.
            dask.config.set(scheduler="synchronous"),
            connect(study.execution, client) as computer,
            _bars(computer, progress) as bars,
        ):
            for step in steps:
                if only is None or step.kind in only:
                    _run_step(_Runner(study, states, computer, outcome), step, bars)
    _tell(outcome)
    return outcome


@dataclass(frozen=True)
class _Runner:
    study: Study
    states: States
    computer: Any
    outcome: Outcome


def _run_step(runner: _Runner, step: Step, bars: Progress) -> None:
    ready = []
    for state in runner.states.of(step):
        if state.state == "done":
            continue
        needed = runner.states.not_ready((step.kind, state.expected.key))
        if needed:
            runner.outcome.waiting[state.name] = needed
        else:
            ready.append(state)
    if ready:
        step.compiles(runner.study)
    bar = bars.add_task(step.kind, total=len(ready))
    for state, error in _computed(runner, step, ready):
        if error is None:
            runner.outcome.made.append(state.name)
        else:
            _fail(runner, state, error)
        bars.advance(bar)


def _computed(
    runner: _Runner, step: Step, ready: list[PartState]
) -> Iterator[tuple[PartState, BaseException | None]]:
    """Compute all parts that can be built and yield each with its error, as they finish."""
    if runner.computer is None:
        yield from _locally(runner.study, step, ready)
        return
    futures = {}
    for bundle in _bundles(runner.study, step, ready):
        try:
            pending = _pending_bundle(runner.study, step, bundle)
        except Exception as error:
            yield from ((state, error) for state in bundle)
        else:
            futures[runner.computer.compute(pending)] = bundle
    yield from _finished(runner.computer, futures)


def _bundles(study: Study, step: Step, ready: list[PartState]) -> list[list[PartState]]:
    bundles: dict[Key, list[PartState]] = {}
    for state in ready:
        bundles.setdefault(step.bundle(study, state.expected.key), []).append(state)
    return list(bundles.values())


def _locally(
    study: Study, step: Step, ready: list[PartState]
) -> Iterator[tuple[PartState, BaseException | None]]:
    bundles = _bundles(study, step, ready)
    if study.execution.scheduler != "threads":
        for bundle in bundles:
            for state in bundle:
                yield state, _error_of(study, step, state, "synchronous")
        return
    # One pool waits for parts while the other computes their blocks.
    threads = study.execution.workers or os.cpu_count()
    parts, blocks = ThreadPoolExecutor(threads), ThreadPoolExecutor(threads)
    futures = {parts.submit(_errors_of, study, step, bundle, blocks): bundle for bundle in bundles}
    try:
        for future in as_completed(futures):
            yield from zip(futures[future], future.result(), strict=True)
    finally:
        for pool in (parts, blocks):
            pool.shutdown(cancel_futures=True)


def _errors_of(
    study: Study, step: Step, bundle: list[PartState], scheduler: ThreadPoolExecutor
) -> list[BaseException | None]:
    return [_error_of(study, step, state, scheduler) for state in bundle]


def _error_of(
    study: Study, step: Step, state: PartState, scheduler: str | ThreadPoolExecutor
) -> BaseException | None:
    try:
        pending = _pending(study, step, state.expected)
        compute(pending, scheduler=scheduler)  # type: ignore[no-untyped-call]
    except Exception as error:
        return error
    return None


def _finished(
    client: Any, futures: dict[Any, list[PartState]]
) -> Iterator[tuple[PartState, BaseException | None]]:
    import distributed

    for future in distributed.as_completed(futures, loop=client.loop, raise_errors=False):
        bundle, error = futures[future], future.exception()
        if error is None and len(bundle) > 1:
            yield from zip(bundle, future.result(), strict=True)
        else:
            yield from ((state, error) for state in bundle)
        future.release()


def _pending_bundle(study: Study, step: Step, bundle: list[PartState]) -> Delayed:
    if len(bundle) == 1:
        return _pending(study, step, bundle[0].expected)
    task: Delayed = delayed(_made_in_turn, pure=False)(
        step, study, [state.expected for state in bundle]
    )
    return task


def _made_in_turn(step: Step, study: Study, entries: list[Entry]) -> list[Exception | None]:
    """Make parts one after another and return each one's error: the others go on."""
    errors: list[Exception | None] = []
    for entry in entries:
        try:
            _made(step, study, entry)
        except Exception as error:
            errors.append(error)
        else:
            errors.append(None)
    return errors


def _pending(study: Study, step: Step, entry: Entry) -> Delayed:
    if step.blocks(study, entry.key) == 1:
        task: Delayed = delayed(_made, pure=False)(step, study, entry)
        return task
    return _written(study, entry, _built(step, study, entry))


def _made(step: Step, study: Study, entry: Entry) -> Any:
    return compute(_written(study, entry, _built(step, study, entry)))  # type: ignore[no-untyped-call]


def _built(step: Step, study: Study, entry: Entry) -> Cube:
    needed = step.memory(study, entry.key)
    refuse_oversized(part_name(entry.kind, entry.key), needed, study.execution.memory)
    if not step.gathers:
        return step.build(study, entry.key)
    gathered = [
        key
        for kind, key in step.needs(study, entry.key)
        if kind == step.gathers and part_name(kind, key) in entry.inputs
    ]
    return step.build(study, entry.key, gathered)


def _written(study: Study, entry: Entry, cube: Cube) -> Delayed:
    return write_part(
        study.store,
        entry.kind,
        entry.key,
        cube,
        fingerprint=entry.fingerprint,
        settings=entry.settings,
        inputs=entry.inputs,
    )


def _fail(runner: _Runner, state: PartState, error: BaseException) -> None:
    reason = str(error) if isinstance(error, HgcubeError) else f"{type(error).__name__}: {error}"
    logger.debug("%s failed", state.name, exc_info=error)
    runner.outcome.failed[state.name] = reason
    record_failure(runner.study.store, state.expected, reason)


def _bars(computer: Any, shown: bool) -> Progress:
    console = Console(stderr=True)
    link = getattr(computer, "dashboard_link", None)
    if shown and link:
        console.print(f"Dask dashboard: {link}")
    columns = (TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), console=console, disable=not shown)


def _tell(outcome: Outcome) -> None:
    for name, reason in outcome.failed.items():
        logger.warning("%s failed: %s", name, reason)
    if outcome.waiting:
        logger.warning("%d parts wait for them: see 'hgcube status'", len(outcome.waiting))

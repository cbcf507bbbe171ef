"""Every setting is declared by the steps that use it, and by no other.

`USED_BY` says which kinds of parts a setting changes by itself. It is held against the states of a
finished store, and against what the builds really hand to the stages. A new setting needs a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from pydantic import BaseModel

from hgcube.config import Analysis, Execution, merged
from hgcube.io.bids import RecordingFiles
from hgcube.pipeline import joining, steps
from hgcube.pipeline.state import States
from hgcube.pipeline.steps import STEPS
from hgcube.pipeline.study import Study
from hgcube.store.ledger import write_entry

STATED: dict[str, Any] = {
    "source": {"bad_electrodes": "bad-{subject}.tsv", "events": "words-{recording}.csv"},
    "embeddings": {"toy": {"family": "random", "n_features": 3}},
    "encoding": {"solvers": {"ridge": {"permutations": 19}}},
}

USED_BY: dict[str, tuple[object, set[str]]] = {
    "source.root": ("elsewhere", set()),  # the same files at another place
    "source.subjects": (("01",), set()),  # fewer parts, each as before
    "source.task": ("words", {"recordings"}),
    "source.bad_electrodes": ("other.tsv", {"recordings"}),
    "source.bad_words": ("bad.tsv", {"recordings"}),
    "source.events": ("other.tsv", {"recordings"}),
    "source.audio": ("audio.wav", {"recordings"}),
    "source.audio_offset": (0.5, {"recordings"}),
    "source.line_frequency": (60.0, {"recordings", "high_gamma"}),
    "signal.reference": ("none", {"high_gamma"}),
    "signal.band": ((60.0, 150.0), {"high_gamma"}),
    "signal.order": (3, {"high_gamma"}),
    "signal.window": (0.1, {"high_gamma"}),
    "signal.step": (0.02, {"high_gamma"}),
    "signal.log": (False, {"high_gamma"}),
    "signal.notch": ("last", {"high_gamma"}),
    "signal.as_stored": (True, {"high_gamma"}),
    "signal.dtype": ("float32", {"high_gamma"}),
    "speech.threshold": (0.2, {"recordings"}),
    "speech.minimum_duration": (0.1, {"recordings"}),
    "epochs.lock": ("display", {"epochs/mean", "epochs/windows"}),
    "epochs.mean": ((0.0, 1.0), {"epochs/mean"}),
    "epochs.lags": ((0.0, 1.0), {"epochs/windows"}),
    "epochs.step": (0.1, {"epochs/windows"}),
    "epochs.baseline": (None, {"epochs/mean", "epochs/windows"}),
    "embeddings.toy.family": ("fasttext", {"features"}),
    "embeddings.toy.n_features": (4, {"features"}),
    "encoding.target": ("windows", {"results"}),
    "encoding.folds": ("k-fold:5", {"results"}),
    "encoding.references": (("mean_word",), {"results"}),
    "encoding.order_terms": (5, {"results"}),
    "encoding.block": (5, {"results"}),
    "encoding.solvers.ridge.enabled": (False, set()),  # fewer parts, each as before
    "encoding.solvers.ridge.standardize": (False, {"results"}),
    "encoding.solvers.ridge.alpha": (0.1, {"results"}),
    "encoding.solvers.ridge.l1_ratio": (0.9, {"results"}),
    "encoding.solvers.ridge.inner": (5, {"results"}),
    "encoding.solvers.ridge.choose": ("subject", {"results"}),
    "encoding.solvers.ridge.max_active": (5, {"results"}),
    "encoding.solvers.ridge.components": (0.9, {"results"}),
    "encoding.solvers.ridge.permutations": (99, {"results"}),
    "encoding.solvers.ridge.null": ("nested", {"results"}),
    "encoding.solvers.ridge.null_alpha": (0.1, {"results"}),
    "encoding.solvers.ridge.coefficients": (("all_words",), {"results"}),
    "seed": (1, {"results"}),
}

PLACES = ("source.root", "source.subjects")

# What is made from each kind, when results are made from the means.
DOWNSTREAM = {
    "recordings": {"high_gamma", "features"},
    "high_gamma": {"epochs/mean", "epochs/windows"},
    "epochs/mean": {"results"},
    "features": {"results"},
    "results": {"verdicts", "tables"},
}


def leaves(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def changed(leaf: str) -> Analysis:
    nested: Any = USED_BY[leaf][0]
    for name in reversed(leaf.split(".")):
        nested = {name: nested}
    return Analysis.model_validate(merged(STATED, nested))


def kind_of(name: str) -> str:
    kind, *_, last = name.split("/")
    return f"epochs/{last}" if kind == "epochs" else kind


FEWER_PARTS = ("source.subjects", "encoding.solvers.ridge.enabled")


def below(kinds: set[str]) -> set[str]:
    found = set(kinds)
    for kind in kinds:
        found |= below(DOWNSTREAM.get(kind, set()))
    return found


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store in which everything is done by the ledger; no signal was ever read."""

    def listed(root: str, *, task: str | None, subjects: tuple[str, ...]) -> dict[str, Any]:
        return {
            label: RecordingFiles(
                label=label,
                subject=label,
                session=None,
                task=task,
                run=None,
                path=Path(root) / f"sub-{label}_ieeg.nwb",
                files=(),
            )
            for label in subjects or ("01", "02")
        }

    monkeypatch.setattr("hgcube.pipeline.study.list_recordings", listed)
    states = States(Study(tmp_path, Analysis.model_validate(STATED), Execution()), STEPS)
    for step in STEPS:
        for state in states.of(step):
            (tmp_path / state.name).mkdir(parents=True)
            write_entry(tmp_path, state.expected)
    return tmp_path


def not_done(store: Path, analysis: Analysis, execution: Execution | None = None) -> set[str]:
    states = States(Study(store, analysis, execution or Execution()), STEPS)
    return {kind_of(state.name) for state in states if state.state != "done"}


def handed_over(store: Path, analysis: Analysis) -> dict[str, list[object]]:
    """Build every part with stages that only note what they are given beside cubes."""
    noted: list[object] = []

    def plain(value: Any) -> Any:
        if isinstance(value, BaseModel):
            return value.model_dump()
        return "cube" if isinstance(value, MagicMock | list) else value

    def note(*given: Any, **options: Any) -> MagicMock:
        own = {name: plain(value) for name, value in options.items()}
        noted.append(([plain(value) for value in given], own))
        cube = MagicMock()
        cube.__contains__.return_value = True
        return cube

    stages = ("open_recording", "voice_onsets", "rereference", "band_power", "epoch", "embed")
    study = Study(store, analysis, Execution())
    by_kind: dict[str, list[object]] = {}
    with pytest.MonkeyPatch.context() as patch:
        for name in (*stages, "encode", "open_part", "in_blocks"):
            patch.setattr(steps, name, note)
        patch.setattr(steps, "result_block", lambda *_: {})
        for name in ("marked", "with_words", "along_words"):
            patch.setattr(joining, name, lambda cube, *_: cube)
        for step in STEPS:
            for key in [] if step.gathers else step.keys(study):
                noted.clear()
                step.build(study, key)
                kind = kind_of("/".join((step.kind, *key)))
                by_kind.setdefault(kind, []).extend(noted)
    return by_kind


def test_every_setting_has_its_row() -> None:
    assert set(leaves(Analysis.model_validate(STATED).model_dump())) == set(USED_BY)


def test_unchanged_settings_leave_everything_done(store: Path) -> None:
    assert not_done(store, Analysis.model_validate(STATED)) == set()


@pytest.mark.parametrize("leaf", USED_BY)
def test_a_setting_makes_stale_what_uses_it_and_what_is_made_from_it(
    store: Path, leaf: str
) -> None:
    expected = below(USED_BY[leaf][1])
    if leaf in FEWER_PARTS:
        expected = {"verdicts", "tables"}
    assert not_done(store, changed(leaf)) == expected


@pytest.mark.parametrize("leaf", [leaf for leaf in USED_BY if leaf not in (*PLACES, *FEWER_PARTS)])
def test_a_setting_reaches_the_stages_of_the_steps_that_declare_it(store: Path, leaf: str) -> None:
    before = handed_over(store, Analysis.model_validate(STATED))
    after = handed_over(store, changed(leaf))
    differ = {kind for kind in before if before[kind] != after[kind]}
    # `step` is handed on for the mean too, where `epoch` does not look at it
    ignored = {"epochs/mean"} if leaf == "epochs.step" else set()
    assert differ - ignored == USED_BY[leaf][1]


@pytest.mark.parametrize(
    "settings", [{"workers": 3}, {"scheduler": "threads"}, {"memory": "1GiB"}], ids=str
)
def test_execution_makes_nothing_stale(store: Path, settings: dict[str, Any]) -> None:
    assert set(settings) <= set(Execution.model_fields)
    assert not_done(store, Analysis.model_validate(STATED), Execution(**settings)) == set()


def test_all_execution_settings_are_tried() -> None:
    assert set(Execution.model_fields) == {"workers", "scheduler", "memory"}

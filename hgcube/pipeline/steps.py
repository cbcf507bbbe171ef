"""The steps in their order, as data: what each needs, which settings change it, how it is built."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from hgcube import names as n
from hgcube import tables
from hgcube.chunks import in_blocks
from hgcube.embeddings import embed
from hgcube.embeddings.stated import recordings_named, with_recordings
from hgcube.encoding import encode
from hgcube.epochs import epoch
from hgcube.inference import verify
from hgcube.io.recording import open_recording
from hgcube.kernels import filters
from hgcube.kernels.solvers import SOLVERS
from hgcube.pipeline import joining, sizing
from hgcube.pipeline.sizing import result_block
from hgcube.pipeline.study import Study
from hgcube.reference import rereference
from hgcube.schema import text_array
from hgcube.signal import band_power
from hgcube.speech import voice_onsets
from hgcube.store import Key, Part, open_part

Cube = xr.DataArray | xr.Dataset
TARGETS = ("mean", "windows")


def _nothing(_study: Study, _key: Key) -> dict[str, Any]:
    return {}


def _no_parts(_study: Study, _key: Key) -> list[Part]:
    return []


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the way from recordings to verdicts.

    Parameters
    ----------
    kind : str
        Its name, and the kind of the parts it makes.
    keys : callable
        Study -> keys of all parts, known without running anything.
    settings : callable
        Study, key -> the settings that change this part's numbers, by section.
    build : callable
        Study, key -> the cube, lazy where it can be. A step that `gathers` is also given the
        keys of the gathered parts that are done.
    needs : callable
        Study, key -> the parts it reads.
    gathers : str
        Kind of those needed parts of which it takes what is done: one subject that failed does
        not hold up the others.
    revision : int
        Raised when the same settings give other numbers than before, so that stored parts
        become stale.
    sources : callable
        Study, key -> the files outside the store that it reads, by name.
    blocks : callable
        Study, key -> number of blocks that are computed side by side. A part of one block is
        built whole inside one task, on a worker.
    bundle : callable
        Study, key -> what one task makes: parts of one bundle are made in it, one after another,
        because one computation gives them all.
    memory : callable
        Study, key -> bytes that one task needs at its peak.
    compiles : callable
        Study -> nothing: compiles what its tasks run, which each worker would do unseen.
    """

    kind: str
    keys: Callable[[Study], list[Key]]
    settings: Callable[[Study, Key], dict[str, Any]]
    build: Callable[..., Cube]
    needs: Callable[[Study, Key], list[Part]] = _no_parts
    gathers: str = ""
    revision: int = 1
    sources: Callable[[Study, Key], dict[str, Path]] = _nothing
    blocks: Callable[[Study, Key], int] = lambda *_: 1
    bundle: Callable[[Study, Key], Key] = lambda _, key: key
    memory: Callable[[Study, Key], int] = lambda *_: 0
    compiles: Callable[[Study], None] = lambda _: None


def seed_of(seed: int, key: Key) -> int:
    """Return the seed of one part, derived from the study's by hashing.

    Parameters
    ----------
    seed : int
        Of the study.
    key : tuple of str
        Of the part.

    Returns
    -------
    int
        Below 2 ** 63.
    """
    text = "/".join((str(seed), *key))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) >> 1


# recordings -------------------------------------------------------------------------------------


def _recordings(study: Study) -> list[Key]:
    return [(label,) for label in sorted(study.recordings)]


def _recording_files(study: Study, key: Key) -> dict[str, Path]:
    recording = study.recordings[key[0]]
    files = {os.path.relpath(path, study.source.root): path for path in recording.files}
    for name in ("bad_electrodes", "bad_words", "events", "audio"):
        if path := getattr(study.source, name):
            files[name] = Path(recording.filled(path))
    return files


def _recording_settings(study: Study, _key: Key) -> dict[str, Any]:
    # Where the files are does not change numbers; what is in them does, and is an input.
    source = study.analysis.source.model_dump(mode="json", exclude={"root", "subjects"})
    return {"source": source, "speech": study.analysis.speech.model_dump(mode="json")}


def _build_recording(study: Study, key: Key) -> Cube:
    recording = open_recording(study.recordings[key[0]], source=study.source)
    recording = joining.marked(recording)
    if "audio" not in recording:
        return recording
    speech = study.analysis.speech.model_dump()
    return joining.with_words(
        recording, voice_onsets(recording["words"], recording["audio"], **speech)
    )


# high_gamma -------------------------------------------------------------------------------------


def _high_gamma_settings(study: Study, _key: Key) -> dict[str, Any]:
    line = study.analysis.source.line_frequency
    return {"signal": study.analysis.signal.model_dump(mode="json"), "line_frequency": line}


def _build_high_gamma(study: Study, key: Key) -> Cube:
    settings = study.analysis.signal.model_dump()
    recording = _dataset(study, "recordings", key)["ieeg"]
    referenced = rereference(recording, settings.pop("reference"))
    line = study.analysis.source.line_frequency
    return band_power(in_blocks(referenced), line_frequency=line, **settings)


# epochs -----------------------------------------------------------------------------------------


def _epoch_settings(study: Study, key: Key) -> dict[str, Any]:
    stated = study.analysis.epochs.model_dump(mode="json")
    other = {"mean": ("lags", "step"), "windows": ("mean",)}[key[1]]
    return {"epochs": {name: value for name, value in stated.items() if name not in other}}


def _epoch_needs(study: Study, key: Key) -> list[Part]:
    labels = study.recordings_of(key[0])
    return [(kind, (label,)) for label in labels for kind in ("recordings", "high_gamma")]


def _build_epochs(study: Study, key: Key) -> Cube:
    subject, target = key
    stated = study.analysis.epochs
    lags = stated.mean if target == "mean" else stated.lags
    each = [
        epoch(
            _array(study, "high_gamma", (label,)),
            _dataset(study, "recordings", (label,))["words"],
            lock=stated.lock,
            target=target,
            lags=lags,
            step=stated.step,
            baseline=stated.baseline,
        )
        for label in study.recordings_of(subject)
    ]
    return joining.along_words(each)


# features ---------------------------------------------------------------------------------------


def _feature_keys(study: Study) -> list[Key]:
    return [(space, subject) for space in study.stated.spaces for subject in study.subjects]


def _feature_needs(study: Study, key: Key) -> list[Part]:
    _, options = study.stated.embedding(key[0])
    labels = [*study.recordings_of(key[1]), *recordings_named(options)]
    return [("recordings", (label,)) for label in dict.fromkeys(labels)]


def _feature_sources(study: Study, key: Key) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in study.stated.embedder(study.stated.spaces[key[0]].table).files():
        # Files of several models may have one name.
        files[f"{path.parent.name}/{path.name}" if path.name in files else path.name] = path
    return files


def _feature_settings(study: Study, key: Key) -> dict[str, Any]:
    return {"embeddings": study.stated.settings(key[0])}


def _build_features(study: Study, key: Key) -> Cube:
    space, subject = key
    family, options = study.stated.embedding(space)
    given = with_recordings(options, lambda label: _named_recording(study, label))
    controlled = text_array(study.stated.controlled(space))
    each = []
    for label in study.recordings_of(subject):
        recording = _dataset(study, "recordings", (label,))
        made = embed(
            recording["words"],
            family,
            audio=recording.get("audio"),
            layer=study.stated.spaces[space].layer,
            space=space,
            cache=study.cache,
            **given,
        )
        each.append(made.assign_coords({n.CONTROL_OF: controlled}))
    return joining.along_words(each)


def _named_recording(study: Study, label: str) -> xr.Dataset:
    return _dataset(study, "recordings", (label,)).assign_attrs(recording=label)


# results ----------------------------------------------------------------------------------------


def _result_keys(study: Study) -> list[Key]:
    return [
        (subject, space, solver)
        for subject in study.subjects
        for space in study.fitted_spaces
        for solver in sorted(study.analysis.encoding.enabled)
    ]


def _result_needs(study: Study, key: Key) -> list[Part]:
    subject, space, _ = key
    return [("epochs", (subject, study.analysis.encoding.target)), ("features", (space, subject))]


def _result_settings(study: Study, key: Key) -> dict[str, Any]:
    encoding = study.analysis.encoding.model_dump(mode="json")
    solver = encoding.pop("solvers")[key[2]]
    return {"encoding": encoding, "solvers": {key[2]: solver}, "seed": study.analysis.seed}


def _build_result(study: Study, key: Key) -> Cube:
    stated = study.analysis.encoding
    (kind, epochs_key), (features_kind, features_key) = _result_needs(study, key)
    return encode(
        in_blocks(_array(study, kind, epochs_key), result_block(study, key)),
        _array(study, features_kind, features_key).load(),
        solver=key[2],
        folds=stated.folds,
        references=stated.references,
        order_terms=stated.order_terms,
        block=stated.block,
        seed=seed_of(study.analysis.seed, key),
        **stated.solvers[key[2]].options,
    )


def _compile_solvers(study: Study) -> None:
    for name in study.analysis.encoding.enabled:
        SOLVERS[name].warm_up()


# verdicts, tables -------------------------------------------------------------------------------


def _all_results(study: Study, _key: Key) -> list[Part]:
    return [("results", key) for key in _result_keys(study)]


def _table_needs(study: Study, key: Key) -> list[Part]:
    verdicts: list[Part] = [("verdicts", ("all",))] if key == ("electrodes",) else []
    return [*_all_results(study, key), *verdicts]


def _build_verdicts(study: Study, _key: Key, done: list[Key]) -> Cube:
    return verify(_stored_results(study, done))


def _build_table(study: Study, key: Key, done: list[Key]) -> Cube:
    results = _stored_results(study, done)
    if key == ("words",):
        return tables.by_word(results)
    return tables.by_electrode(results, _dataset(study, "verdicts", ("all",)))


def _stored_results(study: Study, done: list[Key]) -> list[xr.Dataset]:
    return [_dataset(study, "results", key).load() for key in done]


def _dataset(study: Study, kind: str, key: Key) -> xr.Dataset:
    part = open_part(study.store, kind, key)
    return part if isinstance(part, xr.Dataset) else part.to_dataset()


def _array(study: Study, kind: str, key: Key) -> xr.DataArray:
    part = open_part(study.store, kind, key)
    return part if isinstance(part, xr.DataArray) else part[kind]


STEPS: tuple[Step, ...] = (
    Step(
        kind="recordings",
        keys=_recordings,
        sources=_recording_files,
        settings=_recording_settings,
        build=_build_recording,
        memory=sizing.recording_memory,
    ),
    Step(
        kind="high_gamma",
        keys=_recordings,
        needs=lambda _, key: [("recordings", key)],
        settings=_high_gamma_settings,
        revision=2,  # filters of eight electrodes at once: other last bits
        build=_build_high_gamma,
        blocks=sizing.high_gamma_blocks,
        memory=sizing.high_gamma_memory,
        compiles=lambda _: filters.warm_up(),
    ),
    Step(
        kind="epochs",
        keys=lambda study: [(subject, target) for subject in study.subjects for target in TARGETS],
        needs=_epoch_needs,
        settings=_epoch_settings,
        revision=2,  # words marked bad are left out
        build=_build_epochs,
        memory=sizing.epochs_memory,
    ),
    Step(
        kind="features",
        keys=_feature_keys,
        needs=_feature_needs,
        bundle=lambda study, key: (
            study.stated.together(study.stated.spaces[key[0]].table),
            key[1],
        ),
        sources=_feature_sources,
        settings=_feature_settings,
        build=_build_features,
        revision=2,  # layers, controls and provenance
    ),
    Step(
        kind="results",
        keys=_result_keys,
        needs=_result_needs,
        settings=_result_settings,
        build=_build_result,
        blocks=sizing.result_blocks,
        memory=sizing.result_memory,
        compiles=_compile_solvers,
        revision=3,  # folds without changes are fitted together: other last bits
    ),
    Step(
        kind="verdicts",
        keys=lambda study: [("all",)] if study.fitted_spaces else [],
        needs=_all_results,
        gathers="results",
        settings=_nothing,
        build=_build_verdicts,
    ),
    Step(
        kind="tables",
        keys=lambda study: [("electrodes",), ("words",)] if study.fitted_spaces else [],
        needs=_table_needs,
        gathers="results",
        settings=_nothing,
        build=_build_table,
    ),
)

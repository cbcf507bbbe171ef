"""Embeddings in a study: layers as spaces, one task a pass, the cache, what is asked too early."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import plug_in
import pytest
import tiny_models
import xarray as xr

import hgcube
from hgcube.embeddings import EMBEDDERS, Item, OfTexts, Vectors
from hgcube.embeddings.language_model import LanguageModel
from hgcube.errors import (
    HgcubeError,
    MissingExtraError,
    OptionError,
    SettingsError,
    SourceError,
    UnknownLabelError,
)
from hgcube.pipeline.running import run_steps
from hgcube.pipeline.study import Study, open_study
from hgcube.store import open_cube

UP_TO_FEATURES = ["recordings", "features"]
ALL = """
[embeddings.gpt2]
model = "../tiny"
layers = [1, 3]
[embeddings.noise]
family = "random"
n_features = 4
[embeddings.both]
family = "joined"
of = ["noise", "gpt2-3"]
[embeddings.untrained]
family = "gpt2"
model = "../tiny"
untrained = 0
layers = [3]
of = "gpt2"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("embeddings")
    hgcube.simulate(
        made / "bids",
        n_subjects=2,
        n_words=6,
        n_electrodes=3,
        sampling_frequency=512.0,
        audio_frequency=8000.0,
        word_duration=1.0,
        fixation_duration=0.5,
    )
    tiny_models.gpt2(made / "tiny")
    return made


@pytest.fixture
def store_of(folder: Path, tmp_path: Path) -> Callable[[str], Path]:
    def make(text: str) -> Path:
        for name in ("bids", "tiny"):
            if not (tmp_path / name).exists():
                (tmp_path / name).symlink_to(folder / name)
        (tmp_path / "store").mkdir(exist_ok=True)
        (tmp_path / "store" / "study.toml").write_text(f'[source]\nroot = "../bids"\n{text}')
        return tmp_path / "store"

    return make


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The texts of every forward pass."""
    noted: list[tuple[str, ...]] = []
    whole = LanguageModel.vectors

    def vectors(self: LanguageModel, items: list[Item]) -> Vectors:
        noted.append(tuple(item.text for item in items))
        return whole(self, items)

    monkeypatch.setattr(LanguageModel, "vectors", vectors)
    return noted


def ran(store: Path, **where: Any) -> list[str]:
    given = {"scheduler": "synchronous", **where}
    outcome = hgcube.run(store, steps=UP_TO_FEATURES, progress=False, **given)
    assert outcome.complete, outcome
    return sorted(outcome.made)


def features_of(*spaces: str) -> list[str]:
    return [f"features/{space}/{subject}" for space in spaces for subject in ("01", "02")]


def test_a_space_per_layer_from_one_pass(store_of: Any, passes: list[tuple[str, ...]]) -> None:
    store = store_of(ALL)
    made = ran(store)
    spaces = ("both", "gpt2-1", "gpt2-3", "noise", "untrained-3")
    assert made == [*features_of(*spaces), "recordings/01", "recordings/02"]
    said = [text for texts in passes for text in texts]
    words = {
        text
        for subject in ("01", "02")
        for text in open_cube(
            store, "features", space="noise", subject=subject
        ).text.values.tolist()
    }
    # both networks, and never a word twice, though four spaces are made of them
    assert sorted(said) == sorted([*words, *words])
    third = open_cube(store, "features", space="gpt2-3", subject="01").load()
    direct = hgcube.embed(
        open_cube(store, "recordings", recording="01")["words"],
        "gpt2",
        model=store.parent / "tiny",
        layer=3,
    )
    np.testing.assert_array_equal(third, direct)
    assert (third.layer.item(), third.depth.item(), third.control_of.item()) == (3, 1.0, "")
    both = open_cube(store, "features", space="both", subject="01")
    np.testing.assert_array_equal(both[:, both.band.values == "gpt2-3"], third)
    control = open_cube(store, "features", space="untrained-3", subject="01")
    assert control.control_of.item() == "gpt2-3"
    assert np.abs(control - third).max() > 0.01


def test_a_layer_that_is_added_makes_only_itself(
    store_of: Any, passes: list[tuple[str, ...]]
) -> None:
    ran(store_of(ALL))
    store = store_of(ALL.replace("layers = [1, 3]", 'layers = "all"'))
    assert ran(store) == features_of("gpt2-0", "gpt2-2")
    assert set(hgcube.status(store).query("kind == 'features'")["state"]) == {"done"}
    passes.clear()
    for part in ("gpt2-0", "gpt2-1"):
        shutil.rmtree(store / "features" / part)
    assert ran(store) == features_of("gpt2-0", "gpt2-1")
    assert not passes, "kept vectors were made again"
    shutil.rmtree(store / "cache")
    assert set(hgcube.status(store).query("kind == 'features'")["state"]) == {"done"}
    shutil.rmtree(store / "features" / "gpt2-0")
    assert ran(store) == features_of("gpt2-0")
    assert passes


@pytest.mark.parametrize("where", [{"scheduler": "threads"}, {"scheduler": None}])
def test_the_same_numbers_on_every_scheduler(
    store_of: Any, tmp_path: Path, where: dict[str, Any]
) -> None:
    store = store_of(ALL)
    ran(store)
    kept = store.rename(tmp_path / "kept")
    ran(store_of(ALL), workers=2, **where)
    for space in ("both", "gpt2-3", "untrained-3"):
        for subject in ("01", "02"):
            one, other = (
                open_cube(of, "features", space=space, subject=subject).load()
                for of in (kept, store)
            )
            np.testing.assert_array_equal(one, other)


def test_bands_are_stored_and_said_not_to_be_fitted(
    store_of: Any, caplog: pytest.LogCaptureFixture
) -> None:
    planned = hgcube.plan(store_of(ALL))
    assert caplog.text.count("stored but not fitted: both") == 1
    results = planned.query("kind == 'results'")["key"]
    assert {key.split("/")[1] for key in results} == {"gpt2-1", "gpt2-3", "noise", "untrained-3"}
    assert "both/01" in planned.query("kind == 'features'")["key"].tolist()


class Hears(OfTexts):
    """Each word's voice onset and how much sound there is, of one's own or another's recording."""

    hears = True

    def __init__(self, *, speaker: xr.Dataset | str | None = None) -> None:
        self.speaker = speaker

    def items(self, words: xr.DataArray, audio: xr.DataArray | None) -> list[Item]:
        heard = audio if self.speaker is None else self.speaker["audio"]
        onsets = words["voice_onset"].values.tolist()
        return [Item(numbers=(onset, float(heard.size))) for onset in onsets]

    def vectors(self, items: list[Item]) -> Vectors:
        rows = np.array([item.numbers for item in items], dtype=np.float32)
        return Vectors(values=rows.reshape(len(items), 1, 2))

    def provenance(self) -> dict[str, str]:
        return {}


HEARING = """
[embeddings.hears]
[embeddings.other]
family = "hears"
speaker = "02"
"""


def test_families_that_hear_get_audio_onsets_and_other_speakers(
    store_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EMBEDDERS, "hears", Hears)
    store = store_of(HEARING)
    ran(store)
    own, other = (open_cube(store, "recordings", recording=label) for label in ("01", "02"))
    heard = open_cube(store, "features", space="hears", subject="01").load()
    np.testing.assert_array_equal(heard[:, 0], own["words"].voice_onset.astype(np.float32))
    assert heard[0, 1].item() == own["audio"].size
    elsewhere = open_cube(store, "features", space="other", subject="01").load()
    assert elsewhere[0, 1].item() == other["audio"].size
    before = hgcube.status(store).set_index(["kind", "key"])["state"]
    assert set(before.loc["features"]) == {"done"}
    shutil.rmtree(store / "recordings" / "02")
    (store / "ledger" / "recordings" / "02.json").unlink()
    study = open_study(store, scheduler="synchronous")
    waiting = run_steps(study, hgcube.pipeline.STEPS, only=["features"], progress=False).waiting
    assert waiting == {}, "what is done needs nothing"
    for space in ("hears", "other"):
        shutil.rmtree(store / "features" / space / "01")
    waiting = run_steps(study, hgcube.pipeline.STEPS, only=["features"], progress=False).waiting
    assert waiting == {"features/other/01": ["recordings/02"]}
    with pytest.raises(UnknownLabelError, match="'speaker' of 'other'"):
        hgcube.plan(store_of(HEARING.replace('"02"', '"03"')))


def test_what_hears_is_refused_where_nothing_can_be_heard(
    store_of: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(EMBEDDERS, "hears", Hears)
    silent = {"01"}
    whole = Study.sizes

    def sizes(self: Study, label: str) -> dict[str, int]:
        left_out = {"audio_time"} if label in silent else set()
        return {dim: size for dim, size in whole(self, label).items() if dim not in left_out}

    monkeypatch.setattr(Study, "sizes", sizes)
    own, _ = HEARING.split("[embeddings.other]")
    hgcube.plan(store_of(own))
    assert caplog.text.count("no features of hears, which hears the words: no audio in 01") == 1
    caplog.clear()
    silent.add("02")
    with pytest.raises(SourceError, match=r"audio for .*'hears'.*none in 01, 02"):
        hgcube.plan(store_of(own))
    silent.remove("01")
    with pytest.raises(SourceError, match=r"audio for .*'other'.*none in 02"):
        hgcube.plan(store_of(HEARING))
    silent.clear()
    caplog.clear()
    hgcube.plan(store_of(HEARING))
    assert "no audio" not in caplog.text


def test_a_plug_in_is_used_like_any_other(
    store_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = '[embeddings.long]\nfamily = "length"\npower = 3\n'
    with pytest.raises(UnknownLabelError, match="'length'"):
        hgcube.plan(store_of(text))
    monkeypatch.syspath_prepend(plug_in.install(tmp_path / "site"))
    assert features_of("long")[0] in ran(store_of(text))
    with pytest.raises(OptionError, match="'power'"):
        hgcube.plan(store_of(text.replace("power", "pover")))


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ('[embeddings.a]\nfamily = "gpt2"\nmodel = "../absent"', SourceError, "absent"),
        ('[embeddings.a]\nfamily = "gpt2"\nmodel = "no/such"', MissingExtraError, "hf download"),
        (ALL.replace("[1, 3]", "[1, 4]"), OptionError, "0 to 3"),
        (ALL.replace("[1, 3]", "[]"), OptionError, "0 to 3"),
        (ALL.replace('of = "gpt2"', 'of = "gtp2"'), UnknownLabelError, "'gtp2'.*'gpt2'"),
        (ALL.replace('"gpt2-3"]', '"both"]'), SettingsError, "'both' of 'both'"),
        (ALL.replace('"gpt2-3"]', '"gpt2"]'), OptionError, "gpt2 has 2"),
        (ALL + "[embeddings.gpt2-1]\nfamily = 'random'", SettingsError, "'gpt2-1' twice"),
        ("[embeddings.'a/b']\nfamily = 'random'", HgcubeError, "'a/b'"),
        ("[embeddings.ft]\nfamily = 'fasttext'\nmodel = 'm.bin'", SourceError, r"m\.bin"),
    ],
)
def test_what_is_missing_is_named_before_anything_is_computed(
    store_of: Any, text: str, error: type[Exception], says: str
) -> None:
    store = store_of(text)
    for ask in (hgcube.plan, lambda store: hgcube.run(store, scheduler="synchronous")):
        with pytest.raises(error, match=says):
            ask(store)
    assert {path.name for path in store.iterdir()} == {"study.toml"}


def test_a_package_that_is_missing_is_named(store_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EMBEDDERS["random"], "packages", ("no_such_package",), raising=False)
    with pytest.raises(MissingExtraError, match=r"no_such_package .*hgcube\[embed\]"):
        hgcube.plan(store_of("[embeddings.random]"))


REAL = """
[embeddings.ft]
family = "fasttext"
model = "MODELS/fasttext-nl-100d.bin"
[embeddings.gpt2]
model = "MODELS/gpt2-nl-tiny"
layers = "all"
[embeddings.wav2vec2]
model = "MODELS/w2v2-digits-tiny"
layers = [2, 3]
[embeddings.untrained]
family = "wav2vec2"
model = "MODELS/w2v2-digits-tiny"
untrained = 0
layers = [3]
of = "wav2vec2"
[embeddings.both]
family = "joined"
of = ["ft", "wav2vec2-3"]
"""


@pytest.mark.shared
def test_real_models_of_text_and_sound_with_a_control(store_of: Any, shared_folder: Path) -> None:
    store = store_of(REAL.replace("MODELS", str(shared_folder / "models")))
    ran(store)
    sizes = {"ft": 100, "gpt2-0": 192, "gpt2-4": 192, "wav2vec2-2": 96, "untrained-3": 96}
    for space, n_features in {**sizes, "both": 196}.items():
        features = open_cube(store, "features", space=space, subject="02").load()
        assert features.shape == (6, n_features)
        assert np.isfinite(features).all()
    control = open_cube(store, "features", space="untrained-3", subject="01")
    assert control.control_of.item() == "wav2vec2-3"
    trained = open_cube(store, "features", space="wav2vec2-3", subject="01")
    assert np.abs(np.corrcoef(control.values.ravel(), trained.values.ravel())[0, 1]) < 0.5


class TestBundles:
    @pytest.mark.parametrize("where", [{"scheduler": "threads"}, {"scheduler": None}])
    def test_parts_of_a_bundle_never_overlap(
        self, fake: ModuleType, tmp_path: Path, where: dict[str, Any]
    ) -> None:
        def alone(study: Any, key: tuple[str, ...]) -> xr.Dataset:
            busy = study.store / "busy"
            os.close(os.open(busy, os.O_CREAT | os.O_EXCL))
            time.sleep(0.05)
            busy.unlink()
            return fake.noise(study, key)

        study = open_study(fake.study_in(tmp_path), workers=2, **where)
        together = replace(fake.STEPS[0], build=alone, bundle=lambda *_: ("all",))
        assert run_steps(study, (together,), progress=False).complete

    @pytest.mark.parametrize("where", [{"scheduler": "synchronous"}, {"scheduler": None}])
    def test_one_that_fails_does_not_stop_the_others(
        self, fake: ModuleType, tmp_path: Path, where: dict[str, Any]
    ) -> None:
        study = open_study(fake.study_in(tmp_path), workers=1, **where)
        (tmp_path / "fail-02").touch()
        together = replace(fake.STEPS[0], bundle=lambda *_: ("all",))
        outcome = run_steps(study, (together,), progress=False)
        assert outcome.made == ["recordings/01", "recordings/03"]
        assert "a broken one" in outcome.failed["recordings/02"]

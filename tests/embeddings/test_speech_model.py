"""Hidden states of speech models: the library's own, whatever the batch, pooled where they are."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_speech
import voices
import xarray as xr

import hgcube
from hgcube.embeddings import embed_layers, loading, made_vectors, models
from hgcube.embeddings.protocol import Embedder, Item
from hgcube.embeddings.speech_model import SpeechModel
from hgcube.errors import (
    HgcubeError,
    MissingExtraError,
    OptionError,
    SourceError,
    UnknownLabelError,
)

pytest.importorskip("torch")

RECORDING = voices.spoken(rate=16_000.0)
WINDOWS = {"pooling": "windows", "lags": [-0.1, 0.5], "step": 0.1}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: write(root / name) for name, write in tiny_speech.FAMILIES.items()}


@pytest.fixture(params=sorted(tiny_speech.FAMILIES))
def folder(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    return folders[request.param]


def made(model: Path, recording: xr.Dataset = RECORDING, **options: Any) -> np.ndarray[Any, Any]:
    """Return (word, layer, feature) of all layers."""
    family = SpeechModel(model=model, **{"layers": "all", **options})
    return made_vectors(family, family.items(recording["words"], recording["audio"])).values


def assert_equal(found: np.ndarray[Any, Any], oracle: np.ndarray[Any, Any]) -> None:
    """Hold states to 1e-6 or, float32 that they are, to 1e-6 of the largest."""
    assert np.abs(found - oracle).max() < 1e-6 * max(1.0, np.abs(oracle).max())


def sounds(folder: Path, **options: Any) -> list[np.ndarray[Any, Any]]:
    items = SpeechModel(model=folder, **options).items(RECORDING["words"], RECORDING["audio"])
    return [np.asarray(item.sound) for item in items]


@cache
def own_network(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoFeatureExtractor, AutoModel

    extractor = AutoFeatureExtractor.from_pretrained(folder, local_files_only=True)
    network = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    return extractor, network.get_encoder() if "whisper" in folder.name else network


def own_forward_pass(folder: Path, sound: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the library's hidden states (layer, frame, feature) of one sound, without padding."""
    import torch

    extractor, network = own_network(folder)
    inputs = extractor(sound, sampling_rate=16_000, return_tensors="pt")
    given = inputs[extractor.model_input_names[0]]
    with torch.no_grad():
        states = torch.stack(network(given, output_hidden_states=True).hidden_states)[:, 0]
    # Whisper's frames of 20 ms go on behind the sound.
    count = -(-len(sound) // 320) if "whisper" in folder.name else states.shape[1]
    return states[:, :count].numpy()


def centres(folder: Path, n_frames: int) -> np.ndarray[Any, Any]:
    first = 0.0 if "whisper" in folder.name else 0.0125
    return first + 0.02 * np.arange(n_frames)


def test_it_meets_the_protocol(folder: Path) -> None:
    assert isinstance(SpeechModel(model=folder), Embedder)


@pytest.mark.parametrize("batch_size", [1, 32])
def test_states_are_those_of_the_library(folder: Path, batch_size: int) -> None:
    found = made(folder, batch_size=batch_size)
    assert found.shape == (6, tiny_speech.N_LAYERS + 1, tiny_speech.N_FEATURES)
    for sound, vector in zip(sounds(folder), found, strict=True):
        oracle = own_forward_pass(folder, sound).mean(axis=1)
        assert_equal(vector, oracle)
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_windows_are_means_of_the_frames_in_them(folder: Path) -> None:
    found = made(folder, **WINDOWS)
    for sound, vector in zip(sounds(folder, **WINDOWS), found, strict=True):
        states = own_forward_pass(folder, sound)
        at = centres(folder, states.shape[1]) - 0.15
        for place, lag in enumerate((-0.1, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5)):
            inside = (at >= lag - 0.05 - 1e-9) & (at < lag + 0.05 - 1e-9)
            assert inside.sum() in (4, 5, 6)
            own = vector[:, 16 * place : 16 * (place + 1)]
            assert_equal(own, states[:, inside].mean(axis=1))
    assert found.shape[2] == 7 * tiny_speech.N_FEATURES


def test_a_lag_is_one_of_the_windows(folder: Path) -> None:
    windows = made(folder, **WINDOWS)
    one = made(folder, **{**WINDOWS, "pooling": "lag", "lag": 0.2})
    assert_equal(one, windows[..., 48:64])


@pytest.mark.parametrize("options", [{}, {"duration": 0.3}, WINDOWS])
def test_padding_never_leaks(folder: Path, options: dict[str, Any]) -> None:
    alone, together = (made(folder, **options, batch_size=size) for size in (1, 32))
    assert_equal(together, alone)
    assert len({len(sound) for sound in sounds(folder)}) > 3


@pytest.mark.parametrize("options", [{}, WINDOWS])
def test_a_vector_does_not_depend_on_the_others_to_the_last_bit(
    folder: Path, options: dict[str, Any]
) -> None:
    """What was embedded before is kept, so that the others are not always the same."""
    family = SpeechModel(model=folder, layers="all", **options)
    items = family.items(RECORDING["words"], RECORDING["audio"])
    every = family.vectors(items).values
    for some in ([3], [5, 1], [2, 0, 4]):
        found = family.vectors([items[place] for place in some]).values
        np.testing.assert_array_equal(found, every[some])


def test_equal_words_are_equal_in_any_order(folder: Path) -> None:
    found = made(folder, batch_size=3)
    there = voices.spoken(voices.TEXTS[::-1], start=3.0, rate=16_000.0)
    reversed_order = made(folder, there, batch_size=3)
    np.testing.assert_array_equal(reversed_order[::-1], found)
    np.testing.assert_array_equal(found[0], found[4])


def test_frames_are_counted_as_the_library_counts_them(folder: Path) -> None:
    family, network = SpeechModel(model=folder), loading.network(models.found(folder))
    if "whisper" in folder.name:
        assert family._frames.step == 320
        return
    for n_samples in (400, 719, 720, 721, 5_000, 16_000, 31_999):
        expected = int(network._get_feat_extract_output_lengths(n_samples))
        assert family._frames.count(n_samples) == expected
    assert (family._frames.window, family._frames.step, family._frames.count(399)) == (400, 320, 0)


def test_a_frame_depends_on_its_own_samples_alone(folders: dict[str, Path]) -> None:
    import torch

    network = loading.network(models.found(folders["wav2vec2_layer"]))
    frames = SpeechModel(model=folders["wav2vec2_layer"])._frames
    sound = torch.zeros(1, 4000)
    base = network.feature_extractor(sound)
    for sample in (1000, 1234):
        changed = sound.clone()
        changed[0, sample] = 1.0
        moved = (network.feature_extractor(changed) - base).abs().amax(dim=1)[0].numpy() > 0
        away = np.abs(frames.centres(4000) - (sample + 0.5) / 16_000)
        np.testing.assert_array_equal(moved, away < frames.window / 2 / 16_000)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [([0], (0,)), ([2, 1], (2, 1)), ("last", (3,)), ("penultimate", (2,)), (1, (1,))],
)
def test_layers_are_the_ones_asked_for(
    folders: dict[str, Path], layers: Any, expected: tuple[int, ...]
) -> None:
    family = SpeechModel(model=folders["wavlm"], layers=layers)
    assert family.layers == expected
    found = made(folders["wavlm"], layers=layers)
    np.testing.assert_array_equal(found, made(folders["wavlm"])[:, expected])


def test_a_cube_says_where_its_numbers_come_from(folders: dict[str, Path]) -> None:
    options = {"model": folders["wav2vec2_layer"], "trained_on": "speech", **WINDOWS}
    features = hgcube.embed(
        RECORDING["words"], "wav2vec2", audio=RECORDING["audio"], layer=2, **options
    )
    assert features.dtype == np.float32
    assert features.layer.item() == 2
    assert features.n_frames.values.tolist() == [34] * 6
    np.testing.assert_allclose(features.lag.values[::16], np.arange(-1, 6) / 10)
    assert features["unit"].values.tolist() == list(range(16)) * 7
    said = features.attrs
    assert said["architecture"] == "Wav2Vec2Model"
    assert said["trained_on"] == "speech"
    assert (
        said["frames"]
        == "of 0.025 s every 0.02 s, the first centred 0.0125 s after the sound begins"
    )
    assert said["heard"] == "-0.15 to 0.55 s after the lock"
    assert "16000 Hz" in said["sound"]
    assert said["feature_extractor"] == "the model's own: each sound normalised"
    assert {"revision", "torch_version", "transformers_version", "layers_total"} <= set(said)


def test_all_layers_come_from_one_pass(folders: dict[str, Path]) -> None:
    spaces = embed_layers(
        RECORDING["words"],
        "speech_model",
        audio=RECORDING["audio"],
        space="hubert",
        model=folders["hubert"],
        layers="all",
    )
    assert list(spaces) == ["hubert-0", "hubert-1", "hubert-2", "hubert-3"]
    every = made(folders["hubert"])
    np.testing.assert_array_equal(spaces["hubert-1"].values, every[:, 1])


def test_sound_is_normalised_as_the_model_wants_it(folders: dict[str, Path]) -> None:
    loud = RECORDING.assign(audio=RECORDING["audio"] // 4)
    loud["audio"] = loud["audio"].astype(np.int16)
    loud["audio"].audio_time.attrs.update(RECORDING["audio"].audio_time.attrs)
    for name, invariant in (("wav2vec2_layer", True), ("wavlm", False)):
        moved = np.abs(made(folders[name], loud, duration=0.2) - made(folders[name], duration=0.2))
        assert (moved.max() < 1e-2) == invariant, name


def test_a_folder_without_extractor_takes_the_architectures(folder: Path, tmp_path: Path) -> None:
    without = shutil.copytree(folder, tmp_path / folder.name)
    (without / "preprocessor_config.json").unlink()
    said = SpeechModel(model=without).provenance()["feature_extractor"]
    usual = "as it is" if "whisper" in folder.name else "normalised"
    assert said == f"the architecture's default (no file): each sound {usual}"
    if folder.name != "wavlm":
        assert_equal(made(without), made(folder))


def test_backwards_hears_the_reversed_sound(folders: dict[str, Path]) -> None:
    options = {"model": folders["hubert"], "duration": 0.3, "reversed": True, "of": "hubert"}
    features = hgcube.embed(RECORDING["words"], "speech_model", audio=RECORDING["audio"], **options)
    sound = sounds(folders["hubert"], duration=0.3)[1][::-1].copy()
    oracle = own_forward_pass(folders["hubert"], sound)[-1].mean(axis=0)
    assert_equal(features.values[1], oracle)
    assert features.control_of.item() == "hubert"
    assert features.attrs["direction"] == "backwards"


def test_untrained_weights_are_those_of_their_seed(folder: Path) -> None:
    trained, one, other = (made(folder, untrained=seed) for seed in (None, 1, 2))
    np.testing.assert_array_equal(made(folder, untrained=1), one)
    assert np.abs(one - other).max() > 1e-3
    assert np.abs(one - trained).max() > 1e-3
    family = SpeechModel(model=folder, untrained=3, of="speech")
    assert family.control_of == "speech"
    assert family.provenance()["trained_on"] == "nothing (untrained)"
    assert family.provenance()["weights"] == "random, seed 3"


def test_words_without_a_vector_are_flagged_and_the_rest_survive(folder: Path) -> None:
    onsets = RECORDING["words"].voice_onset.values.copy()
    onsets[[1, 3]] = np.nan, 12.99
    holed = RECORDING.assign_coords(voice_onset=("word", onsets))
    features = hgcube.embed(
        holed["words"], "speech_model", audio=holed["audio"], model=folder, duration=0.3
    )
    assert features.flag.values.tolist() == ["", "no voice", "", "outside the audio", "", ""]
    assert np.isnan(features.values).all(axis=1).tolist() == [
        False,
        True,
        False,
        True,
        False,
        False,
    ]
    whole = made(folder, duration=0.3, layers="last")[:, 0]
    assert_equal(features.values[[0, 2, 4, 5]], whole[[0, 2, 4, 5]])


def test_sounds_shorter_than_a_frame_and_clipped_ones(folders: dict[str, Path]) -> None:
    short = RECORDING.assign_coords(duration=("word", [0.024, 0.026, 1.0, 1.0, 1.0, 1.0]))
    samples = short["audio"].values.copy()
    samples[5 * 16_000 : 7 * 16_000] = np.clip(
        samples[5 * 16_000 : 7 * 16_000] * 9.0, -32768, 32767
    )
    samples[round(1.01 * 16_000)] = samples[round(3.01 * 16_000)] = 5000
    short = short.assign(audio=short["audio"].copy(data=samples))
    features = hgcube.embed(
        short["words"],
        "speech_model",
        audio=short["audio"],
        model=folders["wav2vec2_group"],
        lock="display",
    )
    assert features.flag.values.tolist() == ["too short", "", "clipped", "", "", ""]
    assert features.n_frames.values.tolist() == [0, 1, 49, 49, 49, 49]
    assert np.isfinite(features.values[1:]).all()


def test_no_words_are_no_vectors(folder: Path) -> None:
    family = SpeechModel(model=folder, layers="all", **WINDOWS)
    assert family.vectors([]).values.shape == (0, 4, 7 * 16)


def test_whisper_hears_no_longer_than_it_can(folders: dict[str, Path]) -> None:
    with pytest.raises(OptionError, match=r"2 s of sound at most"):
        made(folders["whisper"], duration=2.1)
    long = RECORDING.assign_coords(duration=("word", [2.5, 1.0, 1.0, 1.0, 1.0, 1.0]))
    family = SpeechModel(model=folders["whisper"], lock="display")
    items = family.items(long["words"], long["audio"])
    assert [item.flag for item in items] == ["too long", "", "", "", "", ""]


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"layers": [4]}, OptionError, "0 to 3"),
        ({"layers": "first"}, OptionError, "penultimate"),
        ({"pooling": "max"}, UnknownLabelError, "'mean'"),
        ({"lock": "vioce"}, OptionError, "'voice'"),
        ({"lags": [1.0, 0.0]}, OptionError, "lags"),
        ({"lags": [1.0]}, OptionError, "lags"),
        ({"pooling": "windows", "step": 0.0}, OptionError, "step"),
        ({"pooling": "windows", "step": 0.015}, OptionError, "windows that hold a frame"),
        ({"pooling": "lag", "lag": 3.0}, OptionError, "lag within"),
        ({"pooling": "windows", "duration": 1.0}, OptionError, "duration"),
        ({"duration": -1.0}, OptionError, "duration"),
        ({"duration": 0.01}, OptionError, "duration"),
        ({"batch_size": 0}, OptionError, "batch_size"),
        ({"of": "wav2vec2"}, OptionError, "reversed"),
    ],
)
def test_wrong_options_are_named(
    folders: dict[str, Path], options: dict[str, Any], error: type[HgcubeError], says: str
) -> None:
    with pytest.raises(error, match=says):
        made(folders["wav2vec2_layer"], **options)


def test_other_models_are_named(folders: dict[str, Path], tmp_path: Path) -> None:
    from transformers import GPT2Config

    GPT2Config().save_pretrained(tmp_path / "gpt2")
    with pytest.raises(OptionError, match="a gpt2"):
        made(tmp_path / "gpt2")
    with pytest.raises(MissingExtraError, match="hf download facebook/wav2vec2-none"):
        made(Path("facebook/wav2vec2-none"))


@pytest.mark.parametrize(
    ("name", "file", "change", "says"),
    [
        ("hubert", "preprocessor_config.json", {"sampling_rate": 8000}, "16000 Hz"),
        ("whisper", "preprocessor_config.json", {"chunk_length": 3}, "fits the network"),
        ("whisper", "config.json", {"max_source_positions": None}, "max_source_positions"),
        ("hubert", "config.json", {"conv_kernel": None}, "conv_kernel"),
    ],
)
def test_files_that_do_not_fit_are_named(
    folders: dict[str, Path],
    tmp_path: Path,
    name: str,
    file: str,
    change: dict[str, Any],
    says: str,
) -> None:
    folder = shutil.copytree(folders[name], tmp_path / name)
    told = json.loads((folder / file).read_text()) | change
    (folder / file).write_text(json.dumps({k: v for k, v in told.items() if v is not None}))
    with pytest.raises(SourceError, match=says):
        made(folder)


def test_items_of_one_content_are_one(folders: dict[str, Path]) -> None:
    items = SpeechModel(model=folders["wavlm"]).items(RECORDING["words"], RECORDING["audio"])
    assert isinstance(items[0], Item)
    assert items[0].digest == items[4].digest != items[1].digest


@pytest.mark.shared
def test_a_real_wav2vec2(shared_folder: Path) -> None:
    folder = shared_folder / "models" / "w2v2-digits-tiny"
    found = made(folder, batch_size=8)
    assert found.shape == (6, 4, 96)
    for sound, vector in zip(sounds(folder), found, strict=True):
        oracle = own_forward_pass(folder, sound).mean(axis=1)
        np.testing.assert_allclose(vector, oracle, atol=1e-5, rtol=1e-5)

"""The registry, the families in it, and what the features cube says."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import tiny_speech
import voices
import xarray as xr

import hgcube
from hgcube.embeddings import (
    EMBEDDERS,
    Embedder,
    Item,
    OfTexts,
    Vectors,
    embed_layers,
    embedder,
)
from hgcube.errors import CubeError, OptionError, SourceError, UnknownLabelError
from hgcube.schema import check, text_array

TEXTS = ["boot", "huis", "fiets", "boot", "huizen"]
RECORDING = voices.spoken(tuple(TEXTS))

CONTROLLED = {"another_speaker": "sound", "mismatched": "noise"}
OF_PLACES = {"mismatched", "order"}
"""Families whose vectors depend on where a word stands, or on which others are there."""


@pytest.fixture
def words() -> xr.DataArray:
    return RECORDING["words"]


@pytest.fixture(scope="module")
def fasttext_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from gensim.models.fasttext import FastText, save_facebook_model

    sentences = [["de", "boot", "en", "het", "huis"], ["een", "fiets", "bij", "het", "huis"]] * 20
    model = FastText(
        sentences, vector_size=8, min_count=1, bucket=200, min_n=3, max_n=5, seed=1, workers=1
    )
    path = tmp_path_factory.mktemp("models") / "tiny.bin"
    save_facebook_model(model, str(path))
    return path


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.gpt2(tmp_path_factory.mktemp("layers") / "tiny")


@pytest.fixture(scope="module")
def options_of(
    fasttext_file: Path, network: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, object]]:
    """What every family is tried with."""
    folder = tmp_path_factory.mktemp("families")
    table = folder / "table.vec"
    table.write_text("".join(f"{text} {i} 1 {i * i}\n" for i, text in enumerate(TEXTS[1:], 1)))
    lexicon, counts = folder / "lexicon.tsv", folder / "counts.csv"
    lexicon.write_text("".join(f"{text}\t{'a ' * i}\n" for i, text in enumerate(TEXTS[1:], 1)))
    counts.write_text("".join(f"{text},{10**i}\n" for i, text in enumerate(TEXTS[1:], 1)))
    ears = tiny_speech.wav2vec2_layer(folder / "ears")
    toy = {"family": "random", "n_features": 3}
    mel = {"family": "mel", "n_mels": 10, "space": "sound"}
    return {
        "another_speaker": {"of": mel, "speaker": voices.spoken(tuple(TEXTS), pitch=200.0)},
        "duration": {},
        "envelope": {},
        "fasttext": {"model": fasttext_file},
        "frequency": {"table": counts},
        "gpt2": {"model": network},
        "joined": {"of": [{**toy, "space": "a"}, {**toy, "seed": 1, "space": "b"}]},
        "language_model": {"model": network, "pooling": "last"},
        "letters": {"lexicon": lexicon},
        "mel": {},
        "mismatched": {"of": {**toy, "space": "noise"}},
        "order": {"terms": 2},
        "random": {"n_features": 8},
        "speech_model": {"model": ears, "pooling": "windows", "lags": [0.0, 0.3]},
        "wav2vec2": {"model": ears},
        "word_vectors": {"model": table},
    }


def test_every_family_meets_the_protocol_and_the_spec(
    words: xr.DataArray, options_of: dict[str, dict[str, object]]
) -> None:
    assert set(options_of) == set(EMBEDDERS)
    for name, options in options_of.items():
        assert isinstance(embedder(name, **options), Embedder)
        features = hgcube.embed(words, name, audio=RECORDING["audio"], **options)
        check(features, "features", stored=True)
        assert features.dtype == np.float32
        assert features.sizes["word"] == 5
        assert features.text.values.tolist() == TEXTS
        assert features.onset.values.tolist() == [1.0, 3.0, 5.0, 7.0, 9.0]
        labels = [features[label].item() for label in ("space", "embedding", "control_of")]
        assert labels == [name, name, CONTROLLED.get(name, "")]
        assert features.attrs["trained_on" if name != "joined" else "a: trained_on"]


def test_every_family_gives_a_text_the_same_vector_wherever_it_stands(
    words: xr.DataArray, options_of: dict[str, dict[str, object]]
) -> None:
    for name in options_of.keys() - OF_PLACES:
        options = {**options_of[name], "audio": RECORDING["audio"]}
        features = hgcube.embed(words, name, **options)
        shuffled = hgcube.embed(words.isel(word=[4, 2, 0, 1, 3]), name, **options)
        np.testing.assert_array_equal(features[0], features[3])
        np.testing.assert_array_equal(shuffled.sortby("word"), features)
        assert np.abs(features[0] - features[1]).max() > 1e-3


def test_fasttext_equals_gensim_also_out_of_vocabulary(
    words: xr.DataArray, fasttext_file: Path
) -> None:
    from gensim.models.fasttext import load_facebook_model

    oracle = load_facebook_model(str(fasttext_file)).wv
    features = hgcube.embed(words, "fasttext", model=fasttext_file)
    assert features.in_vocabulary.values.tolist() == [True, True, True, True, False]
    for text, vector in zip(TEXTS, features.values, strict=True):
        np.testing.assert_array_equal(vector, oracle.get_vector(text))
    assert np.abs(features[4]).max() > 0


def test_a_word_without_vector_is_flagged_and_the_rest_survive(
    words: xr.DataArray, fasttext_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    holed = words.copy(data=text_array(["boot", "", "fiets", "boot", "huizen"]))
    with caplog.at_level(logging.WARNING, logger="hgcube"):
        features = hgcube.embed(holed, "fasttext", model=fasttext_file)
    assert np.isnan(features[1]).all()
    assert not np.isnan(features[[0, 2, 3, 4]]).any()
    assert features.attrs["n_without_vector"] == 1
    assert "1 of 5 words have no vector" in caplog.text


@pytest.mark.parametrize(
    ("embedding", "options", "error", "says"),
    [
        ("fastext", {}, UnknownLabelError, "'fasttext'"),
        ("fasttext", {"modell": "x"}, OptionError, "'model'"),
        ("fasttext", {}, OptionError, "model"),
        ("fasttext", {"model": "absent.bin"}, SourceError, "absent.bin"),
    ],
)
def test_wrong_input_is_named(
    words: xr.DataArray, embedding: str, options: dict[str, str], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        hgcube.embed(words, embedding, **options)


def test_a_file_that_is_no_model_is_named(words: xr.DataArray, tmp_path: Path) -> None:
    broken = tmp_path / "broken.bin"
    broken.write_bytes(b"not a model")
    with pytest.raises(SourceError, match=r"broken\.bin"):
        hgcube.embed(words, "fasttext", model=broken)


class TestLayers:
    def test_one_pass_gives_all_and_each_knows_itself(
        self, words: xr.DataArray, network: Path
    ) -> None:
        made = embed_layers(words, "gpt2", model=network, layers="all", space="nl")
        assert list(made) == ["nl-0", "nl-1", "nl-2", "nl-3"]
        for layer, (name, features) in enumerate(made.items()):
            alone = hgcube.embed(words, "gpt2", model=network, layer=layer, space=name)
            xr.testing.assert_identical(features, alone)
            assert features.layer.item() == layer
            assert features.depth.item() == layer / 3
        assert np.abs(made["nl-1"] - made["nl-2"]).max() > 1e-3

    def test_names_have_the_digits_of_the_last_layer(
        self, words: xr.DataArray, network: Path, tmp_path: Path
    ) -> None:
        deep = Path(shutil.copytree(network, tmp_path / "deep"))
        config = json.loads((deep / "config.json").read_text())
        (deep / "config.json").write_text(json.dumps({**config, "n_layer": 12}))
        options = {"model": deep, "untrained": 0}
        assert list(embed_layers(words, "gpt2", layers=[3, 11], **options)) == [
            "gpt2-03",
            "gpt2-11",
        ]
        assert list(embed_layers(words, "gpt2", layers=[3], **options)) == ["gpt2-03"]
        assert list(embed_layers(words, "gpt2", **options)) == ["gpt2"]

    def test_a_family_without_layers_has_no_depth(self, words: xr.DataArray) -> None:
        features = hgcube.embed(words, "random")
        assert (features.layer.item(), np.isnan(features.depth.item())) == (0, True)

    @pytest.mark.parametrize(
        ("options", "says"),
        [
            ({"layer": 4}, "0 to 3"),
            ({"layers": [1, 2]}, r"layers \[1, 2\].*embed_layers"),
            ({"layers": [1, 2], "layer": 3}, "layer=3"),
        ],
    )
    def test_wrong_layers_are_named(
        self, words: xr.DataArray, network: Path, options: dict[str, object], says: str
    ) -> None:
        with pytest.raises(OptionError, match=says):
            hgcube.embed(words, "gpt2", model=network, **options)
        with pytest.raises(OptionError, match="without layers"):
            hgcube.embed(words, "random", layer=1)


class Odd(OfTexts):
    """A family of a plug-in that returns what it is told to."""

    def __init__(self, *, made: object, layers: tuple[int, ...] = (0,), heard: bool = False):
        self.made, self.layers, self.hears = made, layers, heard

    def items(self, words: xr.DataArray, audio: xr.DataArray | None) -> list[Item]:
        return super().items(words[:2] if self.made == "two" else words, audio)

    def vectors(self, items: list[Item]) -> Vectors:
        return self.made(len(items)) if callable(self.made) else self.made

    def provenance(self) -> dict[str, str]:
        return {}


class TestWhatAFamilyMustReturn:
    @pytest.fixture(autouse=True)
    def odd(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(EMBEDDERS, "odd", Odd)

    @pytest.mark.parametrize(
        ("made", "says"),
        [
            ("two", "Expected 5 items .* Got 2"),
            (None, "an object Vectors"),
            (lambda k: Vectors(values=np.ones((k, 1, 3))), "float32 .* Got float64"),
            (lambda k: Vectors(values=np.ones((k, 3), np.float32)), "4 items x 1 layers"),
            (lambda k: Vectors(values=np.ones((k, 2, 3), np.float32)), r"\(4, 2, 3\)"),
            (lambda k: Vectors(values=np.ones((1, 1, 3), np.float32)), r"\(1, 1, 3\)"),
            (
                lambda k: Vectors(values=np.ones((k, 1, 3), np.float32), words={"n": np.ones(2)}),
                "4 values of 'n', one a word",
            ),
            (
                lambda k: Vectors(
                    values=np.ones((k, 1, 3), np.float32), features={"lag": np.ones(2)}
                ),
                "3 values of 'lag', one a feature",
            ),
        ],
    )
    def test_other_shapes_and_types_are_refused(
        self, words: xr.DataArray, made: object, says: str
    ) -> None:
        with pytest.raises(CubeError, match=says):
            hgcube.embed(words, "odd", made=made)

    def test_one_that_hears_needs_audio(self, words: xr.DataArray) -> None:
        with pytest.raises(OptionError, match=r"audio for the embedding 'odd'.*audio="):
            hgcube.embed(words, "odd", made=None, heard=True)

    def test_vectors_that_are_all_alike_are_warned_of(
        self,
        words: xr.DataArray,
        rng: np.random.Generator,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        noise = rng.standard_normal((4, 1, 50)).astype(np.float32)
        for level, warned in ((1.0, False), (50.0, True)):
            caplog.clear()
            features = hgcube.embed(words, "odd", made=lambda _: Vectors(values=noise + level))  # noqa: B023
            assert ("nearly all alike" in caplog.text) is warned
            distinct = features[[0, 1, 2, 4]].values.astype(float)
            pairs = np.corrcoef(distinct)[np.triu_indices(4, 1)]
            assert np.abs(pairs).max() < 0.6  # apart, once the level is taken off
        units = distinct / np.linalg.norm(distinct, axis=1, keepdims=True)
        cosine = (units @ units.T)[np.triu_indices(4, 1)].mean()
        assert f"mean cosine {cosine:.4f}" in caplog.text
        assert "first token" not in caplog.text
        monkeypatch.setattr(Odd, "provenance", lambda _: {"layers_total": "2"})
        for heard in (True, False):
            caplog.clear()
            made = Vectors(values=noise + 50.0)
            hgcube.embed(words, "odd", made=made, heard=heard, audio=RECORDING["audio"])
            assert ("first token" in caplog.text) is not heard


def test_bands_stay_apart_and_say_who_lacks_a_word(
    words: xr.DataArray, options_of: dict[str, dict[str, object]]
) -> None:
    words = words.copy(data=text_array(["boot", "", "fiets", "boot", "huizen"]))
    parts = {"toy": "random", "table": "word_vectors", "deep": "gpt2"}
    of = [{"family": family, "space": name, **options_of[family]} for name, family in parts.items()]
    features = hgcube.embed(words, "joined", of=of, space="all")
    for name, family in parts.items():
        alone = hgcube.embed(words, family, **options_of[family])
        np.testing.assert_array_equal(features[:, features.band == name], alone)
    assert features.sizes["feature"] == 8 + 3 + 16
    assert features.flag.values.tolist() == ["", "toy: empty;table: empty;deep: empty", *[""] * 3]
    assert features.n_tokens.values[0] > 0
    holed = words.copy(data=text_array(["boot", "wolk", "fiets", "boot", "huizen"]))
    lacking = hgcube.embed(holed, "joined", of=of)
    assert lacking.flag.values.tolist() == ["", "table: unknown", "", "", ""]
    assert np.isnan(lacking[1, lacking.band == "table"]).all()
    assert np.isfinite(lacking[1, lacking.band != "table"]).all()
    assert lacking.attrs["n_without_vector"] == 1
    assert lacking.attrs["toy: model"] == "random normal of 8 features, seed 0"


def test_coordinates_that_one_band_has_are_kept(
    words: xr.DataArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EMBEDDERS, "odd", Odd)
    made = Vectors(
        values=np.ones((4, 1, 2), np.float32),
        features={"lag": np.array([0.1, 0.2]), "side": text_array(["l", "r"])},
    )
    of = [{"family": "odd", "made": made}, {"family": "random", "n_features": 1}]
    features = hgcube.embed(words, "joined", of=of)
    np.testing.assert_array_equal(features.lag, [0.1, 0.2, np.nan])
    assert features.side.values.tolist() == ["l", "r", ""]
    assert features.band.values.tolist() == ["odd", "odd", "random"]


@pytest.mark.parametrize(
    ("of", "says"),
    [
        ([{"family": "random"}], "two or more"),
        ({"family": "random"}, "two or more"),
        ([{"family": "random"}] * 2, "'random' twice"),
        ([{"space": "a"}, {"family": "random"}], "'family'"),
        ([{"family": "random"}, {"family": "odd", "made": None, "layers": (1, 2)}], "odd has 2"),
    ],
)
def test_bands_that_cannot_be_joined(
    words: xr.DataArray, monkeypatch: pytest.MonkeyPatch, of: object, says: str
) -> None:
    monkeypatch.setitem(EMBEDDERS, "odd", Odd)
    with pytest.raises(OptionError, match=says):
        hgcube.embed(words, "joined", of=of)


def test_several_bands_are_not_fitted_with_one_penalty(words: xr.DataArray) -> None:
    of = [{"family": "random", "n_features": 2, "space": name} for name in "ab"]
    features = hgcube.embed(words, "joined", of=of)
    epochs = xr.DataArray(np.ones((5, 1)), dims=("word", "electrode"))
    with pytest.raises(CubeError, match=r"2 bands \['a', 'b'\]"):
        hgcube.encode(epochs, features)


@pytest.mark.shared
def test_a_real_dutch_model(words: xr.DataArray, shared_folder: Path) -> None:
    model = shared_folder / "models" / "fasttext-nl-100d.bin"
    features = hgcube.embed(words, "fasttext", model=model, space="fasttext-nl")
    assert features.sizes["feature"] == 100
    assert features.space.item() == "fasttext-nl"
    from gensim.models.fasttext import load_facebook_vectors

    oracle = load_facebook_vectors(str(model))
    for text, vector in zip(TEXTS, features.values, strict=True):
        np.testing.assert_array_equal(vector, oracle.get_vector(text))

"""The registry, the families in it, and what the features cube says."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import hgcube
from hgcube.embeddings import EMBEDDERS, Embedder, embedder
from hgcube.errors import OptionError, SourceError, UnknownLabelError
from hgcube.schema import check, text_array

TEXTS = ["boot", "huis", "fiets", "boot", "huizen"]


@pytest.fixture
def words() -> xr.DataArray:
    onsets = np.arange(len(TEXTS)) * 3.0
    return xr.DataArray(
        text_array(TEXTS),
        dims="word",
        coords={
            "word": np.arange(len(TEXTS)),
            "onset": ("word", onsets),
            "duration": ("word", np.full(len(TEXTS), 2.0)),
        },
    )


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


@pytest.fixture(params=sorted(EMBEDDERS))
def family(request: pytest.FixtureRequest, fasttext_file: Path) -> tuple[str, dict[str, object]]:
    options: dict[str, dict[str, object]] = {
        "fasttext": {"model": fasttext_file},
        "random": {"n_features": 8},
    }
    return request.param, options[request.param]


def test_every_family_meets_the_protocol_and_the_spec(
    words: xr.DataArray, family: tuple[str, dict[str, object]]
) -> None:
    name, options = family
    assert isinstance(embedder(name, **options), Embedder)
    features = check(hgcube.embed(words, name, **options), "features", stored=True)
    assert features.dtype == np.float32
    assert dict(features.sizes) == {"word": 5, "feature": 8}
    assert features.text.values.tolist() == TEXTS
    assert features.onset.values.tolist() == [0.0, 3.0, 6.0, 9.0, 12.0]
    assert features.space.item() == name
    assert features.attrs["trained_on"]


def test_every_family_gives_a_text_the_same_vector_wherever_it_stands(
    words: xr.DataArray, family: tuple[str, dict[str, object]]
) -> None:
    name, options = family
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


def test_a_plug_in_joins_by_entry_point(
    words: xr.DataArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.metadata import EntryPoint

    point = EntryPoint("noise", "hgcube.embeddings.random:Random", "hgcube.embedders")
    monkeypatch.setattr("hgcube.embeddings.protocol.entry_points", lambda group: [point])
    assert hgcube.embed(words, "noise", n_features=2).sizes["feature"] == 2


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

"""FastText's .bin files: gensim's vectors, the rule for unknown words, and what is refused."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import hgcube
from hgcube.embeddings.fasttext import FastText
from hgcube.embeddings.protocol import Item
from hgcube.errors import SourceError
from hgcube.schema import text_array

pytest.importorskip("gensim")

SENTENCES = [["de", "boot", "en", "het", "huis"], ["een", "fiets", "bij", "het", "huis"]] * 20


def written(path: Path, *, longest: int) -> Path:
    from gensim.models.fasttext import FastText as Trained
    from gensim.models.fasttext import save_facebook_model

    model = Trained(
        SENTENCES, vector_size=8, min_count=1, bucket=200, min_n=3, max_n=longest, seed=1, workers=1
    )
    save_facebook_model(model, str(path))
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("models") / "tiny.bin", longest=5)


def vectors(file: Path, *texts: str) -> tuple[np.ndarray, list[bool], list[str]]:
    made = FastText(model=file).vectors([Item(text=text) for text in texts])
    return made.values[:, 0], made.words["in_vocabulary"].tolist(), made.words["flag"].tolist()


def test_words_of_known_characters_get_gensims_vectors(file: Path) -> None:
    from gensim.models.fasttext import load_facebook_model

    oracle = load_facebook_model(str(file)).wv
    found, known, flags = vectors(file, "boot", "huizen", "中boot")
    for text, vector in zip(["boot", "huizen", "中boot"], found, strict=True):
        np.testing.assert_array_equal(vector, oracle.get_vector(text))
    assert known == [True, False, False]
    assert flags == ["", "", ""]
    assert np.abs(found[1] - found[2]).max() > 1e-4


def test_a_word_of_only_unknown_characters_is_flagged(file: Path) -> None:
    from gensim.models.fasttext import load_facebook_model

    by_chance = load_facebook_model(str(file)).wv.get_vector("中文中文")
    assert np.abs(by_chance).max() > 1e-4
    found, known, flags = vectors(file, "中文中文", "boot")
    assert np.isnan(found).all(axis=1).tolist() == [True, False]
    assert (known, flags) == ([False, True], ["unknown", ""])


def test_a_cube_says_the_rule_for_unknown_words(file: Path) -> None:
    words = xr.DataArray(text_array(["boot", "中文"]), dims="word", coords={"word": [0, 1]})
    features = hgcube.embed(words, "fasttext", model=file)
    assert features.attrs["out_of_vocabulary"].endswith("n-grams of 3 to 5 characters")
    assert features.flag.values.tolist() == ["", "unknown"]
    assert features.attrs["n_without_vector"] == 1


def test_a_model_without_sub_words_has_no_vector_for_other_words(tmp_path: Path) -> None:
    file = written(tmp_path / "whole.bin", longest=0)
    found, known, flags = vectors(file, "huizen", "huis")
    assert np.isnan(found).all(axis=1).tolist() == [True, False]
    assert (known, flags) == ([False, True], ["unknown", ""])
    assert "no sub-words" in FastText(model=file).provenance()["out_of_vocabulary"]


def with_number(file: Path, place: int, number: int) -> bytes:
    content = bytearray(file.read_bytes())
    struct.pack_into("<i", content, 4 * place, number)
    return bytes(content)


def test_a_supervised_model_is_refused(file: Path, tmp_path: Path) -> None:
    supervised = tmp_path / "labels.bin"
    supervised.write_bytes(with_number(file, 9, 3))
    with pytest.raises(SourceError, match=r"labels\.bin, a supervised classifier"):
        vectors(supervised, "boot")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (lambda file: b"", "does not start as one"),
        (lambda file: b"boot 0.1 0.2\n" * 9, "Use the embedding 'word_vectors'"),
        (lambda file: file.read_bytes()[:300], "gensim cannot read"),
    ],
)
def test_a_file_that_is_no_model_is_named(
    file: Path, tmp_path: Path, content: object, says: str
) -> None:
    broken = tmp_path / "broken.bin"
    broken.write_bytes(content(file))  # type: ignore[operator]
    with pytest.raises(SourceError, match=says) as found:
        vectors(broken, "boot")
    assert "broken.bin" in str(found.value)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no file .*absent\.bin"):
        vectors(tmp_path / "absent.bin", "boot")


@pytest.mark.shared
def test_a_real_dutch_model(shared_folder: Path) -> None:
    from gensim.models.fasttext import load_facebook_vectors

    file = shared_folder / "models" / "fasttext-nl-100d.bin"
    oracle = load_facebook_vectors(str(file))
    texts = ["boot", "huis", "fietsenstallingen", "ﷺ"]
    found, known, flags = vectors(file, *texts)
    for text, vector in zip(texts[:3], found, strict=False):
        np.testing.assert_array_equal(vector, oracle.get_vector(text))
    assert known == [True, True, False, False]
    assert flags == ["", "", "", "unknown"]

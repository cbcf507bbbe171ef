"""Word vectors from text and from gensim: the wanted words, once through, in little memory."""

from __future__ import annotations

import gzip
import logging
import pickle
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import hgcube
from hgcube.embeddings.protocol import Item
from hgcube.embeddings.vector_text import read_vectors
from hgcube.embeddings.word_vectors import WordVectors
from hgcube.errors import OptionError, SourceError
from hgcube.schema import text_array

WORDS = ["de", "boot", "één", "huis", "Huis", "fiets"]
VECTORS = np.random.default_rng(3).standard_normal((len(WORDS), 5)).astype(np.float32)


def lines(words: list[str] = WORDS, end: str = "\n") -> str:
    rows = (" ".join(map(str, vector)) for vector in VECTORS)
    return "".join(f"{word} {row}{end}" for word, row in zip(words, rows, strict=False))


def text_file(folder: Path, content: str | bytes, name: str = "some.vec") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def vectors(path: Path, *texts: str, **options: Any) -> tuple[np.ndarray, list[bool]]:
    made = WordVectors(model=path, **options).vectors([Item(text=text) for text in texts])
    known = made.words["in_vocabulary"].tolist()
    assert made.words["flag"].tolist() == ["" if each else "unknown" for each in known]
    return made.values[:, 0], known


@pytest.mark.parametrize(
    "content",
    [
        f"6 5\n{lines()}",
        lines(),
        lines(end=" \r\n"),
        f"\ufeff{lines()}",
        lines().replace(" ", "\t"),
        gzip.compress(f"6 5\n{lines()}".encode()),
    ],
    ids=["word2vec", "glove", "spaces at the end", "byte order mark", "tabs", "gzip"],
)
def test_every_way_of_writing_gives_the_same_vectors(tmp_path: Path, content: str | bytes) -> None:
    path = text_file(tmp_path, content)
    found, known = vectors(path, "huis", "één", "absent", "de", "huis")
    assert known == [True, True, False, True, True]
    np.testing.assert_array_equal(found[[0, 1, 3, 4]], VECTORS[[3, 2, 0, 3]])
    assert np.isnan(found[2]).all()


def test_it_reads_what_gensim_writes_and_reads(tmp_path: Path) -> None:
    gensim = pytest.importorskip("gensim.models")
    table = gensim.KeyedVectors(5)
    table.add_vectors(WORDS, VECTORS)
    table.save_word2vec_format(str(tmp_path / "w2v.txt"))
    table.save(str(tmp_path / "table.kv"))
    table.save(str(tmp_path / "apart.kv"), separately=["vectors"])
    oracle = gensim.KeyedVectors.load_word2vec_format(str(tmp_path / "w2v.txt"))
    for name in ("w2v.txt", "table.kv", "apart.kv"):
        found, known = vectors(tmp_path / name, *WORDS, "absent")
        np.testing.assert_array_equal(found[:-1], [oracle[word] for word in WORDS])
        assert known == [True] * len(WORDS) + [False]
    assert len(WordVectors(model=tmp_path / "apart.kv").files()) == 2


def test_a_gensim_model_gives_the_vectors_in_it(tmp_path: Path) -> None:
    gensim = pytest.importorskip("gensim.models")
    model = gensim.Word2Vec([WORDS] * 3, vector_size=4, min_count=1, seed=1, workers=1)
    model.save(str(tmp_path / "w2v.model"))
    found, _ = vectors(tmp_path / "w2v.model", "boot", "absent")
    np.testing.assert_array_equal(found[0], model.wv["boot"])


def test_case_is_kept_unless_lower_case_is_asked_for(tmp_path: Path) -> None:
    path = text_file(tmp_path, lines())
    np.testing.assert_array_equal(vectors(path, "Huis")[0][0], VECTORS[4])
    np.testing.assert_array_equal(vectors(path, "Huis", lowercase=True)[0][0], VECTORS[3])
    assert vectors(path, "BOOT")[1] == [False]
    assert vectors(path, "BOOT", lowercase=True)[1] == [True]


def test_letters_written_as_two_characters_are_found(tmp_path: Path) -> None:
    found, _ = vectors(text_file(tmp_path, lines()), "e\u0301e\u0301n")
    np.testing.assert_array_equal(found[0], VECTORS[2])


def test_words_of_several_parts_are_their_own(tmp_path: Path) -> None:
    path = text_file(tmp_path, lines(["x", "new york", "new", "a b c"]))
    found, known = vectors(path, "new", "new york", "a b", "a b c")
    assert known == [True, True, False, True]
    np.testing.assert_array_equal(found[[0, 1, 3]], VECTORS[[2, 1, 3]])


def test_the_first_of_two_equal_words_counts(tmp_path: Path) -> None:
    found, _ = vectors(text_file(tmp_path, lines(["x", "boot", "boot"])), "boot", "absent")
    np.testing.assert_array_equal(found[0], VECTORS[1])


def test_reading_ends_with_the_last_wanted_word(tmp_path: Path) -> None:
    path = text_file(tmp_path, f"{lines()}boot is cut of")
    assert vectors(path, "huis", "fiets")[1] == [True, True]


def test_a_cube_states_the_rules(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = text_file(tmp_path, lines())
    words = xr.DataArray(text_array(["boot", "", "tuin"]), dims="word", coords={"word": [0, 1, 2]})
    with caplog.at_level(logging.WARNING, logger="hgcube"):
        features = hgcube.embed(words, "word_vectors", model=path, trained_on="rhymes")
    assert features.flag.values.tolist() == ["", "empty", "unknown"]
    assert features.in_vocabulary.values.tolist() == [True, False, False]
    assert "2 of 3 words have no vector" in caplog.text
    said = features.attrs
    assert (said["model"], said["trained_on"]) == ("some.vec", "rhymes")
    assert "no vector" in said["out_of_vocabulary"]
    assert said["case"] == "looked up as written"


def test_no_words_are_no_vectors(tmp_path: Path) -> None:
    assert vectors(text_file(tmp_path, lines()))[0].shape == (0, 5)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "without a vector"),
        ("boot\nhuis\n", "without a vector"),
        ("6 5\n", "without a vector"),
        ("6 4000\nx 0.1 0.2\n", "without a vector"),
        ("a sentence of words\n", "without a vector"),
        (b"6 5\nx " + bytes(range(256)), "without a vector"),
        ((793712314).to_bytes(4, "little") * 9, "Use the embedding 'fasttext'"),
        (lines().encode("utf-16"), "without a vector"),
        (f"9 5\n{lines()}", "6 words where its first line says 9"),
        (f"{lines()}tuin 0.1 0.2\n", r"2 fields.*'tuin' \(vector 7"),
        (f"{lines()}tuin 1 2 3 4 5 6\n", "6 fields.*'tuin'"),
        (f"{lines()}tuin 1 2 3 4 nan\n", "not all finite"),
        (f"{lines()}tuin 1 2 3 4 x\n", "'tuin'"),
        (gzip.compress(lines().encode())[:-20], "end-of-stream"),
        (b"\x80\x04not a pickle", "gensim cannot read"),
        (pickle.dumps({"a": 1}), "gensim cannot read"),
    ],
)
def test_a_file_that_is_broken_is_named(tmp_path: Path, content: str | bytes, says: str) -> None:
    path = text_file(tmp_path, content)
    with pytest.raises(SourceError, match=says) as found:
        vectors(path, "tuin")
    assert "some.vec" in str(found.value)


def test_an_absent_file_and_an_unknown_encoding_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no file .*absent\.vec"):
        vectors(tmp_path / "absent.vec", "boot")
    with pytest.raises(OptionError, match="'latin-x'"):
        vectors(text_file(tmp_path, lines()), "boot", encoding="latin-x")


def test_another_encoding_is_counted_unless_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = text_file(tmp_path, lines().encode("latin-1"))
    found, known = vectors(path, "één", "huis", "中", encoding="latin-1")
    assert known == [True, True, False]
    np.testing.assert_array_equal(found[:2], VECTORS[[2, 3]])
    with caplog.at_level(logging.WARNING, logger="hgcube"):
        assert vectors(path, "één", "huis")[1] == [False, True]
    assert "1 of 6 words are not utf-8" in caplog.text


def long_file(path: Path, n_words: int, n_features: int) -> Path:
    row = " ".join(["0.1234"] * n_features)
    with path.open("w") as stream:
        stream.write(f"{n_words} {n_features}\n")
        stream.writelines(f"word{number} {row}\n" for number in range(n_words))
    return path


def test_memory_is_that_of_the_wanted_words(tmp_path: Path) -> None:
    path = long_file(tmp_path / "long.vec", 20_000, 50)
    wanted = [f"word{number}" for number in range(0, 20_000, 400)]
    tracemalloc.start()
    dimensions, found = read_vectors(path, [*wanted, "absent"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (dimensions, sorted(found)) == (50, sorted(wanted))
    assert peak < 300_000 < path.stat().st_size / 20


@pytest.mark.slow
def test_two_million_lines_take_under_200_mb(tmp_path: Path) -> None:
    path = long_file(tmp_path / "long.vec", 2_000_000, 300)
    code = (
        "import resource, time; start = time.perf_counter();"
        "from hgcube.embeddings.vector_text import read_vectors; from pathlib import Path;"
        "wanted = [f'word{number}' for number in range(0, 2_000_000, 20_000)] + ['absent'];"
        f"_, found = read_vectors(Path({str(path)!r}), wanted); assert len(found) == 100;"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter() - start)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    kibibytes, seconds = map(float, done.stdout.split())
    size = path.stat().st_size / 1e9
    print(f"\n{size:.1f} GB of 2,000,000 words: {kibibytes / 1024:.0f} MiB peak, {seconds:.1f} s")
    assert kibibytes / 1024 < 200

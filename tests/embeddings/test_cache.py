"""The same words and settings are never embedded twice, whoever asks and whatever was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import tiny_models
import xarray as xr

import hgcube
from hgcube.embeddings import EMBEDDERS, Item, OfTexts, Vectors, contents, embed_layers, embedder
from hgcube.embeddings.random import Random
from hgcube.schema import text_array


class Counting(OfTexts):
    """Vectors of length and first letter, plus the layer; notes what it is asked to make."""

    asked: ClassVar[list[tuple[tuple[str, ...], tuple[int, ...]]]] = []

    def __init__(self, *, layers: tuple[int, ...] = (0,), scale: float = 1.0, file: str = ""):
        self.layers, self.scale, self.file = tuple(layers), scale, file

    def vectors(self, items: list[Item]) -> Vectors:
        self.asked.append((tuple(item.text for item in items), self.layers))
        made = [
            [[len(item.text) * self.scale + layer, ord(item.text[0])] for layer in self.layers]
            for item in items
        ]
        return Vectors(
            values=np.array(made, dtype=np.float32).reshape(len(items), len(self.layers), 2),
            words={
                "in_vocabulary": np.array([item.text != "wolk" for item in items], dtype=bool),
                "n_tokens": np.array([len(item.text) for item in items], dtype=np.int64),
                "flag": text_array(["odd" if item.text == "wolk" else "" for item in items]),
            },
            features={"lag": np.array([0.1, 0.2]), "side": text_array(["l", "r"])},
        )

    def provenance(self) -> dict[str, str]:
        return {"scale": str(self.scale)}

    def files(self) -> tuple[Path, ...]:
        return (Path(self.file),) if self.file else ()


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    monkeypatch.setitem(EMBEDDERS, "counting", Counting)
    monkeypatch.setattr(Counting, "asked", [])
    yield Counting.asked


def words_of(*texts: str) -> xr.DataArray:
    return xr.DataArray(text_array(texts), dims="word", coords={"word": np.arange(len(texts))})


WORDS = words_of("boot", "huis", "wolk", "", "boot")


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.npz"))


def test_what_is_kept_is_what_was_made(tmp_path: Path) -> None:
    direct = embed_layers(WORDS, "counting", layers=[1, 2])
    first = embed_layers(WORDS, "counting", layers=[1, 2], cache=tmp_path)
    again = embed_layers(WORDS, "counting", layers=[1, 2], cache=tmp_path)
    assert [texts for texts, _ in Counting.asked] == [("boot", "huis", "wolk")] * 2
    assert len(files(tmp_path)) == 3
    for name, features in direct.items():
        xr.testing.assert_identical(first[name], features)
        xr.testing.assert_identical(again[name], features)
        assert again[name].dtype == np.float32
    assert direct["counting-1"].flag.values.tolist() == ["", "", "odd", "empty", ""]


def test_only_missing_words_are_made(tmp_path: Path) -> None:
    hgcube.embed(WORDS, "counting", cache=tmp_path)
    Counting.asked.clear()
    more = hgcube.embed(words_of("maan", "huis", "ster"), "counting", cache=tmp_path)
    assert Counting.asked == [(("maan", "ster"), (0,))]
    xr.testing.assert_identical(more, hgcube.embed(words_of("maan", "huis", "ster"), "counting"))


def test_layers_are_added_to_those_that_are_there(tmp_path: Path) -> None:
    for layers, makes in (([1], True), ([2, 3], True), ([1, 3], False), ([4, 1], True)):
        Counting.asked.clear()
        made = embed_layers(WORDS, "counting", layers=layers, cache=tmp_path)
        assert bool(Counting.asked) is makes
        for layer, features in zip(layers, made.values(), strict=True):
            assert features[0, 0].item() == 4 + layer
    Counting.asked.clear()
    embed_layers(WORDS, "counting", layers=[4, 3, 2, 1], cache=tmp_path)
    assert not Counting.asked
    assert len(files(tmp_path)) == 3


def test_other_options_files_and_families_are_other_vectors(tmp_path: Path) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(b"one")
    cache = tmp_path / "cache"
    tries = [{}, {"scale": 2.0}, {"file": str(model)}]
    for options in tries:
        hgcube.embed(WORDS, "counting", cache=cache, **options)
    assert len(Counting.asked) == len(tries)
    model.write_bytes(b"two")
    hgcube.embed(WORDS, "counting", cache=cache, file=str(model))
    assert len(Counting.asked) == len(tries) + 1
    moved = tmp_path / "elsewhere" / "model.bin"
    moved.parent.mkdir()
    moved.write_bytes(b"one")
    hgcube.embed(WORDS, "counting", cache=cache, file=str(moved))
    assert len(Counting.asked) == len(tries) + 1
    for n_features in (3, 4):
        assert hgcube.embed(WORDS, "random", n_features=n_features, cache=cache).shape[1] == (
            n_features
        )


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "flipped", "other"])
def test_a_broken_file_is_made_anew(tmp_path: Path, damage: str) -> None:
    right = hgcube.embed(WORDS, "counting", cache=tmp_path)
    one = files(tmp_path)[0]
    whole = one.read_bytes()
    if damage == "other":
        np.savez(one, layers=np.array([0]), values=np.ones((2, 3), np.float32))
    else:
        at = whole.index(np.float32(right[0, 0]).tobytes()) if damage == "flipped" else 0
        broken = {
            "cut": whole[: len(whole) // 2],
            "garbage": b"no archive",
            "empty": b"",
            "flipped": whole[:at] + b"\xff" + whole[at + 1 :],
        }
        one.write_bytes(broken[damage])
    Counting.asked.clear()
    xr.testing.assert_identical(hgcube.embed(WORDS, "counting", cache=tmp_path), right)
    assert [len(texts) for texts, _ in Counting.asked] == [1]
    hgcube.embed(WORDS, "counting", cache=tmp_path)
    assert len(Counting.asked) == 1


def test_files_of_another_maker_are_not_mixed_in(tmp_path: Path) -> None:
    hgcube.embed(words_of("boot"), "counting", cache=tmp_path)
    np.savez(files(tmp_path)[0], layers=np.array([0]), values=np.ones((1, 3), np.float32))
    made = hgcube.embed(words_of("boot", "huis"), "counting", cache=tmp_path)
    xr.testing.assert_identical(made, hgcube.embed(words_of("boot", "huis"), "counting"))


def test_a_full_disk_costs_only_the_keeping(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    made = hgcube.embed(WORDS, "counting", cache=tmp_path / "file")
    xr.testing.assert_identical(made, hgcube.embed(WORDS, "counting"))
    assert "vectors are not kept" in caplog.text


def test_bands_share_what_their_parts_keep(tmp_path: Path) -> None:
    of = [{"family": "counting", "layers": [1]}, {"family": "random", "n_features": 2}]
    embed_layers(WORDS, "counting", layers=[1, 2], cache=tmp_path)
    Counting.asked.clear()
    hgcube.embed(WORDS, "joined", of=of, cache=tmp_path)
    assert not Counting.asked


def test_a_model_is_not_loaded_when_nothing_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_models.gpt2(tmp_path / "tiny")
    made = embed_layers(WORDS, "gpt2", model=model, layers="all", cache=tmp_path / "c")

    def refuse(*_: object) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr("hgcube.embeddings.loading.network", refuse)
    again = embed_layers(WORDS, "gpt2", model=model, layers="all", cache=tmp_path / "c")
    for name, features in made.items():
        xr.testing.assert_identical(again[name], features)
    with pytest.raises(AssertionError, match="loaded"):
        embed_layers(words_of("maan"), "gpt2", model=model, layers="all", cache=tmp_path / "c")


def test_a_file_is_hashed_once_per_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, opened = tmp_path / "model.bin", []
    model.write_bytes(b"x" * 1000)
    whole = Path.open

    def noted(path: Path, *how: str, **more: object) -> object:
        opened.append(path.name)
        return whole(path, *how, **more)

    monkeypatch.setattr(Path, "open", noted)
    hashes = {contents.content_hash(model) for _ in range(5)}
    assert (len(hashes), opened.count("model.bin")) == (1, 1)
    os.utime(model, ns=(1, 1))
    contents.content_hash(model)
    assert opened.count("model.bin") == 2


BY_ITSELF = """
import sys, time
import numpy as np, xarray as xr, hgcube
from hgcube.embeddings.random import Random
made = Random.vectors
def slow(self, items):
    for item in items:
        print(item.text, flush=True)
        time.sleep(float(sys.argv[2]))
    return made(self, items)
Random.vectors = slow
for start in range(0, 40, 4):
    texts = [f"w{i}" for i in range(start, start + 4)]
    words = xr.DataArray(texts, dims="word", coords={"word": range(4)})
    hgcube.embed(words, "random", n_features=5000, cache=sys.argv[1])
"""


def started(folder: Path, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BY_ITSELF, str(folder), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_share_a_folder_and_a_kill_leaves_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = started(tmp_path, 0.01)
    while len(files(tmp_path)) < 8:
        assert killed.poll() is None
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    first = killed.communicate()[0].split()
    done = len(files(tmp_path))
    assert 8 <= done < 40
    (shelf,) = tmp_path.iterdir()
    (shelf / f".partial-{files(tmp_path)[0].stem}-1-x").write_bytes(b"PK half")
    several = [started(tmp_path, 0.0) for _ in range(2)]
    later = [process.communicate()[0].split() for process in several]
    assert [process.returncode for process in several] == [0, 0]
    assert len(files(tmp_path)) == 40
    kept = {f"w{i}" for i in range(done - done % 4)}
    assert kept <= set(first)
    for made in later:
        assert not kept & set(made)
    monkeypatch.setattr(Random, "vectors", lambda *_: pytest.fail("embedded twice"))
    texts = [f"w{i}" for i in range(40)]
    features = hgcube.embed(words_of(*texts), "random", n_features=5000, cache=tmp_path)
    monkeypatch.undo()
    xr.testing.assert_identical(features, hgcube.embed(words_of(*texts), "random", n_features=5000))


def test_items_of_one_content_are_one(rng: np.random.Generator) -> None:
    sound = rng.standard_normal(8).astype(np.float32)
    changed = sound.copy()
    changed[3] += 1e-6
    base = {"text": "boot", "sound": sound, "numbers": (1.0,)}
    others = [
        {**base, "sound": changed},
        {**base, "sound": None},
        {**base, "numbers": (2.0,)},
        {**base, "before": "de"},
        {**base, "after": "de"},
        {**base, "text": "boo"},
    ]
    digests = {Item(**each).digest for each in [base, {**base, "sound": sound.copy()}, *others]}
    assert len(digests) == 1 + len(others)
    assert embedder("random").layers == (0,)

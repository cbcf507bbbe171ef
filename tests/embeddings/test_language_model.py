"""Hidden states of language models: the library's own, whatever the batch, context and tokens."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
import xarray as xr

import hgcube
from hgcube.embeddings import loading, models
from hgcube.embeddings.contexts import around
from hgcube.embeddings.language_model import LanguageModel
from hgcube.embeddings.protocol import Embedder, Item
from hgcube.embeddings.tokens import tokens_of
from hgcube.errors import CubeError, HgcubeError, OptionError, SourceError, UnknownLabelError
from hgcube.schema import text_array

pytest.importorskip("torch")

TEXTS = ["boot", "huis", "de", "koekjesthee", "fiets", "tuinpaarden", "water", "boot"]
LAYERS = list(range(tiny_models.N_LAYERS + 1))


def words_of(texts: list[str], **coords: Any) -> xr.DataArray:
    labels = {"word": np.arange(len(texts)), **{name: ("word", c) for name, c in coords.items()}}
    return xr.DataArray(text_array(texts), dims="word", coords=labels)


def vectors(model: Path, words: xr.DataArray, **options: Any) -> np.ndarray:
    """Return (word, layer, feature) of all layers."""
    family = LanguageModel(model=model, **{"layers": "all", **options})
    return family.vectors(family.items(words, None)).values


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {name: write(root / name) for name, write in tiny_models.FAMILIES.items()}


@pytest.fixture(params=sorted(tiny_models.FAMILIES))
def folder(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    return folders[request.param]


def own_forward_pass(folder: Path, text: str) -> tuple[list[str], np.ndarray]:
    """Return the library's tokens and hidden states (layer, token, feature) of one text."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    network = AutoModel.from_pretrained(folder, local_files_only=True).eval()
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        states = network(ids, output_hidden_states=True).hidden_states
    return tokenizer.convert_ids_to_tokens(ids[0]), torch.stack(states)[:, 0].numpy()


def is_of_a_word(token: str) -> bool:
    return token not in ("[CLS]", "[SEP]", "Ġ", "▁")


def test_it_meets_the_protocol(folder: Path) -> None:
    assert isinstance(LanguageModel(model=folder), Embedder)


@pytest.mark.parametrize("batch_size", [1, 32])
def test_states_are_those_of_the_library_for_the_single_word(folder: Path, batch_size: int) -> None:
    found = vectors(folder, words_of(TEXTS), batch_size=batch_size)
    space = " " if folder.name == "gpt2" else ""
    for text, vector in zip(TEXTS, found, strict=True):
        tokens, states = own_forward_pass(folder, space + text)
        kept = [place for place, token in enumerate(tokens) if is_of_a_word(token)]
        np.testing.assert_allclose(vector, states[:, kept].mean(axis=1), atol=1e-6, rtol=0)
    assert np.abs(found[0] - found[1]).max() > 1e-2


@pytest.mark.parametrize("context", ["isolated", "transcript", "sentence"])
def test_padding_never_leaks(folder: Path, context: str) -> None:
    words = words_of(TEXTS, sentence=[0, 0, 0, 1, 1, 1, 1, 2])
    alone, together = (
        vectors(folder, words, context=context, window=3, batch_size=size) for size in (1, 32)
    )
    np.testing.assert_allclose(together, alone, atol=1e-6, rtol=0)
    tokenizer = loading.tokenizer(models.found(folder))
    family = LanguageModel(model=folder, context=context, window=3)
    read = tokens_of(tokenizer, family.items(words, None), leading_space=False, limit=99)
    assert len({len(tokens.ids) for tokens in read}) > 2


@pytest.mark.parametrize("context", ["isolated", "transcript"])
def test_a_vector_does_not_depend_on_the_others_to_the_last_bit(folder: Path, context: str) -> None:
    """What was embedded before is kept, so that the others are not always the same."""
    family = LanguageModel(model=folder, layers="all", context=context, window=20)
    items = family.items(words_of(TEXTS * 3), None)
    every = family.vectors(items).values
    for some in ([0], [5, 1], [2, 3, 4, 6, 7, 11, 19]):
        found = family.vectors([items[place] for place in some]).values
        np.testing.assert_array_equal(found, every[some])
    assert len({item.before for item in items}) == (1 if context == "isolated" else 24)


def test_equal_words_are_equal_in_any_order(folder: Path) -> None:
    found = vectors(folder, words_of(TEXTS), batch_size=3)
    order = [5, 2, 7, 0, 3, 1, 6, 4]
    shuffled = vectors(folder, words_of([TEXTS[place] for place in order]), batch_size=3)
    np.testing.assert_array_equal(shuffled, found[order])
    np.testing.assert_array_equal(found[0], found[7])


@pytest.mark.parametrize("layers", [[0], [2, 1], "penultimate", 3])
def test_layers_are_the_ones_asked_for(folder: Path, layers: Any) -> None:
    family = LanguageModel(model=folder, layers=layers)
    every = vectors(folder, words_of(TEXTS))
    found = vectors(folder, words_of(TEXTS), layers=layers)
    np.testing.assert_array_equal(found, every[:, list(family.layers)])
    assert family.layers == {"penultimate": (2,), "3": (3,)}.get(
        str(layers), tuple(np.ravel(layers))
    )


def test_a_cube_names_layer_and_model(folders: dict[str, Path]) -> None:
    features = hgcube.embed(words_of(TEXTS), "gpt2", model=folders["gpt2"], layer=1)
    assert features.layer.item() == 1
    assert features.dtype == np.float32
    assert features.n_tokens.values.tolist()[2] == 1
    assert features.n_tokens.values.max() > 3
    said = features.attrs
    assert said["model"] == "gpt2"
    assert said["architecture"] == "GPT2LMHeadModel"
    assert said["leading_space"] == "a space before the text"
    assert said["layers_total"] == "3"
    assert said["context"] == "the isolated word"


def test_pooling_takes_the_words_tokens(folder: Path) -> None:
    space = " " if folder.name == "gpt2" else ""
    tokens, states = own_forward_pass(folder, space + "koekjesthee")
    kept = [place for place, token in enumerate(tokens) if is_of_a_word(token)]
    assert len(kept) > 2
    for pooling, place in (("first", kept[0]), ("last", kept[-1])):
        found = vectors(folder, words_of(["koekjesthee"]), pooling=pooling)
        np.testing.assert_allclose(found[0], states[:, place], atol=1e-6, rtol=0)


def test_a_words_tokens_are_the_same_alone_and_in_running_text(folder: Path) -> None:
    family = LanguageModel(model=folder, context="transcript")
    tokenizer = loading.tokenizer(models.found(folder))
    alone, running = (
        tokens_of(tokenizer, items, leading_space=folder.name == "gpt2", limit=99)
        for items in ([Item(text=text) for text in TEXTS], family.items(words_of(TEXTS), None))
    )
    for one, other in zip(alone[1:], running[1:], strict=True):
        assert [one.ids[p] for p in one.places] == [other.ids[p] for p in other.places]
        assert len(other.ids) > len(one.ids)
    assert family.provenance()["leading_space"] == (
        "a space before the text" if folder.name == "gpt2" else "none"
    )


def test_every_token_of_a_text_belongs_to_one_word(folder: Path) -> None:
    words = words_of(TEXTS, sentence=[0] * len(TEXTS))
    tokenizer = loading.tokenizer(models.found(folder))
    text = " ".join(TEXTS)
    bounds = [len(" ".join(TEXTS[:place])) + (place > 0) for place in range(len(TEXTS))]
    items = [
        Item(text=word, before=text[: max(start - 1, 0)], after=text[start + len(word) + 1 :])
        for word, start in zip(TEXTS, bounds, strict=True)
    ]
    assert words.sizes["word"] == len(items)
    read = tokens_of(tokenizer, items, leading_space=False, limit=99)
    assert len({tokens.ids for tokens in read}) == 1
    of_words = [place for tokens in read for place in tokens.places]
    pieces = tokenizer.convert_ids_to_tokens(read[0].ids)
    assert of_words == [place for place, piece in enumerate(pieces) if is_of_a_word(piece)]
    for word, tokens in zip(TEXTS, read, strict=True):
        joined = "".join(pieces[place].strip("Ġ▁").removeprefix("##") for place in tokens.places)
        assert joined == word


def test_only_masked_models_read_ahead(folder: Path) -> None:
    sentence = [0] * len(TEXTS)
    changed = [*TEXTS[:-1], "paard"]
    before, after = (
        vectors(folder, words_of(texts, sentence=sentence), context="sentence")
        for texts in (TEXTS, changed)
    )
    moved = np.abs(after - before).max(axis=(1, 2))
    masked = folder.name in ("bert", "roberta")
    assert (moved[:-1] > 1e-4).tolist() == [masked] * 7
    assert moved[-1] > 1e-3


def test_a_word_depends_on_the_window_before_it_and_no_more(folder: Path) -> None:
    base = vectors(folder, words_of(TEXTS), context="transcript", window=2)
    changed = vectors(folder, words_of(["paard", *TEXTS[1:]]), context="transcript", window=2)
    moved = np.abs(changed - base).max(axis=(1, 2))
    assert (moved > 1e-5).tolist() == [True, True, True, False, False, False, False, False]
    assert not moved[3:].any()


def context_of(words: xr.DataArray, model: Path, **options: Any) -> list[tuple[str, str]]:
    items = LanguageModel(model=model, **options).items(words, None)
    return [(item.before, item.after) for item in items]


def test_contexts_follow_the_reading_within_one_recording(folders: dict[str, Path]) -> None:
    words = words_of(
        ["d", "b", "", "a", "e"], onset=[4.0, 2.0, 3.0, 1.0, 5.0], run=["1", "1", "1", "1", "2"]
    )
    found = context_of(words, folders["bert"], context="transcript", window=3)
    assert found == [("a b", ""), ("a", ""), ("a b", ""), ("", ""), ("", "")]


def test_a_sentence_ends_where_its_label_changes(folders: dict[str, Path]) -> None:
    words = words_of(list("abcde"), sentence=["x", "x", "y", "x", "x"])
    found = context_of(words, folders["bert"], context="sentence")
    assert found == [("", "b"), ("a", ""), ("", ""), ("", "e"), ("d", "")]
    found = context_of(words, folders["llama"], context="sentence")
    assert found == [("", ""), ("a", ""), ("", ""), ("", ""), ("d", "")]


def test_a_long_context_loses_its_start(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    many = [*TEXTS[:6] * 4, "water"]
    family = LanguageModel(model=folder, layers="all", context="transcript", window=24)
    item = family.items(words_of(many), None)[-1]
    with caplog.at_level(logging.WARNING, logger="hgcube"):
        found = family.vectors([item]).values
    positions = 37 if folder.name == "roberta" else tiny_models.N_POSITIONS
    assert (
        f"the context of 1 of 1 words was cut to the model's {positions} positions" in caplog.text
    )
    tokenizer, network = (
        read(models.found(folder)) for read in (loading.tokenizer, loading.network)
    )
    import torch

    ids = tokenizer((" " if folder.name == "gpt2" else "") + " ".join(many))["input_ids"]
    first = [ids[0]] if folder.name in ("bert", "roberta") else []
    ids = first + ids[len(ids) - positions + len(first) :]
    with torch.no_grad():
        states = network(torch.tensor([ids]), output_hidden_states=True).hidden_states
    end = len(ids) - len(first)
    (own,) = tokens_of(tokenizer, [item], leading_space=False, limit=999)
    kept = slice(end - len(own.places), end)
    oracle = torch.stack(states)[:, 0, kept].mean(axis=1)
    np.testing.assert_allclose(found[0], oracle, atol=1e-6, rtol=0)


def test_words_without_a_vector_are_flagged_and_the_rest_survive(
    folders: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    words = words_of(["boot", "", "中", "tuin中", "t" * 60])
    with caplog.at_level(logging.WARNING, logger="hgcube"):
        features = hgcube.embed(words, "language_model", model=folders["bert"])
    assert features.flag.values.tolist() == ["", "empty", "unknown", "", "too long"]
    assert np.isnan(features.values).all(axis=1).tolist() == [False, True, True, False, True]
    assert features.in_vocabulary.values.tolist() == [True, False, False, False, False]
    assert "3 of 5 words have no vector" in caplog.text
    alone = hgcube.embed(words_of(["boot"]), "language_model", model=folders["bert"])
    np.testing.assert_allclose(features[0], alone[0], atol=1e-6, rtol=0)


def test_no_words_are_no_vectors(folders: dict[str, Path]) -> None:
    assert vectors(folders["gpt2"], words_of([])).shape == (0, 4, 16)


def test_untrained_weights_are_those_of_their_seed(folder: Path) -> None:
    import torch

    state = torch.get_rng_state()
    trained, one, other = (
        vectors(folder, words_of(TEXTS), untrained=seed) for seed in (None, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), state)
    loading._network.cache_clear()
    np.testing.assert_array_equal(vectors(folder, words_of(TEXTS), untrained=1), one)
    assert np.abs(one - other).max() > 1e-2
    assert np.abs(one - trained).max() > 1e-2


def test_an_untrained_space_says_so(folders: dict[str, Path]) -> None:
    options = {"model": folders["gpt2"], "untrained": 3, "of": "gpt2-2", "trained_on": "the web"}
    features = hgcube.embed(words_of(TEXTS), "gpt2", **options)
    assert features.control_of.item() == "gpt2-2"
    assert features.attrs["trained_on"] == "nothing (untrained)"
    assert features.attrs["weights"] == "random, seed 3"


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"layers": [4]}, OptionError, "0 to 3"),
        ({"layers": "last"}, OptionError, "penultimate"),
        ({"layers": []}, OptionError, "0 to 3"),
        ({"pooling": "max"}, UnknownLabelError, "'mean'"),
        ({"context": "sentense"}, UnknownLabelError, "'sentence'"),
        ({"context": "sentence"}, CubeError, "8 of 8 words without it"),
        ({"window": 0}, OptionError, "window"),
        ({"of": "gpt2"}, OptionError, "untrained"),
    ],
)
def test_wrong_options_are_named(
    folders: dict[str, Path], options: dict[str, Any], error: type[HgcubeError], says: str
) -> None:
    with pytest.raises(error, match=says):
        hgcube.embed(words_of(TEXTS), "language_model", model=folders["gpt2"], **options)


def test_an_encoder_with_a_decoder_is_refused(tmp_path: Path) -> None:
    from transformers import T5Config

    T5Config(d_model=8, num_layers=1).save_pretrained(tmp_path)
    with pytest.raises(OptionError, match="encoder with a decoder"):
        hgcube.embed(words_of(TEXTS), "language_model", model=tmp_path)


def test_a_tokenizer_of_another_model_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    for path in folders["llama"].iterdir():
        source = folders["gpt2"] if path.name.startswith("tokenizer") else folders["llama"]
        (tmp_path / path.name).write_bytes((source / path.name).read_bytes())
    with pytest.raises(SourceError, match="tokenizer that fits"):
        vectors(tmp_path, words_of(TEXTS))


def test_a_slow_tokenizer_is_refused(folders: dict[str, Path]) -> None:
    class Slow:
        is_fast = False

    with pytest.raises(OptionError, match="fast tokenizer"):
        tokens_of(Slow(), [Item(text="boot")], leading_space=False, limit=9)


@pytest.mark.shared
def test_a_real_dutch_gpt2(shared_folder: Path) -> None:
    folder = shared_folder / "models" / "gpt2-nl-tiny"
    texts = ["boot", "huis", "fietsenstalling", "café", "zeeën"]
    found = vectors(folder, words_of(texts))
    assert found.shape == (5, 5, 192)
    for text, vector in zip(texts, found, strict=True):
        tokens, states = own_forward_pass(folder, " " + text)
        kept = [place for place, token in enumerate(tokens) if is_of_a_word(token)]
        oracle = states[:, kept].mean(axis=1)
        np.testing.assert_allclose(vector, oracle, atol=1e-6 * np.abs(oracle).max(), rtol=0)


@pytest.mark.shared
@pytest.mark.parametrize("context", ["isolated", "transcript"])
def test_tokens_of_a_real_transcript_go_to_their_words(shared_folder: Path, context: str) -> None:
    """The vocabulary is the transcript's; longest match splits 9 of its words unlike GPT-2-XL."""
    import pandas as pd
    from tokenizers import Tokenizer, pre_tokenizers
    from tokenizers.models import WordPiece
    from transformers import PreTrainedTokenizerFast

    path = shared_folder / "data/openneuro-ds005574/stimuli/gpt2-xl/transcript.tsv"
    table = pd.read_csv(path, sep="\t", keep_default_na=False)
    by_word = table.groupby("word_idx", sort=False)
    texts, own = by_word.word.first().tolist(), by_word.hftoken.apply(list).tolist()
    pieces = dict.fromkeys([*table.hftoken, *pre_tokenizers.ByteLevel.alphabet(), "<unk>"])
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    raw = Tokenizer(WordPiece(vocabulary, unk_token="<unk>", continuing_subword_prefix=""))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>")

    read = around(words_of(texts), context, window=12, ahead=False)
    items = [Item(text=text, before=before) for text, (before, _) in zip(texts, read, strict=True)]
    found = [
        tokenizer.convert_ids_to_tokens([tokens.ids[place] for place in tokens.places])
        for tokens in tokens_of(tokenizer, items, leading_space=True, limit=1024)
    ]
    assert (len(found), sum(map(len, own))) == (5136, 5491)
    assert ["".join(some) for some in found] == ["".join(some) for some in own]
    assert sum(some != others for some, others in zip(found, own, strict=True)) <= 9

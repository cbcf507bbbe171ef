"""Models on this machine: found without network or torch, loaded once, broken ones named."""

from __future__ import annotations

import json
import logging
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import numpy as np
import pytest
import tiny_models

from hgcube.embeddings import loading, models
from hgcube.errors import MissingExtraError, OptionError, SourceError

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.gpt2(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    """Return a copy that a test may break."""
    return Path(shutil.copytree(written, tmp_path / "tiny"))


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)


@pytest.fixture
def cache(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a cache of the hub that holds one model."""
    of_model = tmp_path / "hub" / "models--maker--tiny"
    shutil.copytree(written, of_model / "snapshots" / "0123abc")
    (of_model / "refs").mkdir()
    (of_model / "refs" / "main").write_text("0123abc")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return of_model


def change(folder: Path, **settings: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))


def test_a_folder_says_what_it_is(written: Path) -> None:
    model = models.found(str(written))
    assert (model.name, model.n_layers, model.n_features) == ("tiny", 3, 16)
    assert model.architecture == "GPT2LMHeadModel"
    assert {path.name for path in model.files} >= {"config.json", "model.safetensors"}
    assert model.provenance()["torch_version"] == torch.__version__
    assert "weights" not in model.provenance()
    assert model.provenance(4)["weights"] == "random, seed 4"


@pytest.mark.parametrize("config", ["GPT2Config", "BertConfig", "LlamaConfig", "DistilBertConfig"])
def test_layers_and_features_are_those_that_transformers_reads(config: str, tmp_path: Path) -> None:
    import transformers

    made = getattr(transformers, config)()
    made.save_pretrained(tmp_path)
    model = models.found(tmp_path)
    assert (model.n_layers, model.n_features) == (made.num_hidden_layers, made.hidden_size)


def test_a_folder_is_described_without_torch(written: Path) -> None:
    code = (
        "import sys; from hgcube.embeddings import models;"
        f"model = models.found({str(written)!r}); model.n_layers, model.provenance(), model.files;"
        "print([name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_digest_of_a_folder_is_that_of_its_contents(folder: Path, written: Path) -> None:
    before = models.found(folder).revision
    assert before == models.found(written).revision
    change(folder, layer_norm_epsilon=1e-3)
    assert models.found(folder).revision != before


def test_a_model_of_the_hubs_cache_is_found_offline(cache: Path, offline: None) -> None:
    model = models.found("maker/tiny")
    assert (model.name, model.revision) == ("maker/tiny", "0123abc")
    assert loading.network(model).config.n_layer == 3
    assert len(loading.tokenizer(model)) == 300


def test_an_absent_model_is_one_sentence_with_the_command(cache: Path, offline: None) -> None:
    with pytest.raises(MissingExtraError, match="Run: hf download maker/other"):
        models.found("maker/other")


def test_a_model_of_which_only_the_config_is_cached_is_named(cache: Path, offline: None) -> None:
    (cache / "snapshots" / "0123abc" / "model.safetensors").unlink()
    with pytest.raises(SourceError, match=r"weights .* model folder maker/tiny"):
        loading.network(models.found("maker/tiny"))


@pytest.mark.parametrize("name", ["./absent", "/absent/folder", "a/b/c", "two words", ""])
def test_what_is_no_name_is_meant_as_a_folder(name: str) -> None:
    with pytest.raises(SourceError, match=r"a folder with config\.json"):
        models.found(name)


def test_a_folder_of_something_else_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no config\.json"):
        models.found(tmp_path)


def test_missing_packages_are_one_sentence_with_the_command(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    loading._network.cache_clear()
    with pytest.raises(MissingExtraError, match=r"torch .* pip install 'hgcube\[embed\]'"):
        loading.network(models.found(written))
    with pytest.raises(MissingExtraError, match="pip install"):
        models.versions("a-package-that-is-nowhere")


OWN_CODE = {"AutoConfig": "own.Config", "AutoModel": "own.Model"}


def cut(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:3000])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda folder: (folder / "config.json").write_text("{"), "config.json that can be read"),
        (lambda folder: (folder / "config.json").write_text("[]"), "config.json with model_type"),
        (lambda folder: change(folder, model_type="nothing"), "nothing"),
        (lambda folder: change(folder, model_type="own", auto_map=OWN_CODE), "execute"),
        (lambda folder: (folder / "model.safetensors").unlink(), "no file named model.safetensors"),
        (cut, "weights that fit"),
        (lambda folder: change(folder, n_embd=32), "weights that fit"),
        (lambda folder: change(folder, n_layer=5), r"weights with no h\.3"),
        (lambda folder: change(folder, n_layer=2), "more than 2 layers"),
        (lambda folder: change(folder, model_type="bert"), "weights with no emb"),
    ],
)
def test_a_corrupt_folder_is_one_error(
    folder: Path, wrong: Callable[[Path], None], says: str
) -> None:
    wrong(folder)
    with pytest.raises(SourceError, match=says) as found:
        model = models.found(folder)
        loading.network(model) if model.config else None
    assert "model folder tiny" in str(found.value)
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("names", [["tokenizer.json"], ["tokenizer.json", "tokenizer_config.json"]])
def test_a_missing_tokenizer_is_named(folder: Path, names: list[str]) -> None:
    for name in names:
        (folder / name).unlink()
    with pytest.raises(SourceError, match="a tokenizer in the model folder tiny"):
        loading.tokenizer(models.found(folder))


def test_a_missing_feature_extractor_is_named(written: Path) -> None:
    with pytest.raises(SourceError, match="a feature extractor"):
        loading.feature_extractor(models.found(written))


def test_a_network_is_loaded_once_and_again_when_its_folder_changes(folder: Path) -> None:
    model = models.found(folder)
    network = loading.network(model)
    assert loading.network(models.found(folder)) is network
    assert {each.dtype for each in network.parameters()} == {torch.float32}
    assert not network.training
    change(folder, layer_norm_epsilon=1e-2)
    assert loading.network(models.found(folder)).config.layer_norm_epsilon == 1e-2


def test_half_precision_weights_become_float32(folder: Path) -> None:
    from transformers import AutoModel

    AutoModel.from_pretrained(folder, dtype=torch.bfloat16).save_pretrained(folder)
    assert {each.dtype for each in loading.network(models.found(folder)).parameters()} == {
        torch.float32
    }


def test_loading_says_nothing_and_keeps_the_library_as_it_was(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers.utils import logging as settings

    before = settings.get_verbosity(), settings.is_progress_bar_enabled()
    settings.set_verbosity(logging.INFO)
    loading.network(models.found(folder))
    assert settings.get_verbosity() == logging.INFO
    settings.set_verbosity(before[0])
    assert settings.is_progress_bar_enabled() == before[1]
    assert capfd.readouterr().err == ""


def test_untrained_copies_leave_the_random_state_alone(written: Path) -> None:
    model = models.found(written)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one = loading.network(model, 1)
    assert torch.equal(torch.rand(3), expected)
    loading._network.cache_clear()
    again, other = loading.network(model, 1), loading.network(model, 2)
    weights = [network.h[0].attn.c_attn.weight for network in (one, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_layers_are_numbers_within_the_model(written: Path) -> None:
    model = models.found(written)
    asked: list[Any] = ["penultimate", "all", 3, [2, 0, 2], np.array([1])]
    found = [models.layers_of(model, layers) for layers in asked]
    assert found == [(2,), (0, 1, 2, 3), (3,), (2, 0), (1,)]
    for wrong in ("last", -1, [4], []):
        with pytest.raises(OptionError, match="0 to 3 for tiny"):
            models.layers_of(model, wrong)


def test_torch_takes_the_threads_that_blas_has() -> None:
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with threadpool_limits(1), loading.computing():
        assert torch.get_num_threads() == 1
        assert torch.is_inference_mode_enabled()
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)


def test_threads_come_back_when_several_tasks_overlap() -> None:
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    both_in, first_out = Barrier(2), Barrier(2)

    def first() -> None:
        with loading.computing():
            both_in.wait(10)
        first_out.wait(10)

    with threadpool_limits(1):
        thread = Thread(target=first)
        thread.start()
        with loading.computing():
            both_in.wait(10)
            first_out.wait(10)
        thread.join()
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)

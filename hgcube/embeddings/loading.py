"""Networks and tokenizers of Hugging Face models, loaded once per process from local files."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import RLock
from typing import Any

from hgcube.embeddings.models import Pretrained, corrupt, package

# Weights that no hidden state of a whole input depends on; published checkpoints often lack them.
_NOT_NEEDED = ("pooler", "masked_spec_embed")
_LAYER = re.compile(r"\.(?:h|layers?|block)\.(\d+)\.")

# No network, and no code out of a model's folder (transformers would ask at the terminal).
_LOCAL = {"local_files_only": True, "trust_remote_code": False}

_LOCK = RLock()
# One a `computing` block that is open; the last to leave takes what the first has put.
_THREADS_BEFORE: list[int] = []


def network(model: Pretrained, untrained: int | None = None) -> Any:
    """Return the network: float32, in evaluation mode, on the GPU if there is one.

    Loaded once per process; the last two are kept.

    Parameters
    ----------
    model : Pretrained
    untrained : int, optional
        Seed of random weights in the same architecture, instead of the trained ones.

    Returns
    -------
    transformers.PreTrainedModel

    Raises
    ------
    SourceError
        If the files are broken, or the weights do not fit the architecture.
    MissingExtraError
        Without torch or transformers.
    """
    with _LOCK:
        return _network(model, model.state, untrained)


def tokenizer(model: Pretrained) -> Any:
    """Return the tokenizer, loaded once per process.

    Parameters
    ----------
    model : Pretrained

    Returns
    -------
    transformers.PreTrainedTokenizerBase

    Raises
    ------
    SourceError
        If there is none, or it is broken.
    """
    with _LOCK:
        return _tokenizer(model, model.state)


def feature_extractor(model: Pretrained) -> Any:
    """Return what makes sound into the network's input, loaded once per process.

    Parameters
    ----------
    model : Pretrained

    Returns
    -------
    transformers.FeatureExtractionMixin

    Raises
    ------
    SourceError
        If there is none, or it is broken.
    """
    with _LOCK:
        return _feature_extractor(model, model.state)


def is_bidirectional(model: Pretrained) -> bool:
    """Return whether a language model's states depend on what comes after.

    Parameters
    ----------
    model : Pretrained

    Returns
    -------
    bool
    """
    if model.config.get("is_decoder") or re.search("CausalLM|LMHead", model.architecture):
        return False
    masked = package("transformers.models.auto.modeling_auto").MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return "MaskedLM" in model.architecture or model.config["model_type"] in masked


def n_positions(network: Any) -> int:
    """Return how many tokens a language model can read at once.

    Parameters
    ----------
    network : transformers.PreTrainedModel

    Returns
    -------
    int
    """
    limit = (
        getattr(network.config.get_text_config(), "max_position_embeddings", None) or sys.maxsize
    )
    tables = [
        part for name, part in network.named_modules() if name.endswith("position_embeddings")
    ]
    # RoBERTa's table has rows that are no positions: those up to the padding token's.
    rows = [
        table.num_embeddings - table.padding_idx - 1
        for table in tables
        if getattr(table, "padding_idx", None) is not None
    ]
    return int(min([limit, *rows]))


def padding(network: Any) -> int:
    """Return the token that fills rows: the network's own, from which some count positions.

    Parameters
    ----------
    network : transformers.PreTrainedModel

    Returns
    -------
    int
        0 if it has none.
    """
    return max(0, getattr(network.config.get_text_config(), "pad_token_id", None) or 0)


def check_fit(model: Pretrained, network: Any, tokens: Iterable[int]) -> None:
    """Refuse tokens that the network does not know: the tokenizer is another model's.

    Parameters
    ----------
    model : Pretrained
    network : transformers.PreTrainedModel
    tokens : iterable of int

    Raises
    ------
    SourceError
    """
    n_known = network.get_input_embeddings().num_embeddings
    largest = max(tokens, default=0)
    if largest >= n_known:
        got = f"token {largest} where the network knows {n_known}"
        raise corrupt(model, "a tokenizer that fits the network", got)


def device() -> str:
    """Return where networks of this process compute.

    Returns
    -------
    str
        ``"cuda"`` or ``"cpu"``.
    """
    return "cuda" if package("torch").cuda.is_available() else "cpu"


@contextmanager
def computing() -> Iterator[None]:
    """Run networks without gradients, in exact float32, on the threads that BLAS may use here.

    A worker's BLAS has one thread (`cluster.connect`), but torch, loaded later, would take all
    cores. The process has its own number back at the end.
    """
    torch = package("torch")
    _limit_threads(torch)
    try:
        with torch.inference_mode(), _exact(torch):
            yield
    finally:
        with _LOCK:
            torch.set_num_threads(_THREADS_BEFORE.pop())


def _limit_threads(torch: Any) -> None:
    from threadpoolctl import threadpool_info

    with _LOCK:
        granted = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
        _THREADS_BEFORE.append(torch.get_num_threads())
        torch.set_num_threads(min([_THREADS_BEFORE[-1], *granted]))


def _exact(torch: Any) -> Any:
    return torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)


@lru_cache(maxsize=2)
def _network(model: Pretrained, _state: object, untrained: int | None) -> Any:
    with _own_randomness(untrained):
        made = _trained(model) if untrained is None else _untrained(model)
    # States of past tokens would be kept with no one to use them.
    made.config.use_cache = False
    return made.to(device()).eval().requires_grad_(False)


def _trained(model: Pretrained) -> Any:
    torch, auto = package("torch"), package("transformers").AutoModel
    made, about = _read(
        model,
        "weights that fit the architecture",
        lambda: auto.from_pretrained(
            model.folder, dtype=torch.float32, output_loading_info=True, **_LOCAL
        ),
    )
    missing = [key for key in about["missing_keys"] if not any(part in key for part in _NOT_NEEDED)]
    layers = [_LAYER.search(f".{key}") for key in about["unexpected_keys"]]
    if missing or any(layer and int(layer[1]) >= model.n_layers for layer in layers):
        got = f"no {min(missing)}" if missing else f"more than {model.n_layers} layers"
        raise corrupt(model, "weights that fit the architecture", f"weights with {got}")
    return made


def _untrained(model: Pretrained) -> Any:
    torch, transformers = package("torch"), package("transformers")
    config = _read(
        model,
        "a config.json of a known architecture",
        lambda: transformers.AutoConfig.from_pretrained(model.folder, **_LOCAL),
    )
    return transformers.AutoModel.from_config(config, dtype=torch.float32)


@contextmanager
def _own_randomness(seed: int | None) -> Iterator[None]:
    """Seed torch and give the process its own random state back, which trained ones use too."""
    torch = package("torch")
    before = torch.get_rng_state()
    torch.default_generator.manual_seed(seed or 0)
    try:
        yield
    finally:
        torch.set_rng_state(before)


@lru_cache(maxsize=2)
def _tokenizer(model: Pretrained, _state: object) -> Any:
    auto = package("transformers").AutoTokenizer
    made = _read(
        model,
        "a tokenizer",
        lambda: auto.from_pretrained(model.folder, **_LOCAL),
    )
    # transformers 5 makes a tokenizer without a vocabulary when its files are missing.
    if len(made) <= len(set(made.all_special_tokens)):
        raise corrupt(model, "a tokenizer", "one without a vocabulary")
    return made


@lru_cache(maxsize=2)
def _feature_extractor(model: Pretrained, _state: object) -> Any:
    auto = package("transformers").AutoFeatureExtractor
    return _read(
        model,
        "a feature extractor (preprocessor_config.json)",
        lambda: auto.from_pretrained(model.folder, **_LOCAL),
    )


def _read(model: Pretrained, expected: str, read: Callable[[], Any]) -> Any:
    """Return what transformers reads from the folder, quietly; its errors as ours."""
    settings = package("transformers.utils.logging")
    verbosity, bars = settings.get_verbosity(), settings.is_progress_bar_enabled()
    settings.set_verbosity(settings.CRITICAL)
    settings.disable_progress_bar()
    try:
        return read()
    # Broken files surface as errors of json, safetensors, pickle, torch and transformers alike.
    except Exception as error:
        raise corrupt(model, expected, error) from error
    finally:
        settings.set_verbosity(verbosity)
        if bars:
            settings.enable_progress_bar()

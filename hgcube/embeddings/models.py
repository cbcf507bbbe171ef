"""Hugging Face models that are on this machine: found and described without torch."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from hgcube.embeddings.contents import content_hash
from hgcube.errors import MissingExtraError, OptionError, SourceError

_N_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "encoder_layers", "num_layers")
_N_FEATURES = ("hidden_size", "n_embd", "dim", "d_model")


def package(name: str) -> Any:
    """Return an optional package.

    Parameters
    ----------
    name : str
        As in ``import name``.

    Returns
    -------
    module

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        return import_module(name)
    except ImportError:
        raise _not_installed(name.partition(".")[0]) from None


def _not_installed(name: str) -> MissingExtraError:
    return MissingExtraError(
        f"{name} for this embedding", "no such package", "Run: pip install 'hgcube[embed]'"
    )


def found(model: str | Path) -> Pretrained:
    """Return a model of a local folder or, without any network, of the hub's cache.

    Parameters
    ----------
    model : str or path
        A folder with ``config.json``, or a name of the hub such as ``"openai-community/gpt2"``.

    Returns
    -------
    Pretrained

    Raises
    ------
    SourceError
        If a folder is meant and it is no model's.
    MissingExtraError
        If the hub's cache does not hold the model; says the command that gets it.
    """
    folder = Path(model).expanduser()
    if (folder / "config.json").is_file():
        return Pretrained(name=folder.resolve().name, folder=folder.resolve())
    name = str(model)
    if folder.exists() or not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", name):
        raise SourceError(
            "a folder with config.json, or the name of a model of the hub",
            f"{name}, which has no config.json" if folder.is_dir() else f"no folder {name}",
            "Correct 'model'",
        )
    return Pretrained(name=name, folder=_in_cache(name))


def _in_cache(name: str) -> Path:
    config = package("huggingface_hub").try_to_load_from_cache(name, "config.json")
    if not isinstance(config, str):
        raise MissingExtraError(
            f"the model {name} in the hub's cache",
            "no such model on this machine",
            f"Run: hf download {name}",
        )
    return Path(config).parent


@dataclass(frozen=True)
class Pretrained:
    """A model on this machine; `loading` makes networks and tokenizers of it.

    Parameters
    ----------
    name : str
        As cubes name it: the hub's name, or that of the folder.
    folder : path
        Where its files are.
    """

    name: str
    folder: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        """Return what ``config.json`` says, read without torch."""
        try:
            config = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        except ValueError as error:
            raise corrupt(self, "a config.json that can be read", error) from None
        if not isinstance(config, dict) or "model_type" not in config:
            raise corrupt(self, "a config.json with model_type", "none in it")
        return config

    @property
    def n_layers(self) -> int:
        """Return the number of layers; hidden states are one more, 0 being the embeddings."""
        return self._number(_N_LAYERS)

    @property
    def n_features(self) -> int:
        """Return the length of a hidden state."""
        return self._number(_N_FEATURES)

    def _number(self, keys: tuple[str, ...]) -> int:
        parts = (self.config, self.config.get("text_config") or {})
        numbers = [part[key] for part in parts for key in keys if isinstance(part.get(key), int)]
        if not numbers:
            raise corrupt(self, f"{keys[0]} in config.json", "none in it")
        return int(numbers[0])

    @property
    def architecture(self) -> str:
        """Return the class that the weights were stored from, such as ``GPT2LMHeadModel``."""
        return str((self.config.get("architectures") or [self.config["model_type"]])[0])

    @property
    def revision(self) -> str:
        """Return the hub's commit, or a digest of all files of a folder that is not the hub's."""
        if self.folder.parent.name == "snapshots":
            return self.folder.name
        digest = hashlib.blake2b(digest_size=8)
        for path in self.files:
            digest.update(path.name.encode() + bytes.fromhex(content_hash(path)))
        return f"content {digest.hexdigest()}"

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the files that numbers can depend on."""
        kinds = (".json", ".safetensors", ".bin", ".txt", ".model")
        return tuple(sorted(path for path in self.folder.iterdir() if path.suffix in kinds))

    @property
    def state(self) -> tuple[tuple[int, int], ...]:
        """Return size and time of change of each file, which tell that a folder has changed."""
        stats = [path.stat() for path in self.files]
        return tuple((stat.st_size, stat.st_mtime_ns) for stat in stats)

    def provenance(self, untrained: int | None = None) -> dict[str, str]:
        """Return what identifies the model, and the versions of libraries, for attributes.

        Parameters
        ----------
        untrained : int, optional
            Seed, if its weights are random ones.

        Returns
        -------
        dict of str to str
        """
        weights = {} if untrained is None else {"weights": f"random, seed {untrained}"}
        return {
            "model": self.name,
            "revision": self.revision,
            "architecture": self.architecture,
            "layers_total": str(self.n_layers),
            **weights,
            **versions("torch", "transformers"),
        }


def layers_of(model: Pretrained, layers: str | int | Sequence[int]) -> tuple[int, ...]:
    """Return the hidden states that were asked for, by number.

    Parameters
    ----------
    model : Pretrained
    layers : "penultimate", "all", int or list of int
        0 is the input of the first layer, ``model.n_layers`` the last.

    Returns
    -------
    tuple of int

    Raises
    ------
    OptionError
        For others.
    """
    last = model.n_layers
    by_name = {"penultimate": [max(last - 1, 0)], "all": range(last + 1)}
    asked = by_name.get(layers, []) if isinstance(layers, str) else np.atleast_1d(layers).tolist()
    if not len(asked) or any(layer not in range(last + 1) for layer in asked):
        raise OptionError(
            f"layers 'penultimate', 'all' or a list of 0 to {last} for {model.name}",
            repr(layers),
            "Correct 'layers'",
        )
    return tuple(int(layer) for layer in dict.fromkeys(asked))


def versions(*names: str) -> dict[str, str]:
    """Return the versions of packages, for a cube's attributes.

    Parameters
    ----------
    *names : str
        Such as ``"torch"``.

    Returns
    -------
    dict of str to str
        ``torch_version`` and so on.

    Raises
    ------
    MissingExtraError
        For one that is not installed.
    """
    try:
        return {f"{name}_version": version(name) for name in names}
    except PackageNotFoundError as error:
        raise _not_installed(str(error.name)) from None


def corrupt(model: Pretrained, expected: str, got: object) -> SourceError:
    """Return the error that says what is wrong with a model's folder.

    Parameters
    ----------
    model : Pretrained
    expected : str
    got : object
        What was found, or the exception that found it.

    Returns
    -------
    SourceError
    """
    first_line = (str(got).strip().splitlines() or [type(got).__name__])[0]
    return SourceError(
        f"{expected} in the model folder {model.name}",
        first_line.rstrip("."),
        "Get the model's files again",
    )

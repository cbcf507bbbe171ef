"""Hidden states of language models: GPT-2 and any causal or masked model of Hugging Face."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.embeddings import loading, models
from hgcube.embeddings.contexts import CONTEXTS, around
from hgcube.embeddings.protocol import Array, Item, OfTexts, Vectors, register
from hgcube.embeddings.tokens import Tokens, space_belongs_to_words, tokens_of
from hgcube.errors import OptionError, UnknownLabelError
from hgcube.schema import text_array

POOLINGS = {"mean": slice(None), "first": slice(1), "last": slice(-1, None)}
"""Which of a word's tokens make its vector, as their mean."""

# Longer texts are padded to a multiple of this many tokens.
_STEP = 8


@register("language_model")
class LanguageModel:
    """Hidden states of a word in any causal or masked language model.

    Parameters
    ----------
    model : str or path
        A folder, or the name of a model in the hub's cache.
    layers : "penultimate", "all" or list of int
        Hidden states: 0 is the input embeddings, the number of layers the last. Of a network of
        12 layers the penultimate is 11.
    pooling : str
        One of `POOLINGS`, over the tokens that hold a character of the word.
    context : str
        ``"isolated"`` (the word alone), ``"transcript"`` (after the words read before it) or
        ``"sentence"`` (in its sentence; a causal model reads what comes before the word).
    window : int
        Words before, in a ``"transcript"``.
    leading_space : bool, optional
        Whether the text starts with a space. By default it does where the model's tokenizer makes
        the space part of a word, as it is in running text.
    batch_size : int
        Words in a forward pass. Passes are filled up to it and hold texts of one length, so that
        a word's vector is the same, to the last bit, whatever it is given with.
    untrained : int, optional
        Seed of random weights in the same architecture.
    of : str
        The space that untrained vectors control.
    trained_on : str
        What the model learned from, stated in the cube.

    Raises
    ------
    UnknownLabelError, OptionError
        For an option that does not exist or a number out of range.
    """

    hears = False
    packages = ("torch", "transformers")

    def __init__(  # noqa: PLR0913 - each is a line of study.toml
        self,
        *,
        model: str | Path,
        layers: str | int | Sequence[int] = "penultimate",
        pooling: str = "mean",
        context: str = "isolated",
        window: int = 32,
        leading_space: bool | None = None,
        batch_size: int = 16,
        untrained: int | None = None,
        of: str = "",
        trained_on: str = "not stated",
    ) -> None:
        if pooling not in POOLINGS:
            raise UnknownLabelError.of("pooling", pooling, POOLINGS)
        if context not in CONTEXTS:
            raise UnknownLabelError.of("context", context, CONTEXTS)
        if min(window, batch_size) < 1:
            raise OptionError("a window and a batch_size of 1 or more", "less", "Raise it")
        if of and untrained is None:
            raise OptionError("'of' with 'untrained'", f"of={of!r} alone", "Add untrained = 0")
        self._name, self._layers = model, layers
        self._pooling, self._context, self._window = pooling, context, window
        self._leading_space, self._batch_size = leading_space, batch_size
        self._untrained, self._trained_on = untrained, trained_on
        self.control_of = of

    @cached_property
    def _model(self) -> models.Pretrained:
        model = models.found(self._name)
        if model.config.get("is_encoder_decoder"):
            raise OptionError(
                "a causal or masked language model",
                f"{model.name}, an encoder with a decoder ({model.architecture})",
                "Choose another model",
            )
        return model

    @property
    def layers(self) -> tuple[int, ...]:
        """Return the layers that were asked for."""
        return models.layers_of(self._model, self._layers)

    @property
    def _looks_ahead(self) -> bool:
        return self._context == "sentence" and loading.is_bidirectional(self._model)

    @property
    def _space(self) -> bool:
        if self._leading_space is None:
            return space_belongs_to_words(loading.tokenizer(self._model))
        return self._leading_space

    def items(self, words: xr.DataArray, audio: xr.DataArray | None) -> list[Item]:
        """Return texts with their context; one without a letter or digit is flagged ``empty``."""
        read = around(words, self._context, window=self._window, ahead=self._looks_ahead)
        texts = OfTexts().items(words, audio)
        return [
            replace(item, before=before, after=after)
            for item, (before, after) in zip(texts, read, strict=True)
        ]

    def vectors(self, items: Sequence[Item]) -> Vectors:
        """Return float32 vectors, dims (item, layer, feature), with ``n_tokens`` by word.

        A word that the tokenizer knows no character of, or that is longer than the model's
        positions, is NaN and flagged. ``in_vocabulary`` says that no token of it is unknown.
        """
        tokenizer = loading.tokenizer(self._model)
        network = loading.network(self._model, self._untrained)
        limit = min(loading.n_positions(network), tokenizer.model_max_length)
        read = tokens_of(tokenizer, items, leading_space=self._space, limit=limit)
        loading.check_fit(self._model, network, (token for each in read for token in each.ids))
        _warn_of_cuts(read, limit)
        alike: dict[Tokens, list[int]] = {}
        for place, tokens in enumerate(read):
            alike.setdefault(tokens, []).append(place)
        values = np.full(
            (len(read), len(self.layers), self._model.n_features), np.nan, dtype=np.float32
        )
        with loading.computing():
            for batch, length in _batches(alike, self._batch_size, limit):
                made = _pooled(network, batch, length, self.layers, POOLINGS[self._pooling])
                for tokens, vector in zip(batch, made, strict=True):
                    values[alike[tokens]] = vector
        return Vectors(values=values, words=_about(read))

    def provenance(self) -> dict[str, str]:
        """Return model, revision, architecture, versions and what a word's vector is made of."""
        pooled = f"{self._pooling} of the tokens that hold a character of the word"
        trained_on = self._trained_on if self._untrained is None else "nothing (untrained)"
        return {
            **self._model.provenance(self._untrained),
            "trained_on": trained_on,
            "pooling": pooled,
            "leading_space": "a space before the text" if self._space else "none",
            "context": self._said_of_context(),
            "batch": f"passes of {self._batch_size} words",
        }

    def _said_of_context(self) -> str:
        if self._context == "isolated":
            return "the isolated word"
        if self._context == "transcript":
            return f"up to {self._window} words of the recording before the word"
        return f"the sentence{'' if self._looks_ahead else ' up to the word'}"

    def files(self) -> tuple[Path, ...]:
        """Return the files of the model."""
        return self._model.files


_GPT2 = partial(LanguageModel, model="openai-community/gpt2")
_GPT2.__doc__ = "GPT-2: a `LanguageModel` that is the English one of 12 layers by default."
register("gpt2")(_GPT2)


def _batches(
    alike: Iterable[Tokens], batch_size: int, limit: int
) -> Iterator[tuple[list[Tokens], int]]:
    """Yield passes with their padded length: of `batch_size` texts, the last ones repeated.

    Products of matrices round by their shapes, which are therefore a text's own.
    """
    usable = [tokens for tokens in alike if not tokens.flag]
    ordered = sorted(usable, key=lambda tokens: (len(tokens.ids), tokens.ids, tokens.places))
    for length, group in groupby(ordered, lambda tokens: _padded(len(tokens.ids), limit)):
        same = list(group)
        for start in range(0, len(same), batch_size):
            batch = same[start : start + batch_size]
            yield [*batch, *batch[-1:] * (batch_size - len(batch))], length


def _padded(length: int, limit: int) -> int:
    """Return the length of a pass: one's own, for longer texts in steps."""
    return length if length <= _STEP else min(-(-length // _STEP) * _STEP, limit)


def _pooled(
    network: Any, batch: list[Tokens], length: int, layers: Sequence[int], pooling: slice
) -> Array:
    """Return the mean state of each word's tokens; float32 (item, layer, feature)."""
    places = [tokens.places[pooling] for tokens in batch]
    counts = np.array([len(some) for some in places])
    rows = np.repeat(np.arange(len(batch)), counts)
    states = _states(network, batch, length, layers, (rows, np.concatenate(places)))
    sums = np.add.reduceat(states, np.cumsum(counts) - counts, axis=0)
    return np.asarray(sums / counts[:, np.newaxis, np.newaxis], dtype=np.float32)


def _states(
    network: Any,
    batch: list[Tokens],
    length: int,
    layers: Sequence[int],
    wanted: tuple[Array, Array],
) -> Array:
    """Return the hidden states at the wanted (row, place), dims (wanted, layer, feature).

    Padded at the end: positions count from the first token, and a causal model never looks there.
    """
    torch = models.package("torch")
    ids = np.full((len(batch), length), loading.padding(network))
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(batch):
        ids[row, : len(tokens.ids)] = tokens.ids
        mask[row, : len(tokens.ids)] = 1
    inputs = {"input_ids": ids, "attention_mask": mask}
    made = network(
        **{name: torch.from_numpy(each).to(network.device) for name, each in inputs.items()},
        output_hidden_states=True,
    ).hidden_states
    return np.asarray(torch.stack([made[layer][wanted] for layer in layers], dim=1).cpu().numpy())


def _about(read: list[Tokens]) -> dict[str, Array]:
    return {
        "in_vocabulary": np.array([not (tokens.n_unknown or tokens.flag) for tokens in read]),
        "n_tokens": np.array([len(tokens.places) for tokens in read], dtype=np.int64),
        n.FLAG: text_array([tokens.flag for tokens in read]),
    }


def _warn_of_cuts(read: list[Tokens], limit: int) -> None:
    cut = sum(tokens.n_cut > 0 for tokens in read)
    if cut:
        logging.getLogger("hgcube").warning(
            "the context of %d of %d words was cut to the model's %d positions",
            cut,
            len(read),
            limit,
        )

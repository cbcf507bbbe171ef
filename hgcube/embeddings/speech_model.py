"""Hidden states of speech models: XLS-R and any wav2vec2, HuBERT, WavLM or Whisper encoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from hgcube import names as n
from hgcube.embeddings import loading, models
from hgcube.embeddings.pooling import Frames, Pooling
from hgcube.embeddings.protocol import Array, Item, Vectors, register
from hgcube.embeddings.segments import RATE, clipped, heard_at
from hgcube.errors import OptionError

KINDS = ("wav2vec2", "hubert", "wavlm", "whisper")
"""Architectures whose encoder is read, by ``model_type`` in config.json."""

# Whisper: a mel spectrum of 25 ms every 10 ms and two convolutions, over padded sound.
_WHISPER = ((400, 160), (3, 1), (3, 2))


@register("speech_model")
class SpeechModel:
    """Hidden states of a speech model that hears each word alone.

    Parameters
    ----------
    model : str or path
        A folder, or the name of a model in the hub's cache.
    layers : "last", "penultimate", "all" or list of int
        Hidden states: 0 is the input of the first transformer layer, the number of layers the
        last, which is the model's output.
    lock, duration, pooling, lags, step, lag
        As `pooling.Pooling`: what is heard, and how its frames are joined.
    batch_size : int
        Words in a forward pass. One by one, the default and no slower on a CPU, a vector is the
        same to the last bit whatever it is given with; together, for a GPU, to 1e-6. Sounds are
        put together only where the architecture keeps padding apart.
    untrained : int, optional
        Seed of random weights in the same architecture.
    reversed : bool
        Whether each word's samples are heard backwards.
    of : str
        The space that untrained or reversed vectors control.
    trained_on : str
        What the model learned from, stated in the cube.

    Raises
    ------
    UnknownLabelError, OptionError
        For an option that does not exist or a number out of range.
    """

    hears = True
    packages = ("torch", "transformers")

    def __init__(  # noqa: PLR0913 - each is a line of study.toml
        self,
        *,
        model: str | Path,
        layers: str | int | Sequence[int] = "last",
        lock: str = "voice",
        duration: float | None = None,
        pooling: str = "mean",
        lags: Sequence[float] = (0.0, 1.0),
        step: float = 0.1,
        lag: float = 0.0,
        batch_size: int = 1,
        untrained: int | None = None,
        reversed: bool = False,
        of: str = "",
        trained_on: str = "not stated",
    ) -> None:
        if batch_size < 1:
            raise OptionError("a batch_size of 1 or more", repr(batch_size), "Raise it")
        if of and untrained is None and not reversed:
            raise OptionError(
                "'of' with 'untrained' or 'reversed'",
                f"of={of!r} alone",
                "Add untrained = 0 or reversed = true",
            )
        self._name, self._layers, self._batch_size = model, layers, batch_size
        self._pooling = Pooling(
            lock=lock, duration=duration, pooling=pooling, lags=lags, step=step, lag=lag
        )
        self._untrained, self._backwards, self._trained_on = untrained, reversed, trained_on
        self.control_of = of

    @cached_property
    def _model(self) -> models.Pretrained:
        model = models.found(self._name)
        if model.config["model_type"] not in KINDS:
            raise OptionError(
                f"a speech model of kind {', '.join(KINDS)}",
                f"{model.name}, a {model.config['model_type']}",
                "Choose another model, or the embedding 'language_model' for text",
            )
        return model

    @property
    def _is_whisper(self) -> bool:
        return bool(self._model.config["model_type"] == "whisper")

    @property
    def layers(self) -> tuple[int, ...]:
        """Return the layers that were asked for."""
        asked = self._model.n_layers if self._layers == "last" else self._layers
        return models.layers_of(self._model, asked)

    @property
    def _frames(self) -> Frames:
        if self._is_whisper:
            return Frames(_WHISPER, padded=True)
        return Frames(tuple(zip(*(self._setting(f"conv_{k}") for k in _KERNELS), strict=True)))

    def _setting(self, key: str) -> Any:
        if key not in self._model.config:
            raise models.corrupt(self._model, f"{key} in config.json", "none in it")
        return self._model.config[key]

    @property
    def _masks(self) -> bool:
        """Return whether padding can be masked.

        Normalised over time, or shifted before they are convolved, zeros behind a sound change it.
        WavLM hands torch two kinds of masks, which torch is about to refuse.
        """
        config = self._model.config
        by_frame = config.get("feat_extract_norm", "group") == "layer"
        shifts = config.get("conv_pos_batch_norm", False)
        return by_frame and not shifts and config["model_type"] != "wavlm"

    @property
    def _pads(self) -> bool:
        """Return whether sounds of unequal length can be heard together."""
        return self._is_whisper or self._masks

    def items(self, words: xr.DataArray, audio: xr.DataArray | None) -> list[Item]:
        """Return the sound of each word; what the model cannot hear is flagged."""
        frames = self._frames
        longest = None
        if self._is_whisper:
            longest = int(self._setting("max_source_positions")) * frames.step
        return self._pooling.items(words, audio, frames, longest=longest, backwards=self._backwards)

    def vectors(self, items: Sequence[Item]) -> Vectors:
        """Return float32 vectors, dims (item, layer, feature), with ``n_frames`` by word."""
        network = loading.network(self._model, self._untrained)
        encoder = network.get_encoder() if self._is_whisper else network
        extractor = self._extractor
        size = self._model.n_features
        values = np.empty(
            (len(items), len(self.layers), self._pooling.n_windows * size), dtype=np.float32
        )
        with loading.computing():
            for places in _batches(items, self._batch_size if self._pads else 1):
                sounds = [np.asarray(items[place].sound) for place in places]
                states = self._states(encoder, extractor, sounds)
                values[places] = self._pooled(states, sounds)
        counts = [self._frames.count(_size(item)) for item in items]
        return Vectors(
            values=values,
            words={"n_frames": np.array(counts, dtype=np.int64), n.FLAG: clipped(items)},
            features=self._pooling.labels(unit=np.arange(size)),
        )

    @property
    def _extractor(self) -> Any:
        """Return the feature extractor of the model's folder, or its architecture's own."""
        extractor = loading.feature_extractor(self._model) if self._has_extractor else self._usual()
        kind = "input_features" if self._is_whisper else "input_values"
        positions = self._model.config.get("max_source_positions", 0)
        fits = kind in extractor.model_input_names and extractor.sampling_rate == RATE
        if not fits or (self._is_whisper and extractor.nb_max_frames != 2 * positions):
            raise models.corrupt(
                self._model,
                f"a feature extractor of {RATE:g} Hz that fits the network",
                f"{type(extractor).__name__} of {extractor.sampling_rate} Hz",
            )
        return extractor

    @property
    def _has_extractor(self) -> bool:
        names = ("preprocessor_config.json", "processor_config.json")
        return any((self._model.folder / name).is_file() for name in names)

    def _usual(self) -> Any:
        transformers = models.package("transformers")
        if not self._is_whisper:
            return transformers.Wav2Vec2FeatureExtractor(sampling_rate=int(RATE))
        frames = 2 * int(self._setting("max_source_positions"))
        return transformers.WhisperFeatureExtractor(
            feature_size=int(self._setting("num_mel_bins")),
            sampling_rate=int(RATE),
            chunk_length=frames // 100,
        )

    def _states(self, encoder: Any, extractor: Any, sounds: list[Array]) -> tuple[Any, ...]:
        """Return the hidden states of all layers, each (item, frame, feature)."""
        how = {} if self._is_whisper else {"padding": True, "return_attention_mask": self._masks}
        inputs = extractor(sounds, sampling_rate=int(RATE), return_tensors="pt", **how)
        given = {name: each.to(encoder.device) for name, each in inputs.items()}
        made: tuple[Any, ...] = encoder(**given, output_hidden_states=True).hidden_states
        return made

    def _pooled(self, states: tuple[Any, ...], sounds: list[Array]) -> Array:
        """Return the windows' means of the asked layers; float32 (item, layer, feature)."""
        torch = models.package("torch")
        n_frames = max(self._frames.count(len(sound)) for sound in sounds)
        weights = np.zeros((len(sounds), self._pooling.n_windows, n_frames), dtype=np.float32)
        for row, sound in zip(weights, sounds, strict=True):
            row[:, : self._frames.count(len(sound))] = self._pooling.weights(
                self._frames, len(sound)
            )
        by_window = torch.from_numpy(weights).to(states[0].device)
        means = [(by_window @ states[layer][:, :n_frames]).flatten(1) for layer in self.layers]
        return np.asarray(torch.stack(means, dim=1).cpu().numpy())

    def provenance(self) -> dict[str, str]:
        """Return model, revision, versions, what was heard and how it was joined."""
        extractor = self._extractor
        whose = "the model's own" if self._has_extractor else "the architecture's default (no file)"
        normalises = not self._is_whisper and extractor.do_normalize
        normalised = "normalised" if normalises else "as it is"
        direction = "backwards" if self._backwards else "forwards"
        return {
            **self._model.provenance(self._untrained),
            "trained_on": self._trained_on if self._untrained is None else "nothing (untrained)",
            **self._pooling.provenance(),
            **self._frames.provenance(),
            **heard_at(),
            "feature_extractor": f"{whose}: each sound {normalised}",
            "direction": direction,
            "batch": f"passes of up to {self._batch_size if self._pads else 1} words",
        }

    def files(self) -> tuple[Path, ...]:
        """Return the files of the model."""
        return self._model.files


_KERNELS = ("kernel", "stride")

_WAV2VEC2 = partial(SpeechModel, model="facebook/wav2vec2-xls-r-300m")
_WAV2VEC2.__doc__ = "Wav2Vec 2.0: a `SpeechModel` that is XLS-R of 24 layers by default."
register("wav2vec2")(_WAV2VEC2)


def _size(item: Item) -> int:
    return 0 if item.sound is None else len(item.sound)


def _batches(items: Sequence[Item], batch_size: int) -> Iterator[list[int]]:
    """Yield places of items in an order of their content, so that batches do not depend on theirs.

    Sounds of like lengths are together.
    """
    by_content = [(_size(item), item.digest) for item in items]
    ordered = sorted(range(len(items)), key=by_content.__getitem__)
    for start in range(0, len(ordered), batch_size):
        yield ordered[start : start + batch_size]

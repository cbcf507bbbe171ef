"""Tiny speech models with random weights, written as Hugging Face folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

N_LAYERS = 3
N_FEATURES = 16
LONGEST = 2
"""What the Whisper hears at most, in s."""

_SIZES: dict[str, Any] = {
    "hidden_size": N_FEATURES,
    "num_hidden_layers": N_LAYERS,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": (8,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}


def wav2vec2_group(folder: Path) -> Path:
    """Write a wav2vec2 as wav2vec2-base is: normalised over time, which padding would change."""
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    return _written(folder, Wav2Vec2Model, Wav2Vec2Config(**_SIZES, feat_extract_norm="group"))


def wav2vec2_layer(folder: Path) -> Path:
    """Write a wav2vec2 as XLS-R is: normalised in each frame, layer norm first."""
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    config = Wav2Vec2Config(
        **_SIZES, feat_extract_norm="layer", do_stable_layer_norm=True, conv_bias=True
    )
    return _written(folder, Wav2Vec2Model, config, return_attention_mask=True)


def hubert(folder: Path) -> Path:
    """Write a HuBERT as hubert-large is."""
    from transformers import HubertConfig, HubertModel

    config = HubertConfig(**_SIZES, feat_extract_norm="layer", do_stable_layer_norm=True)
    return _written(folder, HubertModel, config, return_attention_mask=True)


def hubert_batch(folder: Path) -> Path:
    """Write a HuBERT with batch norm before its positions, which moves the zeros of padding."""
    import torch
    from transformers import HubertConfig, HubertModel

    config = HubertConfig(**_SIZES, feat_extract_norm="layer", conv_pos_batch_norm=True)
    torch.manual_seed(8)
    network = HubertModel(config)
    norm = network.encoder.pos_conv_embed.batch_norm
    norm.running_mean.normal_()
    network.save_pretrained(folder)
    return _with_extractor(folder)


def wavlm(folder: Path) -> Path:
    """Write a WavLM as wavlm-base is: the sound as it is."""
    from transformers import WavLMConfig, WavLMModel

    config = WavLMConfig(**_SIZES, feat_extract_norm="layer", num_buckets=16)
    return _written(folder, WavLMModel, config, do_normalize=False, return_attention_mask=True)


def whisper(folder: Path) -> Path:
    """Write a Whisper, which hears `LONGEST` s whatever the sound."""
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    config = WhisperConfig(
        d_model=N_FEATURES,
        encoder_layers=N_LAYERS,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        num_mel_bins=10,
        max_source_positions=50 * LONGEST,
        vocab_size=20,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=1,
    )
    _seeded(WhisperModel, config).save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=10, chunk_length=LONGEST).save_pretrained(folder)
    return folder


def _written(folder: Path, network: Any, config: Any, **extractor: Any) -> Path:
    _seeded(network, config).save_pretrained(folder)
    return _with_extractor(folder, **extractor)


def _with_extractor(folder: Path, **options: Any) -> Path:
    from transformers import Wav2Vec2FeatureExtractor

    Wav2Vec2FeatureExtractor(**options).save_pretrained(folder)
    return folder


def _seeded(network: Any, config: Any) -> Any:
    import torch

    before = torch.get_rng_state()
    torch.manual_seed(7)
    made = network(config)
    torch.set_rng_state(before)
    return made


FAMILIES = {
    "wav2vec2_group": wav2vec2_group,
    "wav2vec2_layer": wav2vec2_layer,
    "hubert": hubert,
    "hubert_batch": hubert_batch,
    "wavlm": wavlm,
    "whisper": whisper,
}

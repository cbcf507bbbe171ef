"""Tiny language models with random weights, written as Hugging Face folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SENTENCES = (
    "de boot vaart over het water naar het huis",
    "een fiets staat bij de boom en het paard loopt weg",
    "zij eet een koekje met thee in de tuin",
)
N_LAYERS = 3
N_POSITIONS = 40


def gpt2(folder: Path) -> Path:
    """Write a GPT-2: byte-level BPE, a space belongs to the word after it, no special tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        SENTENCES,
        trainers.BpeTrainer(
            vocab_size=300,
            special_tokens=["<|end|>"],
            initial_alphabet=alphabet,
            show_progress=False,
        ),
    )
    config = GPT2Config(
        vocab_size=tokenizer.get_vocab_size(),
        n_layer=N_LAYERS,
        n_embd=16,
        n_head=2,
        n_positions=N_POSITIONS,
        bos_token_id=0,
        eos_token_id=0,
    )
    return _written(folder, tokenizer, config, GPT2LMHeadModel, eos_token="<|end|>")


def bert(folder: Path) -> Path:
    """Write a BERT: WordPiece, lower case, [CLS] before and [SEP] after."""
    from transformers import BertConfig, BertForMaskedLM

    tokenizer = _word_pieces(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    return _masked(folder, tokenizer, BertConfig, BertForMaskedLM)


def roberta(folder: Path) -> Path:
    """Write a RoBERTa, whose positions count from the padding token's number."""
    from transformers import RobertaConfig, RobertaForMaskedLM

    tokenizer = _word_pieces(["[CLS]", "[UNK]", "[PAD]", "[SEP]", "[MASK]"])
    return _masked(folder, tokenizer, RobertaConfig, RobertaForMaskedLM)


def _word_pieces(special: list[str]) -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=70, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[(name, special.index(name)) for name in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def _masked(folder: Path, tokenizer: Any, config: Any, network: Any) -> Path:
    made = config(
        vocab_size=tokenizer.get_vocab_size(),
        num_hidden_layers=N_LAYERS,
        hidden_size=16,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=N_POSITIONS,
        pad_token_id=tokenizer.token_to_id("[PAD]"),
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return _written(folder, tokenizer, made, network, **names)


def llama(folder: Path) -> Path:
    """Write a Llama: rotary positions, pieces as SentencePiece makes them, <unk>, no BOS."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=60, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        num_hidden_layers=N_LAYERS,
        hidden_size=16,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=32,
        max_position_embeddings=N_POSITIONS,
        bos_token_id=None,
        eos_token_id=None,
    )
    return _written(folder, tokenizer, config, LlamaForCausalLM, unk_token="<unk>")


def _written(folder: Path, tokenizer: Any, config: Any, network: Any, **names: str) -> Path:
    import torch
    from transformers import PreTrainedTokenizerFast

    before = torch.get_rng_state()
    torch.manual_seed(7)
    network(config).save_pretrained(folder)
    torch.set_rng_state(before)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    return folder


FAMILIES = {"gpt2": gpt2, "bert": bert, "llama": llama, "roberta": roberta}

"""How much faster words go through a language model together than one by one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models

from hgcube.embeddings import loading, models
from hgcube.embeddings.language_model import LanguageModel
from hgcube.embeddings.protocol import Item

N_WORDS = 1000


def relative_error(found: np.ndarray, exact: np.ndarray) -> float:
    apart = np.linalg.norm(found - exact, axis=2)
    return float((apart / np.linalg.norm(exact, axis=2)).max())


def one_by_one(folder: Path, texts: list[str], precision: Any = None) -> np.ndarray:
    """Return what a loop over words with the library makes: (word, layer, feature)."""
    import torch

    network, tokenizer = (
        read(models.found(folder)) for read in (loading.network, loading.tokenizer)
    )
    network.to(precision or torch.float32)
    space = tokenizer.convert_tokens_to_ids("Ġ")
    rows = []
    with torch.inference_mode():
        for text in texts:
            ids = tokenizer(" " + text, return_tensors="pt")["input_ids"]
            states = network(ids, output_hidden_states=True).hidden_states
            rows.append(torch.stack(states)[:, 0, ids[0] != space].mean(dim=1).numpy())
    network.float()
    return np.array(rows)


@pytest.mark.slow
def test_a_thousand_words_of_gpt2_go_together(tmp_path: Path) -> None:
    """GPT-2 of 12 layers x 768 with random weights, all 13 states, one thread.

    Words are such that they have about two tokens, as Dutch words have in GPT-2.
    """
    import torch
    from threadpoolctl import threadpool_limits
    from transformers import GPT2Config, GPT2Model

    folder = tiny_models.gpt2(tmp_path / "gpt2")
    GPT2Model(GPT2Config()).save_pretrained(folder)
    rng = np.random.default_rng(0)
    syllables = " ".join(tiny_models.SENTENCES).split()
    texts = ["".join(rng.choice(syllables, rng.integers(1, 3))) for _ in range(N_WORDS)]
    family = LanguageModel(model=folder, layers="all")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            family.vectors([Item(text="boot")])
            start = time.perf_counter()
            made = family.vectors([Item(text=text) for text in texts])
            together = time.perf_counter() - start
            start = time.perf_counter()
            oracle = one_by_one(folder, texts)
            alone = time.perf_counter() - start
    finally:
        torch.set_num_threads(before)
    exact = one_by_one(folder, texts[:100], precision=torch.float64)
    errors = [relative_error(states[:100], exact) for states in (oracle, made.values)]
    print(
        f"\n{N_WORDS} words of {made.words['n_tokens'].mean():.1f} tokens, 13 layers:"
        f" {alone:.1f} s one by one, {together:.1f} s together, {alone / together:.1f} times"
        f" faster; {errors[0]:.1e} and {errors[1]:.1e} from float64"
    )
    # float32 alone is more than 1e-6 away at this size: together must not be further.
    assert errors[1] < 1.5 * errors[0] < 1e-5
    assert alone > 5 * together

"""From words in their context to a model's tokens, and which of the tokens are the word's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hgcube.embeddings.protocol import Item
from hgcube.errors import OptionError

# How byte-level BPE and SentencePiece write a space.
_SPACES = "\u0120\u2581 "


@dataclass(frozen=True)
class Tokens:
    """What a network reads for one word.

    Parameters
    ----------
    ids : tuple of int
        All tokens, with those that the tokenizer adds at the start and the end.
    places : tuple of int
        Which of them are the word's.
    n_unknown : int
        How many of the word's are the tokenizer's "unknown".
    n_cut : int
        Tokens of context that the network has no positions for.
    flag : str
        Why the word cannot have a vector.
    """

    ids: tuple[int, ...]
    places: tuple[int, ...]
    n_unknown: int = 0
    n_cut: int = 0
    flag: str = ""


def space_belongs_to_words(tokenizer: Any) -> bool:
    """Return whether a word is another token in running text than at the start of a text.

    In byte-level BPE the space is part of the word after it; WordPiece drops spaces and
    SentencePiece puts one before a text itself.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase

    Returns
    -------
    bool
    """
    alone = tokenizer("a", add_special_tokens=False)["input_ids"]
    twice = tokenizer("a a", add_special_tokens=False)["input_ids"]
    return bool(twice[len(alone) :] != alone)


def tokens_of(
    tokenizer: Any, items: Sequence[Item], *, leading_space: bool, limit: int
) -> list[Tokens]:
    """Return what a network reads for each item.

    Parameters
    ----------
    tokenizer : transformers.PreTrainedTokenizerBase
        A fast one: only those know the characters of each token.
    items : sequence of Item
    leading_space : bool
        Whether the text starts with a space.
    limit : int
        Positions of the network. What is too long loses its start, and only after the word's own
        tokens would be lost, its end.

    Returns
    -------
    list of Tokens
        Flagged ``"unknown"`` where no character of the word is known, ``"too long"`` where the
        word alone does not fit.

    Raises
    ------
    OptionError
        If the tokenizer is not a fast one.
    """
    if not tokenizer.is_fast:
        raise OptionError(
            "a model with a fast tokenizer, which knows the characters of each token",
            type(tokenizer).__name__,
            "Store the model with its tokenizer.json, or choose another model",
        )
    if not items:
        return []
    starts, texts = [], []
    for item in items:
        before = " " * leading_space + (f"{item.before} " if item.before else "")
        starts.append(len(before))
        texts.append(before + item.text.strip() + (f" {item.after}" if item.after else ""))
    read = tokenizer(
        texts,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
        truncation=False,
        verbose=False,
    )
    return [
        _fitted(
            _word(tokenizer, read, row, (start, start + len(item.text.strip()))),
            [bool(added) for added in read["special_tokens_mask"][row]],
            limit,
        )
        for row, (item, start) in enumerate(zip(items, starts, strict=True))
    ]


def _word(tokenizer: Any, read: Any, row: int, span: tuple[int, int]) -> Tokens:
    """Return all tokens of a text, the word's being those that hold a character of it.

    A token that is nothing but the space before the word is not the word's: whether there is one
    depends on the vocabulary, not on the word.
    """
    ids, offsets = read["input_ids"][row], read["offset_mapping"][row]
    added = read["special_tokens_mask"][row]
    places = [
        place
        for place, (start, stop) in enumerate(offsets)
        if start < span[1] and stop > span[0] and not added[place]
    ]
    pieces = tokenizer.convert_ids_to_tokens([ids[place] for place in places])
    places = [place for place, piece in zip(places, pieces, strict=True) if piece.strip(_SPACES)]
    n_unknown = sum(ids[place] == tokenizer.unk_token_id for place in places)
    return Tokens(
        ids=tuple(ids),
        places=tuple(places),
        n_unknown=n_unknown,
        flag="unknown" if n_unknown == len(places) else "",
    )


def _fitted(tokens: Tokens, added: list[bool], limit: int) -> Tokens:
    """Return the tokens without those that the network has no positions for."""
    surplus = len(tokens.ids) - limit
    if surplus <= 0 or tokens.flag:
        return tokens
    body = [place for place, is_added in enumerate(added) if not is_added]
    first, last = body.index(tokens.places[0]), body.index(tokens.places[-1])
    start = min(surplus, first)
    stop = len(body) - (surplus - start)
    if stop <= last:
        return Tokens(ids=(), places=(), flag="too long")
    dropped = {*body[:start], *body[stop:]}
    kept = [place for place in range(len(tokens.ids)) if place not in dropped]
    return Tokens(
        ids=tuple(tokens.ids[place] for place in kept),
        places=tuple(kept.index(place) for place in tokens.places),
        n_unknown=tokens.n_unknown,
        n_cut=surplus,
    )

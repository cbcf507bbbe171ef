"""The vocabulary is large, unique and grouped by meaning."""

from __future__ import annotations

from hgcube.simulation import DUTCH_GROUPS, DUTCH_WORDS


def test_words_are_unique_lower_case_and_many():
    assert len(DUTCH_WORDS) == len(set(DUTCH_WORDS)) >= 250
    assert all(word.isalpha() and word == word.lower() for word in DUTCH_WORDS)


def test_groups_are_the_words_in_order():
    assert tuple(word for group in DUTCH_GROUPS.values() for word in group) == DUTCH_WORDS
    assert min(map(len, DUTCH_GROUPS.values())) >= 15
    assert {"hond", "boot", "brood"} <= set(DUTCH_WORDS)

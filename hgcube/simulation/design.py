"""The options of a simulated study, checked once, and the seeds that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hgcube.errors import OptionError, UnknownLabelError
from hgcube.simulation.vocabulary import DUTCH_WORDS

ROLES = ("silent", "onset", "embedding", "acoustic", "contaminated")
DEFAULT_ROLES: dict[str, float] = {
    "silent": 0.40,
    "onset": 0.25,
    "embedding": 0.20,
    "acoustic": 0.075,
    "contaminated": 0.075,
}
ELECTRODES_OF_STUDY = (127, 127, 127, 115, 60, 127, 127, 54, 117, 122)
SHORTENED_SUBJECT = 10

_LEAST: dict[str, float] = {
    "n_subjects": 1,
    "n_words": 2,
    "runs": 1,
    "n_components": 1,
    "unspoken_words": 0,
    "seed": 0,
    "sampling_frequency": 400,
    "audio_frequency": 2000,
    "line_frequency": 1,
    "word_duration": 0.1,
    "fixation_duration": 0.1,
    "word_variability": 0,
    "drift": 0,
}
_WHOLE = ("n_subjects", "n_words", "runs", "n_components", "unspoken_words", "seed")
_SHARES = ("skill", "late_words", "bad_electrodes")
_WHY = {
    "sampling_frequency": "high gamma is planted up to 200 Hz",
    "audio_frequency": "a voice needs its first formants",
    "n_words": "words differ only when there are two",
}


@dataclass(frozen=True, kw_only=True)
class Design:
    """All options of `hgcube.simulate` that change what is written; see there."""

    n_subjects: int
    n_words: int
    n_electrodes: tuple[int, ...]
    sampling_frequency: float
    audio_frequency: float
    word_duration: float
    fixation_duration: float
    seed: int
    skill: float
    roles: dict[str, float]
    n_components: int
    word_variability: float
    drift: float
    order_effect: float
    late_words: float
    unspoken_words: int
    bad_electrodes: float
    line_frequency: float
    runs: int

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            _check_least(name, getattr(self, name), least)
        for name in _SHARES:
            _check_share(name, getattr(self, name))
        _check_counts(self)
        _check_roles(self.roles)

    @property
    def subjects(self) -> list[str]:
        """Labels of all subjects, without the prefix ``sub-``."""
        return [f"{number:02d}" for number in range(1, self.n_subjects + 1)]

    @property
    def cycle(self) -> float:
        """Seconds from one displayed word to the next."""
        return self.word_duration + self.fixation_duration

    def words_of(self, subject: str) -> int:
        """Return the number of words of `subject`; participant 10 stopped after 95 %."""
        share = 0.95 if int(subject) == SHORTENED_SUBJECT else 1.0
        return max(2, int(share * self.n_words))

    def electrodes_of(self, subject: str) -> int:
        """Return the number of recorded electrodes of `subject`."""
        return self.n_electrodes[(int(subject) - 1) % len(self.n_electrodes)]

    def rng(self, subject: str, stream: str, *key: int) -> np.random.Generator:
        """Return the generator of one stream of one subject, independent of all others."""
        name = int.from_bytes(stream.encode(), "little")
        return np.random.default_rng([self.seed, int(subject), name, *key])


def electrode_counts(asked: object, n_subjects: int) -> tuple[int, ...]:
    """Return electrodes per subject: the study's own, one number, or one per subject."""
    if asked is None:
        return ELECTRODES_OF_STUDY
    counts = np.atleast_1d(np.asarray(asked))
    whole = counts.dtype.kind in "iu" and counts.min(initial=1) > 0
    if not whole or len(counts) not in (1, n_subjects):
        raise OptionError(
            f"n_electrodes as one number above 0, or {n_subjects} of them",
            repr(asked),
            "Give one number for all subjects or one for each",
        )
    return tuple(counts.tolist())


def _check_least(name: str, value: Any, least: float) -> None:
    if name in _WHOLE and not isinstance(value, int | np.integer):
        raise OptionError(f"{name} as a whole number", repr(value), f"Round {name}")
    if not value >= least:
        why = f" ({_WHY[name]})" if name in _WHY else ""
        raise OptionError(f"{name} of at least {least:g}{why}", f"{value:g}", f"Raise {name}")


def _check_share(name: str, value: float) -> None:
    if not 0 <= value < 1:
        raise OptionError(f"{name} between 0 and 1 (1 excluded)", f"{value:g}", f"Change {name}")


def _check_counts(design: Design) -> None:
    if design.n_words > len(DUTCH_WORDS):
        raise OptionError(
            f"n_words of at most {len(DUTCH_WORDS)}, the size of the vocabulary",
            str(design.n_words),
            "Ask for fewer words: they are unique within a participant",
        )
    fewest = min(design.words_of(subject) for subject in design.subjects)
    if max(design.unspoken_words, design.runs) >= fewest:
        raise OptionError(
            f"fewer unspoken_words and runs than words ({fewest})",
            f"unspoken_words={design.unspoken_words}, runs={design.runs}",
            "Raise n_words or lower them",
        )
    if design.cycle < 1:
        raise OptionError(
            "word_duration + fixation_duration of at least 1 s (a response lasts 0.5 s)",
            f"{design.cycle:g} s",
            "Lengthen one of them",
        )


def _check_roles(roles: Mapping[str, float]) -> None:
    for role in roles:
        if role not in ROLES:
            raise UnknownLabelError.of("role of an electrode", role, ROLES)
    shares = list(roles.values())
    if min(shares, default=-1) < 0 or not np.isclose(sum(shares), 1):
        raise OptionError(
            "roles as shares of electrodes that are 0 or more and sum to 1",
            f"{dict(roles)}, sum {sum(shares):g}",
            "Change the shares",
        )

"""When each word is shown and said, and how it sounds: one row per word."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hgcube.simulation.design import Design
from hgcube.simulation.vocabulary import DUTCH_WORDS
from hgcube.simulation.voice import spoken_duration

_MEDIAN_DELAY, _SHORTEST_DELAY = 0.43, 0.05
_TAIL = 0.011


def draw_words(design: Design, subject: str) -> pd.DataFrame:
    """Return the words of `subject` in reading order.

    Parameters
    ----------
    design : Design
    subject : str

    Returns
    -------
    pandas.DataFrame
        Columns `run`, `position`, `text`, `sample`, `word_samples`, `fixation_samples` (iEEG
        samples within the run), `onset`, `delay`, `voice_onset`, `voice_duration` (s),
        `loudness` (natural log), `late`, `spoken`.
    """
    rng = design.rng(subject, "words")
    n_words = design.words_of(subject)
    words = pd.DataFrame({"position": np.arange(n_words)})
    words.insert(0, "run", _runs(n_words, design.runs))
    words["text"] = rng.choice(DUTCH_WORDS, n_words, replace=False)
    words = _shown(words, design, rng)
    return _said(words, design, rng)


def samples_of_run(words: pd.DataFrame, sampling_frequency: float) -> int:
    """Return the length of a run in iEEG samples; `words` are those of the run."""
    last = words.iloc[-1]
    end = last["sample"] + last["word_samples"] + last["fixation_samples"]
    return int(end) + round(_TAIL * sampling_frequency)


def _runs(n_words: int, n_runs: int) -> list[int]:
    parts = np.array_split(np.arange(n_words), n_runs)
    return [number for number, part in enumerate(parts, start=1) for _ in part]


def _shown(words: pd.DataFrame, design: Design, rng: np.random.Generator) -> pd.DataFrame:
    """Add display times; a frame of the screen is early or late, as in real recordings."""
    rate, n_words = design.sampling_frequency, len(words)
    jitter = max(1, round(0.004 * rate))
    shown = round(design.word_duration * rate) - rng.integers(0, 2, n_words)
    fixation = round(design.fixation_duration * rate) + rng.integers(0, jitter + 1, n_words)
    words = words.assign(word_samples=shown, fixation_samples=fixation)
    cycle = words["word_samples"] + words["fixation_samples"]
    sample = cycle.groupby(words["run"]).cumsum() - cycle
    return words.assign(sample=sample, onset=sample / rate)


def _said(words: pd.DataFrame, design: Design, rng: np.random.Generator) -> pd.DataFrame:
    n_words = len(words)
    tempo = np.exp(rng.normal(0, 0.12, n_words))
    duration = [
        spoken_duration(text, pace) for text, pace in zip(words["text"], tempo, strict=True)
    ]
    words = words.assign(voice_duration=duration, loudness=rng.normal(0, 0.25, n_words))
    late = rng.random(n_words) < design.late_words
    delay = _MEDIAN_DELAY * min(1, design.cycle / 3) * np.exp(rng.normal(0, 0.22, n_words))
    latest = design.cycle - np.maximum(words["voice_duration"], 0.6)
    delay = np.clip(np.where(late, 3 * delay, delay), _SHORTEST_DELAY, None)
    words = words.assign(delay=np.minimum(delay, np.maximum(latest, _SHORTEST_DELAY)), late=late)
    unspoken = rng.choice(n_words, design.unspoken_words, replace=False)
    words["spoken"] = ~np.isin(np.arange(n_words), unspoken)
    said = words["spoken"]
    words["voice_onset"] = (words["onset"] + words["delay"]).where(said)
    words["delay"] = words["delay"].where(said)
    words["voice_duration"] = words["voice_duration"].where(said)
    words["loudness"] = words["loudness"].where(said)
    return words

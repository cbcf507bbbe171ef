"""The decision table: the first row that applies gives the verdict's words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The numbers that decide one subject and space.

    Parameters
    ----------
    reason : str
        Why it was not tested; empty when it was.
    selected, selected_plain : bool
        Whether q passes under the deciding null, and under plain permutations.
    q : float
        Under the deciding null.
    r_model, r_mean_word : float
        r across electrodes, mean over words.
    n_tested : int
    regions : tuple of str
        Region of each found electrode.
    skill, low, high, skill_over_order : float
        Means over the found electrodes.
    contaminated : bool or None
        Whether all found electrodes are contaminated by the audio; None: not checked.
    beyond_controls, beyond_untrained : float or None
        Skill gained over measured controls, and over untrained or random vectors; None: not run.
    """

    reason: str = ""
    selected: bool = False
    selected_plain: bool = False
    q: float = np.nan
    r_model: float = np.nan
    r_mean_word: float = np.nan
    n_tested: int = 0
    regions: tuple[str, ...] = ()
    skill: float = np.nan
    low: float = np.nan
    high: float = np.nan
    skill_over_order: float = np.nan
    contaminated: bool | None = None
    beyond_controls: float | None = None
    beyond_untrained: float | None = None


@dataclass(frozen=True)
class Case:
    """One row of the decision table."""

    code: str
    applies: Callable[[Reading], bool]
    words: Callable[[Reading], str]


def decide(reading: Reading) -> tuple[str, str]:
    """Return the code and the sentence of the first row that applies."""
    case = next(case for case in CASES if case.applies(reading))
    return case.code, case.words(reading)


def not_compared(reading: Reading) -> str:
    """Return which controls were not run, in words; empty when all were."""
    controls = {
        "the sound in the electrode": reading.contaminated,
        "word length, duration and acoustics": reading.beyond_controls,
        "untrained or random vectors": reading.beyond_untrained,
    }
    absent = [words for words, value in controls.items() if value is None]
    return f" Not compared with: {'; '.join(absent)}." if absent else ""


def _two(value: float | None) -> str:
    """Return two decimals, and no minus sign before a zero."""
    return "n/a" if value is None or np.isnan(value) else f"{round(value, 2) + 0.0:.2f}"


def _electrodes(reading: Reading) -> str:
    counts = Counter(region or "region unknown" for region in reading.regions).most_common()
    named = [f"{region}: {count}" for region, count in counts[:5]]
    more = [f"{len(counts) - 5} more regions"] if len(counts) > 5 else []
    return f"{len(reading.regions)} of {reading.n_tested} electrodes ({', '.join([*named, *more])})"


def _r(reading: Reading) -> str:
    model, mean_word = _two(reading.r_model), _two(reading.r_mean_word)
    return f"r across electrodes {model}, the mean word alone {mean_word}"


def _skill(reading: Reading) -> str:
    over_order = reading.skill_over_order
    order = "" if np.isnan(over_order) else f", over reading order {_two(over_order)}"
    return f"skill {_two(reading.skill)}{order}"


def _no_gain(reading: Reading) -> str:
    reference = "the mean word" if reading.skill <= 0 else "reading order"
    return (
        f"Detectable, but predicts no better than {reference}: {_electrodes(reading)}, "
        f"{_skill(reading)}; {_r(reading)}."
    )


def _word_information(reading: Reading) -> str:
    verb = "carries" if len(reading.regions) == 1 else "carry"
    return (
        f"{_electrodes(reading)} {verb} word information: {_skill(reading)}, approximate interval "
        f"{_two(reading.low)} to {_two(reading.high)}; {_r(reading)}.{not_compared(reading)}"
    )


CASES: tuple[Case, ...] = (
    Case("not_tested", lambda r: bool(r.reason), lambda r: f"Not tested: {r.reason}."),
    Case(
        "no_word_information",
        lambda r: not r.selected and not r.selected_plain,
        lambda r: (
            f"No word information shown: {_r(r)} (0 of {r.n_tested} electrodes found, "
            f"skill {_two(r.skill)}). Weak effects (skill 0.2 and below) are often missed."
        ),
    ),
    Case(
        "reading_order",
        lambda r: not r.selected,
        lambda r: (
            f"Follows reading order, or is too weak to tell from it: passes only against plain "
            f"permutations (order-adjusted q {_two(r.q)}); {_r(r)}, skill {_two(r.skill)}, "
            f"0 of {r.n_tested} electrodes found."
        ),
    ),
    Case(
        "contaminated",
        lambda r: r.contaminated is True,
        lambda r: (
            f"May be the sound itself in the electrode: all found electrodes are contaminated, "
            f"{_electrodes(r)}, {_skill(r)}; {_r(r)}."
        ),
    ),
    Case(
        "no_gain", lambda r: min(r.skill, np.nan_to_num(r.skill_over_order, nan=1.0)) <= 0, _no_gain
    ),
    Case(
        "measured_controls",
        lambda r: r.beyond_controls is not None and r.beyond_controls <= 0,
        lambda r: (
            f"Not beyond the measured controls (gain {_two(r.beyond_controls)}): {_electrodes(r)}, "
            f"{_skill(r)}; {_r(r)}."
        ),
    ),
    Case(
        "not_specific",
        lambda r: r.beyond_untrained is not None and r.beyond_untrained <= 0,
        lambda r: (
            f"Word-related, but not specific to this model (gain over untrained or random vectors "
            f"{_two(r.beyond_untrained)}): {_electrodes(r)}, {_skill(r)}; {_r(r)}."
        ),
    ),
    Case("word_information", lambda _: True, _word_information),
)

import numpy as np
import pytest

from hgcube.inference.cases import CASES, Reading, decide, not_compared

FOUND = {
    "selected": True,
    "selected_plain": True,
    "q": 0.01,
    "r_model": 0.943,
    "r_mean_word": 0.931,
    "n_tested": 20,
    "regions": ("STG", "STG", "IFG"),
    "skill": 0.21,
    "low": 0.1,
    "high": 0.3,
    "skill_over_order": 0.19,
}
R = "r across electrodes 0.94, the mean word alone 0.93"
ROWS = {
    "not_tested": ({"reason": "no permutations were run"}, "Not tested: no permutations were run."),
    "no_word_information": (
        {"selected": False, "selected_plain": False, "regions": (), "skill": -0.001},
        f"No word information shown: {R} (0 of 20 electrodes found, skill 0.00). "
        "Weak effects (skill 0.2 and below) are often missed.",
    ),
    "reading_order": (
        {"selected": False, "q": 0.4, "regions": ()},
        "Follows reading order, or is too weak to tell from it: passes only against plain "
        "permutations (order-adjusted q 0.40); "
        f"{R}, skill 0.21, 0 of 20 electrodes found.",
    ),
    "contaminated": ({"contaminated": True}, "May be the sound itself in the electrode"),
    "no_gain": (
        {"skill": -0.02, "contaminated": False},
        "Detectable, but predicts no better than the mean word: "
        f"3 of 20 electrodes (STG: 2, IFG: 1), skill -0.02, over reading order 0.19; {R}.",
    ),
    "measured_controls": ({"beyond_controls": -0.1}, "Not beyond the measured controls (gain -0.1"),
    "not_specific": (
        {"beyond_controls": 0.1, "beyond_untrained": 0.0},
        "Word-related, but not specific to this model",
    ),
    "word_information": (
        {"contaminated": False, "beyond_controls": 0.1, "beyond_untrained": 0.05},
        "3 of 20 electrodes (STG: 2, IFG: 1) carry word information: skill 0.21, "
        f"over reading order 0.19, approximate interval 0.10 to 0.30; {R}.",
    ),
}


@pytest.mark.parametrize("code", ROWS)
def test_each_row_of_the_decision_table(code):
    changed, words = ROWS[code]
    got, sentence = decide(Reading(**{**FOUND, **changed}))
    assert got == code
    assert sentence.startswith(words)


def test_rows_are_complete_and_in_the_order_of_the_table():
    assert [case.code for case in CASES] == list(ROWS)


def test_the_first_row_that_applies_wins():
    everything = {k: v for changed, _ in ROWS.values() for k, v in changed.items()}
    order = {**FOUND, **everything, "selected": True, "reason": "", "contaminated": True}
    assert decide(Reading(**order))[0] == "contaminated"
    assert decide(Reading(**{**order, "contaminated": None, "skill": -0.1}))[0] == "no_gain"


def test_no_gain_names_reading_order_where_only_that_is_not_beaten():
    _, sentence = decide(Reading(**{**FOUND, "skill_over_order": -0.01}))
    assert sentence.startswith("Detectable, but predicts no better than reading order: ")


def test_controls_that_were_not_run_are_named():
    words = not_compared(Reading(**FOUND, beyond_controls=0.1))
    assert words == " Not compared with: the sound in the electrode; untrained or random vectors."
    ran = Reading(**FOUND, contaminated=False, beyond_controls=0.1, beyond_untrained=0.1)
    assert not_compared(ran) == ""


def test_many_regions_are_cut_and_counted():
    regions = (*(f"region {i}" for i in range(7)), "")
    _, sentence = decide(Reading(**{**FOUND, "regions": regions}))
    assert "region 4: 1, 3 more regions)" in sentence
    _, sentence = decide(Reading(**{**FOUND, "regions": ("",), "skill_over_order": np.nan}))
    assert sentence.startswith("1 of 20 electrodes (region unknown: 1) carries")

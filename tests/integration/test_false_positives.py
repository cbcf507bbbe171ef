"""From epochs to found electrodes: studies without word information name an electrode as rarely
as they may. Full size: tests/benchmarks/test_error_rates.py."""

import numpy as np
import pytest
from null_studies import N_SUBJECTS, analysed
from scipy import stats

SIZE = {"n_words": 60, "n_electrodes": 10, "n_features": 20, "permutations": 59}
N_STUDIES = 50


@pytest.mark.parametrize("drift", ["none", "trend"])
def test_a_study_without_word_information_rarely_names_an_electrode(drift):
    named, alone, plain = [], [], []
    for number in range(N_STUDIES):
        results, verdicts = analysed(np.random.default_rng([7, number]), drift=drift, **SIZE)
        named.append(bool(verdicts["found"].any()))
        selected = verdicts["q_value"].sel(null="order_adjusted") <= 0.05
        assert named[-1] == bool(selected.any())
        # Electrodes of one subject share their words: only one of each is independent.
        first = [result["p_value"].isel(electrode=0) <= 0.05 for result in results]
        alone += [bool(hit.sel(null="order_adjusted")) for hit in first]
        plain += [bool(hit.sel(null="plain")) for hit in first]
    assert sum(named) <= stats.binom.interval(0.95, N_STUDIES, 0.05)[1]
    low, high = stats.binom.interval(0.95, N_STUDIES * N_SUBJECTS, 0.05)
    assert low <= sum(alone) <= high
    # What drifts would be named in nearly every study but for the order regressors.
    assert (np.mean(plain) > 0.9) if drift == "trend" else (low <= sum(plain) <= high)


def test_the_same_studies_with_word_information_are_found():
    """Guard: what never names anything would pass the test above."""
    planted, found = 2, []
    for number in range(5):
        rng = np.random.default_rng([8, number])
        _, verdicts = analysed(rng, drift="none", skill=0.7, planted=planted, **SIZE)
        found.append(verdicts["found"].values.reshape(N_SUBJECTS, -1))
    found = np.array(found)
    assert found[:, :, :planted].mean() > 0.8
    assert found[:, :, planted:].mean() < 0.1

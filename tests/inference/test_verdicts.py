import numpy as np
import pytest
import xarray as xr
from fake_results import fake_result

import hgcube
from hgcube.errors import CubeError, OptionError
from hgcube.inference.evidence import gather


def label(case):
    return case.item()


def study(**second):
    return [
        fake_result("01", planted=(0, 3), seed=1),
        fake_result("02", planted=(), seed=2, **second),
    ]


def test_planted_electrodes_are_found_and_no_others():
    verdicts = hgcube.verify(study())
    found = verdicts.electrode.values[verdicts.found.sel(space="fasttext").values]
    assert found.tolist() == ["01-LA1", "01-LA4"]
    assert verdicts.electrode_subject.sel(electrode="01-LA4").item() == "01"
    assert verdicts.case.sel(space="fasttext").values.tolist() == [
        "word_information",
        "no_word_information",
    ]
    assert verdicts.n_found.values.ravel().tolist() == [2, 0]
    assert verdicts.n_tested.values.ravel().tolist() == [8, 8]


def test_p_and_q_follow_from_the_stored_statistics():
    results = study()
    verdicts = hgcube.verify(results)
    for result in results:
        statistic = result.studentized_r.sel(null="order_adjusted")
        reached = (result.null_max.sel(null="order_adjusted") >= statistic).sum("permutation")
        got = verdicts.p_adjusted.sel(null="order_adjusted", electrode=result.electrode.values)
        np.testing.assert_array_equal(got.squeeze(), (1 + reached) / 200)
    q = verdicts.q_value.sel(space="fasttext", null="order_adjusted")
    np.testing.assert_allclose(q.sel(subject="01"), 2 / 200)  # 2 tests, smallest p 1/200
    assert q.sel(subject="02") > 0.5


def test_mean_skill_is_that_of_the_found_electrodes_with_an_interval():
    (result,) = [fake_result(gain=0.7)]
    verdicts = hgcube.verify(result)
    expected = result.skill.sel(predictor="model", electrode=["01-LA1", "01-LA4"]).mean()
    np.testing.assert_allclose(verdicts.mean_skill.item(), expected)
    low, high = verdicts.mean_skill_interval.values.ravel()
    assert low < expected < high
    assert "covers less than stated" in verdicts.mean_skill_interval.attrs["long_name"]


def test_the_verdict_does_not_depend_on_the_order_or_the_container():
    results = [*study(), fake_result("01", "gpt2-11", planted=(), seed=5)]
    verdicts = hgcube.verify(results)
    tree = xr.DataTree.from_dict(
        {"/".join(str(r[k].item()) for k in ("subject", "space", "solver")): r for r in results}
    )
    for same in (dict(enumerate(results)), tree, iter(results)):
        xr.testing.assert_identical(hgcube.verify(same), verdicts)
    turned = hgcube.verify(results[::-1]).sel(electrode=verdicts.electrode)
    xr.testing.assert_identical(turned, verdicts)


def test_a_missing_combination_is_named_and_not_counted():
    results = [*study(), fake_result("01", "gpt2-11", planted=(), seed=5)]
    verdicts = hgcube.verify(results).sel(subject="02", space="gpt2-11")
    assert label(verdicts.case) == "not_tested"
    assert "no result for this subject and embedding" in label(verdicts.verdict)
    assert np.isnan(verdicts.q_value).all()
    assert np.isnan(verdicts.p_adjusted.sel(electrode="02-LA1")).all()


REASONS = {
    "no permutations were run": {"permutations": 0},
    "10 permutations, at least 19 are needed at level 0.05": {"permutations": 10},
    "49 words, at least 50 are needed": {"n_words": 49},
    "no usable electrode": {"bad": range(8)},
}


@pytest.mark.parametrize("reason", REASONS)
def test_what_cannot_be_tested_says_why_and_is_logged(reason, caplog):
    verdicts = hgcube.verify(study(**REASONS[reason])).sel(subject="02", space="fasttext")
    assert label(verdicts.verdict) == f"Not tested: {reason}."
    assert "subject 02, space fasttext not tested" in caplog.text
    assert np.isnan(verdicts.q_value).all()


def test_what_was_not_tested_does_not_count_among_the_tests():
    verdicts = hgcube.verify(study(n_words=49))
    np.testing.assert_allclose(verdicts.q_value.sel(subject="01").values, 1 / 200)


def test_a_collapsed_model_is_not_tested():
    result = fake_result(planted=())
    collapsed = result.assign(
        collapsed=xr.ones_like(result.collapsed),
        studentized_r=xr.full_like(result.studentized_r, -np.inf),
    )
    verdicts = hgcube.verify(collapsed)
    assert "the model collapsed to its reference" in label(verdicts.verdict)
    np.testing.assert_array_equal(verdicts.p_adjusted, 1.0)


def test_only_the_plain_null_means_reading_order():
    verdicts = hgcube.verify([fake_result(planted=(), plain_only=(2,))])
    assert label(verdicts.case) == "reading_order"
    assert not verdicts.found.any()


def test_bad_electrodes_are_not_read():
    verdicts = hgcube.verify([fake_result(planted=(0, 3), bad=(3,))])
    assert verdicts.found.squeeze().values.tolist() == [True] + [False] * 7
    assert np.isnan(verdicts.p_adjusted.sel(electrode="01-LA4")).all()
    assert label(verdicts.flags) == "bad_electrodes=1"


def test_ridge_decides_unless_only_another_solver_has_permutations():
    ridge, net = fake_result(seed=1), fake_result(solver="elastic_net", seed=2)
    bare = fake_result(permutations=0)
    solvers = [
        e[0].result.solver.item()
        for e in (gather([net, ridge], 0.05), gather([bare, net], 0.05), gather([bare], 0.05))
    ]
    assert solvers == ["ridge", "elastic_net", "ridge"]


def test_with_lags_an_electrode_is_read_at_its_best_lag():
    plain = fake_result()
    quiet = plain.assign(
        studentized_r=plain.studentized_r - 20, skill=plain.skill - 1, null_max=plain.null_max
    )
    by_lag = [name for name, v in plain.data_vars.items() if "electrode" in v.dims]
    lagged = xr.concat(
        [quiet[by_lag], plain[by_lag], quiet[by_lag]], dim="lag", data_vars="all"
    ).assign_coords(lag=[0.0, 0.1, 0.2])
    lagged = lagged.merge(plain.drop_vars(by_lag))
    for name in ("collapsed", "n_words"):
        lagged[name] = plain[name]
    expected = hgcube.verify(plain)
    xr.testing.assert_allclose(hgcube.verify(lagged), expected)


def test_controls_that_are_there_decide():
    result = fake_result(planted=(0, 3))
    order = result.sel(predictor=["order"])
    length = order.assign(skill=order.skill + 2.0).assign_coords(predictor=["length"])
    controlled = xr.concat([result, length], dim="predictor", data_vars="minimal")
    assert label(hgcube.verify(controlled).case) == "measured_controls"
    untrained = fake_result(space="untrained", planted=(0, 3), gain=0.9).assign_coords(
        control_of="fasttext"
    )
    verdicts = hgcube.verify([result, untrained])
    assert label(verdicts.case.sel(space="fasttext")) == "not_specific"
    loud = result.assign_coords(contaminated=("electrode", np.ones(8, dtype=bool)))
    assert label(hgcube.verify(loud).case) == "contaminated"


FLAGGED = {
    "flagged_words=2": {"flagged": (3, 9)},
    "few_permutations=19": {"permutations": 19},
}


@pytest.mark.parametrize("flag", FLAGGED)
def test_flags_carry_their_counts(flag):
    assert flag in label(hgcube.verify(study(**FLAGGED[flag])).flags.sel(subject="02").squeeze())


def test_the_artefact_of_offsets_between_electrodes_is_flagged():
    offsets = fake_result(planted=(), spread=20.0)
    flags = label(hgcube.verify(offsets).flags)
    assert flags.startswith(("r_without_skill=0.9", "r_without_skill=1.00"))
    assert label(hgcube.verify(fake_result(planted=(), spread=0.1)).flags) != flags


def test_unstable_and_negative_scores_are_flagged():
    flags = label(hgcube.verify(fake_result(planted=(), spread=0.1)).flags)
    assert "negative_r2=-" in flags
    assert "spread_of_r=0.3" in flags


@pytest.mark.parametrize("level", [0.0, 1.0, 5])
def test_a_level_outside_0_1_is_refused(level):
    with pytest.raises(OptionError, match="between 0 and 1"):
        hgcube.verify(study(), level=level)


def test_nothing_or_something_else_is_refused():
    with pytest.raises(OptionError, match="at least one result"):
        hgcube.verify([])
    with pytest.raises(CubeError, match="without \\['space'\\]"):
        hgcube.verify(fake_result().drop_vars("space"))

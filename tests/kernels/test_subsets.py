"""Words left out, against plain enumeration and refits on the words that are kept."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from hgcube.kernels import elastic_net, sklearn_net
from hgcube.kernels.designs import Design
from hgcube.kernels.order import order_regressors
from hgcube.kernels.solvers import SOLVERS
from hgcube.kernels.subsets import inverse_makers, spreads, word_sets

WORDS = 13


def design_of(features, testing, training=None, **options):
    stated = {"unpenalized": order_regressors(len(features), 1), "standardize": "fold", **options}
    training = ~testing if training is None else training
    return Design(features=features, testing=testing, training=training, **stated)


def folds(kind):
    if kind == "words":
        return np.eye(WORDS, dtype=bool), ~np.eye(WORDS, dtype=bool)
    number = np.resize([0, 2, 1, 3, 0], WORDS) if kind == "grouped" else np.arange(WORDS) // 4
    testing = number == np.arange(5)[:, None]  # the last fold of each kind tests no word
    training = ~testing
    if kind == "gap":
        training &= ~np.roll(testing, 1, axis=1)
    return testing, training


@pytest.fixture(params=["words", "grouped", "blocked", "gap"])
def design(request, rng):
    return design_of(rng.standard_normal((WORDS, 6)) * 3, *folds(request.param), inner=3)


def enumerated(design):
    """(words left out, {word: fold that its error judges}) of every inner fit, one by one."""
    tested = [fold for fold in range(len(design.testing)) if design.testing[fold].any()]
    for place, fold in enumerate(tested):
        train = [word for word in range(WORDS) if design.training[fold, word]]
        size, more = divmod(len(train), min(design.inner or len(train), len(train)))
        start = 0
        while start < len(train):
            stop = start + size + (more > 0)
            part = train[start:stop]
            yield {*part, *(set(range(WORDS)) - set(train))}, dict.fromkeys(part, place)
            start, more = stop, more - 1


def as_read(sets):
    """What the tables of inner folds say, as `enumerated` yields it."""
    for removed, credit in zip(sets.removed, sets.credit, strict=True):
        used = removed >= 0
        assert (np.diff(used.astype(int)) <= 0).all()
        assert (credit[~used] == -1).all()
        judged = {
            int(word): int(fold)
            for word, fold in zip(removed[used], credit[used], strict=True)
            if fold >= 0
        }
        yield set(removed[used].tolist()), judged


def test_folds_leave_out_what_they_do_not_train_on(design):
    sets = word_sets(design, nested=False)
    n_tested = int(design.testing.any(axis=1).sum())
    assert sets.folds.tolist() == list(range(n_tested))
    assert len(sets.removed) == n_tested
    for place, (removed, judged) in enumerate(as_read(sets)):
        assert removed == set(np.flatnonzero(~design.training[place]).tolist())
        assert not judged
        used = sets.removed[place] >= 0
        tested = sets.removed[place][sets.tested[place] & used]
        assert tested.tolist() == np.flatnonzero(design.testing[place]).tolist()
        assert not sets.tested[place][~used].any()


@pytest.mark.parametrize("inner", [None, 1, 3, 5, 100])
def test_inner_folds_equal_an_enumeration(design, inner):
    nested = word_sets(replace(design, inner=inner), nested=True)
    plain = word_sets(design, nested=False)
    n_folds = len(nested.folds)
    width = plain.removed.shape[1]
    np.testing.assert_array_equal(nested.removed[:n_folds, :width], plain.removed)
    found = list(as_read(nested))[n_folds:]
    expected = list(enumerated(replace(design, inner=inner)))
    if inner is None and n_folds == WORDS:
        # Two folds share a fit: each pair once, both words judged.
        assert len(found) == WORDS * (WORDS - 1) // 2 == len(expected) // 2
        split = [(words, {word: fold}) for words, judged in found for word, fold in judged.items()]
        key = lambda one: (sorted(one[0]), sorted(one[1].items()))
        assert sorted(split, key=key) == sorted(expected, key=key)
    else:
        assert found == expected
    assert len(found) >= n_folds


def test_inverses_make_held_out_residuals(design, rng):
    """Least squares on the kept words predicts the others with these residuals (Cook, Weisberg)."""
    sets, free = word_sets(design, nested=True), design.unpenalized
    target = rng.standard_normal(WORDS)
    residual = target - free @ np.linalg.lstsq(free, target, rcond=None)[0]
    inverses = inverse_makers(sets, free)
    for removed, inverse in zip(sets.removed, inverses, strict=True):
        used = removed >= 0
        words = removed[used]
        kept = np.delete(np.arange(WORDS), words)
        slopes = np.linalg.lstsq(free[kept], target[kept], rcond=None)[0]
        held_out = target[words] - free[words] @ slopes
        np.testing.assert_allclose(inverse[np.ix_(used, used)] @ residual[words], held_out)
        np.testing.assert_array_equal(inverse[np.ix_(~used, ~used)], np.eye((~used).sum()))
        assert not inverse[np.ix_(used, ~used)].any()
        assert np.abs(held_out - residual[words]).max() > 1e-3


def test_spreads_are_those_of_the_kept_words(design):
    sets = word_sets(design, nested=True)
    features = design.features - design.features.mean(axis=0)
    features = np.column_stack([features, np.eye(WORDS)[:, 0] - 1 / WORDS])
    found = spreads(sets, features)
    assert found.shape == (len(sets.folds), 7)
    for place in range(len(sets.folds)):
        expected = features[design.training[place]].std(axis=0)
        np.testing.assert_allclose(found[place], expected, rtol=1e-12, atol=1e-15)
    assert found[0, 6] == 0 < found[1, 6]
    assert not np.allclose(found[0], features.std(axis=0), rtol=1e-3)


def close_to_another(word):
    """A regressor that all words but one can hardly tell from the intercept."""
    return np.column_stack([np.ones(WORDS), np.eye(WORDS)[:, word] + 1e-5 * np.arange(WORDS)])


def test_no_inverse_where_kept_words_do_not_tell_regressors_apart(rng):
    design = design_of(rng.standard_normal((WORDS, 6)), *folds("words"))
    sets = word_sets(design, nested=True)
    indicator = np.column_stack([np.ones(WORDS), np.eye(WORDS)[:, 4]])
    for free in (indicator, close_to_another(4)):
        assert inverse_makers(sets, free) is None
        once = [place for place in range(len(sets.removed)) if 4 not in sets.removed[place]]
        rest = replace(sets, removed=sets.removed[once])
        assert inverse_makers(rest, free) is not None


@pytest.mark.parametrize("nested", [False, True])
def test_no_spread_where_one_is_lost_in_rounding(rng, nested):
    features = rng.standard_normal((WORDS, 3))
    features[:, 1] *= 1e-5
    features[2, 1] = 1e3
    features -= features.mean(axis=0)
    sets = word_sets(design_of(features, *folds("words")), nested=nested)
    assert spreads(sets, features) is None
    assert spreads(sets, features[:, ::2]) is not None
    # Two words that only an inner fold leaves out together
    features[:, 1] = 1e-5 * features[:, 0]
    features[[2, 7], 1] = 1e3, -1e3
    features -= features.mean(axis=0)
    assert (spreads(sets, features) is None) == nested


AWKWARD = ["regressors", "spread", "in pairs"]


@pytest.mark.parametrize("awkward", AWKWARD)
@pytest.mark.parametrize("standardize", ["fold", "all_words", False])
def test_what_cannot_be_subtracted_is_fitted_fold_by_fold(rng, awkward, standardize, monkeypatch):
    monkeypatch.setattr(sklearn_net, "TOLERANCE", 1e-14)
    features = rng.standard_normal((WORDS, 5))
    free = close_to_another(4) if awkward == "regressors" else np.ones((WORDS, 1))
    if awkward != "regressors":
        features[:, 1] *= 1e-4
        features[[2] if awkward == "spread" else [2, 7], 1] = 50.0
    targets = features[:, [0, 2]] + 0.3 * rng.standard_normal((WORDS, 2))
    design = design_of(
        features,
        *folds("words"),
        unpenalized=free,
        standardize=standardize,
        alphas=(0.3, 0.05),
    )
    assert elastic_net._study(design) is None
    path, expected = (
        SOLVERS[name].prepare(design)(targets) for name in ("elastic_net", "elastic_net_sklearn")
    )
    assert not path.not_converged.any()
    np.testing.assert_array_equal(path.n_nonzero, expected.n_nonzero)
    np.testing.assert_allclose(path.errors, expected.errors, rtol=1e-7)
    np.testing.assert_allclose(path.l1_max, expected.l1_max, rtol=1e-9)
    scale = np.abs(expected.added).max()
    np.testing.assert_allclose(path.added, expected.added, atol=1e-9 * scale)
    assert scale > 0.1


def test_every_pair_of_words_is_one_set():
    design = design_of(np.ones((WORDS, 1)), *folds("words"))
    sets = word_sets(design, nested=True)
    pairs = {tuple(sorted(removed)) for removed in sets.removed[WORDS:].tolist()}
    assert pairs == set(itertools.combinations(range(WORDS), 2))

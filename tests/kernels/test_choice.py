from __future__ import annotations

import numpy as np
import pytest

from hgcube.kernels.choice import added_predictions, choose
from hgcube.kernels.designs import Path

CANDIDATES, WORDS, TARGETS = 5, 12, 6
FOLDS = np.repeat(np.eye(4, dtype=bool), 3, axis=1)
OWN = np.arange(TARGETS)


@pytest.fixture
def targets(rng):
    return rng.standard_normal((WORDS, TARGETS)) * np.linspace(1, 30, TARGETS) + 5


@pytest.fixture
def path(rng):
    return Path(
        alpha=np.outer(np.geomspace(9, 1, CANDIDATES), np.arange(1, 5)),
        l1_ratio=np.array([0.1, 0.1, 0.1, 0.5, 0.5]),
        added=rng.standard_normal((CANDIDATES, WORDS, TARGETS)),
        n_nonzero=rng.integers(0, 9, (CANDIDATES, 4, TARGETS)).astype(float),
        l1_max=rng.random((4, TARGETS)),
        errors=rng.random((CANDIDATES, 4, TARGETS)),
        not_converged=np.zeros(TARGETS, dtype=np.int64),
    )


def test_each_target_takes_its_smallest_error(path, targets):
    choice = choose(path, targets, FOLDS, ~FOLDS, OWN)
    assert len(np.unique(choice.candidate)) == CANDIDATES
    for fold in range(4):
        for target in range(TARGETS):
            best = path.errors[:, fold, target].argmin()
            assert choice.candidate[fold, target] == best
            assert choice.alpha[fold, target] == path.alpha[best, fold]
            assert choice.l1_ratio[fold, target] == path.l1_ratio[best]
            assert choice.n_nonzero[fold, target] == path.n_nonzero[best, fold, target]
            largest = path.l1_max[fold, target] / path.l1_ratio[best]
            assert choice.alpha_max[fold, target] == largest
            own = FOLDS[fold]
            np.testing.assert_array_equal(choice.added[own, target], path.added[best, own, target])
    np.testing.assert_array_equal(
        added_predictions(path, targets, FOLDS, ~FOLDS, OWN), choice.added
    )


def test_groups_pool_errors_over_the_variance_in_training_words(path, targets):
    groups = np.array([7, 3, 7, 3, 7, 1])
    choice = choose(path, targets, FOLDS, ~FOLDS, groups)
    for fold in range(4):
        for group in (1, 3, 7):
            members = np.flatnonzero(groups == group)
            variances = targets[~FOLDS[fold]][:, members].var(axis=0)
            pooled = (path.errors[:, fold, members] / variances).sum(axis=1)
            assert (choice.candidate[fold, members] == pooled.argmin()).all()
    alone = choose(path, targets, FOLDS, ~FOLDS, OWN)
    assert (alone.candidate != choice.candidate).any()
    np.testing.assert_array_equal(alone.candidate[:, 5], choice.candidate[:, 5])


def test_scale_of_a_target_gives_it_no_more_voice(path, targets):
    groups = np.zeros(TARGETS, dtype=int)
    factors = np.geomspace(1e-6, 1e6, TARGETS)
    scaled = Path(**{**vars(path), "errors": path.errors * factors**2})
    before = choose(path, targets, FOLDS, ~FOLDS, groups)
    after = choose(scaled, targets * factors, FOLDS, ~FOLDS, groups)
    np.testing.assert_array_equal(after.candidate, before.candidate)


def test_a_constant_target_has_no_voice(path, targets):
    groups = np.zeros(TARGETS, dtype=int)
    constant = targets.copy()
    constant[:, 2] = 0.1
    errors = path.errors.copy()
    errors[:, :, 2] = np.inf
    errors[4, :, 2] = 0
    found = choose(Path(**{**vars(path), "errors": errors}), constant, FOLDS, ~FOLDS, groups)
    alone = np.delete(np.arange(TARGETS), 2)
    variances = np.array([constant[words][:, alone].var(axis=0) for words in ~FOLDS])
    pooled = (path.errors[:, :, alone] / variances).sum(axis=2)
    np.testing.assert_array_equal(found.candidate[:, 0], pooled.argmin(axis=0))


def test_ties_go_to_the_stronger_and_infinite_errors_are_no_choice(path, targets):
    errors = np.ones_like(path.errors)
    errors[:2, :, 1] = np.inf
    errors[:, :, 2] = np.inf
    choice = choose(Path(**{**vars(path), "errors": errors}), targets, FOLDS, ~FOLDS, OWN)
    assert (choice.candidate[:, 0] == 0).all()
    assert (choice.candidate[:, 1] == 2).all()
    assert (choice.candidate[:, 2] == 0).all()

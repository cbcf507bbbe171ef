from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from hgcube.errors import OptionError, UnknownLabelError
from hgcube.folds import SCHEMES, assign_folds, fold_masks


@pytest.fixture
def words():
    run = ["b"] * 11 + ["a"] * 12
    return xr.DataArray(np.zeros(23), dims="word", coords={"run": ("word", run)})


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_word_is_tested_once_and_never_in_its_training(words, scheme):
    testing, training = fold_masks(words, scheme)
    assert (testing.sum(axis=0) == 1).all()
    assert not (testing & training).any()
    np.testing.assert_array_equal(testing.argmax(axis=0), assign_folds(words, scheme))
    if not scheme.startswith("blocked"):
        assert (testing | training).all()


def test_contiguous_folds_differ_by_a_word_at_most(words):
    folds = assign_folds(words, "k-fold:5")
    assert (np.diff(folds) >= 0).all()
    assert set(np.bincount(folds)) == {4, 5}


def test_gap_keeps_neighbours_out_of_training(words):
    testing, training = fold_masks(words, "blocked:4:3")
    position = np.arange(23)
    for test, train in zip(testing, training, strict=True):
        distance = np.abs(position[:, None] - position[test]).min(axis=1)
        np.testing.assert_array_equal(train, distance > 3)


def test_groups_are_numbered_as_they_appear(words):
    assert assign_folds(words, "grouped:run").tolist() == [0] * 11 + [1] * 12


@pytest.mark.parametrize(
    "scheme", ["k-fold", "k-fold:1", "k-fold:x", "k-fold:24", "blocked:4", "blocked:4:-1"]
)
def test_malformed_schemes(words, scheme):
    with pytest.raises(OptionError):
        fold_masks(words, scheme)


def test_unknown_schemes_and_coordinates(words):
    with pytest.raises(UnknownLabelError, match="leave-one-word-out"):
        assign_folds(words, "leave-one-out")
    with pytest.raises(UnknownLabelError, match="'run'"):
        assign_folds(words, "grouped:runs")


def test_one_fold_is_too_few(words):
    with pytest.raises(OptionError, match="two folds"):
        fold_masks(words.isel(word=slice(5)), "grouped:run")

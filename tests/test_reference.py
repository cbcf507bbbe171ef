import logging

import dask
import numpy as np
import pytest
import xarray as xr

from hgcube.errors import CubeError, OptionError, UnknownLabelError
from hgcube.kernels.referencing import group_means
from hgcube.quality import mark_problems
from hgcube.reference import SCHEMES, rereference
from hgcube.schema import text_array
from tests.recordings import plain, recording


def small(**options):
    return recording(seconds=0.5, **options)


def marked(cube, **problems):
    reasons = [problems.get(name, "") for name in cube.coords["name"].values]
    found = xr.DataArray(
        text_array(reasons), dims="electrode", coords={"electrode": cube.electrode}
    )
    return mark_problems(cube, found)


def values(cube, name):
    return cube.values[cube.coords["name"].values.tolist().index(name)]


def test_bipolar_pairs_are_neighbours_on_one_shaft(caplog):
    cube = small()
    with caplog.at_level(logging.WARNING, "hgcube"):
        pairs = rereference(cube, "bipolar")
    assert pairs.electrode.values.tolist() == ["01-LA1-LA2", "01-LA2-LA3", "01-LB1-LB2"]
    assert pairs.coords["name"].values.tolist() == ["LA1-LA2", "LA2-LA3", "LB1-LB2"]
    assert pairs.anode.values.tolist() == ["LA1", "LA2", "LB1"]
    assert pairs.cathode.values.tolist() == ["LA2", "LA3", "LB2"]
    assert set(pairs.reference.values.tolist()) == {"bipolar"}
    assert pairs.attrs["n_unpaired"] == 1
    assert "1 of 6 electrodes are in no pair" in caplog.text
    np.testing.assert_array_equal(pairs[2], values(cube, "LB1") - values(cube, "LB2"))
    np.testing.assert_array_equal(pairs.x, [0.5, 1.5, 3.5])
    np.testing.assert_array_equal(pairs.stored_scale, 1e-6)
    assert pairs.region.values.tolist() == ["region of LA1", "region of LA2", "region of LB1"]
    assert pairs.attrs["line_frequency"] == 50.0
    assert pairs.time.attrs == cube.time.attrs


def test_bipolar_pairs_inherit_what_is_bad_and_lose_a_scale_they_do_not_share():
    cube = marked(small(), LA3="flat", LA2="missing")
    scale = cube.stored_scale.copy(data=[1e-6, 1e-6, 2e-6, 1e-6, 1e-6, 1e-6])
    pairs = rereference(cube.assign_coords(stored_scale=scale), "bipolar")
    assert pairs.bad.values.tolist() == [True, True, False]
    assert pairs.bad_reason.values.tolist() == ["missing", "missing;flat", ""]
    np.testing.assert_array_equal(pairs.stored_scale, [1e-6, np.nan, 1e-6])


def test_a_gap_or_another_group_makes_no_pair():
    gap = rereference(small(names=("A1", "A3", "A4", "A10", "A11", "B5", "C")), "bipolar")
    assert gap.coords["name"].values.tolist() == ["A3-A4", "A10-A11"]
    assert gap.attrs["n_unpaired"] == 3
    cube = small(names=("A1", "A2", "A3"))
    split = cube.assign_coords(group=("electrode", text_array(["x", "x", "y"])))
    assert rereference(split, "bipolar").coords["name"].values.tolist() == ["A1-A2"]
    with pytest.raises(OptionError, match="scheme='none'"):
        rereference(small(names=("A1", "B1", "C4", "D")), "bipolar")


def test_auto_is_bipolar_where_names_allow_and_says_when_not(caplog):
    xr.testing.assert_identical(rereference(small(), "auto"), rereference(small(), "bipolar"))
    grid = small(names=("A", "B", "C", "D"))
    with caplog.at_level("WARNING", "hgcube"):
        xr.testing.assert_identical(rereference(grid, "auto"), rereference(grid, "none"))
    assert "no electrode has a neighbour" in caplog.text


def test_what_two_neighbours_share_is_gone():
    cube = small()
    shared = cube + 1e-4 * np.sin(2 * np.pi * 50 * cube.time)
    for scheme in ("bipolar", "shaft", "average"):
        expected, got = (rereference(each, scheme) for each in (cube, shared))
        np.testing.assert_allclose(got, expected, atol=1e-17, rtol=0)


def test_average_is_of_the_good_electrodes_only():
    cube = marked(small(), LA2="flat")
    cube[1] *= 1e6
    averaged = rereference(cube, "average")
    good = [0, 2, 3, 4, 5]
    np.testing.assert_allclose(averaged, cube - cube[good].mean("electrode"), rtol=1e-9, atol=1e-16)
    np.testing.assert_allclose(averaged[good].mean("electrode"), 0, atol=1e-18)


def test_samples_that_are_not_finite_enter_no_mean():
    cube = small()
    spoiled = cube.copy(deep=True)
    spoiled[0, 10], spoiled[0, 11] = np.nan, np.inf
    averaged = rereference(spoiled, "average")
    assert np.isfinite(averaged[1:]).all()
    expected = cube[1:, 10] - cube[1:, 10].mean("electrode")
    np.testing.assert_allclose(averaged[1:, 10], expected, rtol=1e-9)


def test_shaft_is_the_mean_of_its_good_electrodes(caplog):
    cube = marked(small(names=("A1", "A2", "A3", "B1", "B2", "C1")), B2="flat")
    with caplog.at_level(logging.WARNING, "hgcube"):
        shaft = rereference(cube, "shaft")
    np.testing.assert_allclose(shaft[:3], cube[:3] - cube[:3].mean("electrode"), rtol=1e-9)
    assert np.isnan(shaft[3:]).all()
    assert shaft.bad.values.tolist() == [False, False, False, True, True, True]
    assert shaft.bad_reason.values[4].startswith("flat;")
    assert "3 of 6 electrodes" in caplog.text


@pytest.mark.parametrize("scheme", SCHEMES)
def test_chunks_of_electrodes_are_kept(scheme):
    cube = recording(seconds=1.0, names=[f"A{i}" for i in range(1, 13)])
    lazy = rereference(cube.chunk(electrode=4), scheme)
    assert max(lazy.chunksizes["electrode"]) == 4
    assert len(lazy.chunksizes["electrode"]) <= 4
    assert lazy.chunksizes["time"] == (1024,)
    np.testing.assert_array_equal(dask.compute(lazy)[0], rereference(cube, scheme))


def test_none_changes_no_number_and_keeps_the_recorded_reference():
    cube = small()
    same = rereference(cube, "none")
    np.testing.assert_array_equal(same, cube)
    assert set(same.reference.values.tolist()) == {"none"}
    recorded = cube.assign_coords(reference=("electrode", text_array(["mastoid"] * 6)))
    assert set(rereference(recorded, "none").reference.values.tolist()) == {"mastoid"}


def test_plain_labels_are_enough_and_none_is_too_little():
    cube = plain(small())
    pairs = rereference(cube.assign_coords(electrode=["A1", "A2", "A3", "B7", "B8", "C"]))
    assert pairs.electrode.values.tolist() == ["A1-A2", "A2-A3", "B7-B8"]
    unnamed = cube.drop_vars("electrode")
    assert rereference(unnamed, "average").shape == cube.shape
    with pytest.raises(CubeError, match="names"):
        rereference(unnamed, "bipolar")
    with pytest.raises(OptionError, match="at least two good"):
        rereference(unnamed[:1], "average")
    with pytest.raises(UnknownLabelError, match="'average'"):
        rereference(cube, "averge")


def test_group_means_equal_numpy(rng):
    signals = rng.standard_normal((50, 7))
    members = [[0, 3, 6], [], [1]]
    means = group_means(signals, members=members)
    np.testing.assert_allclose(means[:, 0], signals[:, [0, 3, 6]].mean(axis=1), rtol=1e-12)
    assert np.isnan(means[:, 1]).all()
    np.testing.assert_array_equal(means[:, 2], signals[:, 1])
    assert group_means(signals.astype(np.float32), members=members).dtype == np.float32

from __future__ import annotations

import itertools

import dask
import numpy as np
import pytest
import xarray as xr

from hgcube.errors import OptionError, UnknownLabelError
from hgcube.schema import text_array

SUBJECTS = ["01", "01", "04", "04", "04"]
REGIONS = ["IFG", "STG", "STG", "IFG", ""]


@pytest.fixture
def cube() -> xr.DataArray:
    return xr.DataArray(
        np.arange(60.0).reshape(3, 5, 4),
        dims=("word", "electrode", "lag"),
        coords={
            "word": [0, 1, 2],
            "text": ("word", text_array(["boot", "huis", "boot"])),
            "electrode": text_array([f"e{i}" for i in range(5)]),
            "subject": ("electrode", text_array(SUBJECTS)),
            "region": ("electrode", text_array(REGIONS)),
            "bad": ("electrode", [False, True, False, False, True]),
            "lag": [-0.25, 0.0, 0.25, 0.5],
            "space": "fasttext",
        },
    )


@pytest.mark.parametrize("subject", ["01", ["04"], ["01", "04"], ("04",)])
@pytest.mark.parametrize("region", ["IFG", ["IFG", "STG"], np.array(["STG", ""])])
def test_it_equals_a_mask_in_plain_words(
    cube: xr.DataArray, subject: object, region: object
) -> None:
    subjects = [subject] if isinstance(subject, str) else list(subject)  # type: ignore[call-overload]
    regions = [region] if isinstance(region, str) else list(region)  # type: ignore[call-overload]
    kept = [
        i
        for i, (own, place) in enumerate(zip(SUBJECTS, REGIONS, strict=True))
        if own in subjects and place in regions
    ]
    xr.testing.assert_identical(
        cube.hg.sel(subject=subject, region=region), cube.isel(electrode=kept)
    )


def test_several_dims_at_once(cube: xr.DataArray) -> None:
    found = cube.hg.sel(subject="04", word="boot", lag=slice(0, 0.25), bad=False)
    xr.testing.assert_identical(found, cube.isel(word=[0, 2], electrode=[2, 3], lag=[1, 2]))
    assert cube.hg.sel(subject="01", region="").sizes["electrode"] == 0


def test_word_by_text_or_by_position(cube: xr.DataArray) -> None:
    xr.testing.assert_identical(cube.hg.sel(word=["huis"]), cube.isel(word=[1]))
    xr.testing.assert_identical(cube.hg.sel(word=2), cube.isel(word=[2]))
    without_text = cube.drop_vars("text").assign_coords(word=text_array(["01-0", "01-1", "01-2"]))
    xr.testing.assert_identical(without_text.hg.sel(word="01-1"), without_text.isel(word=[1]))


def test_word_labels_of_a_table(cube: xr.DataArray) -> None:
    table = cube.assign_coords(word=text_array(["01-000", "01-001", "01-002"]))
    xr.testing.assert_identical(table.hg.sel(text="boot"), table.isel(word=[0, 2]))
    xr.testing.assert_identical(table.hg.sel(word="boot"), table.isel(word=[0, 2]))


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        (slice(None, 0), [0, 1]),
        (slice(0.25, None), [2, 3]),
        (slice(None), [0, 1, 2, 3]),
        (slice(0.3, 0.4), []),
        ([0.0, 0.5], [1, 3]),
    ],
)
def test_slices_include_both_ends(cube: xr.DataArray, wanted: object, kept: list[int]) -> None:
    xr.testing.assert_identical(cube.hg.sel(lag=wanted), cube.isel(lag=kept))


def test_a_scalar_coordinate_is_checked(cube: xr.DataArray) -> None:
    xr.testing.assert_identical(cube.hg.sel(space="fasttext"), cube)
    with pytest.raises(UnknownLabelError, match="'fasttext'"):
        cube.hg.sel(space="fastext")


def test_unknown_labels_name_the_closest(cube: xr.DataArray) -> None:
    with pytest.raises(UnknownLabelError, match="'STG'"):
        cube.hg.sel(region="STGx")
    with pytest.raises(UnknownLabelError, match="'huis'"):
        cube.hg.sel(word=["boot", "huys"])
    with pytest.raises(UnknownLabelError, match="'region'"):
        cube.hg.sel(regoin="STG")
    with pytest.raises(KeyError):
        cube.hg.sel(subject="4")


def test_a_two_dimensional_coordinate_is_refused(cube: xr.DataArray) -> None:
    wide = cube.assign_coords(weight=(("word", "electrode"), np.ones((3, 5))))
    with pytest.raises(OptionError, match="one dim"):
        wide.hg.sel(weight=1)


def test_nothing_is_computed(cube: xr.DataArray) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("computed")

    lazy = cube.copy(data=cube.chunk(electrode=2).data)
    with dask.config.set(scheduler=refuse):
        found = lazy.hg.sel(subject="04", region=["IFG", "STG"], lag=slice(0, None))
        with pytest.raises(AssertionError, match="computed"):
            found.compute()
    xr.testing.assert_identical(
        found.compute(), cube.hg.sel(subject="04", region=["IFG", "STG"], lag=slice(0, None))
    )


def test_a_dataset_is_cut_in_all_its_variables(cube: xr.DataArray) -> None:
    dataset = xr.Dataset({"a": cube, "b": cube.isel(lag=0, drop=True), "c": ((), 1.0)})
    found = dataset.hg.sel(subject="04", region="STG")
    assert {name: found[name].sizes.get("electrode") for name in "abc"} == {
        "a": 1,
        "b": 1,
        "c": None,
    }


def test_the_order_of_labels_does_not_matter(cube: xr.DataArray) -> None:
    labels = {"subject": "04", "region": ["STG", "IFG"], "word": "boot"}
    first = cube.hg.sel(**labels)
    for order in itertools.permutations(labels):
        xr.testing.assert_identical(cube.hg.sel(**{name: labels[name] for name in order}), first)

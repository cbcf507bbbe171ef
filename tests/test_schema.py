from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from hgcube import names, schema
from hgcube.errors import CubeError, HgcubeError, UnknownLabelError
from hgcube.schema import SPECS, added_flags, bad_electrodes, check, finish, text_array
from hgcube.variables import VARIABLES, describe, result_parts


def plain(kind: str) -> xr.DataArray:
    """The least that `kind` demands: dims and dtype."""
    spec = SPECS[kind]
    shape = tuple(range(2, 2 + len(spec.dims)))
    values = np.zeros(shape) if "f" in spec.dtypes else text_array(np.full(shape, "boot"))
    return xr.DataArray(values, dims=spec.dims)


@pytest.mark.parametrize("kind", SPECS)
class TestEveryKind:
    def test_a_plain_array_is_welcome_and_returned_itself(self, kind: str) -> None:
        cube = plain(kind)
        assert check(cube, kind) is cube

    def test_the_store_demands_coordinates(self, kind: str) -> None:
        spec = SPECS[kind]
        if not spec.coords:
            assert check(plain(kind), kind, stored=True).equals(plain(kind))
            return
        with pytest.raises(CubeError, match=spec.made_by):
            check(plain(kind), kind, stored=True)
        whole = plain(kind).assign_coords(dict.fromkeys(spec.coords, 0.0))
        assert check(whole, kind, stored=True) is whole

    def test_a_missing_and_a_foreign_dim(self, kind: str) -> None:
        cube = plain(kind)
        with pytest.raises(CubeError, match="not known here"):
            check(cube.expand_dims("trial"), kind)
        needed = next(dim for dim in cube.dims if dim not in SPECS[kind].optional)
        with pytest.raises(CubeError, match="missing"):
            check(cube.isel({needed: 0}), kind)
        for optional in SPECS[kind].optional:
            check(cube.isel({optional: 0}), kind)

    def test_another_dtype(self, kind: str) -> None:
        with pytest.raises(CubeError, match="dtype"):
            check(plain(kind).astype(bool), kind)

    def test_duplicated_labels(self, kind: str) -> None:
        dim = SPECS[kind].dims[0]
        cube = plain(kind)
        with pytest.raises(CubeError, match="more than once"):
            check(cube.assign_coords({dim: np.zeros(cube.sizes[dim])}), kind)

    def test_not_a_data_array(self, kind: str) -> None:
        with pytest.raises(CubeError, match="Dataset"):
            check(plain(kind).to_dataset(name="a"), kind)

    def test_finish_orders_names_and_describes(self, kind: str) -> None:
        spec = SPECS[kind]
        turned = plain(kind).transpose(*reversed(spec.dims)).assign_attrs(leak=1)
        done = finish(turned.rename("other"), kind, attrs={"window": 0.05})
        assert done.dims == spec.dims
        assert done.name == kind
        assert set(done.attrs) == {
            "kind",
            "long_name",
            "window",
            *(["units"] if spec.units else []),
        }
        assert done.attrs["long_name"] == spec.long_name

    def test_finish_is_lazy(self, kind: str) -> None:
        cube = plain(kind)
        lazy = cube.copy(data=da.from_array(cube.values, chunks=1))
        assert isinstance(finish(lazy, kind).data, da.Array)

    def test_every_unit_it_lists_is_accepted_and_no_other(self, kind: str) -> None:
        for units in SPECS[kind].units:
            assert finish(plain(kind), kind, units=units).attrs["units"] == units
        if SPECS[kind].units:
            with pytest.raises(CubeError, match="units 'furlong'"):
                finish(plain(kind), kind, units="furlong")
            with pytest.raises(CubeError, match="units 'furlong'"):
                check(plain(kind).assign_attrs(units="furlong"), kind)


def test_unknown_kinds_name_the_closest() -> None:
    with pytest.raises(UnknownLabelError, match="'high_gamma'"):
        check(plain("epochs"), "highgamma")
    with pytest.raises(UnknownLabelError, match="'skill'"):
        describe(xr.Dataset({"skil": 1.0}))


def test_attributes_of_coordinates_stay_theirs() -> None:
    cube = plain("high_gamma").assign_coords(
        time=("time", np.arange(3.0), {"sampling_frequency": 100.0})
    )
    assert schema.sampling_frequency(finish(cube, "high_gamma")) == 100.0
    with pytest.raises(CubeError, match="sampling_frequency"):
        schema.sampling_frequency(plain("high_gamma"))


def test_every_variable_uses_known_dims_and_says_what_it_is() -> None:
    dims = {getattr(names, name) for name in vars(names) if name.isupper()}
    for name, spec in VARIABLES.items():
        assert set(spec.dims) <= dims, name
        assert spec.long_name and spec.units, name
        assert spec.made_by in ("results", "verdicts"), name
        assert name not in dims, "a variable named like a dim drops the index"


def test_describe_leaves_its_input_alone() -> None:
    given = xr.Dataset({"skill": ("electrode", [0.1], {"leak": 1})})
    done = describe(given)
    assert set(done["skill"].attrs) == {"units", "long_name"}
    assert given["skill"].attrs == {"leak": 1}


def test_word_coords_carry_text_and_everything_by_word() -> None:
    words = xr.DataArray(
        text_array(["boot", "huis"]),
        dims="word",
        coords={"word": [0, 1], "onset": ("word", [0.0, 3.0]), "subject": "01"},
        attrs={"units": "none"},
    )
    coords = schema.word_coords(words)
    assert set(coords) == {"word", "onset", "text"}
    cube = plain("features").assign_coords(coords)
    assert cube.text.values.tolist() == ["boot", "huis"]
    assert not cube.text.attrs


@pytest.mark.parametrize(
    "given", [["a", "bé"], np.array(["a", "bé"]), np.array(["a", "bé"], object)]
)
def test_text_is_of_one_dtype(given: object) -> None:
    made = text_array(given)
    assert made.dtype == np.dtypes.StringDType()
    assert made.tolist() == ["a", "bé"]


def test_result_parts_takes_one_many_and_trees() -> None:
    labels = {"subject": "01", "space": "fasttext", "solver": "ridge"}
    part = xr.Dataset({"skill": ("electrode", [0.1])}, coords=labels)
    tree = xr.DataTree.from_dict({"01/fasttext/ridge": part, "02/fasttext/ridge": part})
    assert len(result_parts(part)) == 1
    assert len(result_parts([part, part])) == 2
    assert len(result_parts({"a": part})) == 1
    assert [set(found.data_vars) for found in result_parts(tree)] == [{"skill"}, {"skill"}]
    with pytest.raises(CubeError, match="'solver'"):
        result_parts(part.drop_vars("solver"))


def test_an_error_has_three_parts() -> None:
    error = HgcubeError("a", "b", "Do c")
    assert str(error) == "Expected a. Got b. Do c."
    assert isinstance(UnknownLabelError.of("region", "x", []), KeyError)


def test_flags_are_added_behind_those_that_are_there() -> None:
    cube = xr.DataArray(np.zeros(3), dims="word", coords={"flag": ("word", ["", "a;b", "a"])})
    assert added_flags(cube, "flag", "word", ["c", "", "a;c"]).tolist() == ["c", "a;b", "a;c"]
    assert added_flags(cube.drop_vars("flag"), "flag", "word", "xyz").tolist() == ["x", "y", "z"]


def test_without_a_mark_no_electrode_is_bad() -> None:
    cube = xr.DataArray(np.zeros(2), dims="electrode", coords={"bad": ("electrode", [True, False])})
    assert bad_electrodes(cube).tolist() == [True, False]
    assert bad_electrodes(cube.drop_vars("bad")).tolist() == [False, False]

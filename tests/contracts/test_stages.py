"""What every stage promises, tested once for all of them; the stages are in `cases.py`."""

from __future__ import annotations

import dask
import numpy as np
import pytest
import xarray as xr

from hgcube.schema import check
from tests.contracts.cases import CASES

RNG = np.random.default_rng(11)


def over(cases):
    return pytest.mark.parametrize("case", list(cases), ids=lambda case: case.id)


every_stage = over(CASES)
lazy_stage = over(case for case in CASES if case.lazy)
aligned_stage = over(case for case in CASES if case.misaligned)
bare_stage = over(case for case in CASES if case.bare)
by_label = over(case for case in CASES if case.permuted)
own_attributes = over(case for case in CASES if not case.keeps_attributes)


def never(graph, keys, **options):
    raise AssertionError(f"{len(keys)} results were computed while a stage was only called")


def variables(output):
    """Return the arrays of an output by name; of an array, itself."""
    if isinstance(output, xr.DataArray):
        return {"": output}
    return dict(output.data_vars)


def chunked(case, chunks):
    """Return the inputs as a user gets them from ``.chunk``: even coordinates are in chunks."""
    cubes = dict(case.inputs())
    for name in case.lazy:
        known = {dim: size for dim, size in chunks.items() if dim in cubes[name].dims}
        cubes[name] = cubes[name].chunk(known)
    return cubes


def lazily(case, chunks):
    """Return the output of the stage on lazy inputs with their labels in memory, as a store
    opens them; any computing raises.
    """
    cubes = case.inputs()
    lazy = chunked(case, chunks)
    cubes = {name: cube.copy(data=lazy[name].data) for name, cube in cubes.items()}
    with dask.config.set(scheduler=never):
        return case.run(cubes)


def assert_same(got, expected, rounding):
    assert got.dims == expected.dims
    assert set(got.coords) == set(expected.coords)
    for name, coord in expected.coords.items():
        np.testing.assert_array_equal(got[name].values, coord.values, err_msg=str(name))
    if rounding and got.dtype.kind == "f":
        size = np.nanmax(np.abs(expected.values), initial=0.0)
        np.testing.assert_allclose(got.values, expected.values, rtol=rounding, atol=rounding * size)
    else:
        np.testing.assert_array_equal(got.values, expected.values)


@lazy_stage
def test_nothing_is_computed_by_calling(case):
    for chunks in case.chunkings:
        output = lazily(case, chunks)
        assert any(variable.chunks for variable in variables(output).values())


@lazy_stage
def test_the_declared_dtype_is_the_computed_one(case):
    for variable in variables(lazily(case, case.chunkings[0])).values():
        declared = variable.dtype
        assert variable.compute().dtype == declared
        if variable.chunks:
            assert variable.data._meta.dtype == declared


@lazy_stage
def test_chunks_change_no_number(case):
    eager = variables(case.run(case.inputs()))
    assert any(_varies(variable) for variable in eager.values())
    for chunks in case.chunkings:
        lazy = variables(case.run(chunked(case, chunks)))
        assert lazy.keys() == eager.keys()
        for name, expected in eager.items():
            assert_same(lazy[name].compute(scheduler="synchronous"), expected, case.rounding)


@every_stage
def test_the_order_of_dims_changes_no_number(case):
    cubes = case.inputs()
    turned = {
        name: cube.transpose(*cube.dims[::-1]).copy(deep=True) for name, cube in cubes.items()
    }
    expected = variables(case.run(cubes))
    for name, got in variables(case.run(turned)).items():
        assert_same(got.transpose(*expected[name].dims), expected[name], case.rounding)


def _varies(variable):
    values = variable.values.ravel().tolist()
    return len(set(values)) > 1


@by_label
def test_a_permuted_input_gives_the_permuted_output(case):
    cubes = dict(case.inputs())
    first, dim = next(iter(cubes)), case.permuted
    order = RNG.permutation(cubes[first].sizes[dim])
    shuffled = case.run({**cubes, first: cubes[first].isel({dim: order})})
    for name, expected in variables(case.run(cubes)).items():
        got = variables(shuffled)[name]
        if dim in expected.dims:
            assert set(got[dim].values.tolist()) == set(expected[dim].values.tolist())
            got = got.sel({dim: expected[dim].values})
        assert_same(got, expected, case.permuted_rounding)


@every_stage
def test_inputs_are_not_changed(case):
    cubes = case.inputs()
    before = {name: cube.copy(deep=True) for name, cube in cubes.items()}
    case.run(cubes)
    for name, cube in cubes.items():
        xr.testing.assert_identical(cube, before[name])


@own_attributes
def test_attributes_of_the_input_do_not_leak(case):
    cubes = case.inputs()
    assert any("not_for_others" in cube.attrs for cube in cubes.values())
    output = case.run(cubes)
    for variable in (output, *variables(output).values()):
        assert "not_for_others" not in variable.attrs


@every_stage
def test_the_output_meets_its_spec_for_the_store(case):
    output = case.run(case.inputs())
    if case.kind is not None:
        check(output, case.kind, stored=True)
    for variable in variables(output).values():
        assert variable.attrs["long_name"]


@aligned_stage
def test_labels_that_do_not_match_are_refused(case):
    case.run(case.inputs())
    with pytest.raises(ValueError, match=r"(?i)expected|align"):
        case.run(case.misaligned())


@bare_stage
def test_plain_arrays_are_welcome(case):
    bare = variables(case.run(case.bare()))
    for name, expected in variables(case.run(case.inputs())).items():
        assert bare[name].dims == expected.dims
        assert bare[name].shape == expected.shape

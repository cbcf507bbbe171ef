import dask
import numpy as np
import pytest
import xarray as xr
from fake_results import fake_epochs, fake_result

import hgcube
from hgcube import tables
from hgcube.errors import CubeError, OptionError


@pytest.fixture(scope="module")
def results():
    return [
        fake_result("01", "fasttext", "ridge", seed=1),
        fake_result("01", "gpt2-11", "ridge", seed=2, planted=()),
        fake_result("02", "fasttext", "ridge", seed=3, n_electrodes=5, n_words=52, flagged=(4,)),
        fake_result("01", "fasttext", "elastic_net", seed=4, permutations=0),
    ]


@pytest.mark.parametrize("make", [tables.by_electrode, tables.by_word])
def test_every_score_keeps_its_place(results, make):
    table = make(results)
    dim = "electrode" if make is tables.by_electrode else "word"
    pooled = [name for name in table.data_vars if name in results[0]]
    assert {"skill", "studentized_r"} <= set(pooled) or "r2_across_electrodes" in pooled
    for result in results:
        cell = {"space": result.space.item(), "solver": result.solver.item()}
        part = table.sel(cell).hg.sel(subject=result.subject.item())
        for name in set(pooled) & set(result.data_vars):
            np.testing.assert_array_equal(part[name].values, result[name].values)
            assert part[name].dims == result[name].dims
        assert part.sizes[dim] == result.sizes[dim]


def test_what_was_not_run_is_missing_and_counted(results, caplog):
    table = tables.by_electrode(results)
    assert table.attrs["missing"] == [
        "01/gpt2-11/elastic_net",
        "02/fasttext/elastic_net",
        "02/gpt2-11/ridge",
        "02/gpt2-11/elastic_net",
    ]
    assert table.attrs["n_missing"] == 4
    assert "4 parts are missing" in caplog.text
    absent = table.sel(space="gpt2-11").hg.sel(subject="02")
    assert np.isnan(absent.skill).all()
    assert not absent.n_words.any()
    assert not np.isnan(table.skill.sel(space="fasttext", solver="ridge")).any()


def test_word_labels_hold_subject_and_position(results):
    table = tables.by_word(results)
    assert table.word.values[[0, 59, 60]].tolist() == ["01-000", "01-059", "02-000"]
    one = table.sel(word="02-004")
    assert (one.subject.item(), one.position.item(), one.flag.item()) == ("02", 4, "no_voice")
    assert one.voice_onset.item() == pytest.approx(12.43)


def test_verdicts_are_joined_by_label(results):
    verdicts = hgcube.verify(results)
    table = tables.by_electrode(results, verdicts.isel(electrode=slice(None, None, -1)))
    assert table.electrode.values[table.found.sel(space="fasttext").values].tolist() == [
        "01-LA1",
        "01-LA4",
        "02-LA1",
        "02-LA4",
    ]
    np.testing.assert_array_equal(table.p_adjusted.values, verdicts.p_adjusted.values)


def test_a_column_that_one_subject_lacks_is_empty_there(results):
    other = results[2].drop_vars(["region", "x"])
    table = tables.by_electrode([results[0], other])
    assert table.region.sel(electrode="02-LA1").item() == ""
    assert np.isnan(table.x.sel(electrode="02-LA1"))
    assert table.region.sel(electrode="01-LA1").item() == "STG"


def test_lags_are_kept(results):
    lagged = results[0][["skill"]].expand_dims(lag=[0.0, 0.1]).transpose(..., "lag")
    table = tables.by_electrode([lagged])
    assert table.skill.dims == ("space", "solver", "predictor", "electrode", "lag")


def test_tables_verdicts_and_padded_cubes_survive_zarr(results, tmp_path):
    verdicts = hgcube.verify(results)
    cubes = {
        "electrodes": tables.by_electrode(results, verdicts),
        "words": tables.by_word(results),
        "verdicts": verdicts,
        "padded": hgcube.to_padded([fake_epochs("01")]).to_dataset(name="epochs"),
    }
    for name, cube in cubes.items():
        cube.to_zarr(tmp_path / name, consolidated=False)
        opened = xr.open_zarr(tmp_path / name, consolidated=False).load()
        xr.testing.assert_identical(opened, cube)


def test_tables_of_nothing_are_refused():
    for make in (tables.by_electrode, tables.by_word):
        with pytest.raises(OptionError, match="at least one result"):
            make([])


def test_padded_cube_has_every_value_and_nan_elsewhere():
    cubes = [fake_epochs("01"), fake_epochs("02", n_electrodes=6, n_words=10, seed=9)]
    padded = hgcube.to_padded(cubes)
    assert dict(padded.sizes) == {"subject": 2, "electrode": 6, "lag": 7, "word": 12}
    for cube in cubes:
        subject = cube.subject.values[0]
        block = padded.sel(subject=subject)[: cube.sizes["electrode"], :, : cube.sizes["word"]]
        np.testing.assert_array_equal(block, cube.transpose("electrode", "lag", "word"))
    assert int(padded.notnull().sum()) == sum(cube.size for cube in cubes)
    assert padded.electrode_label.values[0].tolist()[-3:] == ["01-LA4", "", ""]
    assert padded.text.sel(subject="02").values.tolist()[-3:] == ["huis", "", ""]
    assert padded.attrs["units"] == "ln(V)"


def test_padded_cube_is_lazy_without_lags_and_from_a_mapping():
    one = fake_epochs("01").isel(lag=0, drop=True)
    cubes = {"01": one, "02": one[:7]}
    lazy = {k: cube.copy(data=cube.chunk(word=5).data) for k, cube in cubes.items()}

    def refuse(*args, **kwargs):
        raise AssertionError("computed")

    with dask.config.set(scheduler=refuse):
        padded = hgcube.to_padded(lazy)
    assert padded.dims == ("subject", "electrode", "word")
    xr.testing.assert_identical(padded.compute(), hgcube.to_padded(cubes))


def test_epochs_that_do_not_fit_together_are_refused():
    one, other = fake_epochs("01"), fake_epochs("02", n_lags=5)
    with pytest.raises(CubeError, match="'02' with 5 lags"):
        hgcube.to_padded([one, other])
    with pytest.raises(OptionError, match="each once"):
        hgcube.to_padded([one, one])
    with pytest.raises(OptionError, match="one or more subjects"):
        hgcube.to_padded([])
    both = xr.concat([one, fake_epochs("02")], dim="electrode")
    with pytest.raises(CubeError, match=r"\['01', '02'\]"):
        hgcube.to_padded([both])

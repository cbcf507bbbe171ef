"""channels.tsv and electrodes.tsv as coordinates, joined by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from tiny_bids import write_tsv

from hgcube.io.electrodes import electrode_coords, electrode_rows

Edit = Callable[[Path, Callable[[str], str]], None]


def _open(path: Path) -> xr.DataArray:
    return xr.open_dataset(path, engine="nwb-ieeg")["ieeg"]


def _coords(**columns: list[object]) -> dict[str, list[object]]:
    table = pd.DataFrame(columns, dtype=object)
    coords = electrode_coords(table, "07", np.ones(len(table)))
    return {name: variable.values.tolist() for name, variable in coords.items()}


def test_every_column_is_a_coordinate(recording: Path) -> None:
    ieeg = _open(recording)
    for column in ("units", "low_cutoff", "description", "sampling_frequency", "size", "vendor"):
        assert ieeg[column].dims == ("electrode",)
    assert ieeg["vendor"].values.tolist() == ["Acme"] * 4 + ["n/a"]
    assert ieeg["low_cutoff"].dtype == float


def test_positions_are_joined_by_name_in_metres(recording: Path) -> None:
    ieeg = _open(recording)
    np.testing.assert_allclose(ieeg["x"], [0, 0.01, 0.02, 0.03, np.nan])
    np.testing.assert_allclose(ieeg["y"][:4], -0.005)
    assert ieeg["z"].attrs == {"units": "m", "space": "ACPC"}


def test_the_order_of_the_position_table_does_not_matter(recording: Path) -> None:
    before = _open(recording)
    path = recording.with_name("sub-01_space-ACPC_electrodes.tsv")
    head, *rows = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([head, *reversed(rows)]), encoding="utf-8")
    assert _open(recording).identical(before)


def test_the_space_with_known_units_is_taken(recording: Path) -> None:
    write_tsv(
        recording.with_name("sub-01_space-Other_electrodes.tsv"),
        ["name", "x", "y", "z"],
        [["LA1", 7, 7, 7]],
    )
    other = recording.with_name("sub-01_space-Other_coordsystem.json")
    other.write_text(json.dumps({"iEEGCoordinateSystem": "Other", "iEEGCoordinateUnits": "n/a"}))
    assert _open(recording)["x"].attrs["space"] == "ACPC"
    recording.with_name("sub-01_space-ACPC_electrodes.tsv").unlink()
    without_units = _open(recording)
    assert without_units["x"].attrs["space"] == "Other" and np.isnan(without_units["x"]).all()


def test_no_position_table_is_allowed(recording: Path) -> None:
    recording.with_name("sub-01_space-ACPC_electrodes.tsv").unlink()
    ieeg = _open(recording)
    assert np.isnan(ieeg["x"]).all() and ieeg["x"].attrs["space"] == "n/a"
    assert ieeg["region"].values.tolist()[0] == "ctx_lh_LA1"


def test_region_comes_from_the_position_table_first(recording: Path, edit_tsv: Edit) -> None:
    path = recording.with_name("sub-01_space-ACPC_electrodes.tsv")
    edit_tsv(path, lambda text: text.replace("vendor", "location").replace("Acme", "STG"))
    assert _open(recording)["region"].values.tolist() == ["STG"] * 4 + ["ctx_lh_RB2"]


def test_a_slash_in_a_column_makes_no_group(
    recording: Path, edit_tsv: Edit, tmp_path: Path
) -> None:
    path = recording.with_name("sub-01_space-ACPC_electrodes.tsv")
    edit_tsv(path, lambda text: text.replace("vendor", "../grey/white"))
    tree = xr.open_datatree(recording.parents[2], engine="ibids")
    assert tree["01"]["ieeg"][".._grey_white"].values.tolist() == ["Acme"] * 4 + ["n/a"]
    tree["01"]["ieeg"].isel(time=slice(9)).to_zarr(tmp_path / "ieeg", consolidated=False)
    assert xr.open_zarr(tmp_path / "ieeg", consolidated=False).sizes["electrode"] == 5


def test_other_columns_of_the_file_are_left_out(
    recording: Path, edit_tsv: Edit, caplog: pytest.LogCaptureFixture
) -> None:
    path = recording.with_name("sub-01_task-words_channels.tsv")
    whole = _open(recording)
    edit_tsv(path, lambda text: text.replace("LA10\tSEEG", "LA10\tEKG"))
    with caplog.at_level("INFO", logger="hgcube"):
        ieeg = _open(recording)
    assert "'EKG': 1" in caplog.text
    assert ieeg["name"].values.tolist() == ["LA1", "LA2", "RB1", "RB2"]
    np.testing.assert_array_equal(ieeg, whole[[0, 1, 3, 4]])
    assert ieeg.encoding["preferred_chunks"]["electrode"] == 4


def test_scalp_electrodes_count_only_without_intracranial_ones() -> None:
    names = ["a", "b", "c"]
    mixed = pd.DataFrame({"name": names, "type": ["EEG", "ecog", "MISC"]}, dtype=object)
    assert electrode_rows(mixed, Path("f")).tolist() == [False, True, False]
    scalp = mixed.assign(type=["EEG", "EEG", "MISC"])
    assert electrode_rows(scalp, Path("f")).tolist() == [True, True, False]
    assert electrode_rows(mixed[["name"]], Path("f")).all()


def test_status_bad_is_marked_with_its_reason(recording: Path, edit_tsv: Edit) -> None:
    path = recording.with_name("sub-01_task-words_channels.tsv")
    edit_tsv(path, lambda text: text.replace("n/a\n", "bad\n", 1))
    ieeg = _open(recording)
    assert ieeg["bad"].values.tolist() == [True, False, False, False, False]
    assert ieeg["bad_reason"].values.tolist() == ["status bad", "", "", "", ""]
    told = _coords(name=["a"], status=["Bad"], status_description=["no contact"])
    assert told["bad_reason"] == ["no contact"] and told["bad"] == [True]


def test_groups_and_hemispheres_from_columns_before_names() -> None:
    coords = _coords(
        name=["LA1", "RB12", "G3"], group=["n/a", "strip", "n/a"], hemisphere=["n/a", "L", "right"]
    )
    assert coords["group"] == ["LA", "strip", "G"]
    assert coords["hemisphere"] == ["L", "L", "R"]
    primed = _coords(name=["L'3", "L3", "O'12"])
    assert primed["hemisphere"] == ["L", "R", "L"]
    assert primed["group"] == ["L'", "L", "O'"]


def test_blanks_around_names_do_not_matter(recording: Path, edit_tsv: Edit) -> None:
    before = _open(recording)
    path = recording.with_name("sub-01_task-words_channels.tsv")
    edit_tsv(path, lambda text: text.replace("\nLA2\t", "\n LA2 \t"))
    assert _open(recording).identical(before)


def test_columns_that_would_shadow_the_cube_are_renamed() -> None:
    coords = _coords(name=["a"], onset=["5"], bad=["maybe"])
    assert coords["onset_column"] == ["5"] and coords["bad_column"] == ["maybe"]
    assert coords["bad"] == [False] and "onset" not in coords


def test_numeric_columns_are_numbers_in_every_subject(caplog: pytest.LogCaptureFixture) -> None:
    coords = _coords(name=["a", "b"], size=["n/a", "n/a"], high_cutoff=["512", "half"])
    assert np.isnan(coords["size"]).all()
    assert coords["high_cutoff"][0] == 512 and np.isnan(coords["high_cutoff"][1])
    assert "'half'" in caplog.text
    assert coords["electrode"] == ["07-a", "07-b"]

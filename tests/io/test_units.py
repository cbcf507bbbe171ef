"""Volts: what is stated, who wins, and what no brain produces."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from tiny_bids import forget_rates, stored_numbers, write_recording

from hgcube.errors import SourceError
from hgcube.io.units import implausible, reconcile, volts_per


@pytest.mark.parametrize(
    ("unit", "volts"),
    [
        ("V", 1.0),
        ("volts", 1.0),
        ("mV", 1e-3),
        ("\u00b5V", 1e-6),
        ("\u03bcV", 1e-6),
        ("uV", 1e-6),
        ("microvolts", 1e-6),
        ("nV", 1e-9),
        ("n/a", None),
        ("", None),
        ("a.u.", None),
        ("MV", None),
        ("dev", None),
    ],
)
def test_units_of_voltage(unit: str, volts: float | None) -> None:
    assert volts_per(unit) == volts


def test_the_table_wins_and_disagreement_is_told(caplog: pytest.LogCaptureFixture) -> None:
    scale, attrs = reconcile(
        ["uV", "mV", "n/a"], np.array([1e-6, 1e-6, 2e-6]), ["A1", "A2", "A3"], Path("file.nwb")
    )
    np.testing.assert_array_equal(scale, [1e-6, 1e-3, 2e-6])
    assert "0.001 V" in attrs["unit_disagreement"] and "1 of 3 electrodes (A2)" in caplog.text
    assert "file.nwb" in caplog.text


def test_differences_below_one_percent_are_none() -> None:
    scale, attrs = reconcile(["uV"], np.array([1.009e-6]), ["A1"], Path("f"))
    assert scale.tolist() == [1e-6] and attrs == {}
    assert "unit_disagreement" in reconcile(["uV"], np.array([1.02e-6]), ["A1"], Path("f"))[1]


def test_no_unit_at_all_is_flagged() -> None:
    scale, attrs = reconcile(["n/a"] * 4, None, list("abcd"), Path("f"))
    assert scale.tolist() == [1] * 4
    assert "4 of 4 electrodes (a, b, c, ...)" in attrs["unit_warning"]


@pytest.mark.parametrize(
    ("amplitude", "flagged"),
    [(50e-6, False), (0.2e-6, False), (1e-2, False), (50.0, True), (5e-11, True), (0.0, False)],
)
def test_amplitudes_no_electrode_has(
    amplitude: float, flagged: bool, rng: np.random.Generator
) -> None:
    sample = rng.normal(0, 50e-6, (3, 400))
    sample[1] = rng.normal(3 * amplitude, amplitude, 400)
    attrs = implausible(sample, ["A1", "A2", "A3"], Path("f"))
    assert bool(attrs) == flagged
    assert not flagged or "1 of 3 electrodes (A2)" in attrs["unit_warning"]


@pytest.mark.parametrize("scale", [1e-3, 7.0])
def test_the_flag_follows_the_unit_not_the_offset(scale: float, rng: np.random.Generator) -> None:
    sample = rng.normal(0, 1, (2, 500))
    unit = 20e-3 / np.median(np.abs(sample - np.median(sample, axis=1, keepdims=True)), axis=1)
    just_below = sample * 0.99 * unit[:, None] + scale
    just_above = sample * 1.01 * unit[:, None] + scale
    assert not implausible(just_below, ["a", "b"], Path("f"))
    assert "2 of 2" in implausible(just_above, ["a", "b"], Path("f"))["unit_warning"]


def test_a_disagreeing_file_is_opened_with_the_flag(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_recording(tmp_path, conversion=1.0)
    ieeg = xr.open_dataset(path, engine="nwb-ieeg")["ieeg"]
    np.testing.assert_allclose(ieeg, 1e-6 * stored_numbers().T, rtol=1e-15)
    assert "channels.tsv was taken" in ieeg.attrs["unit_disagreement"]
    assert str(path) in caplog.text and "LA1, LA2, LA10, ..." in caplog.text


def test_the_file_speaks_where_the_table_does_not(tmp_path: Path) -> None:
    path = write_recording(tmp_path, conversion=2.5e-6, units="n/a")
    ieeg = xr.open_dataset(path, engine="nwb-ieeg")["ieeg"]
    np.testing.assert_array_equal(ieeg["stored_scale"], 2.5e-6)
    np.testing.assert_allclose(ieeg, 2.5e-6 * stored_numbers().T, rtol=1e-15)
    assert "unit_warning" not in ieeg.attrs


def test_factors_of_single_columns_count(tmp_path: Path) -> None:
    path = write_recording(tmp_path, units="n/a")
    factors = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    with h5py.File(path, "r+") as file:
        file["acquisition/iEEG"]["channel_conversion"] = factors
    ieeg = xr.open_dataset(path, engine="nwb-ieeg")["ieeg"]
    np.testing.assert_allclose(ieeg["stored_scale"], 1e-6 * factors, rtol=1e-14)


def test_wrong_units_are_warned_of_and_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_recording(tmp_path, units="V", conversion=1.0)
    ieeg = xr.open_dataset(path, engine="nwb-ieeg")["ieeg"]
    np.testing.assert_array_equal(ieeg, stored_numbers().T)
    assert "5 of 5 electrodes (LA1, LA2, LA10, ...)" in ieeg.attrs["unit_warning"]
    assert str(path) in caplog.text


def test_a_plain_series_without_rate_or_unit(tmp_path: Path) -> None:
    path = write_recording(tmp_path, electrical=False)
    forget_rates(path)
    recording = xr.open_dataset(path, engine="nwb-ieeg")
    assert recording["time"].attrs["sampling_frequency"] == 256
    assert recording["audio_time"].attrs["sampling_frequency"] == 8000
    np.testing.assert_allclose(recording["ieeg"], 1e-6 * stored_numbers().T, rtol=1e-15)
    assert recording["words"].attrs["event_disagreements"] == ""
    path.with_suffix(".json").write_text("{}")
    assert xr.open_dataset(path, engine="nwb-ieeg")["time"].equals(recording["time"])
    table = path.with_name("sub-01_task-words_channels.tsv")
    table.write_text(
        table.read_text(encoding="utf-8").replace("\t256\t", "\tn/a\t"), encoding="utf-8"
    )
    with pytest.raises(SourceError, match=r"sampling frequency of .*_ieeg.nwb"):
        xr.open_dataset(path, engine="nwb-ieeg")

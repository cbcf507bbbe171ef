import json
import os
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from hgcube.config import POWER_PRESETS
from hgcube.epochs import epoch
from hgcube.errors import CubeError, OptionError, UnknownLabelError
from hgcube.reference import rereference
from hgcube.signal import band_power, high_gamma
from tests.oracles import authors_envelope, authors_high_gamma
from tests.recordings import plain, recording, words


def stored(cube):
    return (cube.values / cube.stored_scale.values[:, np.newaxis]).T


@pytest.mark.parametrize("rate", [1024.0, 999.41, 2048.0, 512.0])
def test_authors_preset_equals_their_script(rate):
    cube = recording(rate=rate)
    power = high_gamma(cube, preset="authors")
    expected = authors_high_gamma(stored(cube), rate).T
    assert expected.std() > 0.1 * expected.mean()  # something to get wrong
    np.testing.assert_allclose(power.values, expected, rtol=1e-10, atol=0)
    assert power.attrs["units"] == "as stored"


def test_paper_preset_is_the_envelope_without_windows():
    cube = recording()
    power = high_gamma(cube, preset="paper")
    expected = authors_envelope(stored(cube), 1024.0).T
    # an envelope comes near zero: the error is relative to its size, not to its smallest value
    np.testing.assert_allclose(power.values, expected, rtol=1e-9, atol=1e-11 * expected.mean())
    np.testing.assert_array_equal(power.time, cube.time)
    assert power.time.attrs["sampling_frequency"] == 1024.0


def test_stored_numbers_do_not_depend_on_the_scale():
    cube = recording()
    millivolts = (cube / 1000).assign_coords(stored_scale=cube.stored_scale / 1000)
    millivolts.attrs = cube.attrs
    np.testing.assert_allclose(
        high_gamma(cube, preset="authors"), high_gamma(millivolts, preset="authors"), rtol=1e-9
    )
    as_stored = (cube / cube.stored_scale).assign_attrs(cube.attrs | {"units": "as stored"})
    for preset in POWER_PRESETS:
        np.testing.assert_allclose(
            high_gamma(cube, preset=preset), high_gamma(as_stored, preset=preset), rtol=1e-6
        )


def test_windows_are_labelled_by_their_centres():
    cube = recording(seconds=3.0)
    power = high_gamma(cube)
    assert power.time.attrs == {"sampling_frequency": 100.0}
    centres = 0.01 * np.arange(power.sizes["time"]) + 0.025
    assert np.abs(power.time - centres).max() < 2 / 1024
    burst = cube.copy(data=1e-9 * cube.values)
    burst[:, 1500:1540] += 1e-4 * np.sin(2 * np.pi * 120 * cube.time[1500:1540])
    loudest = high_gamma(burst).idxmax("time")
    assert np.abs(loudest - cube.time[1520].item()).max() < 0.01


def test_field_preset_is_the_log_in_volts_and_notches_first():
    cube = recording(seconds=8.0)
    power = high_gamma(cube)
    assert power.attrs["units"] == "ln(V)"
    assert power.attrs["notch"] == "first"
    linear = high_gamma(cube, log=False)
    assert linear.attrs["units"] == "V"
    np.testing.assert_allclose(np.exp(power), linear, rtol=1e-12)
    # far from the edges the order of linear filters does not matter
    inside = slice(1.0, 7.0)
    ratio = linear.sel(time=inside) * 1e6 / high_gamma(cube, preset="authors").sel(time=inside)
    assert np.abs(ratio - 1).max() < 0.05


def test_line_noise_is_gone_and_the_band_stays():
    cube = recording(seconds=10.0)

    def with_tone(frequency):
        tone = 1e-3 * np.sin(2 * np.pi * frequency * cube.time)
        # away from the edges, where a line rings in a stop of 4 Hz
        return high_gamma((cube + tone).assign_attrs(cube.attrs), log=False).sel(time=slice(3, 7))

    quiet = high_gamma(cube, log=False).sel(time=slice(3, 7))
    assert np.abs(with_tone(100) / quiet - 1).max() < 0.02
    assert np.abs(with_tone(120) / 1e-3 - 1).max() < 0.05


@pytest.mark.parametrize("preset", POWER_PRESETS)
def test_float32_is_within_1e_4(preset):
    cube = recording()
    double, single = (high_gamma(cube, preset=preset, dtype=d) for d in ("float64", "float32"))
    assert single.dtype == np.float32
    error = np.abs(single - double) / np.abs(double).mean()
    assert 0 < error.max() < 1e-4


def test_bands_order_and_rates_are_parameters():
    cube = recording(rate=512.0)
    beta = band_power(cube, band=(13.0, 30.0), order=3, window=0.2, step=0.1, log=False)
    assert beta.attrs["long_name"] == "13-30 Hz envelope"
    assert beta.attrs["band"] == [13.0, 30.0]
    assert beta.time.attrs["sampling_frequency"] == 10.0
    same = high_gamma(cube, band=(13.0, 30.0), order=3, window=0.2, step=0.1, log=False)
    np.testing.assert_array_equal(beta, same)
    tone = cube.copy(data=np.tile(3e-6 * np.sin(2 * np.pi * 20 * cube.time), (6, 1)))
    amplitude = band_power(tone, band=(13.0, 30.0), window=0.2, step=0.1, log=False)
    np.testing.assert_allclose(amplitude.sel(time=slice(1, 5)), 3e-6, rtol=0.01)
    assert high_gamma(cube, window=None).sizes["time"] == cube.sizes["time"]


def test_nan_and_flat_electrodes_stay_where_they_are():
    cube = recording()
    clean = high_gamma(cube)
    spoiled = cube.copy(deep=True)
    spoiled[1, 100] = np.nan
    spoiled[3] = 3.3e-5
    power = high_gamma(spoiled)
    assert np.isnan(power).all("time").values.tolist() == [False, True, False, True, False, False]
    assert not np.isinf(power).any()
    np.testing.assert_array_equal(power[[0, 2, 4, 5]], clean[[0, 2, 4, 5]])
    assert (high_gamma(spoiled, log=False)[3] == 0).all()


def test_60_hz_comes_from_the_argument_or_the_attribute():
    cube = recording()
    given = high_gamma(cube, line_frequency=60)
    stated = high_gamma(cube.assign_attrs(line_frequency=60.0))
    np.testing.assert_array_equal(given, stated)
    assert given.attrs["line_frequency"] == 60.0
    assert not np.array_equal(given, high_gamma(cube))


@pytest.mark.parametrize(
    ("options", "rate", "words"),
    [
        ({}, 256.0, "170 Hz at 256 Hz"),
        ({"band": (70.0, 150.0)}, 302.0, "148-152 Hz at 302 Hz"),
        ({"band": (170.0, 70.0)}, 1024.0, "low < high"),
        ({"order": 0}, 1024.0, "order"),
        ({"window": 9.0}, 1024.0, "shorter than the recording"),
        ({"window": 0.05, "step": None}, 1024.0, "step of at least one sample"),
        ({"window": 0.0001}, 1024.0, "at least one sample"),
        ({"line_frequency": 0.0}, 1024.0, "line frequency"),
        ({"dtype": "float16"}, 1024.0, "float32 or float64"),
    ],
)
def test_options_that_do_not_fit_are_named(options, rate, words):
    with pytest.raises(OptionError, match=words):
        high_gamma(recording(rate=rate, seconds=2.0), **options)


def test_what_is_missing_is_named():
    cube = recording(seconds=1.0)
    with pytest.raises(OptionError, match="line_frequency=50"):
        high_gamma(plain(cube))
    with pytest.raises(UnknownLabelError, match="'field'"):
        high_gamma(cube, preset="feild")
    with pytest.raises(CubeError, match="samples to filter"):
        high_gamma(cube[:, :20])
    with pytest.raises(CubeError, match="stored_scale"):
        high_gamma(cube.assign_coords(stored_scale=cube.stored_scale * np.nan), preset="paper")
    with pytest.raises(CubeError, match="stored_scale"):
        high_gamma(cube.drop_vars("stored_scale").assign_attrs(units="as stored"))
    with pytest.raises(OptionError, match="notch 'first' or 'last'"):
        band_power(cube, band=(70, 170), notch="middle")


def test_a_simulated_recording_says_so_to_the_end():
    simulated = recording(seconds=1.0).assign_attrs(simulated=1)
    power = high_gamma(rereference(simulated))
    assert power.attrs["simulated"] == 1
    assert power.attrs["line_frequency"] == 50.0
    assert epoch(power, words(onsets=[0.4], delay=None), lock="display", lags=(0, 0.3)).attrs[
        "simulated"
    ]
    assert "simulated" not in high_gamma(recording(seconds=1.0)).attrs


@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "rate"), [("seeg/sample_seeg.edf", 1000.0), ("ecog/sample_ecog.edf", 999.412)]
)
def test_real_recordings_equal_the_authors_script(shared_folder, file, rate):
    import mne

    raw = mne.io.read_raw_edf(shared_folder / "data/mne-misc-data" / file, verbose="error")
    assert raw.info["sfreq"] == pytest.approx(rate, abs=1e-3)
    clock = ("time", raw.times, {"sampling_frequency": raw.info["sfreq"]})
    names = raw.ch_names[:12]
    cube = xr.DataArray(
        raw.get_data(names),
        dims=("electrode", "time"),
        coords={"electrode": names, "time": clock},
        attrs={"line_frequency": 60.0},
    )
    power = high_gamma(cube.chunk(electrode=5, time=4000), preset="authors")
    stops = ((118, 122),)
    expected = authors_high_gamma(cube.values.T, raw.info["sfreq"], line_stops=stops).T
    np.testing.assert_allclose(power, expected, rtol=1e-10)
    pairs = rereference(cube)
    assert pairs.electrode.values[0] == f"{names[0]}-{names[1]}"
    assert np.isfinite(high_gamma(pairs)).all()


MEMORY = """
import json, resource, sys
import numpy as np, xarray as xr
from hgcube.reference import rereference
from hgcube.signal import high_gamma
n_electrodes, seconds = int(sys.argv[1]), int(sys.argv[2])
rng = np.random.default_rng(0)
samples = np.empty((n_electrodes, seconds * 1024))
for row in samples:
    row[:] = rng.standard_normal(row.size)
time = ("time", np.arange(samples.shape[1]) / 1024, {"sampling_frequency": 1024.0})
cube = xr.DataArray(samples, dims=("electrode", "time"), coords={"time": time})
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
high_gamma(cube[:1, :2048], line_frequency=50)
before = peak()
high_gamma(cube, preset="authors", line_frequency=50)
print(json.dumps({"before": before, "peak": peak()}))
"""


def peak_memory(n_electrodes, seconds):
    command = [sys.executable, "-c", MEMORY, str(n_electrodes), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    return json.loads(done.stdout)


def test_memory_beside_the_recording_is_that_of_a_few_electrodes():
    few, many = peak_memory(16, 30), peak_memory(160, 30)
    added = many["peak"] - many["before"]  # GiB
    output = 160 * 3000 * 8 / 2**30
    assert added < (few["peak"] - few["before"]) + 2 * output + 0.02


@pytest.mark.slow
def test_a_full_subject_stays_under_2_gb():
    figures = peak_memory(127, 300)
    print(f"\n127 electrodes x 300 s at 1024 Hz: peak {figures['peak']:.2f} GiB")
    assert figures["peak"] < 2

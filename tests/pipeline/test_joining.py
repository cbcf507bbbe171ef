from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from hgcube.errors import CubeError
from hgcube.pipeline.joining import along_words, marked, with_words
from hgcube.schema import text_array


def epochs_of(run: str, *, bad: list[bool], reasons: list[str], n_words: int = 3) -> xr.DataArray:
    n_electrodes = len(bad)
    return xr.DataArray(
        np.full((n_words, n_electrodes), float(run)),
        dims=("word", "electrode"),
        name="epochs",
        coords={
            "word": np.arange(n_words),
            "text": ("word", text_array([f"w{i}" for i in range(n_words)])),
            "run": ("word", text_array([run] * n_words)),
            "electrode": text_array([f"01-{i}" for i in range(n_electrodes)]),
            "bad": ("electrode", bad),
            "bad_reason": ("electrode", text_array(reasons)),
        },
        attrs={"target": "mean", "gain": run, "n_without_vector": int(run)},
    )


def test_words_are_numbered_anew_and_know_their_run() -> None:
    first = epochs_of("1", bad=[False, True, False], reasons=["", "flat", ""])
    second = epochs_of("2", bad=[False, True, True], reasons=["", "noisy", "flat"], n_words=2)
    joined = along_words([first.chunk(electrode=1), second.chunk(electrode=1)])
    assert joined.chunks is not None
    assert joined.word.values.tolist() == [0, 1, 2, 3, 4]
    assert joined.run.values.tolist() == ["1", "1", "1", "2", "2"]
    assert joined.text.values.tolist() == ["w0", "w1", "w2", "w0", "w1"]
    assert joined.bad.values.tolist() == [False, True, True]
    assert joined.bad_reason.values.tolist() == ["", "flat;noisy", "flat"]
    assert joined[:, 0].values.tolist() == [1, 1, 1, 2, 2]
    assert joined.attrs == {"target": "mean", "n_without_vector": 1 + 2}
    assert along_words([first]) is first


def test_other_electrodes_are_refused() -> None:
    first = epochs_of("1", bad=[False, False], reasons=["", ""])
    with pytest.raises(CubeError, match="same electrodes"):
        along_words([first, epochs_of("2", bad=[False] * 3, reasons=[""] * 3)])
    renamed = first.assign_coords(electrode=text_array(["01-0", "01-x"]))
    with pytest.raises(CubeError, match="same electrodes"):
        along_words([first, renamed])


def test_flat_electrodes_are_marked_beside_what_was_known(rng: np.random.Generator) -> None:
    signals = rng.standard_normal((3, 400))
    signals[1] = 2.0
    recording = xr.Dataset(
        {"ieeg": (("electrode", "time"), signals)},
        coords={
            "electrode": text_array(["a", "b", "c"]),
            "time": ("time", np.arange(400) / 100, {"sampling_frequency": 100.0}),
            "bad": ("electrode", [True, False, False]),
            "bad_reason": ("electrode", text_array(["noisy", "", ""])),
        },
    )
    found = marked(recording)
    assert found.bad.values.tolist() == [True, True, False]
    assert found.bad_reason.values.tolist() == ["noisy", "flat", ""]
    assert found["ieeg"].equals(recording["ieeg"].assign_coords(found["ieeg"].coords))


def test_new_word_coordinates_reach_the_recording() -> None:
    recording = xr.Dataset({"words": ("word", text_array(["boot"]))}, coords={"word": [0]})
    spoken = recording["words"].assign_coords(voice_onset=("word", [0.4]))
    assert with_words(recording, spoken).voice_onset.values.tolist() == [0.4]
    assert with_words(recording, spoken)["words"].values.tolist() == ["boot"]

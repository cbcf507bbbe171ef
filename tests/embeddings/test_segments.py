"""What is heard of each word: the right stretch, nothing else, and flags for what cannot be."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import pytest
import voices
import xarray as xr

from hgcube.embeddings.protocol import Item
from hgcube.embeddings.segments import RATE, clipped, segments
from hgcube.errors import CubeError
from hgcube.schema import audio_axis, text_array


def heard(recording: xr.Dataset, **options: Any) -> list[Item]:
    given = {"lock": "voice", "span": (0.0, 0.4), **options}
    return segments(recording["words"], recording["audio"], **given)


def flags(items: list[Item]) -> list[str]:
    assert all((item.sound is None) == bool(item.flag) for item in items)
    return [item.flag for item in items]


@pytest.mark.parametrize("rate", [48_000.0, 44_100.0, 48_000.7])
@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32])
@pytest.mark.parametrize("start", [0.0, -7.25])
def test_the_sound_is_the_words_at_16_khz(rate: float, dtype: Any, start: float) -> None:
    recording = voices.spoken(voices.TEXTS[:3], rate=rate, dtype=dtype, start=start)
    items = heard(recording, span=(0.0, 0.24))
    for text, item in zip(voices.TEXTS, items, strict=False):
        assert item.sound is not None
        assert item.sound.dtype == np.float32
        expected = voices.sound_of(text, RATE)[: len(item.sound)]
        assert len(item.sound) == round(0.24 * RATE)
        # Half a stored sample is where the stretch may begin.
        late = np.abs(np.gradient(expected)).max() * RATE / rate
        assert np.abs(item.sound - expected)[160:-160].max() < 0.6 * late
        assert np.abs(expected).max() > 0.4


def test_exact_rates_give_exact_samples() -> None:
    items = heard(voices.spoken(), span=(0.0, 0.24))
    for text, item in zip(voices.TEXTS, items, strict=True):
        expected = voices.sound_of(text, RATE)[: round(0.24 * RATE)]
        np.testing.assert_allclose(np.asarray(item.sound)[200:-200], expected[200:-200], atol=2e-3)


@pytest.mark.parametrize("span", [(-0.25, 0.5), None])
@pytest.mark.parametrize("lock", ["voice", "display"])
def test_equal_words_are_equal_items_wherever_they_stand(lock: str, span: Any) -> None:
    here = heard(voices.spoken(), lock=lock, span=span)
    there = heard(voices.spoken(voices.TEXTS[::-1], start=5.0), lock=lock, span=span)
    assert [item.digest for item in here] == [item.digest for item in there][::-1]
    assert here[0].digest == here[4].digest
    assert len({item.digest for item in here}) == 5


def test_a_voice_is_heard_to_its_end() -> None:
    for text, item in zip(voices.TEXTS, heard(voices.spoken(), span=None), strict=True):
        assert len(np.asarray(item.sound)) / RATE == pytest.approx(
            voices.seconds_of(text), abs=0.012
        )


def test_a_voice_goes_on_to_the_next_display_at_most() -> None:
    recording = voices.spoken(("boot", "huis"), rate=16_000.0)
    hum = 0.2 * np.sin(np.arange(recording["audio"].size) / 9)
    hum[: round(1.3 * RATE)] = 0
    humming = recording.assign(audio=recording["audio"].copy(data=hum.astype(np.float32)))
    shown = humming.assign_coords(onset=("word", [1.0, 2.0]))
    items = heard(shown, span=None)
    assert np.size(items[0].sound) / RATE == pytest.approx(0.7, abs=0.01)
    # A second word in nothing but hum ends nowhere.
    assert flags(items) == ["", "no end of voice"]


def test_an_early_voice_is_heard_past_its_own_display() -> None:
    recording = voices.spoken(("boot", "huis"))
    late = recording["words"].assign_coords(onset=recording["words"].onset + 0.4)
    items = segments(late, recording["audio"], lock="voice", span=None)
    assert [item.digest for item in items] == [i.digest for i in heard(recording, span=None)]


def test_a_display_is_heard_for_its_duration() -> None:
    items = heard(voices.spoken(), lock="display", span=None)
    assert {len(np.asarray(item.sound)) for item in items} == {round(1.2 * RATE)}
    first = np.flatnonzero(np.abs(np.asarray(items[1].sound)) > 1e-3)[0]
    assert first / RATE == pytest.approx(voices.LATER, abs=5e-3)


def test_backwards_is_the_same_sound_reversed() -> None:
    there, back = (heard(voices.spoken(), backwards=turn) for turn in (False, True))
    for one, other in zip(there, back, strict=True):
        np.testing.assert_array_equal(np.asarray(one.sound)[::-1], other.sound)
        assert one.digest != other.digest


def test_only_stretches_around_words_are_read() -> None:
    recording = voices.spoken(("boot", "huis", "fiets"))
    samples = recording["audio"].values
    seen = np.zeros(len(samples) // 4800, dtype=bool)

    def block(block_info: Any = None) -> np.ndarray[Any, Any]:
        first, last = block_info[None]["array-location"][0]
        seen[first // 4800] = True
        return samples[first:last]

    lazy = da.map_blocks(block, chunks=((4800,) * len(seen),), dtype=samples.dtype, meta=samples)
    lazily = recording.assign(audio=recording["audio"].copy(data=lazy))
    items = heard(lazily)
    assert [item.digest for item in items] == [item.digest for item in heard(recording)]
    read = np.flatnonzero(seen) * 0.1
    spoken = recording["words"].voice_onset.values
    assert seen.any()
    assert all(np.any((at > spoken - 0.2) & (at < spoken + 0.5)) for at in read)
    assert not heard(lazily, span=None)[0].flag


@pytest.mark.parametrize("start", [0.0, -7.25])
def test_audio_that_a_user_chunked_is_heard_alike(start: float) -> None:
    recording = voices.spoken(("boot", "huis"), start=start, rate=16_000.0)
    chunked = recording.assign(audio=recording["audio"].chunk(audio_time=5000))
    assert chunked["audio"].chunks
    found = [item.digest for item in heard(chunked, span=None)]
    assert found == [item.digest for item in heard(recording, span=None)]


def test_what_cannot_be_heard_is_flagged_and_the_rest_survive() -> None:
    recording = voices.spoken(("boot", "huis", "fiets", "koekje", "tuin", "boot"))
    samples = recording["audio"].values.copy()
    second = slice(round(3.2 * 48_000), round(4.2 * 48_000))
    samples[second] = 0
    third = slice(round(5.3 * 48_000), round(5.8 * 48_000))
    samples[third] = np.clip(samples[third] * 40.0, -32768, 32767)
    onsets = recording["words"].voice_onset.values.copy()
    onsets[[3, 4]] = np.nan, 12.9
    recording = recording.assign(audio=recording["audio"].copy(data=samples))
    recording = recording.assign_coords(voice_onset=("word", onsets))
    items = heard(recording)
    assert flags(items) == ["", "silent", "", "no voice", "outside the audio", ""]
    assert clipped([items[0], items[2], items[5]]).tolist() == ["", "clipped", ""]
    untouched = heard(voices.spoken(("boot", "huis", "fiets", "koekje", "tuin", "boot")))
    assert items[0].digest == untouched[0].digest
    assert items[5].digest == untouched[5].digest
    assert flags(heard(recording, span=None))[1] == "no end of voice"
    assert flags(heard(recording, span=(-20.0, -19.0)))[0] == "outside the audio"


@pytest.mark.parametrize(
    ("options", "flag"),
    [({"shortest": 9000}, "too short"), ({"longest": 6000}, "too long"), ({}, "")],
)
def test_limits_of_the_family(options: dict[str, int], flag: str) -> None:
    assert set(flags(heard(voices.spoken(), **options))) == {flag}


def test_a_display_needs_its_time_and_duration() -> None:
    recording = voices.spoken(("boot", "huis", "fiets"))
    onsets, durations = [np.nan, 3.0, 5.0], [1.0, np.nan, 1.0]
    recording = recording.assign_coords(onset=("word", onsets), duration=("word", durations))
    assert flags(heard(recording, lock="display", span=None)) == ["no onset", "no duration", ""]


def test_what_is_no_number_is_flagged() -> None:
    recording = voices.spoken(("boot", "huis"), dtype=np.float32)
    samples = recording["audio"].values.copy()
    samples[round(1.4 * 48_000)] = np.nan
    recording["audio"] = recording["audio"].copy(data=samples)
    assert flags(heard(recording)) == ["not finite", ""]


def without_rate(audio: xr.DataArray) -> xr.DataArray:
    return xr.DataArray(audio.values, dims="audio_time")


def stereo(audio: xr.DataArray) -> xr.DataArray:
    return audio.expand_dims(track=2)


def telephone(audio: xr.DataArray) -> xr.DataArray:
    return xr.DataArray(audio.values, coords=audio_axis(audio.size, 4000.0, 0.0))


def text(audio: xr.DataArray) -> xr.DataArray:
    return audio.copy(data=text_array(["a"] * audio.size))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (without_rate, "sampling_frequency"),
        (stereo, "track"),
        (telephone, "8000 Hz or more"),
        (text, "dtype"),
        (lambda _: None, "audio of the words"),
    ],
)
def test_other_audio_is_refused(change: Any, says: str) -> None:
    recording = voices.spoken(("boot",))
    with pytest.raises(CubeError, match=says):
        segments(recording["words"], change(recording["audio"]), lock="voice", span=None)


@pytest.mark.parametrize(
    ("lock", "dropped", "says"),
    [("voice", "voice_onset", "voice_onsets"), ("display", "onset", "onset")],
)
def test_words_must_say_when(lock: str, dropped: str, says: str) -> None:
    recording = voices.spoken(("boot",))
    with pytest.raises(CubeError, match=says):
        segments(recording["words"].drop_vars(dropped), recording["audio"], lock=lock, span=None)

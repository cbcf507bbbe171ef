from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from hgcube import chunks
from hgcube.errors import SettingsError
from hgcube.store import KEYS


@pytest.mark.parametrize(
    ("kind", "sizes", "expected"),
    [
        ("recordings", {"electrode": 127, "time": 307_511}, (16, 307_511)),
        ("recordings", {"audio_time": 14_414_532}, (14_414_532,)),
        ("high_gamma", {"electrode": 127, "time": 30_000}, (16, 30_000)),
        ("epochs", {"word": 100, "electrode": 127, "lag": 30}, (10, 127, 30)),
        ("results", {"predictor": 3, "word": 100, "electrode": 127, "lag": 30}, (3, 10, 127, 30)),
        ("features", {"word": 100, "feature": 5000}, (100, 5000)),
        ("tables", {"space": 5, "predictor": 3, "electrode": 1103, "lag": 31}, (1, 3, 1103, 31)),
        ("results", {"null": 2, "permutation": 2000}, (2, 2000)),
        ("recordings", {"electrode": 3, "time": 100}, (3, 100)),
        ("recordings", {"electrode": 127, "time": 0}, (127, 1)),
    ],
)
def test_the_plan(kind: str, sizes: dict[str, int], expected: tuple[int, ...]) -> None:
    assert tuple(chunks.plan(kind, sizes, "float64").values()) == expected


def test_every_kind_of_part_has_a_rule() -> None:
    assert set(chunks.RULES) == set(KEYS)


def test_blocks_are_of_electrodes_alone() -> None:
    cube = xr.DataArray(
        np.zeros((30, 40, 5)),
        dims=("word", "electrode", "lag"),
        coords={"region": ("electrode", np.arange(40))},
    )
    cut = chunks.in_blocks(cube.copy(data=cube.variable.chunk(word=10).data))
    assert cut.chunks == ((30,), (16, 16, 8), (5,))
    assert isinstance(cut.region.data, np.ndarray)


def test_what_does_not_fit_is_refused_with_both_numbers() -> None:
    needed = chunks.bytes_per_task("high_gamma", {"electrode": 127, "time": 307_511})
    assert needed == 12 * 16 * 307_511 * 8
    chunks.refuse_oversized("high_gamma/01", needed, "4GiB")
    with pytest.raises(SettingsError, match=r"high_gamma/01.*256\.00 MiB.*450\.46 MiB"):
        chunks.refuse_oversized("high_gamma/01", needed, "256MiB")
    with pytest.raises(SettingsError, match="'4GiB'"):
        chunks.refuse_oversized("high_gamma/01", needed, "much")

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr

from hgcube import chunks
from hgcube.errors import SettingsError
from hgcube.kernels.costs import Work, cost_of, memory_of
from hgcube.kernels.designs import penalties
from hgcube.kernels.solvers import SOLVERS
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


def test_a_cut_of_its_own() -> None:
    cube = xr.DataArray(np.zeros((30, 40, 5)), dims=("word", "electrode", "lag"))
    cut = chunks.in_blocks(cube, {"electrode": 10, "lag": 2})
    assert cut.chunks == ((30,), (10, 10, 10, 10), (2, 2, 1))
    assert chunks.in_blocks(cube[..., 0], {"electrode": 40, "lag": 1}).chunks == ((30,), (40,))


MEAN = {"electrode": 127, "lag": 1}
NESTED = Work(
    solver="elastic_net",
    n_words=100,
    n_features=50,
    n_folds=100,
    penalties=tuple(penalties(100)),
    n_inner=10,
)


def seconds(work: Work, targets: int) -> float:
    cost = cost_of(work)
    return cost.shared + targets * cost.each


class TestBlocksOfResults:
    def test_little_work_is_one_block(self) -> None:
        for solver, permutations in (("elastic_net", 0), ("ridge", 0), ("ridge", 2000)):
            work = replace(
                NESTED,
                solver=solver,
                penalties=(0.2,),
                permutations=permutations,
                n_inner=100,
                strict=False,
            )
            assert seconds(work, 127) < chunks.SECONDS, "too much for one block"
            assert chunks.block_of_results(work, MEAN) == MEAN

    @pytest.mark.parametrize(
        "more",
        [
            {"penalties": tuple(penalties(100)) * 10},
            {"n_inner": 100},
            {"permutations": 2000},
            {"n_features": 1024},
        ],
        ids=lambda more: next(iter(more)),
    )
    def test_more_work_is_more_blocks(self, more: dict[str, Any]) -> None:
        few = chunks.block_of_results(NESTED, MEAN)["electrode"]
        many = chunks.block_of_results(replace(NESTED, **more), MEAN)["electrode"]
        assert many < few < 127

    @pytest.mark.parametrize("solver", sorted(SOLVERS))
    @pytest.mark.parametrize("permutations", [0, 100, 5000])
    @pytest.mark.parametrize("n_lags", [1, 31, 300])
    @pytest.mark.parametrize("nested", [False, True])
    def test_bounds_hold(self, solver: str, permutations: int, n_lags: int, nested: bool) -> None:
        work = replace(NESTED, solver=solver, permutations=permutations, nested=nested)
        cut = chunks.block_of_results(work, {"electrode": 127, "lag": n_lags})
        targets = math.prod(cut.values())
        assert cut["lag"] == n_lags or cut["electrode"] == 1, "lags are cut last"
        if targets > 1:
            own = targets * cost_of(work).each
            assert own <= max(chunks.SECONDS, chunks.SHARED * cost_of(work).shared)
            assert memory_of(work, targets) <= chunks.BYTES

    def test_blocks_are_even(self) -> None:
        cut = chunks.block_of_results(NESTED, MEAN)["electrode"]
        assert 1 < cut < 127
        n_blocks = math.ceil(127 / cut)
        assert n_blocks * cut - 127 < n_blocks


def test_what_does_not_fit_is_refused_with_both_numbers() -> None:
    needed = chunks.bytes_per_task("high_gamma", {"electrode": 127, "time": 307_511})
    assert needed == 12 * 16 * 307_511 * 8
    chunks.refuse_oversized("high_gamma/01", needed, "4GiB")
    with pytest.raises(SettingsError, match=r"high_gamma/01.*256\.00 MiB.*450\.46 MiB"):
        chunks.refuse_oversized("high_gamma/01", needed, "256MiB")
    with pytest.raises(SettingsError, match="'4GiB'"):
        chunks.refuse_oversized("high_gamma/01", needed, "much")

"""What each stage is fed in the contract test. A new stage adds its row here, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import xarray as xr

from hgcube.config import POWER_PRESETS
from hgcube.embeddings import embed
from hgcube.encoding import encode
from hgcube.epochs import epoch
from hgcube.quality import electrode_problems, mark_problems
from hgcube.reference import SCHEMES, rereference
from hgcube.signal import high_gamma
from tests.recordings import plain, power, recording, words

Cubes = Mapping[str, xr.DataArray]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One stage and its inputs.

    Parameters
    ----------
    id : str
    stage : callable
        Takes the inputs by position, in their order.
    inputs : callable
        Makes fresh inputs: name to cube, with study coordinates and an attribute
        ``not_for_others`` that must not reach the output.
    kind : str or None
        Kind of the output in `hgcube.schema.SPECS`; None for what has no spec.
    lazy : tuple of str
        Inputs that may be Dask arrays; the first is the one that is tested.
    chunkings : tuple of mapping
        Chunks of that input under which the output must be the same.
    permuted : str or None
        Dim of that input along which the stage works label by label: a permuted input gives the
        permuted output.
    rounding : float
        Relative difference allowed between chunkings and orders of dims: 0, bit for bit, but for
        what BLAS sums.
    permuted_rounding : float
        The same for a permuted input.
    misaligned : callable or None
        Makes inputs whose labels do not match; the stage must refuse them.
    bare : callable or None
        Makes inputs without study coordinates; the stage must take them.
    keeps_attributes : bool
        For what hands on what its inputs say of themselves: a function that only adds coordinates,
        and results, which name their model and target.
    """

    id: str
    stage: Callable[..., Any]
    inputs: Callable[[], Cubes]
    kind: str | None
    lazy: tuple[str, ...] = ()
    chunkings: tuple[Mapping[str, int], ...] = ()
    permuted: str | None = None
    rounding: float = 0.0
    permuted_rounding: float = 0.0
    misaligned: Callable[[], Cubes] | None = None
    bare: Callable[[], Cubes] | None = None
    keeps_attributes: bool = False

    def run(self, cubes: Cubes) -> Any:
        return self.stage(*cubes.values())


BY_ELECTRODE_AND_TIME = (
    {"electrode": 1},
    {"electrode": 4},
    {"time": 130},
    {"electrode": 2, "time": 64},
)


def _recording() -> Cubes:
    cube = recording(seconds=1.2)
    cube[2] = 1e-5
    return {"recording": cube}


def _single_recording() -> Cubes:
    """Return a recording in float32, as a reader may give it."""
    (cube,) = _recording().values()
    return {"recording": cube.astype("float32")}


def _bare_recording() -> Cubes:
    cube = recording(seconds=1.2)
    return {"recording": plain(cube).assign_coords(time=cube.time)}


def _bare_with_line() -> Cubes:
    (cube,) = _bare_recording().values()
    return {"recording": cube.assign_attrs(line_frequency=50.0)}


def _power_and_words() -> Cubes:
    return {"power": power(), "words": words()}


def _bare_power_and_words() -> Cubes:
    cube, spoken = power(), words()
    onsets = {name: spoken[name].variable for name in ("onset", "voice_onset", "duration")}
    return {
        "power": plain(cube).assign_coords(time=cube.time),
        "words": plain(spoken).assign_coords(onsets),
    }


def _recording_and_problems() -> Cubes:
    (cube,) = _recording().values()
    return {"recording": cube, "problems": electrode_problems(cube)}


def _misaligned_problems() -> Cubes:
    cubes = _recording_and_problems()
    return {**cubes, "problems": cubes["problems"][[1, 0, 2, 3, 4, 5]]}


def _words() -> Cubes:
    return {"words": words()}


def _epochs_and_features() -> Cubes:
    spoken = words(onsets=[0.3 * i + 1 for i in range(10)])
    spoken = spoken.copy(data=[f"{text}{i}" for i, text in enumerate(spoken.values)])
    epochs = epoch(power(), spoken, lock="display", target="mean", lags=(0.0, 0.5))
    features = embed(spoken, "random", n_features=3)
    stated = {"not_for_others": "private"}
    return {"epochs": epochs.assign_attrs(stated), "features": features.assign_attrs(stated)}


def _bare_epochs_and_features() -> Cubes:
    return {name: plain(cube) for name, cube in _epochs_and_features().items()}


def _misaligned_features() -> Cubes:
    cubes = _epochs_and_features()
    return {**cubes, "features": cubes["features"][::-1]}


_FROM_RECORDING = {
    "inputs": _recording,
    "lazy": ("recording",),
    "chunkings": BY_ELECTRODE_AND_TIME,
    "permuted": "electrode",
}

_FROM_POWER = {
    "kind": "epochs",
    "inputs": _power_and_words,
    "bare": _bare_power_and_words,
    "lazy": ("power",),
    "chunkings": BY_ELECTRODE_AND_TIME,
    "permuted": "electrode",
}

CASES: list[Case] = [
    *(
        Case(
            id=f"rereference-{scheme}",
            stage=partial(rereference, scheme=scheme),
            kind="recording",
            bare=_bare_recording,
            # summed in the order of the electrodes, which a permutation changes
            permuted_rounding=1e-11 if scheme in ("average", "shaft") else 0.0,
            **_FROM_RECORDING,
        )
        for scheme in SCHEMES
    ),
    *(
        Case(
            id=f"high_gamma-{preset}-{dtype}",
            stage=partial(high_gamma, preset=preset, dtype=dtype),
            kind="high_gamma",
            bare=_bare_with_line,
            **_FROM_RECORDING,
        )
        for preset in POWER_PRESETS
        for dtype in ("float64", "float32")
    ),
    *(
        Case(
            id=f"{stage.__name__}-of-float32",
            stage=stage,
            kind=kind,
            **{**_FROM_RECORDING, "inputs": _single_recording},
        )
        for stage, kind in ((rereference, "recording"), (high_gamma, "high_gamma"))
    ),
    *(
        Case(
            id=f"epoch-{lock}-{target}{'-baseline' if baseline else ''}",
            stage=partial(epoch, lock=lock, target=target, baseline=baseline),
            **{**_FROM_POWER, **({"bare": None} if baseline else {})},
        )
        for lock in ("voice", "display")
        for target in ("windows", "mean")
        for baseline in (None, (-0.5, 0.0))
    ),
    Case(
        id="electrode_problems",
        stage=electrode_problems,
        kind=None,
        bare=_bare_recording,
        **_FROM_RECORDING,
    ),
    Case(
        id="mark_problems",
        stage=mark_problems,
        inputs=_recording_and_problems,
        misaligned=_misaligned_problems,
        kind="recording",
        lazy=("recording",),
        chunkings=BY_ELECTRODE_AND_TIME,
        keeps_attributes=True,
    ),
    Case(
        id="embed",
        stage=partial(embed, embedding="random", n_features=4),
        kind="features",
        inputs=_words,
        permuted="word",
        bare=lambda: {"words": plain(words())},
    ),
    *(
        Case(
            id=f"encode-{solver}-{standardize}",
            stage=partial(
                encode, solver=solver, standardize=standardize, alpha=0.1, permutations=permutations
            ),
            kind=None,
            inputs=_epochs_and_features,
            lazy=("epochs",),
            chunkings=({"electrode": 4}, {"electrode": 3, "word": 5}),
            keeps_attributes=True,
            permuted="electrode",
            rounding=1e-11,
            permuted_rounding=1e-11,
            misaligned=_misaligned_features,
            bare=_bare_epochs_and_features,
        )
        for solver, standardize, permutations in (
            ("ridge", "all_words", 9),
            ("elastic_net", "fold", 0),
        )
    ),
]

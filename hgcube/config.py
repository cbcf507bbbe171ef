"""Settings: those that change numbers (`Analysis`) and those that do not (`Execution`).

Both are read from a store's ``study.toml``. Only `Analysis` enters a part's fingerprint.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from hgcube.errors import SettingsError, closest

Reference = Literal["auto", "none", "average", "bipolar", "shaft"]

POWER_PRESETS: dict[str, dict[str, Any]] = {
    "authors": {
        "band": (70.0, 170.0),
        "order": 4,
        "window": 0.05,
        "step": 0.01,
        "log": False,
        "notch": "last",
        "as_stored": True,
    }
}
POWER_PRESETS["paper"] = {**POWER_PRESETS["authors"], "window": None, "step": None}
POWER_PRESETS["field"] = {
    **POWER_PRESETS["authors"],
    "log": True,
    "notch": "first",
    "as_stored": False,
}
"""Arguments of `hgcube.signal.band_power` that each preset of high gamma stands for."""


# TOML has no word for nothing.
NoneAsText = BeforeValidator(lambda stated: None if stated == "none" else stated)


Model = TypeVar("Model", bound=BaseModel)


def _rising(pair: tuple[float, float]) -> tuple[float, float]:
    if not pair[0] < pair[1]:
        raise ValueError("the first must be below the second")
    return pair


Interval = Annotated[tuple[float, float], AfterValidator(_rising)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Settings):
    """Where the recordings are, and which of them are used."""

    root: str = "bids"
    subjects: tuple[str, ...] = ()
    task: str | None = None
    bad_electrodes: str | None = None
    bad_words: str | None = None
    events: str | None = None
    audio: str | None = None
    audio_offset: float = 0.0
    line_frequency: float | None = None


class Signal(_Settings):
    """High gamma; see `hgcube.signal.band_power`."""

    reference: Reference = "auto"
    band: Interval = (70.0, 170.0)
    order: int = 4
    window: Annotated[float | None, NoneAsText] = 0.05
    step: Annotated[float | None, NoneAsText] = 0.01
    log: bool = True
    notch: Literal["first", "last"] = "first"
    as_stored: bool = False
    dtype: Literal["float64", "float32"] = "float64"


class Speech(_Settings):
    """Voice onsets from the audio; see `hgcube.voice_onsets`."""

    threshold: float = 0.1
    minimum_duration: float = 0.05


class Epochs(_Settings):
    """Epochs locked to display or voice; see `hgcube.epoch`."""

    lock: Literal["voice", "display"] = "voice"
    mean: Interval = (0.0, 0.5)
    lags: Interval = (-0.5, 1.0)
    step: float = 0.05
    baseline: Annotated[Interval | None, NoneAsText] = (-0.5, 0.0)


Penalty = float | tuple[float, ...]


class SolverSettings(_Settings):
    """One estimator; see `hgcube.encode`. Without `alpha` it is chosen inside each fold."""

    enabled: bool = True
    standardize: Literal["fold", "all_words"] | bool = "fold"
    alpha: Annotated[Penalty | None, NoneAsText] = None
    l1_ratio: Penalty = 0.5
    inner: Literal["leave-one-out"] | int = "leave-one-out"
    choose: Literal["electrode", "region", "subject"] = "electrode"
    max_active: Annotated[int | None, NoneAsText] = None
    components: Annotated[int | float | None, NoneAsText] = None
    permutations: int = 0
    null: Literal["fixed", "nested"] = "fixed"
    null_alpha: Annotated[float | None, NoneAsText] = None
    coefficients: tuple[Literal["all_words"] | int, ...] = ()

    @property
    def options(self) -> dict[str, Any]:
        """Return the arguments of `hgcube.encode` that are stated here."""
        return self.model_dump(exclude={"enabled"})


_FIELD_SOLVERS: dict[str, dict[str, Any]] = {
    "ridge": {"standardize": "all_words", "permutations": 2000},
    "elastic_net": {"inner": 10},
}


def _field_solvers() -> dict[str, SolverSettings]:
    return {name: SolverSettings(**stated) for name, stated in _FIELD_SOLVERS.items()}


class Encoding(_Settings):
    """Folds, references, nulls and estimators; see `hgcube.encode`."""

    target: Literal["mean", "windows"] = "mean"
    folds: str = "leave-one-word-out"
    references: tuple[str, ...] = ("mean_word", "order")
    order_terms: int = 6
    block: int = 10
    solvers: dict[str, SolverSettings] = Field(default_factory=_field_solvers)

    @property
    def enabled(self) -> dict[str, SolverSettings]:
        """Return the estimators that are used."""
        return {name: solver for name, solver in self.solvers.items() if solver.enabled}


class Analysis(_Settings):
    """Every setting that changes a number.

    Parameters
    ----------
    source, signal, speech, epochs, encoding
        One section each.
    embeddings : dict
        Name of the space to the options of its embedder (``family``, ``model``, ...).
    seed : int
        From which every part derives its own.
    """

    source: Source = Source()
    signal: Signal = Signal()
    speech: Speech = Speech()
    epochs: Epochs = Epochs()
    embeddings: dict[str, dict[str, Any]] = Field(default_factory=dict)
    encoding: Encoding = Field(default_factory=Encoding)
    seed: int = 0


class Execution(_Settings):
    """Every setting that changes no number.

    Parameters
    ----------
    workers : int, optional
        Worker processes of the local cluster; one a core by default.
    scheduler : str, optional
        Address of a running scheduler, or ``"synchronous"`` or ``"threads"`` for no cluster.
    memory : str
        Limit of one worker, such as ``"2GiB"``.
    """

    workers: int | None = Field(default=None, ge=1)
    scheduler: str | None = None
    memory: str = "4GiB"


PRESETS: dict[str, dict[str, Any]] = {
    "field": {
        "signal": POWER_PRESETS["field"],
        "encoding": {"solvers": _FIELD_SOLVERS},
    },
    "authors": {
        "signal": {**POWER_PRESETS["authors"], "reference": "none"},
        "epochs": {"baseline": None},
        "encoding": {"solvers": _FIELD_SOLVERS},
    },
    "paper": {
        "signal": {**POWER_PRESETS["paper"], "reference": "none"},
        "epochs": {"lock": "display", "mean": (0.0, 1.0), "lags": (0.0, 2.0), "baseline": None},
        "encoding": {
            "solvers": {
                "elastic_net": {"standardize": False, "alpha": 1.0, "l1_ratio": 0.5},
                "ridge": {"standardize": "all_words", "permutations": 2000},
            }
        },
    },
}


def read_study(path: str | Path) -> tuple[Analysis, Execution]:
    """Read ``study.toml``: a preset, and whatever it says differently.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    tuple of Analysis and Execution

    Raises
    ------
    SettingsError
        For a missing or malformed file, an unknown key (with the closest one) or a wrong value.
    """
    path = Path(path)
    return parse_study(_load_toml(path), where=path.name)


def parse_study(
    document: Mapping[str, Any], *, where: str = "study.toml"
) -> tuple[Analysis, Execution]:
    """Turn a parsed ``study.toml`` into settings.

    Parameters
    ----------
    document : mapping
        Top-level ``preset`` and one table per section.
    where : str
        Named in errors.

    Returns
    -------
    tuple of Analysis and Execution

    Raises
    ------
    SettingsError
        As `read_study`.
    """
    stated = dict(document)
    preset = stated.pop("preset", "field")
    execution = stated.pop("execution", {})
    if not isinstance(preset, str) or preset not in PRESETS:
        raise SettingsError(
            f"a preset in {where}", repr(preset), f"Use one of {closest(str(preset), PRESETS)}"
        )
    analysis = _validated(Analysis, merged(PRESETS[preset], stated), where)
    return analysis, _validated(Execution, execution, f"{where} [execution]")


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return `below` overridden by `above`, table by table.

    Parameters
    ----------
    below, above : mapping

    Returns
    -------
    dict
    """
    result = dict(below)
    for key, value in above.items():
        nested = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if nested else value
    return result


def fingerprint(settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Return the identity of a part: its settings and the identities of its inputs.

    Parameters
    ----------
    settings : mapping
        JSON-like settings that change the part's numbers.
    inputs : mapping
        Name of each input to its own fingerprint or checksum.

    Returns
    -------
    str
        32 hexadecimal digits (BLAKE2b of the canonical JSON).
    """
    text = json.dumps({"settings": settings, "inputs": inputs}, sort_keys=True, default=list)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _load_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            f"a store with {path.name}",
            f"no such file in {path.parent}",
            "Make one with 'hgcube init STORE --source BIDS_FOLDER'",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"valid TOML in {path}", str(error), "Mend the line that is named"
        ) from None


def _validated(model: type[Model], stated: Any, where: str) -> Model:
    try:
        return model.model_validate(stated)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise _unknown_key(model, first["loc"], where) from None
        raise SettingsError(
            f"a valid value of {place!r} in {where}",
            f"{first['input']!r} ({first['msg']})",
            "Correct it",
        ) from None


def _unknown_key(model: type[BaseModel], loc: tuple[str | int, ...], where: str) -> SettingsError:
    *parents, key = (str(part) for part in loc)
    place = ".".join([*parents, key])
    known = _keys_at(model, parents)
    return SettingsError(
        f"known keys in {where}", repr(place), f"Did you mean {closest(key, known)}?"
    )


def _keys_at(model: type[BaseModel], parents: list[str]) -> list[str]:
    for parent in parents:
        field = model.model_fields.get(parent)
        nested = field.annotation if field else None
        if isinstance(nested, type) and issubclass(nested, BaseModel):
            model = nested
        elif parent == "solvers":
            model = SolverSettings
    return list(model.model_fields)

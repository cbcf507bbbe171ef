"""What is planted: the role of each electrode and the log gain of each word in it.

The *oracle skill* s of an electrode is the share of the variance across words of the measured
target (mean log envelope 70-170 Hz, 0-0.5 s after voice onset) that the true word-related part
explains. The rest is word-to-word variability of the gain, v^2, and the sampling noise of the
envelope, n^2 (`envelope_variance`), so the planted log gain has variance s / (1 - s) (v^2 + n^2).
Drift and reading order, where asked for, come on top and are not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hgcube import names as n
from hgcube.errors import OptionError, UnknownLabelError
from hgcube.schema import check
from hgcube.simulation.anatomy import implant
from hgcube.simulation.design import ROLES, Design
from hgcube.simulation.signals import Array, envelope_variance

Features = xr.DataArray | Mapping[str, xr.DataArray]

ACOUSTICS = ("loudness", "voice_duration")
_LONGEST_PATCH = 3
_LOG_AMPLITUDE, _LOG_AMPLITUDE_SD = np.log(2.0), 0.55


def component_scores(
    features: Features, subject: str, texts: list[str], n_components: int
) -> Array:
    """Return the words' scores on the leading principal components of the features.

    Parameters
    ----------
    features : DataArray (word, feature) with coord `text`, or mapping of subject to one
        Features are z-scored and decomposed over all words of the cube.
    subject : str
    texts : list of str
        Words of the subject.
    n_components : int

    Returns
    -------
    ndarray (n_words, n_components)
        Scaled to the components' standard deviations; fewer columns if the rank is smaller.

    Raises
    ------
    OptionError
        If words have no row, rows hold NaN, or all rows are equal.
    """
    cube = check(_of_subject(features, subject), "features")
    values = _rows(cube, texts)
    every = np.asarray(cube.transpose(n.WORD, n.FEATURE).values, dtype=float)
    every = every[np.isfinite(every).all(axis=1)]
    spread = every.std(axis=0)
    scaled = (every - every.mean(axis=0)) / np.where(spread > 0, spread, 1)
    _, sizes, axes = np.linalg.svd(scaled, full_matrices=False)
    rank = int((sizes > 1e-10 * np.sqrt(scaled.size)).sum())
    if rank == 0:
        raise OptionError(
            "features that differ between words", "constant features", "Pass other features"
        )
    axes = axes[: min(n_components, rank)]
    axes = axes * np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    centred = (values - every.mean(axis=0)) / np.where(spread > 0, spread, 1)
    scores: Array = centred @ axes.T
    scores -= scores.mean(axis=0)
    return scores


def acoustic_scores(words: pd.DataFrame) -> Array:
    """Return z-scored loudness and duration (n_words, 2); 0 for words never spoken."""
    values = words[list(ACOUSTICS)].to_numpy(dtype=float)
    centred = np.nan_to_num(values - np.nanmean(values, axis=0))
    spread = np.nanstd(values, axis=0)
    scores: Array = centred / np.where(spread > 0, spread, 1)
    return scores


def plant(
    design: Design, subject: str, scores: Mapping[str, Array]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decide what each electrode does.

    Parameters
    ----------
    design : Design
    subject : str
    scores : mapping of role to ndarray (n_words, components)
        For the roles with word information that can be planted.

    Returns
    -------
    contacts : pandas.DataFrame
        All contacts, see `implant`.
    truth : pandas.DataFrame
        One row per recorded electrode: role, skill, weights, amplitudes, bad kind.
    """
    rng = design.rng(subject, "electrodes")
    contacts = implant(design.electrodes_of(subject), rng)
    recorded = contacts["name"][contacts["recorded"]]
    truth = pd.DataFrame({"subject": subject, "name": recorded.to_numpy()})
    truth["role"], truth["patch"] = _patches(_role_counts(design, len(truth), scores), rng)
    truth["planted"] = truth["role"].isin(["embedding", "acoustic"])
    truth = _strengths(truth, design, rng)
    truth = _weights(truth, scores, rng)
    return contacts, _mark_bad(truth, design.bad_electrodes, rng)


def word_gains(
    truth: pd.DataFrame, scores: Mapping[str, Array], design: Design, subject: str
) -> Array:
    """Return the log gain of every electrode and word, without the onset response.

    Parameters
    ----------
    truth : pandas.DataFrame
        From `plant`.
    scores : mapping of role to ndarray (n_words, components)
    design : Design
    subject : str

    Returns
    -------
    ndarray (n_electrodes, n_words)
        Planted part + variability of the word's own + reading order.
    """
    n_words = design.words_of(subject)
    rng = design.rng(subject, "variability")
    gains = design.word_variability * rng.standard_normal((len(truth), n_words))
    gains += design.order_effect * (np.arange(n_words) / (n_words - 1) - 0.5)
    for role, score in scores.items():
        columns = weight_columns(role, score.shape[1])
        gains += truth[columns].to_numpy(dtype=float) @ score.T
    return gains


def weight_columns(role: str, n_columns: int) -> list[str]:
    """Return the names of the columns of the truth that hold the weights of `role`."""
    if role == "acoustic":
        return [f"weight_{name}" for name in ACOUSTICS]
    return [f"weight_component_{number}" for number in range(1, n_columns + 1)]


def _of_subject(features: Features, subject: str) -> xr.DataArray:
    if isinstance(features, xr.DataArray):
        return features
    if subject not in features:
        raise UnknownLabelError.of("subject in the mapping `features`", subject, features)
    return features[subject]


def _rows(cube: xr.DataArray, texts: list[str]) -> Array:
    if n.TEXT not in cube.coords:
        raise OptionError(
            "features with the coordinate 'text' along 'word'",
            f"coordinates {sorted(map(str, cube.coords))}",
            "Assign it: features.assign_coords(text=('word', words))",
        )
    place = {str(text): row for row, text in reversed(list(enumerate(cube[n.TEXT].values)))}
    missing = [text for text in texts if text not in place]
    if missing:
        raise OptionError(
            "features of every word that is read",
            f"{len(missing)} of {len(texts)} words without a row, such as {missing[:5]}",
            "Embed all of hgcube.simulation.DUTCH_WORDS",
        )
    rows = cube.transpose(n.WORD, n.FEATURE).isel({n.WORD: [place[text] for text in texts]})
    values = np.asarray(rows.values, dtype=float)
    broken = [text for text, row in zip(texts, values, strict=True) if not np.isfinite(row).all()]
    if broken:
        raise OptionError(
            "finite features",
            f"NaN or infinity in {len(broken)} of {len(texts)} words, such as {broken[:5]}",
            "Embed them with sub-words, or fill their rows",
        )
    return values


def _role_counts(design: Design, total: int, scores: Mapping[str, Array]) -> dict[str, int]:
    """Share out `total` electrodes by largest remainder; what cannot be planted is silent."""
    shares = np.array([design.roles.get(role, 0.0) for role in ROLES])
    lost = ROLES.index("embedding")
    if "embedding" not in scores:
        shares[[0, lost]] = shares[0] + shares[lost], 0
    exact = shares * total
    counts = np.floor(exact + 1e-9).astype(int)
    for role in np.argsort(counts - exact, kind="stable")[: total - counts.sum()]:
        counts[role] += 1
    return dict(zip(ROLES, counts.tolist(), strict=True))


def _patches(counts: dict[str, int], rng: np.random.Generator) -> tuple[list[str], list[int]]:
    """Lay the roles out in patches of up to 3 neighbours: tissue is not random by contact."""
    patches = [
        (role, min(_LONGEST_PATCH, count - start))
        for role, count in counts.items()
        for start in range(0, count, _LONGEST_PATCH)
    ]
    order = rng.permutation(len(patches))
    laid = [
        (patches[at][0], number) for number, at in enumerate(order) for _ in range(patches[at][1])
    ]
    return [role for role, _ in laid], [number for _, number in laid]


def _strengths(truth: pd.DataFrame, design: Design, rng: np.random.Generator) -> pd.DataFrame:
    n_electrodes, n_patches = len(truth), truth["patch"].max() + 1
    half = min(0.5 * design.skill, 0.5 * (1 - design.skill))
    skill = (design.skill + rng.uniform(-half, half, n_patches))[truth["patch"]]
    oracle = np.where(truth["planted"], skill, 0.0)
    noise = design.word_variability**2 + envelope_variance()
    responds = truth["planted"] | (truth["role"] == "onset")
    contaminated = truth["role"] == "contaminated"
    response = 0.5 * np.exp(rng.normal(0, 0.25, n_electrodes))
    leak = rng.uniform(0.7, 1.3, n_electrodes)
    return truth.assign(
        oracle_skill=np.where(contaminated, np.nan, oracle),
        gain_sd=np.sqrt(oracle / (1 - oracle) * noise),
        response_gain=np.where(responds, response, 0.0),
        contamination=np.where(contaminated, leak, 0.0),
        amplitude=np.exp(rng.normal(_LOG_AMPLITUDE, _LOG_AMPLITUDE_SD, n_electrodes)),
        line_amplitude=2 * np.exp(rng.normal(0, 0.5, n_electrodes)),
    )


def _weights(
    truth: pd.DataFrame, scores: Mapping[str, Array], rng: np.random.Generator
) -> pd.DataFrame:
    """Draw one direction per patch, scaled so that the planted gain has its stated sd."""
    columns: dict[str, Any] = {}
    for role, score in scores.items():
        shape = (truth["patch"].max() + 1, score.shape[1])
        directions = rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape)
        if role == "embedding":
            directions *= 2.0 ** -np.arange(score.shape[1])
        spread = (directions @ score.T).std(axis=1)
        unit = directions / np.where(spread > 0, spread, np.inf)[:, None]
        weights = unit[truth["patch"]] * truth["gain_sd"].to_numpy()[:, None]
        weights[(truth["role"] != role).to_numpy()] = 0
        names = weight_columns(role, score.shape[1])
        columns.update(zip(names, weights.T, strict=True))
    return truth.assign(**columns)


def _mark_bad(truth: pd.DataFrame, share: float, rng: np.random.Generator) -> pd.DataFrame:
    """Break silent electrodes in turn: flat and marked, noisy and unmarked, and so on."""
    silent = np.flatnonzero(truth["role"] == "silent")
    n_bad = min(round(share * len(truth)), len(silent))
    chosen = rng.permutation(silent)[:n_bad]
    kinds = np.full(len(truth), "none", dtype=object)
    kinds[chosen] = np.resize(["flat", "noisy", "noisy", "flat"], n_bad)
    marked = np.zeros(len(truth), dtype=bool)
    marked[chosen] = np.resize([True, False], n_bad)
    return truth.assign(bad_kind=kinds, marked_bad=marked)

"""The main job on simulated recordings: from an iBIDS folder to verdicts, in one call.

Everything a person sees here goes through the same readers, stages and store as real recordings.
The truth that was planted is read once, at the very end, to say what was found.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hgcube import names as n
from hgcube.embeddings import embed
from hgcube.errors import MissingExtraError
from hgcube.pipeline import run
from hgcube.reporting import report
from hgcube.schema import text_array
from hgcube.simulation import DUTCH_GROUPS, DUTCH_WORDS, simulate
from hgcube.store import open_results

_LOG = logging.getLogger("hgcube")
_TEMPLATES = (
    "de {0} en de {1}",
    "ik zie {0} bij {1} en {2}",
    "een {0} is geen {1}",
    "wij praten over {0} of {1}",
    "daar was {0} met {1} naast {2}",
    "geen {0} zonder {1}",
)
# Oracle skill of the planted electrodes: strong, so that three subjects are enough to show it.
_SKILL = 0.5
_TRAINED_ON = "toy template sentences made by hgcube demo (not natural language)"
_STUDY = """\
# Made by `hgcube demo`: simulated recordings, toy embedding.
preset = "{preset}"
seed = {seed}

[source]
root = "../bids"

[embeddings.fasttext]
model = "../fasttext-toy.bin"
trained_on = "{trained_on}"
"""


def demo(
    dest: str | Path = "hgcube-demo",
    *,
    presets: tuple[str, ...] = ("field", "paper"),
    n_subjects: int = 3,
    n_electrodes: int = 24,
    seed: int = 0,
    workers: int | None = None,
) -> pd.DataFrame:
    """Simulate a study, train a toy FastText, run every step, and write a report per preset.

    Parameters
    ----------
    dest : path
        Folder for ``bids/``, ``fasttext-toy.bin`` and one store per preset.
    presets : tuple of str
        Analyses to run on the same recordings; see `hgcube.config.PRESETS`.
    n_subjects, n_electrodes : int
        Size of the simulated study; every subject reads 100 words.
    seed : int
        Of the simulation and of the analysis.
    workers : int, optional
        Worker processes; one a core by default.

    Returns
    -------
    pandas.DataFrame
        Per subject: planted electrodes and those found, other electrodes and those named
        although nothing about words was planted in them.

    Raises
    ------
    HgcubeError
        As the steps it calls; `MissingExtraError` without gensim.
    """
    folder = Path(dest)
    folder.mkdir(parents=True, exist_ok=True)
    model = train_toy_fasttext(folder / "fasttext-toy.bin", seed=seed)
    bids = folder / "bids"
    # `simulate` writes this file last: without it the study was cut short.
    if (bids / "participants.tsv").exists():
        _LOG.warning("%s is there already: its recordings are used as they are", bids)
    else:
        features = embed(_vocabulary(), "fasttext", model=model, trained_on=_TRAINED_ON)
        simulate(
            bids,
            n_subjects=n_subjects,
            n_electrodes=n_electrodes,
            features=features,
            skill=_SKILL,
            seed=seed,
            overwrite=True,
        )
    for preset in presets:
        store = folder / preset
        store.mkdir(exist_ok=True)
        text = _STUDY.format(preset=preset, seed=seed, trained_on=_TRAINED_ON)
        (store / "study.toml").write_text(text, encoding="utf-8")
        run(store, workers=workers)
        report(store)
    return recovery(folder / presets[0], bids)


def train_toy_fasttext(
    path: Path,
    *,
    groups: Mapping[str, tuple[str, ...]] = DUTCH_GROUPS,
    n_sentences: int = 4000,
    vector_size: int = 20,
    seed: int = 0,
) -> Path:
    """Train a small FastText on template sentences and save it in Facebook's format.

    Parameters
    ----------
    path : path
        The ``.bin`` file; kept if it is there.
    groups : mapping
        Words that appear together.
    n_sentences, vector_size : int
    seed : int

    Returns
    -------
    path
    """
    if path.exists():
        return path
    try:
        from gensim.models.fasttext import FastText, save_facebook_model
    except ImportError:
        raise MissingExtraError(
            "gensim for the demo's FastText", "no such package", "Run: pip install 'hgcube[embed]'"
        ) from None
    model = FastText(
        toy_sentences(groups, n_sentences, seed),
        vector_size=vector_size,
        min_count=1,
        bucket=2000,
        epochs=10,
        seed=seed + 1,
        # One thread: gensim is deterministic with one only.
        workers=1,
    )
    save_facebook_model(model, str(path))
    return path


def toy_sentences(
    groups: Mapping[str, tuple[str, ...]], n_sentences: int, seed: int
) -> list[list[str]]:
    """Return sentences in which words of one group stand together.

    Parameters
    ----------
    groups : mapping
    n_sentences : int
    seed : int

    Returns
    -------
    list of list of str
        Lower-case tokens.
    """
    rng = np.random.default_rng(seed)
    members = list(groups.values())
    sentences = []
    for _ in range(n_sentences):
        group = members[rng.integers(len(members))]
        chosen = rng.choice(len(group), size=3, replace=len(group) < 3)
        template = _TEMPLATES[rng.integers(len(_TEMPLATES))]
        sentences.append(template.format(*(group[i] for i in chosen)).split())
    return sentences


def _vocabulary() -> xr.DataArray:
    return xr.DataArray(
        text_array(DUTCH_WORDS), dims=n.WORD, coords={n.WORD: np.arange(len(DUTCH_WORDS))}
    )


def recovery(store: Path, bids: Path) -> pd.DataFrame:
    """Hold what `verify` found against what was planted.

    Parameters
    ----------
    store : path
        A store of a simulated study, run to its verdicts.
    bids : path
        The simulated study.

    Returns
    -------
    pandas.DataFrame
        Per subject: electrodes with planted word information and how many of them were found;
        electrodes with none (silent, or the same speech onset for all words) and how many of
        them were named. A bipolar pair belongs to either group if both of its contacts do; pairs
        across a border, acoustic and contaminated electrodes are not counted.
    """
    electrodes = open_results(store, by="electrode")
    found = electrodes["found"].isel({n.SPACE: 0}).values.astype(bool)
    subjects = electrodes[n.SUBJECT].values
    rows = []
    for subject in dict.fromkeys(subjects.tolist()):
        roles = _roles(bids, subject)
        here = np.flatnonzero(subjects == subject)
        of_each = [_roles_of(electrodes, int(i), roles) for i in here]
        planted = np.array([each == {"embedding"} for each in of_each])
        without = np.array([each <= {"silent", "onset"} for each in of_each])
        rows.append(
            {
                "subject": subject,
                "planted": int(planted.sum()),
                "planted and found": int(found[here][planted].sum()),
                "without word information": int(without.sum()),
                "of these named": int(found[here][without].sum()),
            }
        )
    return pd.DataFrame(rows)


def _roles(bids: Path, subject: str) -> dict[str, str]:
    path = bids / "derivatives" / "hgcube-simulation" / f"sub-{subject}"
    table = pd.read_csv(next(path.rglob("*_truth.tsv")), sep="\t", keep_default_na=False)
    return dict(zip(table["name"], table["role"], strict=True))


def _roles_of(electrodes: xr.Dataset, index: int, roles: dict[str, str]) -> set[str]:
    one = electrodes.isel({n.ELECTRODE: index})
    contacts = [str(one[end].item()) for end in (n.ANODE, n.CATHODE) if end in one.coords]
    contacts = [contact for contact in contacts if contact] or [str(one[n.NAME].item())]
    return {roles[contact] for contact in contacts}

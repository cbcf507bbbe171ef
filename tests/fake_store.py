"""A small store written through the real writer, with fake results in it."""

from __future__ import annotations

from fake_results import fake_epochs, fake_result, word_coords

import hgcube
from hgcube import tables
from hgcube.store import write_part

STUDY = """\
preset = "field"
seed = 7

[source]
root = "bids"

[embeddings.fasttext]
model = "toy.bin"
"""


def write(store, kind, key, cube):
    write_part(
        store, kind, key, cube, fingerprint="f" * 32, settings={"seed": 7}, inputs={}
    ).compute()


def fake_features(subject, space, n_words=60):
    import numpy as np
    import xarray as xr

    return xr.DataArray(
        np.ones((n_words, 3)),
        dims=("word", "feature"),
        coords={"feature": [0, 1, 2], "space": space, "embedding": space, **word_coords(n_words)},
        name="features",
        attrs={"units": "1", "model": "toy.bin", "trained_on": "toy template sentences <b>"},
    )


def make_store(folder, *, upto="tables", spaces=("fasttext",), n_lags=31):
    """Write study.toml and all parts up to and including the step `upto`."""
    folder.mkdir(exist_ok=True)
    (folder / "study.toml").write_text(STUDY, encoding="utf-8")
    steps = ("nothing", "epochs", "features", "results", "verdicts", "tables")
    wanted = steps[: steps.index(upto) + 1]
    results = [
        fake_result(
            subject,
            space,
            solver,
            n_electrodes=24,
            spread=4.0,
            seed=i,
            permutations=199 if solver == "ridge" else 0,
            planted=(0, 5) if subject == "01" else (),
        )
        for i, subject in enumerate(("01", "02", "03"))
        for space in spaces
        for solver in ("ridge", "elastic_net")
    ]
    for subject in ("01", "02", "03"):
        if "epochs" in wanted:
            epochs = fake_epochs(subject, n_electrodes=24, n_lags=n_lags, n_words=60)
            write(folder, "epochs", (subject, "windows"), epochs)
        for space in spaces if "features" in wanted else ():
            write(folder, "features", (space, subject), fake_features(subject, space))
    if "results" in wanted:
        for r in results:
            key = tuple(str(r[name].item()) for name in ("subject", "space", "solver"))
            write(folder, "results", key, r)
    if "verdicts" in wanted:
        write(folder, "verdicts", ("all",), hgcube.verify(results))
    if "tables" in wanted:
        table = tables.by_electrode(results, hgcube.verify(results))
        write(folder, "tables", ("electrodes",), table)
        write(folder, "tables", ("words",), tables.by_word(results))
    return folder

"""What the report and the page of an embedding say of spaces."""

from __future__ import annotations

from pathlib import Path

import dask
import numpy as np
import pytest
import xarray as xr

import hgcube
from hgcube.errors import UnknownLabelError
from hgcube.reporting import contents, embedding_page, spaces
from hgcube.schema import text_array
from hgcube.store import write_part

STUDY = """
[embeddings.noise]
family = "random"
[embeddings.both]
family = "joined"
of = ["noise", "other"]
[embeddings.other]
family = "random"
seed = 1
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "study.toml").write_text(STUDY)
    texts = ["boot", "", "maan", "<b>"]
    words = xr.DataArray(
        text_array(texts),
        dims="word",
        coords={
            "word": np.arange(4),
            "onset": ("word", np.arange(4.0)),
            "duration": ("word", np.ones(4)),
        },
    )
    with dask.config.set(scheduler="synchronous"):
        for subject in ("01", "02"):
            features = hgcube.embed(words, "random", space="noise", n_features=12)
            settings = {"embeddings": {"noise": {"family": "random"}}}
            write_part(
                tmp_path,
                "features",
                ("noise", subject),
                features,
                fingerprint="f",
                settings=settings,
                inputs={},
            ).compute()
    return tmp_path


def test_spaces_of_bands_are_said_not_to_be_fitted(store: Path) -> None:
    gaps = {gap.part: gap.why for gap in contents.read(store).gaps}
    assert "a penalty each" in gaps["results of both"]
    assert not any("results of" in part for part in gaps if part != "results of both")


def test_the_report_does_without_models(store: Path) -> None:
    absent = '[embeddings.gpt2]\nmodel = "./absent"\nlayers = "all"\n'
    (store / "study.toml").write_text(STUDY + absent)
    assert contents.read(store).gaps


def test_rows_and_page_come_from_what_is_stored(store: Path) -> None:
    (row,) = spaces(store, "noise")
    assert (row["features"], row["subjects"], row["words"], row["without vector"]) == (12, 2, 8, 2)
    assert (row["layer"], row["depth"]) == ("", "")
    cube = hgcube.open_cube(store, "features", subject="01")
    known = cube.values[[0, 2, 3]].astype(float)
    units = known / np.linalg.norm(known, axis=1, keepdims=True)
    cosine = (units @ units.T)[np.triu_indices(3, 1)].mean()
    assert row["mean cosine"] == f"{cosine:.3f}"
    html = embedding_page(store, "noise").read_text()
    assert "data:image/svg+xml" in html
    with pytest.raises(UnknownLabelError, match="--embedding nois"):
        spaces(store, "nois")

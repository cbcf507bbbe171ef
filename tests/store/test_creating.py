from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from hgcube.config import Analysis, Execution, read_study
from hgcube.errors import SourceError, StoreError, UnknownLabelError
from hgcube.store import create

EXAMPLE = Path(__file__).parents[2] / "stores" / "example" / "study.toml"


def test_a_new_store_has_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "bids").mkdir()
    study = create(tmp_path / "stores" / "mine", source=tmp_path / "bids")
    analysis, execution = read_study(study)
    assert analysis.source.root == "../../bids"
    assert analysis.model_copy(update={"source": Analysis().source}) == Analysis()
    assert execution == Execution()


def test_a_preset_is_written(tmp_path: Path) -> None:
    analysis, _ = read_study(create(tmp_path / "s", source=tmp_path, preset="paper"))
    assert analysis.signal.as_stored
    assert analysis.signal.window is None
    with pytest.raises(UnknownLabelError, match="'paper'"):
        create(tmp_path / "t", source=tmp_path, preset="papers")
    assert not (tmp_path / "t").exists()


def test_a_study_is_not_overwritten(tmp_path: Path) -> None:
    create(tmp_path, source=tmp_path)
    with pytest.raises(StoreError, match=r"study\.toml"):
        create(tmp_path, source=tmp_path)


def test_a_store_needs_recordings_and_a_place_to_be(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no folder .*bids"):
        create(tmp_path / "s", source=tmp_path / "bids")
    assert not (tmp_path / "s").exists()
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file/s that can be written"):
        create(tmp_path / "file" / "s", source=tmp_path)


def test_the_example_is_what_init_writes(tmp_path: Path) -> None:
    (tmp_path / "bids").mkdir()
    made = create(tmp_path / "a" / "b", source=tmp_path / "bids")
    assert made.read_text() == EXAMPLE.read_text()


def test_what_the_comments_show_are_the_defaults(tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    shown = re.sub(r"^# (?=\w+ = |\[)", "", text, flags=re.MULTILINE)
    stated = tomllib.loads(shown)
    defaults = Analysis().model_dump(mode="json")
    for section in ("signal", "speech", "epochs", "encoding"):
        solvers = stated[section].pop("solvers", {})
        for name, values in solvers.items():
            assert values.items() <= defaults[section]["solvers"][name].items()
        assert stated[section].items() <= defaults[section].items()
    assert stated["execution"]["memory"] == Execution().memory
    assert len(stated["epochs"]) == 5

"""What study.toml says of embeddings, resolved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_models
import xarray as xr

from hgcube.embeddings.stated import Stated, recordings_named, with_recordings
from hgcube.errors import OptionError, SettingsError, SourceError, UnknownLabelError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("stated")
    tiny_models.gpt2(made / "tiny")
    (made / "m.bin").touch()
    return made


def stated(folder: Path, **tables: dict[str, Any]) -> Stated:
    return Stated(tables, folder)


GPT2 = {"model": "tiny", "layers": [1, 3]}


def test_layers_that_are_named_are_spaces_of_their_own(folder: Path) -> None:
    study = stated(
        folder,
        gpt2=GPT2,
        one={"family": "gpt2", "model": "tiny", "layers": 2},
        b={"family": "random"},
    )
    spaces = {name: (space.table, space.layer) for name, space in study.spaces.items()}
    assert spaces == {
        "b": ("b", None),
        "gpt2-1": ("gpt2", 1),
        "gpt2-3": ("gpt2", 3),
        "one": ("one", None),
    }
    assert list(stated(folder, gpt2={**GPT2, "layers": "all"}).spaces) == [
        f"gpt2-{layer}" for layer in range(4)
    ]
    assert list(stated(folder, gpt2={"model": "absent"}).spaces) == ["gpt2"]
    with pytest.raises(OptionError, match="0 to 3"):
        _ = stated(folder, gpt2={**GPT2, "layers": [9]}).spaces


def test_paths_beside_the_study_are_found_also_inside_of(folder: Path) -> None:
    study = stated(
        folder,
        ft={"family": "fasttext", "model": "m.bin"},
        far={"family": "fasttext", "model": "elsewhere.bin"},
        gpt2=GPT2,
        both={"family": "joined", "of": ["ft", "gpt2-3"]},
    )
    found, tiny = str(folder / "m.bin"), str(folder / "tiny")
    assert study.embedding("ft") == ("fasttext", {"model": found})
    assert study.embedding("far") == ("fasttext", {"model": "elsewhere.bin"})
    family, options = study.embedding("both")
    assert family == "joined"
    assert options["of"] == [
        {"family": "fasttext", "space": "ft", "model": found},
        {"family": "gpt2", "space": "gpt2-3", "model": tiny, "layers": [3]},
    ]
    assert study.bands("both") == ("ft", "gpt2-3")
    assert study.bands("ft") == ()


@pytest.mark.parametrize(
    ("tables", "error", "says"),
    [
        ({"a": {"family": "joined", "of": ["a", "ft"]}}, SettingsError, "'a' of 'a'"),
        (
            {
                "a": {"family": "joined", "of": ["b", "ft"]},
                "b": {"family": "joined", "of": ["a", "ft"]},
            },
            SettingsError,
            "'a' of 'b' of 'a'",
        ),
        ({"a": {"family": "joined", "of": ["fr", "ft"]}}, UnknownLabelError, "'ft'"),
        ({"a": {"family": "joined", "of": ["ft-3", "ft"]}}, UnknownLabelError, "'ft-3'"),
        ({"a": {"family": "gpt2", "of": "gtp2", "untrained": 0}}, UnknownLabelError, "'gpt2'"),
        ({"a": {"family": "gpt2", "model": "./no", "layers": [1]}}, SourceError, "no"),
    ],
)
def test_what_does_not_exist_is_named(
    folder: Path, tables: dict[str, Any], error: type[Exception], says: str
) -> None:
    both = {"ft": {"family": "random"}, "gpt2": GPT2, **tables}
    with pytest.raises(error, match=says):
        list(stated(folder, **both).of_table("a"))


def test_a_control_of_several_layers_controls_its_own(folder: Path) -> None:
    untrained = {"family": "gpt2", "model": "tiny", "untrained": 0}
    study = stated(
        folder,
        gpt2=GPT2,
        ft={"family": "random"},
        off={**untrained, "layers": [1, 2], "of": "gpt2"},
        last={**untrained, "layers": 3, "of": "gpt2"},
        third={**untrained, "layers": [3], "of": "gpt2-3"},
        noise={**untrained, "of": "ft"},
    )
    controlled = {space: study.controlled(space) for space in study.spaces}
    assert controlled == {
        "gpt2-1": "",
        "gpt2-3": "",
        "ft": "",
        "off-1": "gpt2-1",
        "off-2": "gpt2",
        "last": "gpt2-3",
        "third-3": "gpt2-3",
        "noise": "ft",
    }


def test_settings_are_those_of_the_space_wherever_its_files_are(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    tiny_models.gpt2(tmp_path / "elsewhere" / "tiny")
    here = stated(folder, gpt2=GPT2)
    there = stated(tmp_path, gpt2={**GPT2, "model": "elsewhere/tiny", "layers": "all"})
    expected = {"gpt2": {"family": "gpt2", "model": "tiny", "layers": [3]}}
    assert here.settings("gpt2-3") == there.settings("gpt2-3") == expected
    both = {"family": "joined", "of": ["gpt2-3", "gpt2-1"]}
    settings = stated(folder, gpt2=GPT2, both=both).settings("both")["both"]
    assert settings["of"]["gpt2-1"]["layers"] == [1]


def test_tables_that_share_vectors_are_together(folder: Path) -> None:
    noise = {"family": "random"}
    study = stated(
        folder,
        d=noise,
        c=noise,
        x=noise,
        both={"family": "joined", "of": ["c", "d"]},
        more={"family": "joined", "of": ["d", "e"]},
        e=noise,
        alone={"family": "joined", "of": []},
    )
    groups = {table: study.together(table) for table in study.tables}
    assert groups == {
        **dict.fromkeys(("both", "c", "d", "e", "more"), "both"),
        "x": "x",
        "alone": "alone",
    }


def test_another_recording_takes_the_place_of_its_label() -> None:
    speaks = {"family": "another_speaker", "speaker": "02", "of": {"family": "wav2vec2"}}
    options = {"of": [speaks, {"family": "random"}]}
    assert recordings_named(options) == ["02"]
    opened = xr.Dataset(attrs={"recording": "02"})
    given = with_recordings(options, {"02": opened}.__getitem__)
    assert given["of"][0]["speaker"] is opened
    assert options["of"][0]["speaker"] == "02"

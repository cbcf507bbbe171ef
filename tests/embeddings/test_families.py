"""What is there, what it needs, and families of other packages."""

from __future__ import annotations

from pathlib import Path

import plug_in
import pytest
import xarray as xr

import hgcube
from hgcube.embeddings import EMBEDDERS, families
from hgcube.embeddings.protocol import factory_of
from hgcube.errors import MissingExtraError, UnknownLabelError

WORDS = xr.DataArray(["boot", "huis", "fiets"], dims="word", coords={"word": [0, 1, 2]})


@pytest.fixture
def plugged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(plug_in.install(tmp_path / "site"))


def test_every_family_says_what_it_makes() -> None:
    listed = {family.name: family for family in families()}
    assert set(listed) == set(EMBEDDERS)
    for family in listed.values():
        assert family.makes.endswith(".")
    assert "model = ..." in listed["fasttext"].needs
    assert listed["random"].needs == ()
    assert {family.origin for family in listed.values()} == {"hgcube"}


def test_what_is_not_here_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", "/nowhere")
    monkeypatch.setattr(
        EMBEDDERS["random"], "packages", ("numpy", "no_such_package"), raising=False
    )
    listed = {family.name: family for family in families()}
    assert listed["random"].needs == ("numpy", "no_such_package")
    assert listed["random"].missing == ("no no_such_package: pip install 'hgcube[embed]'",)
    (gpt2,) = (what for what in listed["gpt2"].missing if "gpt2" in what)
    assert gpt2 == "no openai-community/gpt2: hf download openai-community/gpt2"


def test_a_plug_in_is_found_by_its_entry_point(plugged: None) -> None:
    features = hgcube.embed(WORDS, "length", power=3, space="long")
    assert features.values.tolist() == [[4, 64], [4, 64], [5, 125]]
    assert features.attrs["model"] == "length to the power of 3"
    listed = {family.name: family for family in families()}
    assert listed["length"].makes == "Number of characters, and its square."
    assert listed["length"].needs == ("numpy",)
    assert listed["length"].missing == ()
    assert listed["length"].origin == "wordlength"
    with pytest.raises(UnknownLabelError, match="'length'"):
        hgcube.embed(WORDS, "lenght")


def test_a_plug_in_that_does_not_load_is_one_sentence(plugged: None) -> None:
    with pytest.raises(MissingExtraError, match=r"'broken'.*No module named 'wordlength_absent'"):
        hgcube.embed(WORDS, "broken")
    (broken,) = (family for family in families() if family.name == "broken")
    assert broken.missing == ("ModuleNotFoundError: No module named 'wordlength_absent'",)
    assert broken.origin == "wordlength"


def test_what_a_plug_in_lacks_is_not_sought_in_our_extra(
    plugged: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(factory_of("length"), "packages", ("no_such_package",))
    (length,) = (family for family in families() if family.name == "length")
    assert length.missing == ("no no_such_package: see what wordlength asks for",)


def test_without_it_the_family_is_unknown() -> None:
    with pytest.raises(UnknownLabelError, match="'length'"):
        hgcube.embed(WORDS, "length")

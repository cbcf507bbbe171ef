"""The demo at a small size: what was planted is found, what was not is not named."""

from __future__ import annotations

import runpy
from pathlib import Path

import pandas as pd
import pytest

from hgcube.demo import demo, toy_sentences, train_toy_fasttext

GROUPS = {"animals": ("kat", "hond", "paard"), "food": ("brood", "kaas", "appel")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("demo")
    return folder, demo(folder, presets=("field",), n_subjects=2, n_electrodes=16, workers=1)


def test_planted_electrodes_are_found_and_others_are_not(
    finished: tuple[Path, pd.DataFrame],
) -> None:
    _, table = finished
    assert (table["planted"] >= 2).all()
    assert (table["without word information"] >= 5).all()
    assert table["planted and found"].tolist() == table["planted"].tolist()
    assert table["of these named"].tolist() == [0, 0]


def test_the_report_says_that_all_of_it_is_made_up(finished: tuple[Path, pd.DataFrame]) -> None:
    folder, _ = finished
    page = (folder / "field" / "report.html").read_text(encoding="utf-8")
    assert "simulated" in page
    assert "toy template sentences" in page


def test_toy_sentences_keep_groups_together_and_depend_on_the_seed_alone() -> None:
    sentences = toy_sentences(GROUPS, 50, seed=3)
    assert sentences == toy_sentences(GROUPS, 50, seed=3)
    assert sentences != toy_sentences(GROUPS, 50, seed=4)
    for sentence in sentences:
        of_groups = [any(word in group for word in sentence) for group in GROUPS.values()]
        assert sum(of_groups) == 1


def test_a_trained_model_is_kept(tmp_path: Path) -> None:
    path = train_toy_fasttext(tmp_path / "toy.bin", groups=GROUPS, n_sentences=20)
    before = path.stat().st_mtime_ns
    assert train_toy_fasttext(path, groups=GROUPS).stat().st_mtime_ns == before


def test_the_first_notebook_runs_on_it(
    finished: tuple[Path, pd.DataFrame],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, _ = finished
    monkeypatch.setenv("HGCUBE_DEMO", str(folder))
    notebook = Path(__file__).parents[2] / "notebooks" / "00_a_study_in_five_minutes.py"
    ran = runpy.run_path(str(notebook))
    printed = capsys.readouterr().out
    assert printed.count("carry word information") == 2
    assert "mean_word" in printed
    assert type(ran["picture"]).__module__.startswith("holoviews")

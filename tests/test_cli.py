from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import dask
import numpy as np
import pandas as pd
import pytest
import tiny_models
import xarray as xr

import hgcube
from hgcube.cli import app, main
from hgcube.embeddings import families
from hgcube.errors import SettingsError
from hgcube.schema import finish, text_array
from hgcube.store import create, write_part
from hgcube.variables import describe

HEAVY = ("torch", "mne", "panel", "gensim", "distributed", "transformers", "sklearn", "h5py")
COMMANDS = {
    *("demo", "simulate", "init", "run", "plan", "status"),
    *("query", "verify", "report", "export", "bench", "version"),
    *("embed", "embeddings"),
}


@pytest.mark.parametrize("arguments", ["hgcube", "hgcube.cli, sys; hgcube.cli.main(['--help'])"])
def test_nothing_heavy_is_loaded(arguments: str) -> None:
    loaded = f"print('LOADED', set(sys.modules) & {set(HEAVY)})"
    report = f"import atexit, sys; atexit.register(lambda: {loaded})"
    done = subprocess.run(
        [sys.executable, "-c", f"{report}\nimport {arguments}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "LOADED set()" in done.stdout


def test_every_command_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    found = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert found == COMMANDS
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    assert set(capsys.readouterr().out.split()) >= COMMANDS


def called(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return int(stop.value.code or 0)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert called("version") == 0
    assert capsys.readouterr().out.strip() == hgcube.__version__


class TestMistakes:
    def test_one_message_and_no_traceback(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert called("status", tmp_path / "none") == 2
        printed = capsys.readouterr()
        assert printed.err.startswith("hgcube: Expected a store with study.toml.")
        assert "Traceback" not in printed.err
        assert not printed.out

    def test_debug_shows_where(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError):
            main(["--debug", "status", str(tmp_path / "none")])

    def test_an_unknown_command_or_option(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert called("statsu") == 2
        assert called("run", "somewhere", "--wrokers", "2") == 2
        assert "Traceback" not in capsys.readouterr().err

    def test_an_unknown_setting(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "study.toml").write_text("[signal]\nordr = 3\n")
        assert called("plan", tmp_path) == 2
        assert "'order'" in capsys.readouterr().err

    def test_a_missing_source(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "nowhere").mkdir()
        create(tmp_path / "store", source=tmp_path / "nowhere")
        (tmp_path / "nowhere").rmdir()
        assert called("run", tmp_path / "store", "--scheduler", "synchronous") == 2
        assert "nowhere" in capsys.readouterr().err


def test_init(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called("init", tmp_path / "s", "--source", tmp_path / "bids", "--preset", "paper") == 2
    (tmp_path / "bids").mkdir()
    assert called("init", tmp_path / "s", "--source", tmp_path / "bids", "--preset", "paper") == 0
    assert 'preset = "paper"' in (tmp_path / "s" / "study.toml").read_text()
    assert "study.toml" in capsys.readouterr().out
    assert called("init", tmp_path / "s", "--source", tmp_path / "bids") == 2


@pytest.fixture
def store(tmp_path: Path, rng: np.random.Generator) -> Path:
    regions = ["IFG", "STG", "STG", "IFG"]
    electrodes = {
        "space": text_array(["fasttext"]),
        "solver": text_array(["ridge"]),
        "predictor": text_array(["model", "mean_word"]),
        "electrode": text_array(["01-A", "01-B", "04-A", "04-B"]),
        "subject": ("electrode", text_array(["01", "01", "04", "04"])),
        "region": ("electrode", text_array(regions)),
    }
    dims = ("space", "solver", "predictor", "electrode")
    by_electrode = xr.Dataset({"skill": (dims, rng.random((1, 1, 2, 4)))}, coords=electrodes)
    words = {
        **{name: electrodes[name] for name in ("space", "solver", "predictor")},
        "word": text_array(["01-000", "01-001"]),
        "text": ("word", text_array(["boot", "reën"])),
        "subject": ("word", text_array(["01", "01"])),
    }
    by_word = xr.Dataset(
        {"r_across_electrodes": ((*dims[:3], "word"), rng.random((1, 1, 2, 2)))}, coords=words
    )
    verdicts = xr.Dataset(
        {"verdict": (("subject", "space"), text_array([["No word information shown."]]))},
        coords={"subject": text_array(["01"]), "space": text_array(["fasttext"])},
    )
    epochs = xr.DataArray(
        rng.random((2, 3, 5)),
        dims=("word", "electrode", "lag"),
        coords={
            "word": [0, 1],
            "text": ("word", text_array(["boot", "reën"])),
            "onset": ("word", [0.0, 3.0]),
            "duration": ("word", [2.0, 2.0]),
            "electrode": text_array(["01-A", "01-B", "01-C"]),
            "name": ("electrode", text_array(["A", "B", "C"])),
            "region": ("electrode", text_array(["STG", "STG", "IFG"])),
            "subject": ("electrode", text_array(["01", "01", "01"])),
            "bad": ("electrode", [False, True, False]),
            "lag": np.arange(5) * 0.05 - 0.1,
        },
    )
    made = {
        ("tables", "electrodes"): describe(by_electrode),
        ("tables", "words"): describe(by_word),
        ("verdicts", "all"): verdicts,
        ("epochs", "01", "windows"): finish(epochs, "epochs"),
        ("epochs", "01", "mean"): finish(epochs.mean("lag"), "epochs"),
    }
    with dask.config.set(scheduler="synchronous"):
        for (kind, *key), cube in made.items():
            write_part(
                tmp_path, kind, tuple(key), cube, fingerprint="f", settings={}, inputs={}
            ).compute()
    return tmp_path


class TestQuery:
    def test_a_table(self, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
        labels = ("--subject", "04", "--region", "STG", "--predictor", "model")
        assert called("query", store, "skill", *labels) == 0
        head, *rows = capsys.readouterr().out.splitlines()
        assert " ".join(head.split()) == "space solver predictor electrode subject region skill"
        (row,) = rows
        assert "04-A" in row

    def test_csv_of_several_regions_and_a_word(
        self, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        several = ("--region", "STG", "--region", "IFG", "--subject", "01")
        assert called("query", store, "skill", *several, "--format", "csv") == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 1 + 2 * 2
        file = tmp_path / "words.csv"
        of_word = ("query", store, "r_across_electrodes", "--word", "reën", "--format", "csv")
        assert called(*of_word, "--output", file) == 0
        assert set(pd.read_csv(file)["text"]) == {"reën"}

    def test_parquet_round_trip(self, store: Path, tmp_path: Path) -> None:
        file = tmp_path / "skill.parquet"
        assert called("query", store, "skill", "--format", "parquet", "--output", file) == 0
        read = pd.read_parquet(file)
        np.testing.assert_array_equal(
            read["skill"], hgcube.open_results(store)["skill"].values.ravel()
        )
        assert set(read["region"]) == {"IFG", "STG"}

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("skil",), "'skill'"),
            (("skill", "--region", "STX"), "'STG'"),
            (("skill", "--format", "parquet"), "--output"),
        ],
    )
    def test_mistakes(
        self,
        store: Path,
        capsys: pytest.CaptureFixture[str],
        arguments: tuple[str, ...],
        message: str,
    ) -> None:
        assert called("query", store, *arguments) == 2
        assert message in capsys.readouterr().err


def test_verify(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert called("verify", store) == 0
    assert capsys.readouterr().out == "01 fasttext: No word information shown.\n"


class TestExport:
    def test_parquet(self, store: Path, tmp_path: Path) -> None:
        file = tmp_path / "epochs.parquet"
        assert called("export", store, file, "--subject", "01") == 0
        read = pd.read_parquet(file)
        assert len(read) == 2 * 3 * 5
        assert set(read["text"]) == {"boot", "reën"}

    @pytest.mark.filterwarnings("ignore:The inplace keyword")  # inside MNE
    def test_fif(self, store: Path, tmp_path: Path) -> None:
        import mne

        file = tmp_path / "one-epo.fif"
        assert called("export", store, file, "--subject", "01") == 0
        read = mne.read_epochs(file, verbose="ERROR")
        stored = hgcube.open_cube(store, "epochs", subject="01", target="windows")
        np.testing.assert_allclose(read.get_data(), stored.values, rtol=1e-6)
        np.testing.assert_allclose(read.times, stored.lag.values, atol=1e-9)
        assert read.info["bads"] == ["01-B"]
        assert read["reën"].metadata["onset"].tolist() == [3.0]

    def test_mistakes(self, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert called("export", store, store / "e.txt", "--subject", "01") == 2
        assert called("export", store, store / "e.fif", "--subject", "01", "--target", "mean") == 2
        assert called("export", store, store / "e.fif", "--subject", "1") == 2
        printed = capsys.readouterr().err
        assert ".parquet or .fif" in printed
        assert "'windows'" in printed
        assert "'01'" in printed


def test_embeddings_lists_every_family(capsys: pytest.CaptureFixture[str]) -> None:
    assert called("embeddings") == 0
    printed = capsys.readouterr().out
    for family in families():
        assert f"\n{family.name} " in printed
        assert " ".join(family.makes.split()[:2]) in printed
    assert "model = ..." in printed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("embed")
    hgcube.simulate(
        made / "bids",
        n_subjects=1,
        n_words=6,
        n_electrodes=3,
        sampling_frequency=512.0,
        audio_frequency=4000.0,
        word_duration=1.0,
        fixation_duration=0.5,
    )
    tiny_models.gpt2(made / "tiny")
    return made


class TestEmbed:
    @pytest.fixture
    def study(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(folder)
        return create(tmp_path / "store", source=folder / "bids")

    def embed(self, study: Path, *more: str) -> int:
        where = ("--scheduler", "synchronous")
        return called("embed", study.parent, "--embedding", "gpt2", *where, *more)

    def test_states_makes_prints_and_draws(
        self, study: Path, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = study.read_text()
        assert self.embed(study, "--model", "tiny", "--layers", "1,3") == 0
        printed = capsys.readouterr().out
        head, *rows, page = printed.splitlines()
        assert "space layer depth" in " ".join(head.split())
        assert [row.split()[:4] for row in rows] == [
            ["gpt2-1", "1", "0.33", "16"],
            ["gpt2-3", "3", "1.00", "16"],
        ]
        text = study.read_text()
        assert text.startswith(before)
        stated = tomllib.loads(text)["embeddings"]["gpt2"]
        assert stated.pop("layers") == [1, 3]
        assert (study.parent / stated.pop("model")).resolve() == (folder / "tiny").resolve()
        assert stated == {}
        html = Path(page).read_text()
        assert html.count("data:image/svg+xml") == 1
        assert re.findall(r'(?:src|href)="(.{5})', html) == ["data:"]
        assert "gpt2-3" in html
        made = hgcube.status(study.parent).query("state == 'done'")
        assert set(made["kind"]) == {"recordings", "features"}

    def test_what_is_there_is_used_and_not_changed(
        self, study: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.embed(study, "--model", "tiny", "--layers", "penultimate") == 0
        text = study.read_text()
        assert self.embed(study) == 0
        assert self.embed(study, "--model", "tiny") == 0
        capsys.readouterr()
        for more, says in (
            (("--layers", "3"), "layers = [3] of [embeddings.gpt2]. Got layers = 'penultimate'"),
            (("--family", "random"), "family = 'random' of [embeddings.gpt2]. Got family = 'gpt2'"),
            (("--model", "bids"), "model = "),
        ):
            assert self.embed(study, *more) == 2
            assert says in capsys.readouterr().err
        assert study.read_text() == text

    @pytest.mark.parametrize(
        ("more", "says"),
        [
            (("--model", "no/such"), "hf download no/such"),
            (("--model", "tiny", "--layers", "9"), "0 to 3"),
            (("--model", "tiny", "--layers", "3;4"), "--layers all, penultimate"),
            (("--family", "gtp2"), "'gpt2'"),
        ],
    )
    def test_mistakes_leave_the_study_as_it_is(
        self, study: Path, capsys: pytest.CaptureFixture[str], more: tuple[str, ...], says: str
    ) -> None:
        before = study.read_text()
        assert self.embed(study, *more) == 2
        assert says in capsys.readouterr().err
        assert study.read_text() == before
        assert list(study.parent.iterdir()) == [study]

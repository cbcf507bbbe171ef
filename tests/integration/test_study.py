"""A small study, from a BIDS folder with NWB files to verdicts, as a user runs it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import hgcube
from hgcube.cli import main
from hgcube.errors import HgcubeError, UnknownLabelError
from hgcube.store import KEYS, create, read_ledger
from hgcube.store.parts import checksum

SUBJECTS = ("01", "02")
N_WORDS = 14
STUDY = """
[embeddings.random]
n_features = 8
[encoding.solvers.ridge]
standardize = "all_words"
permutations = 60
[encoding.solvers.elastic_net]
standardize = "fold"
alpha = 0.1
"""


@pytest.fixture(scope="module")
def bids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hgcube.simulate(
        tmp_path_factory.mktemp("study") / "bids",
        n_subjects=2,
        n_words=N_WORDS,
        n_electrodes=6,
        sampling_frequency=512.0,
        audio_frequency=4000.0,
        word_duration=1.0,
        fixation_duration=0.5,
        seed=3,
    )


def new_store(folder: Path, bids: Path) -> Path:
    study = create(folder, source=bids)
    study.write_text(study.read_text() + STUDY)
    return folder


@pytest.fixture(scope="module")
def store(bids: Path) -> Path:
    folder = new_store(bids.parent / "synchronous", bids)
    before = hgcube.status(folder)
    assert set(before["state"]) == {"missing"}
    outcome = hgcube.run(folder, scheduler="synchronous", progress=False)
    assert outcome.complete, outcome
    assert len(outcome.made) == len(before)
    return folder


def parts_of(store: Path) -> dict[str, str]:
    ledger = read_ledger(store)
    return {"/".join((kind, *key)): entry.checksum for (kind, key), entry in ledger.items()}


def test_every_kind_of_part_is_made_and_opens_with_plain_xarray(store: Path) -> None:
    made = parts_of(store)
    assert {name.split("/")[0] for name in made} == set(KEYS)
    assert len(made) == 2 + 2 + 4 + 2 + 4 + 1 + 2
    for name, summed in made.items():
        opened = xr.open_zarr(store / name, consolidated=False)
        assert opened.attrs["hgcube_fingerprint"]
        assert summed == checksum(store / name)[0]


def test_a_second_run_does_nothing(store: Path) -> None:
    made = parts_of(store)
    assert hgcube.run(store, progress=False).made == []
    assert parts_of(store) == made
    assert set(hgcube.status(store)["state"]) == {"done"}
    planned = hgcube.plan(store)
    assert planned["tasks"].sum() == 0
    assert (planned.query("kind == 'high_gamma'")["bytes_per_task"] > 0).all()


def test_cubes_have_their_labels_from_file_to_score(store: Path) -> None:
    for subject in SUBJECTS:
        epochs = hgcube.open_cube(store, "epochs", subject=subject, target="mean")
        assert epochs.dims == ("word", "electrode")
        assert epochs.sizes["word"] == N_WORDS
        assert set(epochs.subject.values.ravel()) == {subject}
        words = hgcube.open_cube(store, "recordings", recording=subject)["words"].compute()
        assert words.values.tolist() == epochs.text.values.tolist()
        result = hgcube.open_cube(
            store, "results", subject=subject, space="random", solver="ridge"
        ).load()
        assert (result.subject.item(), result.space.item()) == (subject, "random")
        np.testing.assert_array_equal(result.electrode, epochs.electrode)
        np.testing.assert_array_equal(result.text, epochs.text)
        observed = result["observed"].transpose("word", "electrode").values
        np.testing.assert_array_equal(observed, epochs.values)


def test_stored_results_are_what_the_stages_give(store: Path) -> None:
    from hgcube.pipeline.steps import seed_of

    key = ("01", "random", "elastic_net")
    epochs = hgcube.open_cube(store, "epochs", subject="01", target="mean").load()
    features = hgcube.open_cube(store, "features", space="random", subject="01").load()
    direct = hgcube.encode(epochs, features, solver="elastic_net", alpha=0.1, seed=seed_of(0, key))
    stored = hgcube.open_cube(store, "results", subject="01", space="random", solver="elastic_net")
    assert float(np.abs(direct["prediction"]).sum()) > 0
    np.testing.assert_allclose(
        stored["prediction"].transpose(*direct["prediction"].dims),
        direct["prediction"],
        rtol=1e-10,
    )


def test_tables_hold_every_score_with_its_references(store: Path) -> None:
    table = hgcube.open_results(store).load()
    assert set(table.space.values) == {"random"}
    assert set(table.subject.values) == set(SUBJECTS)
    assert {"model", "mean_word", "order"} <= set(table.predictor.values)
    tree = hgcube.open_results(store, by="subject")
    part = tree["02/random/ridge"]["skill"].sel(predictor="model")
    pooled = table["skill"].sel(space="random", solver="ridge", predictor="model")
    np.testing.assert_array_equal(pooled.hg.sel(subject="02").values, part.values)
    assert list(tree.children) == list(SUBJECTS)
    by_word = hgcube.open_results(store, by="word")
    assert by_word.sizes["word"] == 2 * N_WORDS
    with pytest.raises(UnknownLabelError, match="'01'"):
        table.hg.sel(subject="1")


def test_too_few_words_are_said_to_be_too_few(store: Path) -> None:
    verdicts = hgcube.open_cube(store, "verdicts").load()
    assert verdicts["verdict"].shape == (2, 1)
    assert all(f"{N_WORDS} words" in text for text in verdicts["verdict"].values.ravel())


@pytest.mark.parametrize("scheduler", ["threads", None])
def test_numbers_do_not_depend_on_who_computes(
    store: Path, bids: Path, scheduler: str | None
) -> None:
    other = new_store(bids.parent / f"by-{scheduler}", bids)
    assert hgcube.run(other, scheduler=scheduler, workers=2, progress=False).complete
    assert parts_of(other) == parts_of(store)


def test_a_new_space_leaves_the_old_parts_alone(store: Path, bids: Path) -> None:
    copied = bids.parent / "copied"
    shutil.copytree(store, copied)
    study = copied / "study.toml"
    study.write_text(study.read_text() + '[embeddings.other]\nfamily = "random"\n')
    made = hgcube.run(copied, scheduler="synchronous", progress=False).made
    assert len(made) == 2 + 4 + 1 + 2
    assert all("other" in name or name.startswith(("verdicts", "tables")) for name in made)
    old = {name: summed for name, summed in parts_of(copied).items() if name not in made}
    assert old.items() <= parts_of(store).items()


def test_status_says_which_setting_changed(store: Path, bids: Path) -> None:
    copied = bids.parent / "changed"
    shutil.copytree(store, copied)
    study = copied / "study.toml"
    study.write_text(study.read_text().replace("# order = 4", "order = 3"))
    why = hgcube.status(copied).set_index(["kind", "key"])
    assert why.loc["recordings", "01"]["state"] == "done"
    assert why.loc["high_gamma", "01"]["why"] == "signal.order 4 -> 3"
    assert "high_gamma/01 changed" in why.loc["epochs", "01/mean"]["why"]


def test_without_an_embedding_the_run_stops_after_the_epochs(
    bids: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = bids.parent / "no-embedding"
    create(folder, source=bids)
    outcome = hgcube.run(folder, steps=["results"], scheduler="synchronous", progress=False)
    assert (outcome.made, outcome.complete) == ([], True)
    assert "no [embeddings.NAME]" in caplog.text
    assert set(hgcube.status(folder)["kind"]) == {"recordings", "high_gamma", "epochs"}


def test_an_unreadable_recording_fails_alone(bids: Path) -> None:
    broken = bids.parent / "broken"
    shutil.copytree(bids, broken)
    (nwb,) = broken.glob("sub-02/**/*.nwb")
    nwb.write_bytes(b"not a recording")
    folder = new_store(bids.parent / "store-of-broken", broken)
    outcome = hgcube.run(folder, scheduler="synchronous", progress=False)
    assert "recordings/01" in outcome.made
    (reason,) = outcome.failed.values()
    assert set(outcome.failed) == {"recordings/02"}
    assert nwb.name in reason
    assert reason.startswith("Expected")
    assert "results/02/random/ridge" in outcome.waiting
    assert {"verdicts/all", "tables/electrodes", "tables/words"} <= set(outcome.made)
    verdicts = hgcube.open_cube(folder, "verdicts")
    assert verdicts["subject"].values.tolist() == ["01"]
    assert (hgcube.plan(folder).query("kind == 'recordings'")["why"] != "").sum() == 1

    shutil.copy(next(bids.glob("sub-02/**/*.nwb")), nwb)
    mended = hgcube.run(folder, scheduler="synchronous", progress=False)
    assert mended.complete
    assert not [name for name in mended.made if "/01" in name]
    assert hgcube.open_cube(folder, "verdicts")["subject"].values.tolist() == ["01", "02"]


def test_recordings_of_one_subject_are_joined(tmp_path: Path) -> None:
    bids = hgcube.simulate(
        tmp_path / "bids",
        n_subjects=1,
        n_words=12,
        n_electrodes=4,
        runs=2,
        sampling_frequency=512.0,
        audio_frequency=4000.0,
        word_duration=1.0,
        fixation_duration=0.5,
    )
    store = new_store(tmp_path / "store", bids)
    outcome = hgcube.run(
        store,
        steps=["recordings", "high_gamma", "epochs", "features"],
        scheduler="synchronous",
        progress=False,
    )
    assert sum(name.startswith("recordings/01_run-") for name in outcome.made) == 2
    epochs = hgcube.open_cube(store, "epochs", subject="01", target="mean")
    assert epochs.word.values.tolist() == list(range(12))
    assert len(set(epochs.run.values)) == 2
    features = hgcube.open_cube(store, "features", subject="01")
    assert features.text.values.tolist() == epochs.text.values.tolist()


def test_the_command_line(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        ["run", str(store)],
        ["query", str(store), "skill", "--subject", "01", "--predictor", "model"],
        ["verify", str(store)],
        ["plan", str(store)],
    ):
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert "0 made, 0 failed, 0 waiting" in printed
    assert "02 random: " in printed


@pytest.mark.parametrize(
    ("stated", "says"),
    [
        ("[encoding.solvers.rigde]\nalpha = 1.0", "'ridge'"),
        ('[encoding]\nfolds = "leave-two-out"', "'leave-one-word-out'"),
        ('[encoding]\nreferences = ["mean"]', "'mean_word'"),
        ('[embeddings.words]\nfamily = "fastext"', "'fasttext'"),
        ('[embeddings.fasttext]\nmodell = "x.bin"', "'model'"),
        ('[embeddings.fasttext]\nmodel = "absent.bin"', "absent.bin"),
        ("[signal]\nband = [170, 70]", "signal.band"),
    ],
)
def test_what_does_not_exist_is_named_before_anything_is_computed(
    bids: Path, tmp_path: Path, stated: str, says: str
) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "study.toml").write_text(f'[source]\nroot = "{bids}"\n{stated}')
    for verb in (hgcube.plan, hgcube.run):
        with pytest.raises(HgcubeError, match=says):
            verb(tmp_path / "store")
    assert not (tmp_path / "store" / "recordings").exists()


def test_old_numbers_are_shown_with_a_word(
    bids: Path, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(store, changed)
    settings = f'[source]\nroot = "{bids}"\n[signal]\norder = 3\n{STUDY}'
    (changed / "study.toml").write_text(settings)
    with pytest.raises(SystemExit, match="0"):
        main(["verify", str(changed)])
    printed = capsys.readouterr()
    assert printed.out.startswith("01 random:")
    assert "high_gamma/01 (signal.order 4 -> 3)" in printed.err


def test_a_path_that_cannot_be_written_is_one_message(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["query", str(store), "skill", "--format", "csv", "--output", "absent/x.csv"]
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "absent" in capsys.readouterr().err


def test_tables_of_bad_electrodes_and_words_reach_the_fits(bids: Path, tmp_path: Path) -> None:
    folder = new_store(tmp_path / "store", bids)
    tree = hgcube.open_bids(bids, subjects=["01"])
    word = str(tree["01"]["words"].values[3])
    (folder / "words.tsv").write_text(f"subject\tword\treason\n01\t{word}\tcoughed\n")
    (folder / "contacts.tsv").write_text("subject\tname\treason\n01\tLA2\tnoisy\n")
    tables = (
        'bad_words = "words.tsv"\nbad_electrodes = "contacts.tsv"\n[signal]\nreference = "none"'
    )
    settings = f'[source]\nroot = "{bids}"\nsubjects = ["01"]\n{tables}\n{STUDY}'
    (folder / "study.toml").write_text(settings)
    assert hgcube.run(folder, scheduler="synchronous", progress=False).complete
    result = hgcube.open_cube(folder, "results", subject="01", space="random", solver="ridge")
    assert "bad: coughed" in result["flag"].values[3]
    fitted = {
        str(name.item()): int(count)
        for name, count in zip(result["name"], result["n_words"], strict=True)
    }
    assert fitted["LA2"] == 0
    others = [count for name, count in fitted.items() if count and name != "LA2"]
    assert others
    assert max(others) <= N_WORDS - 1
    assert result["prediction"].isel(word=3).isnull().all()

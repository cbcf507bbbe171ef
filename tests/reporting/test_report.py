import html
import json
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr
from fake_results import fake_result
from fake_store import make_store, write

import hgcube
from hgcube import tables
from hgcube.config import parse_study
from hgcube.errors import SettingsError, StoreError
from hgcube.reporting import contents, rows
from hgcube.reporting.methods import methods
from hgcube.store import Entry, record_failure

pytest.importorskip("holoviews")
VOID = {"meta", "br", "img", "link", "input"}


class Page(HTMLParser):
    """Collects cells of tables by section, and fails on tags that do not close."""

    def __init__(self, text):
        super().__init__()
        self.open, self.targets, self.cells, self.section, self.tags = [], [], {}, "", set()
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        stated = dict(attrs)
        self.tags.add(tag)
        self.targets += [v for k, v in stated.items() if k in ("src", "href", "srcset", "action")]
        if tag == "section":
            self.section = stated["id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if {"td", "th"} & set(self.open) and text.strip():
            self.cells.setdefault(self.section, []).append(text.strip())


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("study") / "field")


@pytest.fixture(scope="module")
def text(store):
    return hgcube.report(store).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_every_verdict_is_on_the_page_with_its_flags(store, text):
    verdicts = hgcube.open_cube(store, "verdicts").load()
    said = html.unescape(text)
    assert verdicts.verdict.size == 3
    for sentence in verdicts.verdict.values.ravel().tolist():
        assert sentence in said
    flags = [flag for joined in verdicts.flags.values.ravel() for flag in rows.flag_words(joined)]
    assert flags
    assert all(flag in said for flag in flags)


def test_the_papers_scores_stand_beside_those_of_the_mean_word(page):
    result = fake_result("01", n_electrodes=24, spread=4.0, seed=0, planted=(0, 5))
    for predictor in ("model", "mean_word", "order"):
        for variable in ("r_across_electrodes", "r2_across_electrodes"):
            values = result[variable].sel(predictor=predictor).values
            assert f"{values.mean():.3f}" in page.cells["scores"]
            assert f"\N{PLUS-MINUS SIGN} {values.std(ddof=1):.3f}" in page.cells["scores"]
    headings = " ".join(page.cells["scores"][:10])
    assert "r across electrodes, per word" in headings
    assert "R2 across electrodes, per word" in headings


def test_only_found_electrodes_are_named(store, page):
    table = hgcube.open_results(store).load()
    labels = set(table.electrode.values.tolist())
    named = [cell for cell in page.cells["electrodes"] if cell in labels]
    assert named == ["01-LA1", "01-LA6"]
    assert "0.0050" in page.cells["electrodes"]  # 1 / (199 + 1)


def test_bins_of_r2_stand_for_model_and_mean_word(store, page):
    words = hgcube.open_results(store, by="word").load()
    r2 = words.r2_across_electrodes.sel(solver="ridge", predictor="mean_word").values
    last = f"{np.sum(r2 >= 0.9) / 3:.1f}"
    cells = page.cells["bins"]
    row = cells.index("mean word")
    assert cells[row + 11] == last
    assert sum(map(float, cells[row + 1 : row + 12])) == pytest.approx(60, abs=0.3)


def test_the_page_asks_nothing_of_the_net_and_is_small(store, text, page):
    assert page.targets
    assert all(target.startswith(("data:image/svg+xml;base64,", "#")) for target in page.targets)
    assert not {"script", "link", "iframe"} & page.tags
    assert not re.search(r"url\(|@import", text)
    assert (store / "report.html").stat().st_size < 10e6


def test_all_figures_are_drawn(text):
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", text)
    kinds = ("R2 across electrodes", "Skill over", "Fold-corrected r", "Around the voice onset")
    assert [sum(caption.startswith(kind) for caption in captions) for kind in kinds] == [1, 1, 1, 3]


def test_toy_embeddings_and_simulations_are_announced_and_escaped(text, tmp_path):
    assert "The embedding fasttext was trained on: toy template sentences &lt;b&gt;." in text
    assert "<b>" not in text
    make_store(tmp_path / "s", upto="nothing")
    recording = fake_result()[["observed"]].assign_attrs(simulated=True)
    recording["observed"].attrs["unit_warning"] = "amplitudes of 3 V in LA1"
    write(tmp_path / "s", "recordings", ("01",), recording)
    page = hgcube.report(tmp_path / "s").read_text()
    assert "The recordings are simulated" in page
    assert "Recording 01: amplitudes of 3 V in LA1" in page


@pytest.mark.parametrize(
    ("upto", "missing"),
    [("epochs", 6), ("verdicts", 3)],
)
def test_a_half_finished_store_shows_what_is_there_and_names_the_rest(tmp_path, upto, missing):
    store = make_store(tmp_path / "s", upto=upto, n_lags=4)
    text = hgcube.report(store).read_text()
    assert text.count("not made yet") == missing
    assert "hgcube run s --steps tables" in text
    assert ("No verdict yet" in text) == (upto != "verdicts")
    assert "No scores yet" in text
    assert "Around the voice onset" in text


def test_the_headline_counts_subjects_per_embedding(text):
    assert "fasttext: word information in 1 of 3 subjects tested." in text
    assert "Decided by ridge." in text


def test_verdicts_and_tables_of_the_stored_tree_are_the_stored_ones(store):
    tree = hgcube.open_results(store, by="subject")
    stored = hgcube.open_cube(store, "verdicts").load()
    verdicts = hgcube.verify(tree).sel(electrode=stored.electrode.values)
    # chunks on disk lay the words out in another order of summation
    xr.testing.assert_allclose(verdicts, stored, rtol=1e-12)
    words, kept = tables.by_word(tree), hgcube.open_results(store, by="word").load()
    np.testing.assert_array_equal(
        words.r_across_electrodes.sel(solver=kept.solver.values), kept.r_across_electrodes
    )


def test_fits_that_did_not_converge_are_counted(tmp_path):
    store = make_store(tmp_path / "s", upto="nothing")
    result = fake_result().assign(not_converged=("electrode", np.array([3, 0, 4, 0, 0, 0, 0, 0])))
    write(store, "tables", ("electrodes",), tables.by_electrode([result]))
    write(store, "tables", ("words",), tables.by_word([result]))
    assert "did not converge: 7 " in hgcube.report(store).read_text()


def test_single_parts_that_are_missing_are_named(tmp_path):
    store = make_store(tmp_path / "s", upto="nothing")
    for subject in ("01", "02_run-1"):
        write(store, "recordings", (subject,), fake_result()[["observed"]])
    write(store, "results", ("01", "fasttext", "ridge"), fake_result())
    named = {gap.part for gap in contents.read(store).gaps}
    assert {"results/01/fasttext/elastic_net", "results/02/fasttext/ridge", "epochs"} <= named
    assert "results/01/fasttext/ridge" not in named


def test_an_empty_store_says_how_to_begin(tmp_path):
    store = make_store(tmp_path / "s", upto="nothing")
    assert "This store is empty" in hgcube.report(store).read_text()


def test_failed_and_damaged_parts_are_named_not_raised(tmp_path):
    store = make_store(tmp_path / "s")
    failed = Entry(
        kind="results",
        key=("04", "fasttext", "ridge"),
        status="done",
        fingerprint="",
        settings={},
        inputs={},
    )
    record_failure(store, failed, "electrode <04-LA1> is flat")
    chunks = [path for path in (store / "tables" / "words").rglob("c/*") if path.is_file()]
    for path in chunks:
        path.write_bytes(b"not a chunk")
    (store / "verdicts" / "all" / "zarr.json").write_text("{")
    assert chunks
    text = hgcube.report(store).read_text()
    assert "electrode &lt;04-LA1&gt; is flat" in text
    assert "results/04/fasttext/ridge" in text
    assert "tables/words" in text
    assert "verdicts/all" in text


def test_what_is_no_store_is_refused(tmp_path):
    with pytest.raises(StoreError, match="the folder of a store"):
        hgcube.report(tmp_path / "nowhere")
    with pytest.raises(SettingsError, match=r"study\.toml"):
        hgcube.report(tmp_path)


def test_without_the_extra_the_page_is_whole_and_says_what_to_install(store, monkeypatch, text):
    monkeypatch.setitem(sys.modules, "holoviews", None)
    bare = hgcube.report(store).read_text()
    assert "pip install &#34;hgcube[viz]&#34;" in bare
    assert "<img" not in bare
    assert "01-LA6" in bare


def test_the_report_changes_nothing_in_the_store(store, text):
    before = {p: p.stat().st_mtime_ns for p in store.rglob("*") if p.name != "report.html"}
    hgcube.report(store)
    assert before == {p: p.stat().st_mtime_ns for p in store.rglob("*") if p.name != "report.html"}


def test_settings_seed_and_fingerprints_are_stated(store, page, text):
    assert {"seed of the study", "7", "f" * 32} <= set(page.cells["methods"])
    assert "2000 permutations" in text
    entry = json.loads((store / "ledger" / "verdicts" / "all.json").read_text())
    assert entry["written_at"] in page.cells["methods"]


def test_with_lags_the_page_is_written_too(tmp_path):
    store = make_store(tmp_path / "s", upto="nothing")
    lagged = [
        fake_result(seed=1).expand_dims(lag=[0.0, 0.5]).transpose(..., "lag"),
    ]
    fixed = lagged[0].assign({k: fake_result(seed=1)[k] for k in ("n_words", "null_max")})
    verdicts = hgcube.verify([fixed])
    write(store, "tables", ("electrodes",), tables.by_electrode([fixed], verdicts))
    write(store, "tables", ("words",), tables.by_word([fixed]))
    write(store, "verdicts", ("all",), verdicts)
    assert "01-LA4" in hgcube.report(store).read_text()


def test_the_methods_say_what_a_preset_does():
    field, paper = (methods(parse_study({"preset": p})[0], 0.05) for p in ("field", "paper"))
    for words in ("in volts", "before the band-pass", "50 ms windows", "natural logarithm taken"):
        assert words in field[0]
    for words in ("as stored", "after the band-pass", "not averaged in windows", "no logarithm"):
        assert words in paper[0]
    told = [text for text in field if "refitted at one penalty fixed beforehand" in text]
    assert [text.split(":")[0] for text in told] == ["Estimator ridge"]

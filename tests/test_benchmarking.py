"""The benchmarks measure the same problem on both sides, and say what they leave out."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.optimize import minimize

from hgcube import benchmarking
from hgcube.benchmarking import extraction, grid, leave_one_out, power, study, threads, tuning
from hgcube.benchmarking import peers as others
from hgcube.benchmarking.peers import FIT, KERNEL, PEERS, Peer
from hgcube.benchmarking.problems import Penalty, make_fold, make_problem, relative_gap
from hgcube.benchmarking.sklearn_study import ridge_null_seconds
from hgcube.benchmarking.table import Row, header, line
from hgcube.benchmarking.timing import FULL, QUICK, Effort, medians, targets_for
from hgcube.cli import main
from hgcube.errors import OptionError, UnknownLabelError
from tests.oracles import authors_high_gamma

TINY = Effort(
    n_words=16,
    sizes=(12,),
    grid_sizes=(12,),
    repeats=1,
    seconds=1e-4,
    most_targets=5,
    recording=(3, 6),
    permutations=3,
)
PENALTY = Penalty(l1=0.15, l2=0.1)
HERE = [name for name, peer in PEERS.items() if not peer.missing]


def row(**changes: object) -> Row:
    made = Row(name="grid", work="work", against="peer", ours=2.0, theirs=10.0, unit="us")
    return replace(made, **changes)


def objective(fold, target, weights, penalty):
    """The objective of the module's head, times the number of words."""
    n_words = len(fold.features)
    residual = fold.targets[target] - fold.features @ weights
    size = penalty.l1 * np.abs(weights).sum() + penalty.l2 / 2 * weights @ weights
    return residual @ residual / 2 + n_words * size


def best_weights(fold, target, penalty):
    """Minimise over weights = positive - negative parts, both with a bound at 0."""
    n_features = fold.features.shape[1]

    def smooth(parts):
        weights = parts[:n_features] - parts[n_features:]
        residual = fold.targets[target] - fold.features @ weights
        slope = -fold.features.T @ residual + len(residual) * penalty.l2 * weights
        value = residual @ residual / 2 + len(residual) * penalty.l2 / 2 * weights @ weights
        l1 = len(residual) * penalty.l1
        return value + l1 * parts.sum(), np.concatenate([slope, -slope]) + l1

    found = minimize(
        smooth,
        np.zeros(2 * n_features),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * (2 * n_features),
        options={"maxiter": 20_000, "maxfun": 20_000, "ftol": 1e-16, "gtol": 1e-11},
    ).x
    return found[:n_features] - found[n_features:]


class TestProblem:
    def test_features_have_a_steep_spectrum_and_targets_little_signal(self) -> None:
        problem = make_problem(300, 400, seed=4)
        values = np.linalg.svd(problem.features - problem.features.mean(axis=0))[1]
        assert values[0] > 4 * values[50]
        np.testing.assert_allclose(problem.features.std(axis=0), 1)
        np.testing.assert_allclose(problem.targets.std(axis=0), 1)
        assert np.abs(problem.targets.mean(axis=0)).min() > 0
        again = make_problem(300, 400, seed=4)
        np.testing.assert_array_equal(again.targets, problem.targets)
        assert not np.array_equal(make_problem(300, 400, seed=5).targets, problem.targets)

    def test_penalties_span_one_to_most_features(self) -> None:
        problem = make_problem(300, 6, seed=1)
        fold = make_fold(problem, 0, standardize=False)
        weights = [others.by_kernel(fold, one, 1e-4) for one in leave_one_out.PENALTIES[::4]]
        strong, weak = (np.count_nonzero(found, axis=1).mean() for found in weights)
        assert strong < 5
        assert weak > 100

    @pytest.mark.parametrize("standardize", ["fold", False])
    def test_a_fold_is_centred_on_its_training_words(self, standardize: str | bool) -> None:
        problem = make_problem(12, 3, n_words=9, seed=2)
        fold = make_fold(problem, 4, standardize=standardize)
        np.testing.assert_allclose(fold.features.mean(axis=0), 0, atol=1e-14)
        np.testing.assert_allclose(fold.targets.mean(axis=1), 0, atol=1e-14)
        assert np.allclose(fold.features.std(axis=0), 1) == bool(standardize)
        assert np.allclose(fold.targets.std(axis=1), 1) == bool(standardize)
        np.testing.assert_allclose(fold.gram, fold.columns.T @ fold.columns)
        np.testing.assert_allclose(fold.products, fold.targets @ fold.features)

    def test_targets_are_repeated_where_there_are_too_few(self) -> None:
        fold = make_fold(make_problem(5, 3, n_words=9), 0, standardize=False)
        many = fold.first(7)
        np.testing.assert_array_equal(many.targets[6], fold.targets[0])
        np.testing.assert_array_equal(many.products[5], fold.products[2])


class TestGap:
    @pytest.fixture
    def fold(self):
        return make_fold(make_problem(12, 3, n_words=16, seed=3), 2, standardize=False)

    def test_it_is_that_of_the_augmented_lasso(self, fold, rng) -> None:
        weights = rng.standard_normal((3, 12)) / 10
        gaps = relative_gap(fold, weights, PENALTY)
        n_words, n_features = fold.features.shape
        rows = np.vstack([fold.features, np.sqrt(n_words * PENALTY.l2) * np.eye(n_features)])
        for target, found in zip(fold.targets, zip(weights, gaps, strict=True), strict=True):
            values = np.concatenate([target, np.zeros(n_features)])
            residual = values - rows @ found[0]
            bound = n_words * PENALTY.l1
            point = residual * min(1, bound / np.abs(rows.T @ residual).max())
            assert np.abs(rows.T @ point).max() <= bound * (1 + 1e-12)
            primal = residual @ residual / 2 + bound * np.abs(found[0]).sum()
            dual = values @ values / 2 - (values - point) @ (values - point) / 2
            assert found[1] == pytest.approx((primal - dual) / (target @ target / 2))
            assert found[1] > 1e-2

    def test_it_bounds_the_distance_from_the_best_objective(self, fold, rng) -> None:
        for target in range(3):
            best = best_weights(fold, target, PENALTY)
            assert 0 < np.count_nonzero(np.abs(best) > 1e-6) < 12
            moved = best + 0.01 * rng.standard_normal(12)
            one = replace(fold, targets=fold.targets[target : target + 1])
            half = one.targets[0] @ one.targets[0] / 2
            lost = objective(fold, target, moved, PENALTY) - objective(fold, target, best, PENALTY)
            assert relative_gap(one, best[None], PENALTY)[0] < 1e-7
            assert relative_gap(one, moved[None], PENALTY)[0] >= lost / half > 1e-6


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", HERE)
class TestPeers:
    @pytest.mark.parametrize("standardize", ["fold", False])
    def test_peer_and_ours_solve_the_same_problem(self, name: str, standardize: str | bool) -> None:
        problem = make_problem(12, 3, n_words=16, seed=3)
        left_out = 2
        fold = make_fold(problem, left_out, standardize=standardize)
        ours = leave_one_out.fit_all_folds(problem, PENALTY, standardize=standardize)
        weights = PEERS[name].solve(fold, PENALTY, 1e-11)
        gap = relative_gap(fold, weights, PENALTY)
        assert gap.max() < 1e-6
        training = np.delete(problem.targets, left_out, axis=0)
        unit = training.std(axis=0) if standardize else np.ones(3)
        theirs = weights @ fold.held_out * unit
        # The ridge part makes the objective strongly convex: the gap bounds the weights.
        distance = np.sqrt(gap * (fold.targets**2).sum(axis=1) / (len(training) * PENALTY.l2))
        bound = np.linalg.norm(fold.held_out) * unit * distance + 1e-9
        assert (np.abs(theirs - ours.added[0, left_out]) <= bound).all()
        assert (bound < 1e-2 * unit).all()
        assert np.abs(theirs).max() > 0.05

    def test_its_objective_is_the_best(self, name: str) -> None:
        fold = make_fold(make_problem(12, 3, n_words=16, seed=3), 2, standardize=False)
        weights = PEERS[name].solve(fold, PENALTY, 1e-11)
        for target, found in enumerate(weights):
            best = objective(fold, target, best_weights(fold, target, PENALTY), PENALTY)
            assert objective(fold, target, found, PENALTY) == pytest.approx(best, rel=1e-6)


class TestAbsent:
    def test_a_package_that_is_not_installed_is_named(self, monkeypatch) -> None:
        real = others.find_spec
        monkeypatch.setattr(
            others, "find_spec", lambda name: None if name == "torch" else real(name)
        )
        assert benchmarking.absent()["FISTA in torch"] == "not installed"
        rows = benchmarking.measured([partial(leave_one_out.centred, penalties=(PENALTY,))], TINY)
        against = [made.against for made in rows]
        assert FIT in against
        assert not any("torch" in name for name in against)

    def test_a_kernel_with_other_parameters_is_left_out(self, monkeypatch) -> None:
        monkeypatch.setattr(
            "sklearn.linear_model._cd_fast.enet_coordinate_descent_gram", lambda w, alpha: None
        )
        assert "parameters" in benchmarking.absent()[KERNEL]
        assert list(grid.rows(TINY)) == []
        with pytest.raises(NotImplementedError):
            others.descent(make_fold(make_problem(4, 1), 0, standardize=False), 1e-4)


class TestTuning:
    @pytest.fixture
    def fold(self):
        return make_fold(make_problem(12, 5, n_words=16, seed=3), 2, standardize=False)

    def test_the_loosest_tolerance_that_reaches_the_gap(self, fold) -> None:
        def solve(given, penalty, tolerance):
            exact = others.by_kernel(given, penalty, 1e-12)
            return exact if tolerance <= 1e-5 else np.zeros_like(exact)

        found = tuning.tune(Peer(solve=solve), fold, PENALTY, 1e-4)
        assert found.tolerance == pytest.approx(1e-5)
        assert found.gap <= tuning.GAP

    def test_one_that_never_reaches_it_has_no_time(self, fold) -> None:
        peer = Peer(solve=lambda given, penalty, tolerance: np.zeros_like(given.products))
        found = tuning.tune(peer, fold, PENALTY, 1e-4)
        assert found.tolerance == tuning.TOLERANCES[-1]
        assert found.gap > 1e-2
        problem = make_problem(12, 5, n_words=16, seed=3)
        cell = leave_one_out.Cell.of(problem, fold, PENALTY, standardize=False, seconds=1e-4)
        (made,) = cell.rows("leave_one_out", {"none": peer}, TINY)
        assert math.isnan(made.theirs)
        assert "not reached" in made.note
        assert made.verdict == ""

    def test_one_that_fails_costs_its_row_only(self, fold) -> None:
        def solve(given, penalty, tolerance):
            raise RuntimeError("no memory\nat line 7")

        problem = make_problem(12, 5, n_words=16, seed=3)
        cell = leave_one_out.Cell.of(problem, fold, PENALTY, standardize=False, seconds=1e-4)
        bad, good = cell.rows("grid", {"bad": Peer(solve=solve), KERNEL: PEERS[KERNEL]}, TINY)
        assert math.isnan(bad.theirs)
        assert bad.note == "failed: RuntimeError: no memory"
        assert good.theirs > 0


class TestTiming:
    def test_calls_take_turns_and_slow_ones_have_one(self, monkeypatch) -> None:
        order: list[str] = []
        spent = {"fast": 0.5, "slow": 50.0}
        now = [0.0]
        monkeypatch.setattr("time.process_time", lambda: now[0])

        def call(name):
            order.append(name)
            now[0] += spent[name]

        found = medians({name: partial(call, name) for name in spent}, 3)
        assert found == {"fast": 0.5, "slow": 50.0}
        assert order == ["fast", "slow", "fast", "fast"]

    def test_the_blas_of_compiled_kernels_is_limited_before_it_is_used(self) -> None:
        program = (
            "from hgcube.benchmarking import measured\n"
            "from threadpoolctl import threadpool_info\n"
            "def rows(effort):\n"
            "    import scipy.linalg\n"
            "    pools = [p for p in threadpool_info() if p['user_api'] == 'blas']\n"
            "    yield len(pools), max(p['num_threads'] for p in pools)\n"
            "print(*next(measured([rows], None)))\n"
        )
        free = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
        done = subprocess.run(
            [sys.executable, "-c", program], env=free, check=True, capture_output=True, text=True
        )
        n_pools, largest = done.stdout.split()
        assert int(n_pools) >= 1
        assert largest == "1"

    def test_targets(self) -> None:
        assert targets_for(1.0, 10.0, most=100) == 4
        assert targets_for(1.0, 1e-9, most=100) == 100


class TestTable:
    def test_verdicts(self) -> None:
        assert row().verdict == ""
        assert row(at_least=5).verdict == "met"
        assert row(at_least=5.1).verdict == "below"
        assert row(at_least=5, theirs=math.nan).verdict == ""

    def test_a_line_holds_all_columns(self) -> None:
        printed = line(row(at_least=4, note="gap 1e-07"))
        assert printed.split() == [
            "grid",
            "work",
            "peer",
            "2",
            "us",
            "10",
            "us",
            "5x",
            "4x",
            "met",
            "gap",
            "1e-07",
        ]
        assert "at least" in header()
        assert " - us" in line(row(theirs=math.nan))

    def test_json_is_read_back(self, tmp_path) -> None:
        file = tmp_path / "bench.json"
        benchmarking.write_json(file, [row(theirs=math.nan), row(at_least=4)])
        read = json.loads(file.read_text())
        assert read["rows"][0]["theirs"] is None
        assert read["rows"][1]["ratio"] == 5
        assert read["rows"][1]["verdict"] == "met"
        assert read["machine"]["numpy"] == np.__version__
        assert read["machine"]["celer"]

    @pytest.mark.parametrize(
        ("size", "n_nonzero", "expected"),
        [
            (50, 20, (None, None)),
            (300, 1.5, (150, 60)),
            (300, 20, (40, 28)),
            (768, 40, (40, 28)),
            (768, 105, (100, 45)),
        ],
    )
    def test_promises_are_those_of_the_issue(self, size, n_nonzero, expected) -> None:
        assert leave_one_out.promised(size, n_nonzero) == expected


class TestRows:
    def made(self, rows, effort: Effort = TINY) -> list[Row]:
        found = list(benchmarking.measured([rows], effort))
        for one in found:
            assert one.ours > 0
            assert one.theirs > 0 or "not reached" in one.note
        return found

    def test_leave_one_out(self) -> None:
        found = self.made(partial(leave_one_out.centred, penalties=(PENALTY,)))
        assert [one.against for one in found[:-1]] == HERE
        assert found[-1].theirs == min(one.theirs for one in found[:-1] if one.theirs > 0)
        assert all("gap" in one.note for one in found)

    def test_standardized(self) -> None:
        *cells, median = self.made(partial(leave_one_out.standardized, penalties=(PENALTY,)))
        assert [one.at_least for one in cells] == [9]
        assert median.ratio == pytest.approx(cells[0].ratio)
        assert median.at_least is None

    def test_grid(self) -> None:
        (found,) = self.made(partial(grid.rows, values=(1.0, 0.1)))
        assert found.note.startswith("0 of")

    def test_the_cap_is_counted(self, monkeypatch) -> None:
        monkeypatch.setattr(grid, "CAP", 1)
        (found,) = self.made(partial(grid.rows, values=(0.01,)))
        hits, fits = found.note.split()[0], found.note.split()[2]
        assert hits == fits

    def test_threads(self) -> None:
        found = self.made(threads.rows)
        assert [one.at_least for one in found] == [1.5] * 3

    def test_high_gamma(self) -> None:
        *_, memory, difference = self.made(power.rows)
        assert memory.unit == "GB"
        assert difference.verdict == "met"

    def test_the_authors_script_is_the_authors(self) -> None:
        samples = extraction.draw_recording(2, 4096, seed=2)
        expected = authors_high_gamma(samples, 1024.0)
        np.testing.assert_allclose(extraction.by_authors(samples), expected, rtol=1e-12)

    def test_study(self) -> None:
        rows = partial(study.rows, share=0.5, electrodes=(2, 4), spaces=(8, 5))
        found = self.made(rows)
        assert len(found) == 10
        assert [one.theirs for one in found[::2]] == [60, 900, 3600, 180, 1200]
        assert "extrapolated from 50.0% of the targets" in found[0].note
        assert found[1].ours == found[0].ours

    def test_scikit_learn_grows_with_the_permutations(self) -> None:
        problem = make_problem(6, 3, n_words=12)
        one, many = ridge_null_seconds(0, problem), ridge_null_seconds(999, problem)
        assert many > 100 * one


class TestCommand:
    def test_it_prints_facts_and_rows_and_writes_json(self, tmp_path, monkeypatch, capsys) -> None:
        monkeypatch.setitem(benchmarking.ROWS, "grid", lambda effort: iter([row()]))
        monkeypatch.setattr(others, "find_spec", lambda name: None if name == "celer" else name)
        file = tmp_path / "bench.json"
        with pytest.raises(SystemExit) as stop:
            main(["bench", "--quick", "--only", "grid", "--json", str(file)])
        assert stop.value.code == 0
        printed = capsys.readouterr().out
        assert "left out: celer (not installed)" in printed
        assert f"numpy: {np.__version__}" in printed
        assert "Synthetic features" in printed
        assert line(row()) in printed
        assert len(json.loads(file.read_text())["rows"]) == 1

    def test_all_but_the_study_without_names(self, monkeypatch) -> None:
        asked = []
        for name in benchmarking.ROWS:

            def noted(effort, name=name):
                asked.append((name, effort))
                return iter([row()])

            monkeypatch.setitem(benchmarking.ROWS, name, noted)
        assert len(list(benchmarking.bench())) == 5
        assert asked == [(name, FULL) for name in benchmarking.ROWS]
        list(benchmarking.bench(["threads"], quick=True))
        assert asked[-1] == ("threads", QUICK)

    def test_mistakes(self) -> None:
        with pytest.raises(UnknownLabelError, match="leave_one_out"):
            benchmarking.bench(["leave_one_ouz"])
        with pytest.raises(OptionError, match="share"):
            benchmarking.bench(share=0.0)

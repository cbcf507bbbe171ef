"""The engine's check cannot be skipped: with any part of it broken, no wrong number is silent.

numba is switched off in a process of its own, so that compiled functions can be replaced.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hgcube.kernels import sklearn_net
from hgcube.kernels.designs import Design
from hgcube.kernels.solvers import SOLVERS

N_WORDS, N_FEATURES = 14, 8
ALPHAS = (0.6, 0.1)


def study(standardize="all_words"):
    rng = np.random.default_rng(5)
    features = rng.standard_normal((N_WORDS, N_FEATURES)) + 1
    noise = rng.standard_normal((N_WORDS, 1))
    testing = np.eye(N_WORDS, dtype=bool)
    design = Design(
        features=features,
        unpenalized=np.ones((N_WORDS, 1)),
        testing=testing,
        training=~testing,
        standardize=standardize,
        alphas=ALPHAS,
        inner=2,
    )
    return design, features[:, :1] - features[:, 1:2] + noise


def unchanged_residuals(real, solution, folds, changes, out):
    """The held-out residuals of folds without changes are off."""
    largest = real(solution, folds, changes, out)
    out.residuals[:] *= 1 + 1e-6
    return largest


def unchanged_weights(real, solution, folds, changes, out):
    """The weights of folds without changes are off."""
    largest = real(solution, folds, changes, out)
    changes[: solution.members.size] *= 1 + 1e-6
    return largest


def pivot_residual(real, *given):
    """The held-out residual of a fold with changes is off."""
    g, count = real(*given)
    return g * (1 + 1e-6), count


def pivot_weights(real, problem, tableau, fold, columns, changes, values):
    """The weights of a fold with changes are off, and its residual with them."""
    g, count = real(problem, tableau, fold, columns, changes, values)
    values[:] += 1e-6
    changes.moves[: max(count, 0)] *= 1 + 1e-6
    return g - 1e-6, count


def pivot_idle(real, problem, tableau, fold, *given):
    """Pivots end where they begin."""
    g = fold.correction * tableau.solution.residual[fold.number]
    return g / (1 - fold.correction * tableau.solution.leverage[fold.number]), np.int64(0)


def pivot_fails(real, *given):
    return 0.0, np.int64(-1)


def tableau_turned(real, *given):
    """The tableau moves in wrong directions."""
    tableau = real(*given)
    return tableau._replace(directions=tableau.directions * (1 + 1e-6))


def tableau_short(real, problem, solution, held, near, unmet):
    """No feature without a weight is a candidate."""
    return real(problem, solution, held, near[:0], unmet)


def substituted_wrongly(real, changes, count):
    """The equations of the changes are solved wrongly."""
    real(changes, count)
    changes.moves[:count] *= 1 + 1e-6


def system_wrong(real, system, count, right):
    """Stationary equations are solved wrongly."""
    done = real(system, count, right)
    right[:count] *= 1 + 1e-6
    return done


def newton_fails(real, problem, subset, l1, l2, active, count, work):
    active.weights[:] = 0.5
    return count, False


def search_fails(real, *given):
    return np.int64(0), False


def descent_idle(real, *given):
    return None


SABOTAGE = {
    "nothing": {},
    "residuals": {"unchanged._fill_changes": unchanged_residuals},
    "weights": {"unchanged._fill_changes": unchanged_weights},
    "pivot's residual": {"one_out.pivot": pivot_residual},
    "pivot's weights": {"one_out.pivot": pivot_weights},
    "idle pivot": {"one_out.pivot": pivot_idle},
    "no pivot": {"one_out.pivot": pivot_fails},
    "tableau": {"one_out.build": tableau_turned},
    "candidates": {"one_out.build": tableau_short},
    "exchanges": {"exchanges._substitute": substituted_wrongly},
    "equations": {"active_sets.solve_system": system_wrong},
    "no Newton": {"descent.newton": newton_fails},
    "no Newton, no descent": {"descent.newton": newton_fails, "descent._descend": descent_idle},
    "no Newton, no search": {"descent.newton": newton_fails, "descent.search": search_fails},
}
# Caught by the checks alone: without these they must show.
CHECKED = (
    "residuals",
    "weights",
    "pivot's residual",
    "pivot's weights",
    "idle pivot",
    "tableau",
    "candidates",
    "exchanges",
)
HOPELESS = {**SABOTAGE["no Newton, no descent"], "descent.search": search_fails}


def fitted(replaced, standardize="all_words"):
    from hgcube.kernels import active_sets, descent, exchanges, one_out, unchanged

    homes = {
        "active_sets": active_sets,
        "descent": descent,
        "exchanges": exchanges,
        "one_out": one_out,
        "unchanged": unchanged,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, wrong in replaced.items():
            home, function = name.split(".")
            real = getattr(homes[home], function)
            patch.setattr(
                homes[home],
                function,
                lambda *given, wrong=wrong, real=real: wrong(real, *given),
            )
        design, targets = study(standardize)
        path = SOLVERS["elastic_net"].prepare(design)(targets)
    return {"added": path.added, "errors": path.errors, "not_converged": path.not_converged}


def unchecked(real, problem, tableau, folds, unmet, weights, room, out):
    """Count weights, and believe everything."""
    met = out.met.copy()
    real(problem, tableau, folds, unmet, weights, room, out)
    out.met[:] = met


def believed(real, *given):
    return None


BELIEVED = {
    "one_out._check": unchecked,
    "unchanged._check_signs": believed,
    "unchanged._check_members": believed,
}


def report():
    """Everything that is tested below, for the process without numba."""
    done = {name: fitted(replaced) for name, replaced in SABOTAGE.items()}
    for name in CHECKED:
        done[f"{name}, unchecked"] = fitted({**SABOTAGE[name], **BELIEVED})
    for standardize in ("all_words", "fold"):
        done[f"hopeless, {standardize}"] = fitted(HOPELESS, standardize)
    done["no Newton, fold"] = fitted(SABOTAGE["no Newton"], "fold")
    sys.stdout.buffer.write(pickle.dumps(done))


@pytest.fixture(scope="module")
def found():
    program = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); "
    done = subprocess.run(
        [sys.executable, "-c", program + f"import {Path(__file__).stem} as told; told.report()"],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        stdout=subprocess.PIPE,
        check=True,
    )
    return pickle.loads(done.stdout)


def off(path, standardize="all_words"):
    """Largest differences to scikit-learn: of predictions, and of inner errors."""
    design, targets = study(standardize)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sklearn_net, "TOLERANCE", 1e-14)
        expected = SOLVERS["elastic_net_sklearn"].prepare(design)(targets)
    assert np.abs(expected.added[0] - expected.added[1]).max() > 0.1
    added = np.abs(path["added"] - expected.added).max()
    return added, np.abs(path["errors"] / expected.errors - 1).max()


@pytest.mark.parametrize("name", SABOTAGE)
def test_predictions_stay_right(found, name):
    assert max(off(found[name])) < 1e-9
    assert found[name]["not_converged"].tolist() == [0]


@pytest.mark.parametrize("name", CHECKED)
def test_without_the_check_they_would_be_wrong(found, name):
    assert max(off(found[f"{name}, unchecked"])) > 1e-8
    assert found[f"{name}, unchecked"]["not_converged"].tolist() == [0]


def test_predictions_stay_right_where_folds_are_scaled(found):
    assert max(off(found["no Newton, fold"], "fold")) < 1e-9
    assert found["no Newton, fold"]["not_converged"].tolist() == [0]


def test_what_nothing_can_solve_is_counted(found):
    """One fit for each candidate and fold, and two inner ones."""
    path = found["hopeless, fold"]
    assert min(off(path, "fold")) > 1e-3
    assert path["not_converged"].tolist() == [len(ALPHAS) * (N_WORDS + 2 * N_WORDS)]


def test_pivots_that_start_from_no_solution_still_find_that_of_the_folds(found):
    added, errors = off(found["hopeless, all_words"])
    assert added < 1e-9
    assert errors > 1e-3
    assert found["hopeless, all_words"]["not_converged"].tolist() == [len(ALPHAS) * 2 * N_WORDS]

"""A first run says that it compiles, and another process does it; numba is loaded when needed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

MESSAGE = "compiling the kernels of leaving out, once per machine: up to a minute"
# Instead of compiling for a minute, note what would run and leave what it would.
APART = """
import hgcube.kernels.compiled as compiled
class Done:
    returncode, stderr = 0, ""
def run(command, env, **_):
    print("apart:", command[-1], env["HGCUBE_COMPILING"])
    return Done
compiled.subprocess.run = run
"""
ANNOUNCED = f"{APART}; kernels = compiled.announced('leaving_out')"


@pytest.fixture
def told(tmp_path):
    """What a process says whose compiled kernels are kept in a folder that starts empty."""

    def run(program):
        done = subprocess.run(
            [sys.executable, "-c", program.replace("\n; ", "\n")],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout + done.stderr

    return run


def test_the_first_run_on_a_machine_says_what_it_waits_for_and_compiles_apart(told, tmp_path):
    twice = told(f"{ANNOUNCED}; compiled.announced('leaving_out')")
    assert twice.count(MESSAGE) == 1
    assert "apart: from hgcube.kernels.elastic_net import example; example() 1" in twice
    (folder,) = (stamp.parent for stamp in tmp_path.rglob("*.stamp"))
    (folder / "leaving_out.paths-1.py311.nbi").touch()
    assert told(ANNOUNCED) == ""


def test_what_other_sources_left_is_dropped(told, tmp_path):
    told(ANNOUNCED)
    (stamp,) = tmp_path.rglob("*.stamp")
    old, foreign = (
        stamp.parent / f"{name}.f-1.py311.nbi" for name in ("leaving_out", "something_else")
    )
    old.touch()
    foreign.touch()
    stamp.write_text("of another version")
    assert MESSAGE in told(ANNOUNCED)
    assert foreign.exists()
    assert not old.exists()


def test_the_compiling_process_compiles_only(told):
    program = f"import os; os.environ['HGCUBE_COMPILING'] = '1'\n{ANNOUNCED}"
    assert told(program) == ""


LOADED = "print(sorted({'numba', 'llvmlite'} & set(sys.modules)))"


@pytest.mark.parametrize(
    "program",
    ["import hgcube", "from hgcube import encode, high_gamma", "import hgcube.kernels.solvers"],
)
def test_nothing_compiled_is_loaded_before_it_is_needed(told, program):
    assert told(f"import sys; {program}; {LOADED}") == "[]\n"


def test_numba_is_loaded_once_it_is(told):
    assert "['llvmlite', 'numba']" in told(f"{ANNOUNCED}; import sys; {LOADED}")

"""A first run says that it compiles; nothing is compiled, or numba loaded, before it is needed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ANNOUNCED = "from hgcube.kernels.compiled import announced; kernels = announced('active_sets')"
MESSAGE = "compiling the kernels of active sets, once per machine: up to a minute"


@pytest.fixture
def told(tmp_path):
    """What a process says whose compiled kernels are kept in a folder that starts empty."""

    def run(program):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout + done.stderr

    return run


def test_the_first_run_on_a_machine_says_what_it_waits_for(told):
    assert told(f"{ANNOUNCED}; announced('active_sets')") == f"{MESSAGE}\n"
    assert MESSAGE in told(f"{ANNOUNCED}; kernels.new_active(3)")
    assert told(ANNOUNCED) == ""


LOADED = "print(sorted({'numba', 'llvmlite'} & set(sys.modules)))"


@pytest.mark.parametrize(
    "program",
    ["import hgcube", "from hgcube import encode, high_gamma", "import hgcube.kernels.solvers"],
)
def test_nothing_compiled_is_loaded_before_it_is_needed(told, program):
    assert told(f"import sys; {program}; {LOADED}") == "[]\n"


def test_numba_is_loaded_once_it_is(told):
    assert "['llvmlite', 'numba']" in told(f"import sys; {ANNOUNCED}; {LOADED}")

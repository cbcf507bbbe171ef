"""How long `import hgcube` and `hgcube --help` take in a fresh process."""

import subprocess
import sys
import time

import pytest

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "import hgcube": ["-c", "import hgcube"],
    "hgcube --help": ["-c", "from hgcube.cli import main; main(['--help'])"],
}


def seconds(arguments):
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


@pytest.mark.slow
def test_startup():
    print()
    for name, arguments in COMMANDS.items():
        taken = sorted(seconds(arguments) for _ in range(7))
        print(f"{name}: median {taken[3]:.2f} s, smallest {taken[0]:.2f} s of 7")

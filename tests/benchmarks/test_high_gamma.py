"""How fast high gamma is beside the data-set authors' script, on one core."""

import time

import numpy as np
import pytest

from hgcube.signal import high_gamma
from tests.oracles import authors_high_gamma
from tests.recordings import recording


def cpu_seconds(call):
    began = time.process_time()
    return call(), time.process_time() - began


@pytest.mark.slow
def test_high_gamma_beside_the_authors_script():
    cube = recording(seconds=300.0, names=[f"A{i}" for i in range(1, 33)])
    samples = (cube.values * 1e6).T
    expected, theirs = cpu_seconds(lambda: authors_high_gamma(samples, 1024.0))
    print(f"\n32 electrodes x 300 s at 1024 Hz; the authors' script {theirs:.2f} CPU s")
    for dtype, tolerance in (("float64", 1e-10), ("float32", 1e-4)):
        power, ours = cpu_seconds(lambda d=dtype: high_gamma(cube, preset="authors", dtype=d))
        error = np.abs(power.values.T / expected - 1).max()
        print(f"{dtype}: {ours:.2f} CPU s, {theirs / ours:.1f} times as fast, error {error:.0e}")
        assert error < tolerance

"""The quick table of `hgcube bench`, held to what the project promises where that is stable."""

from __future__ import annotations

import pytest

from hgcube.benchmarking import bench, header, line

pytestmark = pytest.mark.slow


def printed(name):
    print(f"\n{header()}")
    rows = []
    for row in bench([name], quick=True):
        print(line(row))
        rows.append(row)
    assert not [row for row in rows if "not converged" in row.note]
    return rows


def assert_met(rows):
    slow = [line(row) for row in rows if row.verdict != "met"]
    assert not slow, "\n".join(slow)


@pytest.mark.timeout(1800)
def test_fits_with_many_coefficients():
    rows = [row for row in printed("leave_one_out") if row.at_least == 100]
    assert len(rows) == 2
    assert_met(rows)


@pytest.mark.timeout(1800)
def test_standardized_fits():
    rows = [row for row in printed("standardized") if row.at_least is not None]
    assert len(rows) == 10
    assert_met(rows)


def test_high_gamma_is_the_authors():
    *_, difference = printed("high_gamma")
    assert_met([difference])

import numpy as np
import pytest

from hgcube.errors import CubeError
from hgcube.quality import electrode_problems, mark_problems
from hgcube.schema import check, text_array
from tests.recordings import plain, recording


def spoiled():
    """LA1 fine, LA2 NaN, LA3 flat, LB1 flat for 40 %, LB2 infinite, RC9 flat for 60 %."""
    cube = recording(seconds=10.0)
    cube[1, 5] = np.nan
    cube[2] = 1e-5
    cube[3, :4096] = 1e-5
    cube[4, 7] = -np.inf
    cube[5, -6144:] = 0.0
    return cube


def test_problems_are_named():
    problems = electrode_problems(spoiled())
    assert problems.values.tolist() == ["", "missing", "flat", "", "missing", "flat"]
    assert problems.dims == ("electrode",)
    assert problems.dtype == np.dtypes.StringDType()


def test_a_short_recording_has_problems_too():
    cube = recording(seconds=0.2)
    cube[2] = 0.0
    assert electrode_problems(cube).values.tolist() == ["", "", "flat", "", "", ""]


def test_marks_are_added_and_nothing_is_dropped():
    cube = spoiled()
    first = cube.assign_coords(
        bad=("electrode", np.arange(6) < 2), bad_reason=("electrode", text_array(["by eye"] * 6))
    )
    marked = mark_problems(first.chunk(electrode=2), electrode_problems(first))
    assert marked.bad.values.tolist() == [True, True, True, False, True, True]
    assert marked.bad_reason.values.tolist()[:3] == ["by eye", "by eye;missing", "by eye;flat"]
    assert marked.sizes == cube.sizes
    assert marked.chunks is not None
    again = mark_problems(marked, electrode_problems(first))
    assert again.bad_reason.values.tolist() == marked.bad_reason.values.tolist()
    check(marked, "recording", stored=True)


def test_a_plain_recording_is_marked():
    cube = plain(spoiled())
    marked = mark_problems(cube, electrode_problems(cube))
    assert marked.bad.values.sum() == 4


def test_problems_of_other_electrodes_are_refused():
    cube = spoiled()
    problems = electrode_problems(cube)
    with pytest.raises(CubeError, match="in its order"):
        mark_problems(cube, problems[::-1])
    with pytest.raises(CubeError, match="in its order"):
        mark_problems(cube, problems[:3])

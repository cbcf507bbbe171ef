from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hgcube.config import (
    POWER_PRESETS,
    PRESETS,
    Analysis,
    Execution,
    fingerprint,
    merged,
    parse_study,
    read_study,
)
from hgcube.errors import SettingsError, UnknownLabelError, closest


def written(folder: Path, text: str) -> Path:
    path = folder / "study.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_empty_study_is_the_field_preset(tmp_path: Path) -> None:
    analysis, execution = read_study(written(tmp_path, ""))
    assert analysis == Analysis()
    assert execution == Execution()


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_valid_and_can_be_overridden(tmp_path: Path, preset: str) -> None:
    plain, _ = read_study(written(tmp_path, f'preset = "{preset}"'))
    assert POWER_PRESETS[preset].items() <= plain.signal.model_dump().items()
    text = f'preset = "{preset}"\nseed = 4\n[signal]\norder = 3\n[execution]\nworkers = 2\n'
    changed, execution = read_study(written(tmp_path, text))
    assert (changed.signal.order, changed.seed, execution.workers) == (3, 4, 2)
    assert changed.signal.model_copy(update={"order": plain.signal.order}) == plain.signal
    assert changed.epochs == plain.epochs


def test_the_paper_preset_is_the_papers(tmp_path: Path) -> None:
    analysis, _ = read_study(written(tmp_path, 'preset = "paper"'))
    solver = analysis.encoding.solvers["elastic_net"]
    assert (solver.alpha, solver.l1_ratio, solver.standardize) == (1.0, 0.5, False)
    assert (analysis.signal.window, analysis.signal.reference) == (None, "none")
    assert (analysis.epochs.lock, analysis.epochs.mean) == ("display", (0.0, 1.0))


def test_nothing_can_be_said_in_toml(tmp_path: Path) -> None:
    text = '[signal]\nlog = false\nwindow = "none"\nstep = "none"\n[epochs]\nbaseline = "none"\n'
    paper = '[encoding.solvers.elastic_net]\nalpha = "none"\n'
    analysis, _ = read_study(written(tmp_path, f'preset = "paper"\n{text}{paper}'))
    assert (analysis.signal.window, analysis.signal.step) == (None, None)
    assert analysis.epochs.baseline is None
    assert analysis.encoding.solvers["elastic_net"].alpha is None
    with pytest.raises(SettingsError, match=r"'epochs\.baseline'"):
        read_study(written(tmp_path, '[epochs]\nbaseline = "nothing"'))


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("[signal]\nordr = 3", "signal.ordr", "'order'"),
        ("sead = 3", "sead", "'seed'"),
        ("[epoch]\nlock = 'voice'", "epoch", "'epochs'"),
        ("[encoding.solvers.ridge]\nalfa = 1", "encoding.solvers.ridge.alfa", "'alpha'"),
        ("[execution]\nworker = 1", "worker", "'workers'"),
    ],
)
def test_unknown_keys_name_the_closest(tmp_path: Path, text: str, place: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_study(written(tmp_path, text))
    assert place in caught.value.got
    assert hint in caught.value.do


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[signal]\norder = 'four'", "signal.order"),
        ("[signal]\nreference = 'bipolr'", "signal.reference"),
        ("[epochs]\nmean = [0.0]", "epochs.mean"),
        ("preset = 'papr'", "'paper'"),
        ("preset = ['paper']", "preset"),
        ("[signal", "study.toml"),
        ("signal = 3", "signal"),
        ("execution = 3", "[execution]"),
    ],
)
def test_wrong_values_are_one_clear_error(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(said)):
        read_study(written(tmp_path, text))


def test_a_study_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"study\.toml"):
        read_study(path)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Analysis().signal.order = 3  # type: ignore[misc]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
SETTINGS = st.dictionaries(st.text(), JSON, max_size=4)


class TestFingerprint:
    @given(settings=SETTINGS)
    def test_it_survives_json_and_another_order(self, settings: dict[str, Any]) -> None:
        turned = dict(reversed(list(json.loads(json.dumps(settings)).items())))
        assert fingerprint(settings, {"a": "1"}) == fingerprint(turned, {"a": "1"})

    @given(settings=SETTINGS, other=SETTINGS)
    def test_other_settings_differ(self, settings: dict[str, Any], other: dict[str, Any]) -> None:
        same = json.dumps(settings, sort_keys=True) == json.dumps(other, sort_keys=True)
        assert (fingerprint(settings, {}) == fingerprint(other, {})) == same

    def test_inputs_and_settings_are_not_mixed_up(self) -> None:
        assert fingerprint({}, {"a": "1"}) != fingerprint({"a": "1"}, {})
        assert fingerprint({}, {"a": "1"}) != fingerprint({}, {"a": "2"})

    def test_tuples_and_lists_are_one(self) -> None:
        assert fingerprint({"band": (70.0, 170.0)}, {}) == fingerprint({"band": [70.0, 170.0]}, {})


@given(below=SETTINGS, above=SETTINGS)
def test_merging(below: dict[str, Any], above: dict[str, Any]) -> None:
    both = merged(below, above)
    assert both.keys() == below.keys() | above.keys()
    for name, value in above.items():
        if not isinstance(value, dict):
            assert both[name] == value
    assert merged(below, {}) == below
    assert merged({}, above) == above
    assert merged(both, above) == both


@pytest.mark.parametrize("preset", PRESETS)
def test_one_setting_of_an_estimator_leaves_all_others_as_they_are(
    tmp_path: Path, preset: str
) -> None:
    head = f'preset = "{preset}"\n'
    plain, _ = read_study(written(tmp_path, head))
    text = f"{head}[encoding.solvers.ridge]\npermutations = 7\n"
    solvers = read_study(written(tmp_path, text))[0].encoding.solvers
    expected = plain.encoding.solvers["ridge"].model_copy(update={"permutations": 7})
    assert solvers == {**plain.encoding.solvers, "ridge": expected}
    assert len(solvers) == 2


def test_a_question_ends_as_one() -> None:
    assert str(UnknownLabelError.of("region", "STX", ["STG"])).endswith("Did you mean 'STG'?")
    assert str(SettingsError("a", "b", "Correct it")).endswith("Correct it.")


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("STX", ["STG", "IFG"], "'STG'"),
        ("stg", ["STG", "IFG"], "'STG'"),
        ("zzz", ["a", "b"], "'a', 'b'"),
        ("x", [], "nothing: there is none"),
    ],
)
def test_closest(name: str, known: list[str], expected: str) -> None:
    assert closest(name, known) == expected


def test_candidates_choice_and_nulls_of_an_estimator():
    stated = """
    [encoding.solvers.elastic_net]
    alpha = [1.0, 0.3]
    l1_ratio = [0.2, 0.5]
    inner = "leave-one-out"
    components = 0.9
    null = "nested"
    coefficients = ["all_words", 3]
    """
    analysis, _ = parse_study(tomllib.loads(stated))
    solver = analysis.encoding.solvers["elastic_net"]
    assert (solver.alpha, solver.l1_ratio) == ((1.0, 0.3), (0.2, 0.5))
    assert (solver.inner, solver.components) == ("leave-one-out", 0.9)
    assert (solver.null, solver.coefficients) == ("nested", ("all_words", 3))
    # Whole numbers stay so: five components are not a share of the variance.
    both, _ = parse_study({"encoding": {"solvers": {"ridge": {"components": 5, "inner": 10}}}})
    ridge = both.encoding.solvers["ridge"]
    assert (ridge.components, type(ridge.components), ridge.inner) == (5, int, 10)
    assert parse_study({})[0].encoding.solvers["elastic_net"].inner == 10

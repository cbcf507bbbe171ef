"""Which parts are done, and why the others are not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hgcube.config import fingerprint
from hgcube.errors import HgcubeError
from hgcube.pipeline.steps import Step
from hgcube.pipeline.study import Identities, Study
from hgcube.schema import SCHEMA_VERSION
from hgcube.store import KEYS, Entry, Key, Part, find_entry, part_name

_SHOWN = 3


@dataclass(frozen=True)
class PartState:
    """One part: what it should be, and what the store has.

    Parameters
    ----------
    expected : Entry
        Settings, inputs and fingerprint that it has by today's study.
    state : str
        ``"done"``, ``"missing"``, ``"stale"`` or ``"failed"``.
    why : str
        Why it is stale or failed.
    """

    expected: Entry
    state: Literal["done", "missing", "stale", "failed"]
    why: str = ""

    @property
    def name(self) -> str:
        """Return kind and key, joined."""
        return part_name(self.expected.kind, self.expected.key)


class States:
    """The states of all parts of a study.

    Parameters
    ----------
    study : Study
    steps : sequence of Step
        All steps of the pipeline, in order.
    """

    def __init__(self, study: Study, steps: Sequence[Step]) -> None:
        self._study = study
        self._steps = {step.kind: step for step in steps}
        self._identities = Identities(study.store)
        self._expected: dict[Part, Entry] = {}

    def of(self, step: Step) -> list[PartState]:
        """Return the states of one step's parts, as the ledger has them now."""
        states = [self._state((step.kind, key)) for key in step.keys(self._study)]
        self._identities.save()
        return states

    def not_ready(self, part: Part) -> list[str]:
        """Return the names of the parts that `part` waits for.

        A step that gathers waits for none of what it gathers, as long as one is done.
        """
        needs = self._steps[part[0]].needs(self._study, part[1])
        gathered = self._steps[part[0]].gathers
        open_needs = [need for need in needs if not self._is_done(need)]
        if any(kind == gathered for kind, _ in set(needs) - set(open_needs)):
            open_needs = [need for need in open_needs if need[0] != gathered]
        return [part_name(*need) for need in open_needs]

    def _is_done(self, part: Part) -> bool:
        return self._state(part).state == "done"

    def __iter__(self) -> Iterator[PartState]:
        """Go through the states of all parts, step by step."""
        for step in self._steps.values():
            yield from self.of(step)

    def _state(self, part: Part) -> PartState:
        expected, stored = self.expected(part), find_entry(self._study.store, part)
        if stored is None:
            return PartState(expected, "missing")
        if stored.status == "failed":
            return PartState(expected, "failed", stored.error)
        if not (self._study.store / part_name(*part)).is_dir():
            return PartState(expected, "missing", "its folder is gone")
        reasons = why_stale(stored, expected)
        return PartState(expected, "stale" if reasons else "done", reasons)

    def expected(self, part: Part) -> Entry:
        """Return what `part` is by today's settings and source files."""
        if self._steps[part[0]].gathers:
            # What is there to gather changes while a run goes on.
            return self._described(*part)
        if part not in self._expected:
            self._expected[part] = self._described(*part)
        return self._expected[part]

    def _described(self, kind: str, key: Key) -> Entry:
        step = self._steps[kind]
        settings = json.loads(json.dumps(step.settings(self._study, key), default=str))
        settings["revision"] = step.revision
        needs = [
            need
            for need in step.needs(self._study, key)
            if need[0] != step.gathers or self._is_done(need)
        ]
        inputs = {part_name(*need): self.expected(need).fingerprint for need in needs}
        inputs |= {name: self._identities.of(path) for name, path in _files(self._study, step, key)}
        return Entry(
            kind=kind,
            key=key,
            status="done",
            fingerprint=fingerprint(settings, inputs),
            settings=settings,
            inputs=inputs,
        )


def why_stale(stored: Entry, expected: Entry) -> str:
    """Return which settings or inputs differ between two entries of one part, in words.

    Parameters
    ----------
    stored, expected : Entry
        As it was made, and as it should be.

    Returns
    -------
    str
        Empty if nothing differs.
    """
    if stored.schema_version != SCHEMA_VERSION:
        return f"schema {stored.schema_version} -> {SCHEMA_VERSION}"
    before, now = _flat(stored.settings), _flat(expected.settings)
    settings = [
        f"{name} {before.get(name, 'unset')} -> {now.get(name, 'unset')}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]
    inputs = [
        f"{name} {_change(name, stored.inputs, expected.inputs)}"
        for name in sorted(stored.inputs.keys() | expected.inputs.keys())
        if stored.inputs.get(name) != expected.inputs.get(name)
    ]
    reasons = [*settings, *inputs]
    more = [f"and {len(reasons) - _SHOWN} more"] if len(reasons) > _SHOWN else []
    return "; ".join([*reasons[:_SHOWN], *more])


def _files(study: Study, step: Step, key: Key) -> list[tuple[str, Path]]:
    try:
        return sorted(step.sources(study, key).items())
    except HgcubeError:
        # What cannot be named now fails with its own message when the part is built.
        return []


def _change(name: str, before: Mapping[str, str], now: Mapping[str, str]) -> str:
    if name not in before:
        return "is new"
    if now.get(name, "absent") != "absent":
        return "changed"
    return "waits to be made again" if name.partition("/")[0] in KEYS else "is gone"


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = json.dumps(value, ensure_ascii=False)
    return flat

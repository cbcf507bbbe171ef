from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import zarr

from hgcube.errors import SettingsError, StoreError, UnknownLabelError
from hgcube.pipeline.running import Outcome, run, run_steps
from hgcube.pipeline.state import States
from hgcube.pipeline.study import open_study
from hgcube.store import read_ledger
from hgcube.store.parts import checksum


def ran(fake: ModuleType, store: Path, *, scheduler: str | None = "synchronous") -> Outcome:
    study = open_study(store, scheduler=scheduler, workers=2)
    return run_steps(study, fake.STEPS, progress=False)


def states(fake: ModuleType, store: Path) -> dict[str, tuple[str, str]]:
    found = States(open_study(store), fake.STEPS)
    return {state.name: (state.state, state.why) for state in found}


def sums(store: Path) -> dict[str, str]:
    kinds = ("recordings", "high_gamma", "tables")
    return {path.name: checksum(path)[0] for kind in kinds for path in (store / kind).iterdir()}


class TestOneRun:
    def test_everything_is_made_once(self, fake: ModuleType, tmp_path: Path) -> None:
        store = fake.study_in(tmp_path / "store")
        assert {state for state, _ in states(fake, store).values()} == {"missing"}
        assert len(ran(fake, store).made) == 7
        written = {path: path.stat().st_mtime_ns for path in store.rglob("*") if path.is_file()}
        again = ran(fake, store)
        assert (again.made, again.complete) == ([], True)
        assert written == {path: path.stat().st_mtime_ns for path in written}
        assert {state for state, _ in states(fake, store).values()} == {"done"}
        assert not (store / ".lock").exists()

    def test_kernels_are_compiled_before_work_is_handed_out(
        self, fake: ModuleType, tmp_path: Path
    ) -> None:
        study, order = open_study(fake.study_in(tmp_path), scheduler="synchronous"), []
        first = replace(
            fake.STEPS[0],
            compiles=lambda _: order.append("compiled"),
            build=lambda study, key: order.append("built") or fake.noise(study, key),
        )
        for expected in (["compiled", *["built"] * 3], []):
            order.clear()
            assert run_steps(study, (first, *fake.STEPS[1:]), progress=False).complete
            assert order == expected

    def test_only_some_steps(self, fake: ModuleType, tmp_path: Path) -> None:
        study = open_study(fake.study_in(tmp_path / "store"), scheduler="synchronous")
        early = run_steps(study, fake.STEPS, only=["high_gamma"], progress=False)
        assert early.waiting["high_gamma/01"] == ["recordings/01"]
        assert not early.made
        first = run_steps(study, fake.STEPS, only=["recordings"], progress=False)
        assert len(first.made) == 3
        with pytest.raises(UnknownLabelError, match="'recordings'"):
            run_steps(study, fake.STEPS, only=["recording"], progress=False)

    def test_one_failed_part_does_not_stop_the_others(
        self, fake: ModuleType, tmp_path: Path
    ) -> None:
        store = fake.study_in(tmp_path / "store")
        (store / "fail-02").touch()
        outcome = ran(fake, store)
        assert outcome.failed == {
            "recordings/02": "Expected a good recording. Got a broken one. Mend it."
        }
        assert outcome.waiting == {
            "high_gamma/02": ["recordings/02"],
            "tables/electrodes": ["high_gamma/02"],
        }
        assert len(outcome.made) == 4
        assert states(fake, store)["recordings/02"] == (
            "failed",
            outcome.failed["recordings/02"],
        )
        (store / "fail-02").unlink()
        assert ran(fake, store).made == ["recordings/02", "high_gamma/02", "tables/electrodes"]

    def test_without_study_toml(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="hgcube init"):
            run(tmp_path, progress=False)

    def test_what_does_not_fit_a_worker_fails_with_both_numbers(
        self, fake: ModuleType, tmp_path: Path
    ) -> None:
        from dataclasses import replace

        store = fake.study_in(tmp_path / "store", '[execution]\nmemory = "1MB"\n')
        sized = replace(fake.STEPS[0], memory=lambda *_: 115_200_000)
        study = open_study(store, scheduler="synchronous")
        outcome = run_steps(study, (sized, *fake.STEPS[1:]), progress=False)
        assert "109.86 MiB" in outcome.failed["recordings/01"]
        assert (
            "0.95 MiB" in outcome.failed["recordings/01"]
            or "976" in outcome.failed["recordings/01"]
        )


class TestStaleness:
    @pytest.fixture
    def store(self, fake: ModuleType, tmp_path: Path) -> Path:
        store = fake.study_in(tmp_path / "store")
        ran(fake, store)
        return store

    def test_a_setting_makes_stale_what_depends_on_it_alone(
        self, fake: ModuleType, store: Path
    ) -> None:
        (store / "study.toml").write_text("[signal]\norder = 3\n")
        found = states(fake, store)
        assert found["recordings/01"] == ("done", "")
        assert found["high_gamma/01"] == ("stale", "signal.order 4 -> 3")
        assert found["tables/electrodes"][0] == "stale"
        assert "high_gamma/01 changed" in found["tables/electrodes"][1]
        assert len(ran(fake, store).made) == 4

    def test_execution_makes_nothing_stale(self, fake: ModuleType, store: Path) -> None:
        (store / "study.toml").write_text('[execution]\nworkers = 7\nmemory = "9GiB"\n')
        assert {state for state, _ in states(fake, store).values()} == {"done"}

    def test_a_source_file_is_known_by_its_content(self, fake: ModuleType, store: Path) -> None:
        source = store / "source.txt"
        os.utime(source, ns=(1, 1))
        assert states(fake, store)["recordings/01"][0] == "done"
        source.write_text("two")
        assert states(fake, store)["recordings/01"] == ("stale", "source.txt changed")
        source.unlink()
        assert states(fake, store)["recordings/01"] == ("stale", "source.txt is gone")

    def test_a_removed_folder_is_missing(self, fake: ModuleType, store: Path) -> None:
        import shutil

        shutil.rmtree(store / "high_gamma" / "02")
        assert states(fake, store)["high_gamma/02"] == ("missing", "its folder is gone")
        assert ran(fake, store).made == ["high_gamma/02"]

    def test_another_schema_is_stale(self, fake: ModuleType, store: Path) -> None:
        path = store / "ledger" / "tables" / "electrodes.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 0}))
        assert states(fake, store)["tables/electrodes"] == ("stale", "schema 0 -> 1")

    def test_a_full_disk_fails_one_part_and_keeps_the_rest(
        self, fake: ModuleType, store: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = sums(store)
        (store / "study.toml").write_text("[signal]\norder = 3\n")

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(zarr.Array, "__setitem__", full)
            outcome = ran(fake, store)
        assert set(outcome.failed) == {f"high_gamma/{label}" for label in fake.LABELS}
        assert all("full disk" in reason for reason in outcome.failed.values())
        assert sums(store) == before
        assert not list(store.rglob(".partial-*"))
        assert read_ledger(store)["high_gamma", ("01",)].status == "failed"
        assert len(ran(fake, store).made) == 4


class TestLock:
    def test_the_second_run_is_told_who_holds_it(self, fake: ModuleType, tmp_path: Path) -> None:
        store = fake.study_in(tmp_path / "store")
        holder = {"host": socket.gethostname(), "pid": os.getpid(), "since": "today"}
        (store / ".lock").write_text(json.dumps(holder))
        with pytest.raises(StoreError, match=f"since today as process {os.getpid()}"):
            ran(fake, store)
        (store / ".lock").write_text(json.dumps({**holder, "host": "elsewhere", "pid": 1}))
        with pytest.raises(StoreError, match="elsewhere"):
            ran(fake, store)

    def test_a_dead_lock_is_taken_over(self, fake: ModuleType, tmp_path: Path) -> None:
        store = fake.study_in(tmp_path / "store")
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        holder = {"host": socket.gethostname(), "pid": dead.pid, "since": "today"}
        (store / ".lock").write_text(json.dumps(holder))
        assert len(ran(fake, store).made) == 7


def test_every_scheduler_writes_the_same_bytes(fake: ModuleType, tmp_path: Path) -> None:
    found = {}
    for scheduler in ("synchronous", "threads", None):
        store = fake.study_in(tmp_path / str(scheduler))
        outcome = ran(fake, store, scheduler=scheduler)
        assert outcome.complete, outcome
        found[scheduler] = sums(store)
    assert found["synchronous"] == found["threads"] == found[None]


def test_a_killed_run_resumes_and_gives_the_same(fake: ModuleType, tmp_path: Path) -> None:
    whole, broken = (fake.study_in(tmp_path / name) for name in ("whole", "broken"))
    ran(fake, whole)
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import fake\n"
        "from hgcube.pipeline.running import run_steps\n"
        "from hgcube.pipeline.study import open_study\n"
        "study = open_study(sys.argv[2], scheduler='synchronous')\n"
        "run_steps(study, fake.STEPS, progress=False)"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", script, str(Path(__file__).parent), str(broken)],
        env={**os.environ, "HGCUBE_TEST_DAWDLE": "0.6"},
    )
    first = broken / "ledger" / "recordings" / "01.json"
    deadline = time.monotonic() + 30
    while not first.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    (broken / "recordings" / ".partial-02-0").mkdir()
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert (broken / ".lock").exists()
    kept = first.read_text()
    outcome = ran(fake, broken)
    assert "recordings/01" not in outcome.made
    assert 0 < len(outcome.made) < 7
    assert first.read_text() == kept
    assert sums(broken) == sums(whole)
    assert not list(broken.rglob(".partial-*"))

import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from provisioner.errors import Refused
from provisioner.model.baseline import Baseline, Figure, Speed
from provisioner.model.learned import Kind, Residual
from provisioner.model.plan import Finding
from provisioner.model.record import replace
from provisioner.world import database as stores
from provisioner.world.store import KEPT_BASELINES, KEPT_RESIDUALS


def test_a_run_is_journaled_before_and_after_and_found_again(tmp_path: Path) -> None:
    folder = str(tmp_path / "state")
    with stores.locked(folder, "up") as store:
        run = store.begin("up", "d1", None)
        store.note(run, 1, "ln a b", "doing")
        store.note(run, 1, "ln a b", "done", 0.5)
        store.activate("d1")
        store.finish(run, "good", (Finding("x", "note", "m"),))
    with stores.reading(folder) as store:
        assert store.current() == "d1"
        assert store.steps(run) == (("ln a b", "done", 0.5),)
        (entry,) = store.history()
        assert (entry.outcome, entry.findings) == ("good", (Finding("x", "note", "m"),))
        assert store.good_releases() == ("d1",)


def test_a_run_whose_process_died_is_known_as_interrupted(tmp_path: Path) -> None:
    folder = str(tmp_path)
    with stores.locked(folder, "up") as store:
        run = store.begin("up", None, None)
        store.note(run, 1, "write", "doing")
    with stores.locked(folder, "up") as store:
        assert [entry.run for entry in store.interrupted()] == [run]
        assert store.last_step(run) == "write (doing)"


def test_nothing_is_made_by_reading(tmp_path: Path) -> None:
    with stores.reading(str(tmp_path / "nowhere")) as store:
        assert store.current() is None
        assert store.history() == ()
    assert os.listdir(tmp_path) == []


def test_the_second_run_is_refused_and_told_who_is_at_work(tmp_path: Path) -> None:
    folder = str(tmp_path)
    with stores.locked(folder, "up"), pytest.raises(Refused) as refusal, stores.locked(folder, "down"):
        pass
    assert f"`provision up`, process {os.getpid()}" in refusal.value.message
    assert "--wait" in refusal.value.fix


def test_the_second_run_may_wait_and_the_lock_dies_with_its_holder(tmp_path: Path) -> None:
    folder = str(tmp_path)
    program = (
        "import sys,time; from provisioner.world.database import locked\n"
        "with locked(sys.argv[1], 'up'): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, folder], stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        assert "`provision up`" in (stores.busy(folder) or "")
        began = time.monotonic()
        holder.kill()
        with stores.locked(folder, "down", wait_seconds=10.0):
            assert time.monotonic() - began < 10
    assert stores.busy(folder) is None


@pytest.mark.parametrize("damage", ["garbage", "torn"])
def test_a_damaged_database_gives_one_clear_error(tmp_path: Path, damage: str) -> None:
    folder = str(tmp_path)
    with stores.locked(folder, "up") as store:
        for number in range(200):
            store.finish(store.begin("up", f"digest-{number}" * 20, None), "good")
    path = tmp_path / "state.db"
    content = path.read_bytes()
    if damage == "garbage":
        path.write_bytes(b"this is no database " * 1000)
    else:
        path.write_bytes(content[: len(content) // 3])
    with pytest.raises(Refused) as refusal, stores.reading(folder) as store:
        store.history()
    assert "state database is damaged" in refusal.value.message
    assert f"mv {path}" in refusal.value.fix


def test_a_newer_state_is_not_touched(tmp_path: Path) -> None:
    folder = str(tmp_path)
    with stores.locked(folder, "up") as store:
        store.database.execute("PRAGMA user_version = 99")
    with pytest.raises(Refused, match="newer version"), stores.locked(folder, "up"):
        pass


def test_a_lock_that_was_removed_while_one_waited_is_not_the_lock(tmp_path: Path) -> None:
    """The waiting run must not go on with a file that has no name any more, beside a third run that made a new one."""
    folder = str(tmp_path / "state")
    held: list[str] = []

    def wait() -> None:
        with stores.locked(folder, "waiting", wait_seconds=20.0):
            held.append("in")
            assert os.path.samestat(os.stat(f"{folder}/lock"), os.stat(f"{folder}/lock"))
            with pytest.raises(Refused), stores.locked(folder, "third"):
                pass

    with stores.locked(folder, "down") as store:
        (tmp_path / "state" / "thesis.txt").write_text("mine")
        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.3)
        stores.purge(store)
    waiting.join(30)
    assert held == ["in"]


def test_purge_leaves_what_is_not_ours(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with stores.locked(str(folder), "down") as store:
        (folder / "thesis.txt").write_text("mine")
        stores.purge(store)
    assert [entry.name for entry in folder.iterdir()] == ["thesis.txt"]


KIND = Kind("llamacpp", "2026.10", "dense-gqa", "host", 1, "activation")


def older_state(folder: Path) -> None:
    """A database of the first schema, with a run in it."""
    with sqlite3.connect(folder / "state.db") as database:
        database.executescript(f"{stores.TABLES} PRAGMA user_version = 1;")
        database.execute("INSERT INTO runs (verb, started, pid, outcome, release) VALUES ('up', 1, 1, 'good', 'd1')")
        database.execute("UPDATE current SET digest = 'd1'")
    database.close()


def test_a_state_of_an_older_version_is_read_as_it_is_and_learns_from_the_next_run(tmp_path: Path) -> None:
    older_state(tmp_path)
    with stores.reading(str(tmp_path)) as store:
        assert (store.current(), store.residuals()) == ("d1", ())
    found = Residual(KIND, 100, 90)
    with stores.locked(str(tmp_path), "up") as store:
        assert store.good_releases() == ("d1",)
        store.remember_residuals((found,))
    with stores.reading(str(tmp_path)) as store:
        assert (store.current(), store.residuals()) == ("d1", (found,))


def test_a_migration_that_is_killed_leaves_the_old_tables_or_the_new(tmp_path: Path) -> None:
    """Cut off before its end is written, SQLite takes all of it back."""
    older_state(tmp_path)
    program = (
        "import os,sqlite3,sys; from provisioner.world.database import ADDED\n"
        "database = sqlite3.connect(sys.argv[1] + '/state.db')\n"
        "database.executescript('BEGIN; ' + ADDED[2] + 'PRAGMA user_version = 2;')\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode == -9
    with stores.locked(str(tmp_path), "up") as store:
        store.remember_residuals((Residual(KIND, 1, 1),))
        assert len(store.residuals()) == 1


SPEED = Speed(
    Figure(40.0, 39.0, 41.0, 42.0, 5), Figure(160.0, 150.0, 170.0, 171.0, 3), Figure(0.2, 0.1, 0.3, 0.1, 5), 0.4, 4, 8.5
)
BASELINE = Baseline("d1", "qwen3-8b", "vllm", 1_780_000_000, quick=True, speed=SPEED)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_state_from_before_speed_was_measured_is_read_as_it_is_and_keeps_the_next_figures(
    tmp_path: Path, version: int
) -> None:
    older_state(tmp_path)
    with closing(sqlite3.connect(tmp_path / "state.db")) as database:
        added = "".join(stores.ADDED[since] for since in range(2, version + 1))
        database.executescript(f"{added} PRAGMA user_version = {version};")
    with stores.reading(str(tmp_path)) as store:
        assert (store.current(), store.baseline("d1", "qwen3-8b", "vllm")) == ("d1", None)
    with stores.locked(str(tmp_path), "bench") as store:
        store.remember_baseline(BASELINE)
        store.remember_residuals((Residual(KIND, 1, 1),))
    with stores.reading(str(tmp_path)) as store:
        assert (store.current(), store.baseline("d1", "qwen3-8b", "vllm")) == ("d1", BASELINE)


def test_a_baseline_is_of_one_release_its_model_and_its_engine_and_the_newest_counts(tmp_path: Path) -> None:
    with stores.locked(str(tmp_path), "bench") as store:
        store.remember_baseline(replace(BASELINE, release="d2"))
        for moment in range(KEPT_BASELINES + 3):
            store.remember_baseline(replace(BASELINE, measured_unix=moment))
        assert store.baseline("d1", "qwen3-8b", "sglang") is None
        assert store.baseline("d1", "other", "vllm") is None
        assert store.baseline("d1", "qwen3-8b", "vllm") == replace(BASELINE, measured_unix=KEPT_BASELINES + 2)
        assert store.baseline("d2", "qwen3-8b", "vllm")
        rows = store.database.execute("SELECT count(*) FROM baselines WHERE release = 'd1'").fetchone()
    assert rows == (KEPT_BASELINES,)


def test_of_each_kind_the_newest_residuals_stay(tmp_path: Path) -> None:
    other = replace(KIND, component="weights")
    with stores.locked(str(tmp_path), "up") as store:
        store.remember_residuals((Residual(other, 7, 7),))
        for number in range(KEPT_RESIDUALS + 5):
            store.remember_residuals((Residual(KIND, 1000, number),))
        kept = store.residuals()
    assert kept[0] == Residual(other, 7, 7)
    assert [one.measured_bytes for one in kept[1:]] == list(range(5, KEPT_RESIDUALS + 5))


def test_of_one_start_everything_is_kept_or_nothing(tmp_path: Path) -> None:
    with stores.locked(str(tmp_path), "up") as store:
        with pytest.raises(OverflowError):
            store.remember_residuals((Residual(KIND, 1, 1), Residual(KIND, 1, 1 << 70)))
        assert store.residuals() == ()

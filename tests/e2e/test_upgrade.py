"""From one release to the next on the real embedded engine: kept, or taken back by itself, and what people wrote is never lost."""

import os
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from provisioner.world import processes, tinymodel
from tests.e2e.appliance import Appliance

pytestmark = [pytest.mark.needs("embedded"), pytest.mark.timeout(240)]

PLANNED = ("--profile", "demo", "--set", "engine.threads=1", "--concurrency", "1")
SLOWER = ("--set", "engine.threads=64")
"""On any machine with fewer cores its threads wait for each other at every step."""


@pytest.fixture
def appliance(tmp_path: Path) -> Iterator[Appliance]:
    """A release in force, and the database of a chat page beside it: on this target nothing starts the page itself."""
    appliance = Appliance(str(tmp_path / "state"), planned=PLANNED)
    appliance.ok("up")
    os.makedirs(f"{appliance.state}/data/openwebui/uploads")
    Path(appliance.state, "data/openwebui/uploads/1_notes.txt").write_text("notes")
    sql(appliance, "CREATE TABLE chat (words TEXT)", "INSERT INTO chat VALUES ('before')")
    yield appliance
    appliance.end()


def sql(appliance: Appliance, *statements: str, path: str = "data/openwebui/webui.db") -> list[str]:
    with closing(sqlite3.connect(f"{appliance.state}/{path}")) as database, database:
        for statement in statements:
            database.execute(statement)
        return [str(words) for (words, *_) in database.execute("SELECT * FROM chat ORDER BY rowid")]


def page_of_the_next_release(appliance: Appliance, *statements: str) -> Callable[[], None]:
    """What a chat page would write while another release than today's runs; called, it waits until that is done."""
    first = appliance.release()

    def write() -> None:
        deadline = time.monotonic() + 60
        while not any(one.digest != first for one in processes.running(appliance.state)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        sql(appliance, *statements)

    page = threading.Thread(target=write)
    page.start()
    return page.join


def test_a_slower_release_gives_way_and_what_was_written_meanwhile_stays(appliance: Appliance) -> None:
    first = appliance.release()
    wrote = page_of_the_next_release(appliance, "INSERT INTO chat VALUES ('meanwhile')")
    done = appliance.run("upgrade", *SLOWER)
    wrote()
    assert done.returncode == 4, done.stderr
    assert "--threads: 1 → 64" in done.stderr
    assert f"slower than is tolerated; release {first[:12]} is back" in done.stderr
    assert "10 % is tolerated" in done.stderr
    assert "--accept-slower" in done.stderr
    assert appliance.release() == first
    assert appliance.json("history")["runs"][0]["outcome"] == "rolled-back"
    assert sql(appliance) == ["before", "meanwhile"]
    assert sorted(os.listdir(f"{appliance.state}/data")) == ["openwebui"]
    assert appliance.json("status")["speed"]["release"] == first


def test_a_broken_release_that_changed_the_database_gives_it_back_as_it_was(
    appliance: Appliance, tmp_path: Path
) -> None:
    first = appliance.release()
    wrote = page_of_the_next_release(
        appliance, "ALTER TABLE chat ADD COLUMN shared", "INSERT INTO chat VALUES ('meanwhile', 1)"
    )
    done = appliance.run("upgrade", "--model", mute(tmp_path / "mute.gguf"), "--context", "512")
    wrote()
    assert done.returncode == 4, done.stderr
    kept = f"data/left-{next(name for name in os.listdir(f'{appliance.state}/data') if name != 'openwebui')[5:]}"
    assert f"what was written meanwhile is kept in {appliance.state}/{kept}" in done.stderr
    assert appliance.release() == first
    assert sql(appliance) == ["before"]
    assert sql(appliance, path=f"{kept}/openwebui/webui.db") == ["before", "meanwhile"]


def mute(path: Path) -> str:
    """A model whose chat template raises: its engine is healthy, and answers nothing."""
    tinymodel.write(str(path))
    template = tinymodel.CHAT_TEMPLATE.encode()
    path.write_bytes(path.read_bytes().replace(template, b"{{ raise_exception('no') }}".ljust(len(template))))
    return str(path)


def test_nothing_to_upgrade_says_so_and_a_better_release_is_kept_with_a_way_back(appliance: Appliance) -> None:
    first = appliance.release()
    nothing = appliance.json("upgrade")
    assert (nothing["changed"], nothing["differences"]) == (False, [])
    upgraded = appliance.json("upgrade", "--concurrency", "2", "--accept-slower")
    assert {"what": "llm: requests at once", "before": "1", "after": "2"} in upgraded["differences"]
    assert (upgraded["previous"], upgraded["exit_code"]) == (first, 0)
    assert upgraded["before"]["speed"]["tokens_per_second"]["median"] > 0
    second = appliance.release()
    assert upgraded["after"]["release"] == second != first

    sql(appliance, "INSERT INTO chat VALUES ('after')")
    appliance.ok("rollback", "--with-data")
    assert (appliance.release(), sql(appliance)) == (first, ["before"])
    appliance.ok("rollback", "--to", second, "--with-data")
    assert (appliance.release(), sql(appliance)) == (second, ["before", "after"])
    appliance.ok("down")
    assert os.path.isdir(f"{appliance.state}/snapshots/{first}/openwebui/uploads")
    appliance.ok("down", "--purge")
    assert not os.path.exists(appliance.state)


def test_without_a_snapshot_data_is_not_rolled_back(appliance: Appliance) -> None:
    first = appliance.release()
    appliance.ok("up", "--concurrency", "2")
    done = appliance.run("rollback", "--with-data")
    assert done.returncode == 3
    assert f"of release {first[:12]} no data is kept" in done.stderr
    assert sql(appliance) == ["before"]


def test_a_database_that_an_earlier_release_may_not_read_goes_back_with_it_or_not_at_all(appliance: Appliance) -> None:
    first = appliance.release()
    appliance.ok("upgrade", "--concurrency", "2", "--accept-slower")
    sql(appliance, "ALTER TABLE chat ADD COLUMN shared")
    done = appliance.run("rollback")
    assert (done.returncode, appliance.release() != first) == (3, True)
    assert f"--to {first[:12]} --with-data" in done.stderr
    appliance.ok("rollback", "--with-data")
    assert (appliance.release(), sql(appliance)) == (first, ["before"])


def test_an_engine_that_is_not_there_is_not_measured(appliance: Appliance) -> None:
    appliance.end()
    done = appliance.run("bench", "--quick")
    assert done.returncode == 1
    assert "llm does not answer while it is measured: nobody listens on the port" in done.stderr
    assert appliance.json("status", code=1)["speed"] is None


def killed_once_the_database_is_changed(appliance: Appliance, *wanted: str) -> None:
    """What the next release would write is written, and then `upgrade` is gone: the engine it started serves on."""
    killed = subprocess.Popen(appliance.words("upgrade", *wanted), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    page_of_the_next_release(
        appliance, "ALTER TABLE chat ADD COLUMN shared", "INSERT INTO chat VALUES ('meanwhile', 1)"
    )()
    killed.kill()
    killed.wait(30)


@pytest.mark.parametrize("verb", ["up", "down"])
def test_after_one_that_was_killed_the_old_release_has_its_own_database_again(appliance: Appliance, verb: str) -> None:
    first = appliance.release()
    killed_once_the_database_is_changed(appliance, "--concurrency", "2", "--accept-slower")
    assert "it comes back, with the data from before it" in appliance.ok("plan").stdout
    told = appliance.json(verb)
    if verb == "up":
        assert "data-back" in {one["id"] for one in told["findings"]}
        assert appliance.release() == first
        assert appliance.json("up")["changed"] is False
    assert sql(appliance) == ["before"]
    (aside,) = (name for name in os.listdir(f"{appliance.state}/data") if name != "openwebui")
    assert sql(appliance, path=f"data/{aside}/openwebui/webui.db") == ["before", "meanwhile"]


def test_one_that_is_killed_goes_on_with_the_snapshot_from_before_it_began(appliance: Appliance) -> None:
    first, next_one = appliance.release(), ("--concurrency", "2", "--accept-slower")
    killed = subprocess.Popen(
        appliance.words("upgrade", *next_one), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    page_of_the_next_release(appliance, "ALTER TABLE chat ADD COLUMN shared")()
    killed.kill()
    killed.wait(30)
    upgraded = appliance.json("upgrade", *next_one)
    assert "was cut off" in upgraded["recovered"]
    assert appliance.release() != first
    sql(appliance, "INSERT INTO chat VALUES ('after', 1)")
    appliance.ok("rollback", "--with-data")
    assert (appliance.release(), sql(appliance)) == (first, ["before"])

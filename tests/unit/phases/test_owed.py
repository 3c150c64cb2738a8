"""A run is cut off at whatever step: the next one meets people's data as the old release left it, or as the new one made it."""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from provisioner import catalog
from provisioner.documents import encode
from provisioner.model.actions import Action, Entrust, RestoreSnapshot, TakeSnapshot
from provisioner.model.containers import Container
from provisioner.model.plugins import Place, Target
from provisioner.model.record import replace
from provisioner.model.release import Running
from provisioner.model.spec import Spec
from provisioner.phases import snapshots
from provisioner.phases.owed import pays
from provisioner.phases.survey import survey
from provisioner.world import snapshots as world
from provisioner.world.database import locked
from provisioner.world.files import make_folder
from provisioner.world.store import Store
from tests.unit.planning.samples import machine as hardware
from tests.unit.planning.samples import plan

OLD, NEW, OTHER = "a" * 64, "b" * 64, "c" * 64
TARGETS = cast(Mapping[str, Target], catalog.scan("provisioner.targets", "TARGET"))


class Machine:
    """Runs whose steps are done to a real database and noted in a real journal, until one of them is cut off."""

    def __init__(self, place: Place, store: Store) -> None:
        self.place, self.store = place, store
        self.forms = {OLD: 1, NEW: 2, OTHER: 3}
        """The version that each release gives the database when it starts."""

    def sql(self, *statements: str, folder: str = "") -> tuple[int, list[str]]:
        """The version, and what people wrote."""
        path = f"{folder or f'{self.place.state}/data'}/openwebui/webui.db"
        with closing(sqlite3.connect(path)) as database, database:
            for statement in statements:
                database.execute(statement)
            ((version,),) = database.execute("SELECT version_num FROM alembic_version")
            return version, [words for (words,) in database.execute("SELECT words FROM chat ORDER BY rowid")]

    def start(self, digest: str) -> None:
        """As Open WebUI does: a database that is older is brought to its own form, and people write on."""
        self.sql(f"UPDATE alembic_version SET version_num = max(version_num, {self.forms[digest]})")
        self.sql(f"INSERT INTO chat VALUES ('under {digest[0]}')")

    def upgrade(self, digest: str, steps: int, *, fails: bool = False) -> None:
        """What `upgrade` does, cut off after so many steps."""
        place, store = self.place, self.store
        run, begun = store.begin("upgrade", digest, OLD), 0
        back, _ = pays(survey(store, place), store, TARGETS, place, digest)
        takes = () if back else snapshots.takes(survey(store, place), place.snapshot(OLD), store, place)
        for action in (*back, *takes, Entrust(digest), digest):
            begun += 1
            if not self.do(run, begun, action, whole=begun < steps):
                store.finish(run, "interrupted")
                return
        for action in pays(survey(store, place), store, TARGETS, place)[0] if fails else ():
            begun += 1
            if not self.do(run, begun, action, whole=begun < steps):
                store.finish(run, "interrupted")
                return
        store.finish(run, "failed" if fails else "interrupted")

    def do(self, run: int, number: int, action: Action | str, *, whole: bool) -> bool:
        """One step, noted before and, unless it is the last, after; whether the run goes on."""
        self.store.note(run, number, str(action), "doing")
        match action:
            case str():
                self.start(action)
            case TakeSnapshot(data, names, folder):
                world.take(data, names, folder)
            case RestoreSnapshot(folder, data, names) if whole:
                world.restore(folder, data, names)
            case RestoreSnapshot():
                self.sql("DELETE FROM chat")  # Cut off in the middle of it.
        if whole:
            self.store.note(run, number, str(action), "done")
        return whole

    def next_run(self, digest: str) -> tuple[int, list[str]]:
        """What another run meets, once it has put in order what there is to be."""
        run = self.store.begin("up", digest, OLD)
        actions, told = pays(survey(self.store, self.place), self.store, TARGETS, self.place, digest)
        assert bool(actions) == bool(told)
        for number, action in enumerate(actions, 1):
            assert self.do(run, number, action, whole=True)
        self.store.finish(run, "interrupted")
        return self.sql()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    place = Place(f"{tmp_path}/state", "/usr/bin/python3", str(tmp_path), user_manager=False)
    make_folder(place.data("openwebui"))
    Path(place.state, "lock").touch()
    with locked(place.state, "test") as store:
        store.activate(OLD)
        machine = Machine(place, store)
        with closing(sqlite3.connect(f"{place.data('openwebui')}/webui.db")) as database, database:
            database.execute("CREATE TABLE chat (words TEXT)")
            database.execute("CREATE TABLE alembic_version (version_num INTEGER)")
            database.execute("INSERT INTO alembic_version VALUES (1)")
            database.execute("INSERT INTO chat VALUES ('before')")
        yield machine


STEPS = range(1, 9)
"""The snapshot, the mark, the start; and where it fails: the stop of what runs, what is put aside, what comes back."""


@pytest.mark.parametrize("fails", [False, True], ids=["goes on", "fails"])
@pytest.mark.parametrize("steps", STEPS)
def test_the_old_release_never_meets_a_database_that_the_new_one_changed(
    machine: Machine, steps: int, fails: bool
) -> None:
    machine.upgrade(NEW, steps, fails=fails)
    assert machine.next_run(OLD) == (1, ["before"])
    assert machine.next_run(OLD) == (1, ["before"])


@pytest.mark.parametrize("steps", STEPS)
def test_nor_does_another_one(machine: Machine, steps: int) -> None:
    machine.upgrade(NEW, steps)
    assert machine.next_run(OTHER) == (1, ["before"])


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("first", [2, 3])
def test_nor_after_two_upgrades_that_were_cut_off(machine: Machine, first: int, steps: int) -> None:
    machine.upgrade(NEW, first)
    machine.upgrade(OTHER, steps)
    assert machine.next_run(OLD) == (1, ["before"])


def test_the_same_upgrade_goes_on_with_what_was_written_meanwhile(machine: Machine) -> None:
    machine.upgrade(NEW, 3)
    assert machine.next_run(NEW) == (2, ["before", "under b"])
    machine.upgrade(NEW, 2)
    assert machine.next_run(OLD) == (1, ["before"])


def test_what_was_written_meanwhile_is_kept(machine: Machine) -> None:
    machine.upgrade(NEW, 9)
    assert machine.next_run(OLD) == (1, ["before"])
    (aside,) = (name for name in os.listdir(f"{machine.place.state}/data") if name.startswith("left-"))
    assert machine.sql(folder=f"{machine.place.state}/data/{aside}") == (2, ["before", "under b"])


def test_a_release_that_left_the_form_alone_leaves_what_was_written_in_its_time(machine: Machine) -> None:
    machine.forms[NEW] = machine.forms[OLD]
    machine.upgrade(NEW, 9)
    assert machine.next_run(OLD) == (1, ["before", "under b"])


def test_a_snapshot_from_long_ago_is_not_what_a_later_run_owes(machine: Machine) -> None:
    machine.upgrade(NEW, 9)
    machine.store.finish(machine.store.begin("up", OLD, OLD), "good")
    assert machine.next_run(OLD) == (2, ["before", "under b"])


@pytest.mark.parametrize("result", ["doing", "done"])
def test_data_of_another_time_goes_with_the_release_that_it_is_of(machine: Machine, result: str) -> None:
    """`rollback --with-data` was cut off, and somebody runs `up`."""
    place, store = machine.place, machine.store
    world.take(f"{place.state}/data", ("openwebui",), place.snapshot(OTHER))
    machine.sql("INSERT INTO chat VALUES ('today')")
    run = store.begin("rollback", OTHER, OLD)
    exchange = snapshots.exchanges(survey(store, place), OTHER, store, TARGETS, place)
    for number, action in enumerate(exchange, 1):
        machine.do(run, number, action, whole=action != exchange[-1] or result == "done")
    store.finish(run, "interrupted")
    assert machine.next_run(OLD) == (1, ["before", "today"])


def planned(place: Place, digest: str, image: str) -> None:
    page = Container("webui", "openwebui", image)
    text = json.dumps(encode(replace(plan(hardware("2 cores, 16 GiB"), Spec("demo")), beside=(page,))))
    make_folder(place.release(digest))
    Path(place.release(digest), "plan.json").write_text(text)


@pytest.mark.parametrize(
    ("image", "of", "back"), [("page:2", NEW, True), ("page:1", NEW, False), ("page:2", OLD, False)],
    ids=["another page runs", "the same page runs in another container", "the old page runs on"],
)  # fmt: skip
def test_a_page_that_may_change_its_database_any_moment_is_not_waited_for(
    machine: Machine, image: str, of: str, back: bool
) -> None:
    """It has not done so yet: while it is being stopped it still may."""
    place, store = machine.place, machine.store
    planned(place, OLD, "page:1")
    planned(place, NEW, image)
    machine.forms[NEW] = machine.forms[OLD]
    machine.upgrade(NEW, 9)
    standing = replace(survey(store, place), running=(Running("webui", of, "docker", 7, 1, "running, starting"),))
    actions, _ = pays(standing, store, TARGETS, place)
    assert any(isinstance(action, RestoreSnapshot) for action in actions) is back

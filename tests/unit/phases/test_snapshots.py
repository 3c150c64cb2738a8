"""What people wrote under one release and under another, through runs that end and runs that are cut off."""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest

from provisioner import catalog
from provisioner.model.actions import Action, RestoreSnapshot, TakeSnapshot
from provisioner.model.plugins import Place, Target
from provisioner.model.release import Release, Standing
from provisioner.phases import snapshots
from provisioner.phases.survey import survey
from provisioner.planning import diff
from provisioner.world import snapshots as world
from provisioner.world.database import locked
from provisioner.world.store import Store

OLD, NEW = "a" * 64, "b" * 64
TARGETS = cast(Mapping[str, Target], catalog.scan("provisioner.targets", "TARGET"))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(f"{tmp_path}/state", "/usr/bin/python3", str(tmp_path), user_manager=False)
    os.makedirs(place.data("openwebui"))
    os.makedirs(place.data("grafana"))
    return place


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    Path(place.state, "lock").touch()
    sql(place, "CREATE TABLE chat (words TEXT)")
    with locked(place.state, "test") as store:
        store.activate(OLD)
        yield store


def sql(place: Place, *statements: str) -> list[str]:
    with closing(sqlite3.connect(f"{place.data('openwebui')}/webui.db")) as database, database:
        for statement in statements:
            database.execute(statement)
        return [str(words) for (words, *_) in database.execute("SELECT * FROM chat")]


def do(actions: tuple[Action, ...], store: Store, run: int) -> None:
    """What the executor does with these, noted as a run notes it."""
    for number, action in enumerate(actions, 1):
        store.note(run, number, str(action), "doing")
        if isinstance(action, TakeSnapshot):
            world.take(action.data, action.names, action.folder)
        if isinstance(action, RestoreSnapshot):
            world.restore(action.folder, action.data, action.names)
        store.note(run, number, str(action), "done")


def takes(store: Store, place: Place) -> tuple[Action, ...]:
    return snapshots.takes(survey(store, place), place.snapshot(OLD), store, place)


def test_only_what_is_of_people_is_kept_and_nothing_where_there_is_none(store: Store, place: Place) -> None:
    (action,) = takes(store, place)
    assert action == TakeSnapshot(f"{place.state}/data", ("openwebui",), place.snapshot(OLD))
    assert f"{place.data('openwebui')}" in str(action)
    os.rename(place.data("openwebui"), place.data("other"))
    assert takes(store, place) == ()


def test_a_run_that_was_cut_off_has_kept_it_already_and_one_that_ended_has_not(store: Store, place: Place) -> None:
    first = store.begin("upgrade", NEW, OLD)
    do(takes(store, place), store, first)
    store.finish(first, "interrupted")
    store.begin("upgrade", NEW, OLD)
    assert takes(store, place) == ()
    store.finish(store.begin("up", OLD, OLD), "good")
    assert len(takes(store, place)) == 1


def test_a_snapshot_that_was_begun_and_not_finished_is_taken_again(store: Store, place: Place) -> None:
    run = store.begin("upgrade", NEW, OLD)
    (action,) = takes(store, place)
    store.note(run, 1, str(action), "doing")
    store.finish(run, "interrupted")
    assert takes(store, place) == (action,)


def exchanges(store: Store, place: Place) -> tuple[Action, ...]:
    return snapshots.exchanges(survey(store, place), NEW, store, TARGETS, place)


def kept_of_the_new(place: Place) -> None:
    sql(place, "INSERT INTO chat VALUES ('of the new')")
    world.take(f"{place.state}/data", ("openwebui",), place.snapshot(NEW))
    sql(place, "UPDATE chat SET words = 'of the old'")


def test_data_is_exchanged_and_what_was_there_is_kept_with_its_release(store: Store, place: Place) -> None:
    kept_of_the_new(place)
    do(exchanges(store, place), store, store.begin("rollback", NEW, OLD))
    assert sql(place) == ["of the new"]
    assert snapshots.kept(place, OLD) == ("openwebui",)


@pytest.mark.parametrize("again", [False, True], ids=["at once", "by the next run"])
def test_an_exchange_is_taken_back_when_the_release_does_not_stay(store: Store, place: Place, again: bool) -> None:
    kept_of_the_new(place)
    run, exchange = store.begin("rollback", NEW, OLD), exchanges(store, place)
    do(exchange, store, run)
    if again:
        store.finish(run, "interrupted")
        run, exchange = store.begin("rollback", NEW, OLD), exchanges(store, place)
        assert not [action for action in exchange if isinstance(action, TakeSnapshot)]
        do(exchange, store, run)
    actions, told = snapshots.undoes(exchange, store, survey(store, place), TARGETS, place)
    do(actions, store, run)
    assert (sql(place), told) == (["of the old"], ", with its own data")


def test_an_exchange_that_was_not_begun_is_not_taken_back(store: Store, place: Place) -> None:
    kept_of_the_new(place)
    run, exchange = store.begin("rollback", NEW, OLD), exchanges(store, place)
    do(exchange[:-1], store, run)
    sql(place, "INSERT INTO chat VALUES ('and more')")
    assert snapshots.undoes(exchange, store, survey(store, place), TARGETS, place) == ((), "")


def test_what_is_put_aside_never_takes_the_place_of_what_was(place: Place) -> None:
    first = snapshots.aside(place, NEW)
    os.makedirs(first)
    second = snapshots.aside(place, NEW)
    assert (first, second) == (f"{place.state}/data/left-{NEW[:12]}", f"{place.state}/data/left-{NEW[:12]}-2")


def test_snapshots_go_with_their_releases_and_all_of_them_with_a_purge(store: Store, place: Place) -> None:
    for digest in (OLD, NEW, "c" * 64):
        os.makedirs(f"{place.snapshot(digest)}/openwebui")
    standing: Standing = survey(store, place)
    assert standing.snapshots == {OLD, NEW, "c" * 64}
    release = Release(NEW, "process", (), (), {})
    lines = [str(action) for action in diff.settles(standing, release, (OLD,), place)]
    assert f"rm -rf {place.snapshot('c' * 64)}" in lines
    assert not [line for line in lines if OLD in line and line.startswith("rm")]
    purge = diff.takes_down(standing, TARGETS, place, (*diff.MADE, *diff.BROUGHT), active=True)
    assert f"rm -rf {place.state}/snapshots" in map(str, purge)

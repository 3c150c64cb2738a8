"""What is struck: each verb that changes something, from a ground on which it has work to do."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from provisioner.world import tinymodel
from tests.e2e.several import models, tiny
from tests.sweep.slot import Slot


@dataclass(frozen=True, slots=True)
class Scenario:
    """`ground` sets the slot up and returns the releases that may be in force afterwards; `verb` is struck and run again."""

    name: str
    ground: Callable[[Slot], set[str | None]]
    verb: tuple[str, ...]
    running: bool
    """Whether services run when the blow falls."""
    more: Callable[[Slot], tuple[str, ...]] = lambda _: ()
    rarer: int = 1
    """By how much fewer of its points are struck than of the others', unless the run is thorough."""

    def words(self, slot: Slot) -> tuple[str, ...]:
        return (*self.verb, *self.more(slot))


def ok(slot: Slot, verb: str, *more: str) -> str | None:
    done = slot.run(verb, *more)
    assert done.returncode == 0, f"{verb} {more}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return slot.current()


def nothing(slot: Slot) -> set[str | None]:
    """A bare machine; what the first `up` ends in is found out by doing it once."""
    new = ok(slot, "up")
    slot.clear()
    slot.keep()
    return {new}


def weights_only(slot: Slot) -> set[str | None]:
    new = ok(slot, "up")
    ok(slot, "down")
    slot.keep()
    return {new}


def other_release(slot: Slot) -> set[str | None]:
    new = ok(slot, "up")
    ok(slot, "up", "--concurrency", "1")
    slot.keep()
    return {new}


def two_releases(slot: Slot) -> set[str | None]:
    first = ok(slot, "up")
    second = ok(slot, "up", "--concurrency", "1")
    slot.keep()
    return {first, second}


def two_releases_with_data(slot: Slot) -> set[str | None]:
    """Two releases, each with a snapshot of what people wrote in its time."""
    found = two_releases(slot)
    for digest in (*sorted(filter(None, found)), ""):
        folder = f"{slot.kept}/snapshots/{digest}/openwebui" if digest else f"{slot.kept}/data/openwebui"
        os.makedirs(folder)
        with closing(sqlite3.connect(f"{folder}/webui.db")) as database, database:
            database.execute("CREATE TABLE chat (words TEXT)")
            database.execute("INSERT INTO chat VALUES (?)", (digest or "now",))
    return found


def many_releases(slot: Slot) -> set[str | None]:
    """More proved releases than are kept: the next `up` also collects what is no longer needed."""
    new = ok(slot, "up")
    for context in ("256", "320", "384", "448"):
        ok(slot, "up", "--context", context)
    slot.keep()
    return {new}


def own_weights(slot: Slot) -> set[str | None]:
    """A model file of the operator's, which has to be hashed and taken in before the release can be named."""
    new = ok(slot, "up", *with_weights(slot))
    slot.clear()
    slot.keep()
    return {new}


def own_weights_instead(slot: Slot) -> set[str | None]:
    """Another model takes the place of the one that serves."""
    new = ok(slot, "up", *with_weights(slot))
    slot.clear()
    ok(slot, "up")
    slot.keep()
    return {new}


def crashed(slot: Slot) -> set[str | None]:
    """A release is in force, its services died, and earlier runs left half-made things and a download behind."""
    new = ok(slot, "up")
    slot.keep()
    os.makedirs(f"{slot.kept}/releases/{'0' * 64}.tmp/units")
    part = f"blobs/sha256/{'0' * 64}.part"
    halves = (f"releases/{'0' * 64}.tmp/start.sh", "secrets/llm.key.tmp", "blobs/sha256/model.tmp")
    for half in (*halves, part, f"{part}.journal"):
        with open(f"{slot.kept}/{half}", "w", encoding="utf-8") as stream:
            stream.write("half")
    return {new}


def one_model_for_another(slot: Slot) -> set[str | None]:
    """Of two models one goes and another comes; the first runs on."""
    new = ok(slot, "up", *alpha_and_gamma(slot))
    slot.clear()
    ok(slot, "up", *two_models(slot, "alpha", "beta"))
    slot.keep()
    return {new}


def alpha_and_gamma(slot: Slot) -> tuple[str, ...]:
    return two_models(slot, "alpha", "gamma")


def two_models(slot: Slot, *names: str) -> tuple[str, ...]:
    return models(*(tiny(Path(slot.folder), name, ["alpha", "beta", "gamma"].index(name)) for name in names))


def with_weights(slot: Slot) -> tuple[str, ...]:
    path = f"{slot.folder}/own.gguf"
    if not os.path.exists(path):
        tinymodel.write(path)
    return ("--model", path, "--context", "512")


def one_release(slot: Slot) -> set[str | None]:
    ok(slot, "up")
    slot.keep()
    return {None}


SCENARIOS = (
    Scenario("first-up", nothing, ("up",), running=False),
    Scenario("up-again-after-down", weights_only, ("up",), running=False),
    Scenario("upgrade", other_release, ("up",), running=True),
    Scenario("collect-garbage", many_releases, ("up",), running=True),
    Scenario("own-weights", own_weights, ("up",), running=False, more=with_weights),
    Scenario("own-weights-instead", own_weights_instead, ("up",), running=True, more=with_weights),
    Scenario("crashed", crashed, ("up",), running=False),
    Scenario("another-model-of-two", one_model_for_another, ("up",), running=True, more=alpha_and_gamma, rarer=4),
    Scenario("rollback", two_releases, ("rollback",), running=True),
    Scenario("rollback-with-data", two_releases_with_data, ("rollback", "--with-data"), running=True),
    Scenario("down", one_release, ("down",), running=True),
    Scenario("purge", one_release, ("down", "--purge"), running=True),
)

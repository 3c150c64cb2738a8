"""Every machine × profile × target: planned, applied and planned again, to nothing left to do."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import cast

import pytest

from provisioner import catalog
from provisioner.model.actions import Activate, LinkFile
from provisioner.model.facts import HostFacts
from provisioner.model.plan import Plan, WeightFile
from provisioner.model.plugins import Place, Target, Vendor
from provisioner.model.progress import Silent
from provisioner.model.release import Release, Step
from provisioner.model.spec import Spec
from provisioner.model.weights import LocalFile, Shelf
from provisioner.phases.gather import gather
from provisioner.phases.prepare import Ground, beside_engines, ground
from provisioner.phases.roll_out import roll_out
from provisioner.planning import diff
from provisioner.planning.asked.shorthand import machine_from_text
from provisioner.planning.plan import make_plan
from provisioner.world.machine import RecordedMachine
from tests.simulation.world import SimulatedWorld
from tests.splitting import names
from tests.unit.planning.samples import local as file_of

BOOKS = catalog.load_catalog()
TARGETS = cast(Mapping[str, Target], catalog.scan("provisioner.targets", "TARGET"))
PLACE = Place(state="/state", python="/usr/bin/python3", unit_folder="/etc/systemd/system", user_manager=False)
MACHINES = Path(__file__).parents[1] / "machines"
SHORTHANDS = (
    "2 cores, 4 GiB", "8 cores, 16 GiB", "2 sockets, 64 cores, 512 GiB", "1x RTX 4090, 16 cores, 64 GiB",
    "1x H100 SXM, 2 sockets, 96 cores, 1024 GiB", "8x RTX 4090, 2 sockets, 128 cores, 512 GiB",
)  # fmt: skip
FITTING_PAIRS = 112
"""Of machine × profile, when this was written."""
PROFILES = ("demo", "lite", "basic", "plus", "standard", "pro", "flagship", "auto")


class Notes:
    """A journal in memory."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, str, str]] = []

    def note(self, run: int, step: int, action: str, result: str, seconds: float | None = None) -> None:
        self.lines.append((step, action, result))


def machines() -> list[str]:
    recorded = (
        sorted(entry.name for entry in MACHINES.iterdir() if entry.suffix == ".json") if MACHINES.is_dir() else []
    )
    return [*recorded, *SHORTHANDS]


def facts_of(name: str) -> HostFacts:
    if not name.endswith(".json"):
        return machine_from_text(name, BOOKS)
    vendors = cast(Mapping[str, Vendor], catalog.scan("provisioner.accelerators", "VENDOR"))
    return gather(RecordedMachine(str(MACHINES / name)), vendors)


def look(
    spec: Spec, facts: HostFacts, world: SimulatedWorld, in_force: Plan | None = None, local: tuple[LocalFile, ...] = ()
) -> Ground:
    """As `prepare.look` does, on a machine in memory: a weight that was taken in is known by its hash from then on."""
    stored = {blob: PLACE.blob(blob) for blob in world.blobs}
    merged = {parts: whole for parts, whole in world.merged.items() if whole in stored}
    shelf = Shelf(local=local, stored=stored, offered=offers(plan_files(spec, facts), world), merged=merged)
    plan = make_plan(spec, facts, BOOKS, shelf, PLACE, in_force)
    return ground(beside_engines(plan, spec, PLACE, facts), facts, world.survey(), (), PLACE)


def plan_files(spec: Spec, facts: HostFacts) -> Plan:
    return make_plan(spec, facts, BOOKS, Shelf(), PLACE)


def offers(plan: Plan, world: SimulatedWorld) -> tuple:  # type: ignore[type-arg]
    """What a hub would say of the files that the plan names: their hash, once they were fetched."""
    from dataclasses import replace

    files = plan.weights
    single = (file for file in files if file.origin.startswith("hub:") and not file.origin.endswith("/"))
    known = ((file, world._hash(file)) for file in single)
    found = tuple(replace(file, sha256=sha256) for file, sha256 in known if sha256 in world.blobs)
    return (*found, *(one for file in files if file.origin in world.listed for one in listing(file)))


def listing(file: WeightFile) -> tuple[WeightFile, ...]:
    """What a hub says of a repository once it was asked."""
    sizes = {"config.json": 1000, "model.safetensors": file.size_bytes, "tokenizer.json": 5000}
    return tuple(
        WeightFile(name, size, sha256(f"{file.origin}{name}".encode()).hexdigest(), f"{file.origin}{name}")
        for name, size in sizes.items()
    )


def ask(plan: Plan, world: SimulatedWorld) -> None:
    """As `bring.name_offers` does, before anything is fetched."""
    world.listed |= {file.origin for file in plan.weights if file.origin.endswith("/")}


def apply(wanted: Ground, world: SimulatedWorld) -> tuple[Step, ...]:
    return roll_out(wanted.actions, world, Notes(), 1, (), Silent())


def is_whole(plan: Plan) -> bool:
    """Whether each image is known by name, and the weights are published."""
    files = plan.weights
    return all(service.image for service in plan.services) and not any(
        file.origin.startswith("convert:") for file in files
    )


@pytest.mark.parametrize("target", sorted(TARGETS))
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("machine", machines())
def test_applied_and_planned_again_there_is_nothing_to_do(machine: str, profile: str, target: str) -> None:
    world, spec, facts = SimulatedWorld(PLACE), Spec(profile=profile, target=target), facts_of(machine)
    wanted = look(spec, facts, world)
    if wanted.plan.verdict == "refused":
        assert wanted.actions == ()
        assert wanted.plan.binding
        return
    if any(one.id == "planned-only" for one in wanted.plan.findings):
        assert wanted.actions == ()
        return
    if target == "docker" and not is_whole(wanted.plan):
        assert wanted.actions == ()
        return
    for _ in range(3):
        if wanted.fetches:
            ask(wanted.plan, world)
            wanted = look(spec, facts, world)
            roll_out(wanted.fetches, world, Notes(), 1, (), Silent())
            wanted = look(spec, facts, world)
    assert wanted.fetches == ()
    assert wanted.release is not None
    apply(wanted, world)
    again = look(spec, facts, world)
    assert again.actions == (), f"still to do on {machine}: {[str(action) for action in again.actions]}"
    assert again.release is not None
    assert again.release.digest == wanted.release.digest == world.current
    assert {one.digest for one in world.running.values()} == {world.current}


def test_pairs_that_fit_do_not_sink_unnoticed() -> None:
    """Refused pairs return early from the test above: were all of them refused, it would pass and say nothing."""
    known = {machine: facts_of(machine) for machine in machines()}
    fit = [
        (machine, profile)
        for machine in known for profile in PROFILES
        if plan_files(Spec(profile=profile), known[machine]).verdict != "refused"
    ]  # fmt: skip
    assert len(fit) >= FITTING_PAIRS, fit


def standing_release(spec: Spec, world: SimulatedWorld, facts: HostFacts) -> Release:
    wanted = look(spec, facts, world)
    apply(wanted, world)
    assert wanted.release is not None
    return wanted.release


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_a_changed_spec_replaces_the_release_and_the_old_one_can_be_put_back(target: str) -> None:
    world, facts = SimulatedWorld(PLACE), facts_of("8 cores, 16 GiB")
    first = standing_release(Spec("demo", target=target), world, facts)
    second = standing_release(Spec("demo", target=target, concurrency=1), world, facts)
    assert first.digest != second.digest
    assert {one.digest for one in world.running.values()} == {second.digest}
    roll_out(
        (*diff.puts(world.survey(), first, TARGETS, PLACE), Activate(first.digest)), world, Notes(), 2, (), Silent()
    )
    assert world.current == first.digest
    assert {one.digest for one in world.running.values()} == {first.digest}


@pytest.mark.parametrize(("before", "after"), [("process", "systemd"), ("systemd", "process")])
def test_another_target_takes_over_without_leaving_anything_of_the_first(before: str, after: str) -> None:
    world, facts = SimulatedWorld(PLACE), facts_of("8 cores, 16 GiB")
    standing_release(Spec("demo", target=before), world, facts)
    standing_release(Spec("demo", target=after), world, facts)
    assert {one.target for one in world.running.values()} == {after}
    assert bool(world.units) == (after == "systemd")
    assert look(Spec("demo", target=after), facts, world).actions == ()


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_down_leaves_the_weights_and_purge_leaves_nothing(target: str) -> None:
    world, facts = SimulatedWorld(PLACE), facts_of("8 cores, 16 GiB")
    standing_release(Spec("demo", target=target), world, facts)
    gone = diff.takes_down(world.survey(), TARGETS, PLACE, diff.MADE, active=True)
    roll_out(gone, world, Notes(), 2, (), Silent())
    assert (world.current, world.running, world.releases, world.keys, world.units) == (None, {}, {}, set(), {})
    assert (world.read, world.enabled) == ({}, set())
    assert world.blobs
    assert diff.takes_down(world.survey(), TARGETS, PLACE, diff.MADE, active=False) == ()
    roll_out(
        diff.takes_down(world.survey(), TARGETS, PLACE, (*diff.MADE, *diff.BROUGHT), active=False),
        world,
        Notes(),
        3,
        (),
        Silent(),
    )
    assert not world.blobs
    assert not world.links


def test_a_service_that_died_is_started_again_and_nothing_else_is_done() -> None:
    world, facts = SimulatedWorld(PLACE), facts_of("8 cores, 16 GiB")
    standing_release(Spec("demo"), world, facts)
    world.crash("llm")
    assert [type(action).__name__ for action in look(Spec("demo"), facts, world).actions] == ["StartProcess"]


UNIT = "provision-llm.service"


def test_a_unit_edited_by_hand_is_restored_and_in_force() -> None:
    world, facts, spec = SimulatedWorld(PLACE), facts_of("8 cores, 16 GiB"), Spec("demo", target="systemd")
    standing_release(spec, world, facts)
    ours, before = world.units[UNIT], {*world.running}
    world.edit(UNIT, ours.replace("LimitNOFILE=", "LimitNOFILE=1"))
    told = [str(action) for action in look(spec, facts, world).actions]
    assert any(UNIT in line and line.startswith("install") for line in told)
    apply(look(spec, facts, world), world)
    assert world.units[UNIT] == world.read[UNIT] == ours
    assert before.isdisjoint(world.running)
    assert look(spec, facts, world).actions == ()


def test_a_service_that_would_not_start_with_the_machine_is_enabled_and_left_running() -> None:
    world, facts, spec = SimulatedWorld(PLACE), facts_of("8 cores, 16 GiB"), Spec("demo", target="systemd")
    standing_release(spec, world, facts)
    world.enabled.clear()
    assert [str(action) for action in look(spec, facts, world).actions] == [f"systemctl enable {UNIT}"]
    apply(look(spec, facts, world), world)
    assert look(spec, facts, world).actions == ()


@pytest.mark.parametrize("mishap", ["lose", "fail"])
def test_down_leaves_nothing_to_systemd_whatever_became_of_the_unit(mishap: str) -> None:
    world, facts = SimulatedWorld(PLACE), facts_of("8 cores, 16 GiB")
    standing_release(Spec("demo", target="systemd"), world, facts)
    world.lose(UNIT) if mishap == "lose" else world.fail("llm")
    gone = diff.takes_down(world.survey(), TARGETS, PLACE, diff.MADE, active=True)
    roll_out(gone, world, Notes(), 2, (), Silent())
    assert (world.running, world.units, world.read, world.enabled, world.failed) == ({}, {}, {}, set(), set())
    assert diff.takes_down(world.survey(), TARGETS, PLACE, diff.MADE, active=False) == ()


def test_links_point_at_blobs_that_are_there() -> None:
    world, facts = SimulatedWorld(PLACE), facts_of("8 cores, 16 GiB")
    wanted = look(Spec("demo"), facts, world)
    links = [action for action in wanted.actions if isinstance(action, LinkFile)]
    assert links
    assert len(links) == len(wanted.plan.model.files if wanted.plan.model else ())


@pytest.mark.parametrize("cut", range(12))
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_cut_off_after_any_effect_the_next_run_ends_in_the_new_state(target: str, cut: int) -> None:
    world, facts = SimulatedWorld(PLACE), facts_of("8 cores, 16 GiB")
    standing_release(Spec("demo", target=target), world, facts)
    spec = Spec("demo", target=target, concurrency=1)
    roll_out(look(spec, facts, world).actions[:cut], world, Notes(), 2, (), Silent())
    wanted = look(spec, facts, world)
    apply(wanted, world)
    assert wanted.release is not None
    assert look(spec, facts, world).actions == ()
    assert {one.digest for one in world.running.values()} == {wanted.release.digest}


SMALL = ("qwen3-0.6b", "qwen3-1.7b", "qwen3-4b")
"""Models that a host without a card serves beside each other."""


def settled(spec: Spec, facts: HostFacts, world: SimulatedWorld, in_force: Plan | None = None) -> Plan:
    """Brought up: their weights fetched, their release in force, and nothing left to do."""
    roll_out(look(spec, facts, world, in_force).fetches, world, Notes(), 1, (), Silent())
    wanted = look(spec, facts, world, in_force)
    apply(wanted, world)
    assert look(spec, facts, world, wanted.plan).actions == ()
    return wanted.plan


def serving(world: SimulatedWorld) -> dict[str, int]:
    return {one.service: pid for pid, one in world.running.items()}


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_several_models_are_one_release(target: str) -> None:
    world, facts = SimulatedWorld(PLACE), facts_of("8 cores, 32 GiB")
    plan = settled(Spec(models=SMALL[:2], target=target), facts, world)
    assert {one.name for one in plan.services} <= set(serving(world))
    assert {one.digest for one in world.running.values()} == {world.current}
    assert len({service.port for service in plan.services}) == 2
    held = {service.model_folder for service in plan.services}
    assert {path.rpartition("/")[0] for path in world.links} == held


BESIDE = {"docker": ("gateway", "webui"), "process": ()}
"""What knows nothing of the models, or is told of them while it runs."""


@pytest.mark.parametrize("target", sorted(BESIDE))
def test_who_adds_a_model_or_takes_one_away_leaves_the_others_running(target: str) -> None:
    world, facts = SimulatedWorld(PLACE), facts_of("8 cores, 32 GiB")
    two = settled(Spec(models=SMALL[:2], target=target), facts, world)
    before = serving(world)
    three = settled(Spec(models=SMALL, target=target), facts, world, two)
    after = serving(world)
    beside = BESIDE[target]
    kept = (*(service.name for service in two.services), *beside)
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    settled(Spec(models=(SMALL[0], SMALL[2]), target=target), facts, world, three)
    last = serving(world)
    kept = (three.services[0].name, three.services[2].name, *beside)
    assert {name: last[name] for name in kept} == {name: after[name] for name in kept}
    assert three.services[1].name not in last
    assert {one.digest for one in world.running.values()} == {world.current}


PARTS = [f"/data/{name}" for name in names("mine", 3)]


def parts_of(world: SimulatedWorld) -> tuple[LocalFile, ...]:
    """A model in parts on this machine; the hash of each is known once it was taken in."""
    files = [file_of(path, 1 << 30, shard=at, shards=3) for at, path in enumerate(PARTS)]
    known = (world._hash(WeightFile(path.rpartition("/")[2], 1, None, path)) for path in PARTS)
    named = zip(files, known, strict=True)
    return tuple(
        LocalFile(file.path, file.size_bytes, hashed if hashed in world.blobs else None, file.header)
        for file, hashed in named
    )


@pytest.mark.parametrize("cut", range(5))
def test_a_model_in_parts_is_merged_once_for_an_engine_that_takes_none(cut: int) -> None:
    """Cut off after any part, the next run goes on; without its parts the whole is enough."""
    world, facts, spec = SimulatedWorld(PLACE), facts_of("16 cores, 64 GiB"), Spec(model=PARTS[0], engine="ollama")
    roll_out(look(spec, facts, world, local=parts_of(world)).fetches[:cut], world, Notes(), 1, (), Silent())
    roll_out(look(spec, facts, world, local=parts_of(world)).fetches, world, Notes(), 2, (), Silent())
    wanted = look(spec, facts, world, local=parts_of(world))
    assert wanted.fetches == ()
    apply(wanted, world)
    merges = [line for line in world.done if line.startswith("llama-gguf-split --merge ")]
    assert len(merges) == 1
    whole = world._hash(WeightFile("mine.gguf", 1, None, ""))
    assert world.links == {f"{PLACE.state}/models/{whole[:16]}/mine.gguf"}
    known = parts_of(world)
    assert look(spec, facts, world, local=known).actions == ()
    world.blobs = {whole}
    assert look(spec, facts, world, local=known).actions == (), "nobody asks for the parts again"

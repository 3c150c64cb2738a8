"""The rules that are checked before anything is done: each fires on its case, and stays silent on a sound machine."""

from collections.abc import Mapping
from typing import cast

import pytest

from provisioner.catalog import scan
from provisioner.model.containers import Container, Published
from provisioner.model.facts import Accelerator, ContainerEngine, Filesystem, HostFacts, PciDevice, Unknown
from provisioner.model.plan import Finding, WeightFile
from provisioner.model.plugins import Check, ServiceManager, View
from provisioner.model.record import fields, replace
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from tests.unit.planning.samples import GIB, PLACE, altered, local, machine, plan, with_backends, with_limits

CHECKS = cast(Mapping[str, Check], scan("provisioner.checks", "CHECK"))
BEFORE = sorted(name for name, check in CHECKS.items() if check.stage == "before")
NOW = 1_795_000_000
LITE = Spec(profile="lite")
LITE_NAME = "DeepSeek-R1-Distill-Qwen-1.5B-Q4_K_M.gguf"


def sound(facts: HostFacts | None = None) -> HostFacts:
    facts = facts or machine("8 cores, 32 GiB")
    return replace(facts, software=replace(facts.software, clock_unix=NOW, clock_synchronised=True))


def view(
    facts: HostFacts, spec: Spec = LITE, shelf: Shelf | None = None, taken: Mapping[int, str] | None = None
) -> View:
    return View(plan(facts, spec, shelf), facts, None, taken or {}, PLACE.state)


def findings(name: str, seen: View) -> list[Finding]:
    return list(CHECKS[name].run(seen))


def disk(free: int, mount: str = "/", **changes: object) -> Filesystem:
    return altered(Filesystem(mount, "/dev/vda1", "ext4", 100 * GIB, free, 1_000_000, read_only=False), changes)


def card(facts: HostFacts) -> Accelerator:
    found = facts.accelerators["nvidia"]
    assert not isinstance(found, Unknown)
    return found[0]


def with_card(**changes: object) -> HostFacts:
    facts = sound(with_backends(machine("1x RTX 4090, 64 GiB"), "cpu", "cuda"))
    return replace(facts, accelerators={"nvidia": (altered(card(facts), changes),)})


@pytest.mark.parametrize("name", BEFORE)
def test_a_sound_machine_has_no_findings(name: str) -> None:
    assert findings(name, view(sound())) == []
    assert findings(name, view(with_card(persistence=True, row_remap="ok", ecc_errors=0))) == []


@pytest.mark.parametrize("name", BEFORE)
def test_nothing_unknown_makes_a_check_raise(name: str) -> None:
    facts = machine("1x RTX 4090, 64 GiB")
    unknown = Unknown("it could not be asked")
    blank = {
        one.name: unknown for one in fields(facts) if one.name not in ("software", "sources", "assumed", "accelerators")
    }
    software = {one.name: unknown for one in fields(facts.software) if one.name != "systemd_user"}
    blind = altered(
        facts, {**blank, "accelerators": {"nvidia": unknown}, "software": altered(facts.software, software)}
    )
    assert not [one for one in findings(name, view(blind, Spec(profile="demo"))) if one.level == "error"]


def test_too_little_disk_for_weights_and_runtime() -> None:
    (found,) = findings("disk_space", view(replace(sound(), filesystems=(disk(1 * GIB),))))
    assert found.level == "error"
    assert "1.1 GiB of weights and 0.5 GiB for the runtime" in found.message
    assert found.fix


def test_weights_on_the_same_file_system_take_no_space() -> None:
    shelf = Shelf(local=(local(f"/data/{LITE_NAME}", GIB),))
    same = replace(sound(), filesystems=(disk(1 * GIB),))
    assert findings("disk_space", view(same, LITE, shelf)) == []
    apart = replace(sound(), filesystems=(disk(1 * GIB), disk(50 * GIB, "/data")))
    assert [one.level for one in findings("disk_space", view(apart, LITE, shelf))] == ["error"]
    stored = Shelf(local=(local(f"{PLACE.state}/models/abc/{LITE_NAME}", GIB, "ab" * 32),))
    assert findings("disk_space", view(apart, LITE, stored)) == []


def test_parts_and_what_is_merged_of_them_both_take_space() -> None:
    parts = tuple(WeightFile(f"m-0000{number}-of-00002.gguf", GIB, None, f"hub:h/a/b/{number}") for number in (1, 2))
    seen = view(replace(sound(), filesystems=(disk(4 * GIB),)))
    assert seen.plan.model is not None
    whole = WeightFile("m.gguf", 2 * GIB, None, "merged:x", parts)
    seen = replace(seen, plan=replace(seen.plan, model=replace(seen.plan.model, files=(whole,))))
    (found,) = findings("disk_space", seen)
    assert "4.0 GiB of weights" in found.message
    assert findings("disk_space", replace(seen, spare_bytes=GIB)) == [], "half-made files give theirs back"


def engine_at(root: str, *disks: Filesystem) -> HostFacts:
    engine = ContainerEngine("28.0", "1.47", (), False, "systemd", "overlay2", root, False)
    facts = replace(sound(), filesystems=disks)
    return replace(facts, software=replace(facts.software, docker=engine))


def test_images_take_space_where_the_container_engine_keeps_them() -> None:
    apart = view(engine_at("/var/lib/docker", disk(5 * GIB), disk(3 * GIB, "/var/lib/docker")))
    assert findings("disk_space", apart) == []
    assert findings("disk_space", replace(apart, image_bytes=3 * GIB)) == []
    (found,) = findings("disk_space", replace(apart, image_bytes=4 * GIB))
    assert (found.level, "4.0 GiB are needed for images" in found.message) == ("error", True)
    same = view(engine_at("/var/lib/docker", disk(5 * GIB)))
    assert findings("disk_space", replace(same, image_bytes=3 * GIB)) == []
    (found,) = findings("disk_space", replace(same, image_bytes=4 * GIB))
    assert "4.0 GiB of images" in found.message


def test_few_inodes_are_a_warning() -> None:
    facts = replace(sound(), filesystems=(disk(50 * GIB, free_inodes=12),))
    assert [one.level for one in findings("disk_space", view(facts))] == ["warning"]


def test_memory_that_went_away_since_the_plan() -> None:
    before = view(sound())
    later = machine("8 cores, 1 GiB")
    (found,) = findings("memory_free", replace(before, facts=later))
    assert found.level == "error"


def test_a_limit_below_the_need_is_an_error() -> None:
    spec = Spec(profile="lite", settings={"memory_max_bytes": "1000000"})
    (found,) = findings("memory_free", view(sound(), spec))
    assert "--set memory_max_bytes=" in found.fix


def test_a_taken_port_names_its_owner() -> None:
    (found,) = findings("ports_free", view(sound(), taken={8000: "nginx (process 812)"}))
    assert found.message == "port 8000 is taken by nginx (process 812)"
    assert findings("ports_free", view(sound(), taken={8080: "nginx"})) == []


def test_so_does_one_of_what_stands_beside_the_engines() -> None:
    door = Container("gateway", "gateway", "nginx", published=(Published("127.0.0.1", 8443, 8443),))
    other = Container("prometheus", "prometheus", "p", published=(Published("127.0.0.1", 8443, 9090),))
    seen = view(sound(), taken={8443: "nginx (process 812)"})
    (found,) = findings("ports_free", replace(seen, plan=replace(seen.plan, beside=(door,))))
    assert (found.message, "--listen" in found.fix) == ("port 8443 is taken by nginx (process 812)", True)
    both = findings("ports_free", replace(seen, ports_taken={}, plan=replace(seen.plan, beside=(door, other))))
    assert [one.message for one in both] == ["2 services want port 8443: gateway, prometheus"]
    led = replace(door, published=(Published("127.0.0.1", seen.plan.services[0].port, 9200, "llm"),))
    assert findings("ports_free", replace(seen, ports_taken={}, plan=replace(seen.plan, beside=(led,)))) == []


def test_a_low_limit_of_open_files() -> None:
    facts = with_limits(sound())
    limits = facts.limits
    assert not isinstance(limits, Unknown)
    low = replace(facts, limits=replace(limits, open_files=256))
    (found,) = findings("open_files", view(low))
    assert (found.level, "ulimit -n 1024" in found.fix) == ("error", True)


def test_a_clock_before_this_program_is_an_error_only_where_something_is_downloaded() -> None:
    facts = sound()
    wrong = replace(facts, software=replace(facts.software, clock_unix=0))
    assert [one.level for one in findings("clock", view(wrong))] == ["error"]
    assert [one.level for one in findings("clock", view(wrong, Spec(profile="demo")))] == ["warning"]


def test_a_clock_that_nobody_keeps_in_step_is_a_warning() -> None:
    facts = sound()
    loose = replace(facts, software=replace(facts.software, clock_synchronised=False))
    assert [one.level for one in findings("clock", view(loose))] == ["warning"]


@pytest.mark.parametrize(
    ("home", "level"),
    [(disk(50 * GIB, read_only=True), "error"), (disk(50 * GIB, type="tmpfs"), "warning")],
)
def test_a_state_folder_that_cannot_be_written_or_does_not_last(home: Filesystem, level: str) -> None:
    assert [one.level for one in findings("state_writable", view(replace(sound(), filesystems=(home,))))] == [level]


def pci(device: str = "2684", kind: str = "0300") -> PciDevice:
    return PciDevice(
        "0000:01:00.0", "10de", device, kind, "NVIDIA", "GeForce RTX 4090", None, None, None, None, None, None
    )


def test_a_card_on_the_bus_without_a_driver_is_told() -> None:
    reason = Unknown("NVML: libnvidia-ml.so.1 was not found")
    facts = replace(sound(), pci=(pci(),), accelerators={"nvidia": reason})
    (found,) = findings("driver_present", view(facts, Spec(profile="demo")))
    assert found.level == "warning"
    assert "GeForce RTX 4090" in found.message
    assert "libnvidia-ml" in found.message


def test_a_bridge_of_nvidias_is_no_card() -> None:
    assert findings("driver_present", view(replace(sound(), pci=(pci(kind="0680"),)))) == []


def test_fewer_cards_than_the_bus_shows() -> None:
    facts = replace(with_card(), pci=(pci(), pci()))
    (found,) = findings("driver_present", view(facts))
    assert (found.level, "2 NVIDIA devices" in found.message) == ("warning", True)


def test_persistence_mode_off_is_told_more_loudly_for_a_card_in_use() -> None:
    assert [one.level for one in findings("persistence_mode", view(with_card(persistence=False)))] == ["warning"]
    unused = view(with_card(persistence=False), Spec(profile="demo"))
    assert [one.level for one in findings("persistence_mode", unused)] == ["note"]


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({"row_remap": "failed: replace the card"}, "error"),
        ({"row_remap": "pending: reset the card"}, "warning"),
        ({"ecc_errors": 3}, "warning"),
    ],
)
def test_a_card_with_memory_errors(changes: dict[str, object], level: str) -> None:
    assert [one.level for one in findings("device_health", view(with_card(**changes)))] == [level]
    unused = view(with_card(**changes), Spec(profile="demo"))
    assert [one.level for one in findings("device_health", unused)] == ["warning"]


@pytest.mark.parametrize("name", BEFORE)
def test_a_check_names_itself_in_its_findings(name: str) -> None:
    seen = view(replace(sound(), filesystems=(disk(1, read_only=True),)), taken={8000: "x"})
    assert all(one.id == name and one.message and one.fix for one in findings(name, seen))


def test_a_refused_plan_is_checked_as_well() -> None:
    seen = view(replace(sound(machine("2 cores, 1 GiB")), filesystems=(disk(1),)))
    assert seen.plan.verdict == "refused"
    assert [one.level for name in BEFORE for one in findings(name, seen)] == ["error"]
    assert isinstance(seen.plan.model.files[0] if seen.plan.model else None, WeightFile)


def test_systemd_is_asked_for_where_it_does_not_run() -> None:
    facts, spec = sound(), Spec(profile="demo", target="systemd")
    without = replace(facts, software=replace(facts.software, systemd=None))
    assert [one.level for one in findings("service_manager", view(without, spec))] == ["error"]
    assert [one.level for one in findings("service_manager", view(facts, spec))] == ["warning"]
    running = replace(facts, software=replace(facts.software, systemd="running"))
    assert findings("service_manager", view(running, spec)) == []


def under_systemd(**changes: object) -> View:
    """A plan for systemd on a machine that systemd runs, for a user who may leave services running."""
    facts = sound()
    facts = replace(facts, software=replace(facts.software, systemd="running"))
    found = ServiceManager("ada", answers=True, lingers=True, folder="/units", writable=True, others=())
    return replace(view(facts, Spec(profile="lite", target="systemd")), service_manager=altered(found, changes))


@pytest.mark.parametrize(
    ("changes", "words", "fix"),
    [
        ({"lingers": False, "answers": False}, "log-out", "loginctl enable-linger ada"),
        ({"answers": False}, "does not run", "loginctl enable-linger ada"),
        ({"writable": False}, "/units: no unit can be written", "--target process"),
        ({"others": ("provision-llm.service",)}, "/units/provision-llm.service", "move the file away"),
        ({"others": ("provision.slice",)}, "/units/provision.slice", "move the file away"),
    ],
)
def test_a_service_manager_that_would_not_do(changes: dict[str, object], words: str, fix: str) -> None:
    (finding,) = findings("service_manager", under_systemd(**changes))
    assert finding.level == "error"
    assert words in finding.message
    assert fix in finding.fix


def test_a_service_manager_that_does() -> None:
    assert findings("service_manager", under_systemd()) == []
    assert findings("service_manager", under_systemd(others=("provision-other.service",))) == []


def test_processors_that_are_not_there_are_named() -> None:
    bound = Spec(profile="lite", settings={"cpus": "2-3,99"})
    (found,) = findings("cpus_there", view(sound(), bound))
    assert found.level == "error"
    assert "99" in found.message
    assert "--set cpus=0-7" in found.fix
    assert findings("cpus_there", view(sound(), Spec(profile="lite", settings={"cpus": "0-7"}))) == []


def test_copies_of_a_model_share_what_it_needs_of_the_host() -> None:
    """Each is held to its own part, which is enough for it; a limit that was set by name still is not."""
    seen = view(sound(machine("2x RTX 4090, 32 cores, 128 GiB")), Spec(profile="basic", precision="bf16"))
    assert len(seen.plan.services) == 2
    assert findings("memory_free", seen) == []
    tight = {"memory_max_bytes": str(4 * GIB)}
    held = view(
        sound(machine("2x RTX 4090, 32 cores, 128 GiB")), Spec(profile="basic", precision="bf16", settings=tight)
    )
    assert [one.fix for one in findings("memory_free", held)] == [
        f"`--set memory_max_bytes={6 * GIB}` or more, or leave it out"
    ] * 2


DOCKER = ContainerEngine("28.5.1", "1.51", ("runc",), rootless=False, cgroup_driver="systemd", storage_driver="overlay2", root="/var/lib/docker")  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "words", "fix"),
    [
        (None, "no Docker Engine runs here", "provision up --prepare"),
        (Unknown("/var/run/docker.sock: Permission denied"), "cannot be asked: /var/run/docker.sock", "group `docker`"),
        (replace(DOCKER, version="4.3.1", podman=True), "Podman 4.3.1 answers at Docker's socket", "--target process"),
        (replace(DOCKER, rootless=True), "runs without root", "--target process"),
        (replace(DOCKER, version="19.03.15", api_version="1.40"), "19.03.15 is too old", "provision prepare"),
    ],
)
def test_a_container_engine_that_would_not_do(engine: ContainerEngine | Unknown | None, words: str, fix: str) -> None:
    facts = sound()
    facts = replace(facts, software=replace(facts.software, docker=engine))
    (found,) = findings("docker_ready", view(facts, Spec(profile="lite", target="docker")))
    assert (found.level, words in found.message, fix in found.fix) == ("error", True, True), found
    assert findings("docker_ready", view(facts)) == []


def test_a_container_engine_that_will_do_or_was_not_told_of() -> None:
    for engine in (DOCKER, Unknown("not stated in the description of the machine")):
        facts = replace(sound(), software=replace(sound().software, docker=engine))
        assert findings("docker_ready", view(facts, Spec(profile="lite", target="docker"))) == []

"""Plans for Macs as they were detected: what is free and what the system lets the GPU have decide, and nothing of Linux is in them."""

import json
from pathlib import Path

import pytest

from provisioner.accelerators.apple import CHIP
from provisioner.errors import Refused
from provisioner.model.facts import HostFacts
from provisioner.model.plan import Plan
from provisioner.model.release import Standing
from provisioner.model.spec import Spec
from provisioner.phases.gather import gather
from provisioner.phases.prepare import ground, insist, insist_on_linux
from provisioner.planning.document import plan_document
from provisioner.world.machine import RecordedMachine
from tests.machines import macos, macs
from tests.unit.facts.test_macos import NAMES, facts_of
from tests.unit.planning.samples import PLACE, machine, plan
from tests.unit.planning.test_apple import budget
from tests.unit.world.test_machine import VENDORS

GIB = 1 << 30
NOTHING = Standing(None, (), frozenset(), frozenset(), frozenset(), frozenset(), frozenset(), ())
OF_LINUX = ("/proc", "/sys/", "--numa", "numactl", "systemctl", "taskset", "docker", "nvidia", "cgroup")


def mac(tmp_path: Path, dump: str, gib: int, held: int, limit: int = 0) -> HostFacts:
    """A Mac of which so much is held, read as it would be recorded."""
    place = tmp_path / "mac.json"
    place.write_text(json.dumps(macs.machine(macs.tools(dump, macs.vm_stat(gib, held), limit=limit))), encoding="utf-8")
    return gather(RecordedMachine(str(place)), VENDORS)


def auto(facts: HostFacts, profile: str = "auto", engine: str | None = None, target: str | None = None) -> Plan:
    return plan(facts, Spec(profile=profile, engine=engine, target=target))


@pytest.mark.parametrize(
    ("name", "tier", "weights_on"),
    [
        ("apple-m1-16g", "lite", "apple:0"),
        ("apple-m4-max-64g", "standard", "apple:0"),
        ("apple-m3-ultra-512g", "flagship", "apple:0"),
        ("apple-intel-32g", "lite", "host"),
    ],
)
def test_auto_takes_what_fits_and_is_fast_enough(name: str, tier: str, weights_on: str) -> None:
    one = auto(facts_of(name))
    assert (one.verdict, one.profile, one.engine, one.target) == ("fits", tier, "llamacpp", "process")
    assert one.memory is not None
    (part,) = [part for part in one.memory.per_device if part.weights_bytes]
    assert part.device == weights_on


def test_sixteen_gigabytes_hold_7b_when_little_else_runs(tmp_path: Path) -> None:
    busy, idle = auto(facts_of("apple-m1-16g")), auto(mac(tmp_path, macos.M1, 16, 3))
    assert (busy.profile, idle.profile) == ("lite", "basic")
    assert budget(busy, "apple:0") < 3 < 9 < budget(idle, "apple:0") < 16 * 2 / 3


def test_the_limit_that_the_owner_set_is_planned_with(tmp_path: Path) -> None:
    """`sudo sysctl iogpu.wired_limit_mb=57344` on 64 GB: 70B in five bits fits then, and did not before."""
    spec = Spec(profile="pro", precision="q5_k_m", context=8192, concurrency=1)
    usual, raised = (plan(mac(tmp_path, macos.M4_MAX, 64, 4, limit), spec) for limit in (0, 57344))
    assert (usual.verdict, raised.verdict) == ("refused", "fits")
    assert 47 < budget(raised, "apple:0") < 56


@pytest.mark.parametrize("engine", ["llamacpp", "ollama", "lmstudio"])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_linux_is_in_a_plan(name: str, engine: str) -> None:
    one = auto(facts_of(name), engine=engine, profile="lite")
    assert (one.verdict, one.target) == ("fits", "process"), one.binding
    started = json.dumps(plan_document(one, ())["services"])
    assert [word for word in OF_LINUX if word in started] == []
    (service,) = one.services
    assert (service.image, service.cpus, service.numa_nodes) == (None, None, None)


def test_the_fast_cores_alone_compute(tmp_path: Path) -> None:
    """Also where they are called super: the slow ones of an M5 would hold them up."""
    for facts in (facts_of("apple-m1-16g"), mac(tmp_path, macos.M5, 24, 4)):
        known = {decision.subject: decision.choice for decision in auto(facts, profile="lite").decisions}
        assert known["threads"] == "4"


@pytest.mark.parametrize("name", NAMES)
def test_up_refuses_before_anything_is_changed(name: str) -> None:
    """An Intel Mac, too, which has no device that tells the system."""
    facts = facts_of(name)
    one = auto(facts, profile="lite")
    assert ground(one, facts, NOTHING, (), PLACE).actions == ()
    with pytest.raises(Refused, match="this version starts nothing on macOS") as refused:
        insist(one)
    assert "by hand" in refused.value.fix


@pytest.mark.parametrize("name", NAMES)
def test_no_folder_is_rendered_that_nothing_could_start(name: str) -> None:
    facts = facts_of(name)
    with pytest.raises(Refused, match="nothing is rendered for macOS"):
        insist_on_linux(auto(facts, profile="lite"), facts)
    insist_on_linux(auto(machine("8 cores, 16 GiB")), machine("8 cores, 16 GiB"))


@pytest.mark.parametrize("target", ["docker", "systemd"])
def test_other_targets_are_refused_on_an_intel_mac(target: str) -> None:
    one = auto(facts_of("apple-intel-32g"), profile="lite", target=target)
    assert one.verdict == "refused"
    assert "(macOS) has target `process` alone" in one.binding


def test_the_disk_is_counted() -> None:
    from provisioner.phases.prepare import checked

    facts = facts_of("apple-m3-ultra-512g")
    found = checked(auto(facts), facts, {}, PLACE).findings
    assert "/ has 153.0 GiB free, and 380.9 GiB are needed" in next(
        one.message for one in found if one.id == "disk_space"
    )
    assert not [one for one in found if one.id in ("clock", "open_files", "state_writable")]


def test_a_chip_that_does_not_tell_is_not_the_same_as_none(tmp_path: Path) -> None:
    """No bus and no driver is spoken of: a Mac shows neither."""
    told = macs.tools(macos.M4_MAX, macs.vm_stat(64, 6)) | {CHIP: {"unknown": "did not answer within 10 s"}}
    (tmp_path / "mac.json").write_text(json.dumps(macs.machine(told)), encoding="utf-8")
    one = auto(gather(RecordedMachine(str(tmp_path / "mac.json")), VENDORS), profile="lite")
    assert one.verdict == "refused"
    assert "macOS does not tell what GPU is there: did not answer within 10 s" in one.binding

"""Engines in containers: which way to their cards, and what is different inside."""

import pytest

from provisioner.model.containers import Grant
from provisioner.model.facts import ContainerEngine, HostFacts
from provisioner.model.plan import Service
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from tests.unit.planning.samples import machine, plan

TWO = "2x RTX 4090, 256 GiB"


def with_docker(facts: HostFacts, version: str, *runtimes: str) -> HostFacts:
    engine = ContainerEngine(version, "1.48", ("runc", *runtimes), rootless=False, cgroup_driver=None, storage_driver=None,
                             root=None)  # fmt: skip
    return replace(facts, software=replace(facts.software, docker=engine))


def services(facts: HostFacts | str, **changes: str) -> tuple[Service, ...]:
    made = plan(facts, Spec(**{"profile": "standard", "engine": "vllm", "target": "docker", **changes}))  # type: ignore[arg-type]
    assert made.verdict == "fits", made.binding
    return made.services


def granted(facts: HostFacts | str, **changes: str) -> Grant:
    grant = services(facts, **changes)[0].grant
    assert grant is not None
    return grant


@pytest.mark.parametrize(
    ("version", "runtimes", "interface"),
    [("28.2.0", (), True), ("28.2.0", ("nvidia",), False), ("27.5.1", (), False), ("20.10.24", ("nvidia",), False)],
)
def test_the_way_to_cards_is_the_one_that_the_container_engine_has(
    version: str, runtimes: tuple[str, ...], interface: bool
) -> None:
    facts = with_docker(machine(TWO), version, *runtimes)
    grant = granted(facts)
    found = facts.accelerators["nvidia"]
    assert isinstance(found, tuple)
    ids = tuple(card.uuid for card in found)
    assert grant.cdi == (tuple(f"nvidia.com/gpu={each}" for each in ids) if interface else ())
    assert (grant.runtime, grant.runtime_ids) == (("", ()) if interface else ("nvidia", ids))


@pytest.mark.parametrize(
    ("hardware", "vendor", "node"),
    [
        ("1x MI300X, 256 GiB", "amd", "/dev/kfd"),
        ("2x 910B3, 256 GiB", "ascend", "/dev/davinci1"),
        ("2x K100-AI, 256 GiB", "hygon", "/dev/mkfd"),
        ("2x P800, 256 GiB", "kunlun", "/dev/xpu0"),
        ("4x Arc Pro B60, 256 GiB", "intel", "/dev/dri"),
    ],
)
def test_each_maker_s_devices_are_named(hardware: str, vendor: str, node: str) -> None:
    grant = granted(hardware, profile="standard")
    assert (grant.vendor, node in grant.nodes, grant.cdi) == (vendor, True, ())


def test_a_process_gets_no_grant() -> None:
    made = plan(TWO, Spec(profile="lite", engine="llamacpp", target="process"))
    assert made.services[0].grant is None
    assert made.services[0].env.get("HOME") is None


def test_llama_cpp_gets_the_cards_that_hold_its_layers() -> None:
    (service,) = services("1x RTX 4090, 64 GiB", profile="lite", engine="llamacpp")
    assert service.grant is not None
    assert service.grant.runtime_ids == service.devices

"""Machines, shelves and plans that several tests of the planner use."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from provisioner.catalog import Catalog, load_catalog
from provisioner.model.facts import Accelerator, HostFacts, Limits, Runtime, Unknown
from provisioner.model.plan import Plan
from provisioner.model.plugins import Place
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.model.weights import GgufHeader, LocalFile, Shelf
from provisioner.planning.asked.shorthand import machine_from_text
from provisioner.planning.plan import make_plan

CATALOG = load_catalog()
PLACE = Place("/var/lib/provision", "/opt/provision/bin/python", "/etc/systemd/system", user_manager=False)
GIB = 1 << 30


T = TypeVar("T")


def altered(value: T, changes: Mapping[str, object]) -> T:
    """`replace` for changes whose names are only known when the test runs."""
    return cast(T, replace(cast(Any, value), **changes))


def machine(text: str) -> HostFacts:
    return machine_from_text(text, CATALOG)


def with_backends(facts: HostFacts, *backends: str) -> HostFacts:
    """The same machine, with an engine whose backends are known and not assumed."""
    runtime = Runtime("/usr/bin/python3", "3.11.2", "2026.10", backends)
    assumed = tuple(name for name in facts.assumed if name != "software.runtime")
    return replace(facts, software=replace(facts.software, runtime=runtime), assumed=assumed)


def with_limits(facts: HostFacts, cpus: float | None = None, memory: int | None = None, used: int = 0) -> HostFacts:
    return replace(facts, limits=Limits(cpus, memory, used, 1024, None, "/provision"))


def broken_driver(facts: HostFacts) -> HostFacts:
    reason = Unknown("NVML: driver/library version mismatch")
    return replace(facts, accelerators={"nvidia": reason}, pci=Unknown("not read"))


def plan(
    facts: HostFacts | str, spec: Spec | None = None, shelf: Shelf | None = None, catalog: Catalog = CATALOG
) -> Plan:
    facts = machine(facts) if isinstance(facts, str) else facts
    return make_plan(spec or Spec(), facts, catalog, shelf or Shelf(), PLACE)


def header(**changes: object) -> GgufHeader:
    values: Mapping[str, object] = {
        "architecture": "llama", "name": "Some Model", "layers": 28, "hidden": 3584, "feed_forward": 18944, "heads": 28,
        "kv_heads": 4, "kv_layers": 28, "key_length": 128, "value_length": 128, "kv_lora_rank": 0, "rope_dimensions": 128,
        "sliding_window": 0, "experts": 0, "experts_used": 0, "context": 32768, "vocab": 152064,
        "quantization": "q4_k_m", "parameters": 7_615_616_512, "shard": 0, "shards": 1, "tensor_bytes": 4_600_000_000,
        "chat_template": None,
    }  # fmt: skip
    return GgufHeader(**{**values, **changes})  # type: ignore[arg-type]


def local(path: str, size: int = 4_680_000_000, sha256: str | None = None, **changes: object) -> LocalFile:
    return LocalFile(path, size, sha256, header(**changes))


def decision(plan: Plan, subject: str) -> str:
    return next(decision.choice for decision in plan.decisions if decision.subject == subject)


def used(plan: Plan, device: str) -> int:
    assert plan.memory is not None
    return next(one.budget_bytes - one.free_bytes for one in plan.memory.per_device if one.device == device)


def with_more_memory(facts: HostFacts, device: str, extra: int) -> HostFacts:
    """The same machine with more memory on the host or on one device, all of it free."""
    if device == "host":
        return _larger_host(facts, extra)
    vendor, _, index = device.partition(":")
    found = facts.accelerators.get(vendor, ())
    if isinstance(found, Unknown):
        return facts
    larger = tuple(_larger(card, extra) if str(card.index) == index else card for card in found)
    return replace(facts, accelerators={**facts.accelerators, vendor: larger})


def _larger_host(facts: HostFacts, extra: int) -> HostFacts:
    memory, limits = facts.memory, facts.limits
    if not isinstance(memory, Unknown):
        memory = replace(memory, total_bytes=memory.total_bytes + extra, available_bytes=memory.available_bytes + extra)
    if not isinstance(limits, Unknown) and limits.memory_bytes is not None:
        limits = replace(limits, memory_bytes=limits.memory_bytes + extra)
    return replace(facts, memory=memory, limits=limits)


def _larger(card: Accelerator, extra: int) -> Accelerator:
    total, free = card.memory_bytes, card.free_bytes
    return replace(
        card,
        memory_bytes=total if isinstance(total, Unknown) else total + extra,
        free_bytes=free if isinstance(free, Unknown) else free + extra,
    )

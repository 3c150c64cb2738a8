"""Macs: one memory, of which the system gives the GPU a part; engines that are built on llama.cpp run there as processes."""

import pytest

from provisioner.model.facts import HostFacts
from provisioner.model.plan import Plan
from provisioner.model.record import replace
from provisioner.model.release import Standing
from provisioner.model.spec import Spec
from provisioner.phases.prepare import ground
from tests.unit.planning.samples import GIB, PLACE, machine, plan, used

MAC = "1x Apple M4 Max, 16 cores, 64 GiB"
BASIC = Spec(profile="basic", precision="q4_k_m")


def budget(one: Plan, device: str) -> float:
    assert one.memory is not None
    return next(each.budget_bytes for each in one.memory.per_device if each.device == device) / GIB


def limited(facts: HostFacts, mib: int) -> HostFacts:
    """As `sysctl iogpu.wired_limit_mb` was set there, and `detect` has read it."""
    found = facts.accelerators["apple"]
    assert isinstance(found, tuple)
    return replace(facts, accelerators={"apple": (replace(found[0], memory_bytes=mib << 20),)})


@pytest.mark.parametrize("engine", ["llamacpp", "ollama", "lmstudio"])
def test_engines_that_are_built_on_llamacpp_are_planned_as_processes(engine: str) -> None:
    one = plan(MAC, replace(BASIC, engine=engine))
    assert (one.verdict, one.engine, one.target) == ("fits", engine, "process")
    assert used(one, "apple:0") > 5 * GIB
    assert one.services[0].image is None
    assert "" not in one.services[0].env
    assert "planned-only" in [finding.id for finding in one.findings]


def test_nothing_is_started_there() -> None:
    nothing = Standing(None, (), frozenset(), frozenset(), frozenset(), frozenset(), frozenset(), ())
    assert ground(plan(MAC, BASIC), machine(MAC), nothing, (), PLACE).release is None


@pytest.mark.parametrize(("memory", "gib"), [("16 GiB", 16 * 2 / 3), ("64 GiB", 48), ("128 GiB", 96)])
def test_the_gpu_has_what_the_system_gives_it(memory: str, gib: float) -> None:
    one = plan(f"1x Apple M2 Max, 12 cores, {memory}", Spec(profile="lite"))
    assert budget(one, "apple:0") == pytest.approx(gib - 0.25, abs=0.01)
    assert budget(one, "apple:0") + budget(one, "host") < float(memory.split(maxsplit=1)[0])


def test_a_raised_limit_is_planned_with() -> None:
    """The host keeps 2 GiB all the same."""
    spec = Spec(profile="pro", precision="q5_k_m", context=8192, concurrency=1)
    facts = machine(MAC)
    refused = plan(facts, spec)
    assert refused.verdict == "refused"
    assert "weights on apple:0" in refused.binding
    raised = plan(limited(facts, 57344), spec)
    assert raised.verdict == "fits", raised.binding
    assert 48 < budget(raised, "apple:0") < 56
    assert budget(raised, "host") == 2


@pytest.mark.parametrize(("engine", "target"), [("ollama", "docker"), ("llamacpp", "docker"), ("llamacpp", "systemd")])
def test_containers_and_units_have_no_way_to_it(engine: str, target: str) -> None:
    one = plan(MAC, replace(BASIC, engine=engine, target=target))
    assert one.verdict == "refused"
    assert "target `process` alone" in one.binding


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_other_engines_say_that_they_do_not_run_there(engine: str) -> None:
    one = plan(MAC, Spec(profile="basic", engine=engine, precision="bf16"))
    assert one.verdict == "refused"
    assert "does not run on Apple M4 Max" in one.binding


def test_auto_takes_the_embedded_engine() -> None:
    one = plan("1x Apple M3 Ultra, 32 cores, 512 GiB", Spec())
    assert (one.verdict, one.engine) == ("fits", "llamacpp")

"""What ranks are told: the NUMA node of each, and the address at which those of several nodes meet."""

import pytest

from provisioner.model.facts import HostFacts, Interface, RdmaDevice, Unknown
from provisioner.model.outcome import Planned
from provisioner.model.plan import Plan
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.planning.serving.ranks import FIRST_NODE
from provisioner.targets.docker import container_of
from provisioner.views.layout import Look
from provisioner.views.plan import action_lines, verdict_lines
from tests.unit.planning.samples import machine, plan

EIGHT = "8x h100-sxm-80g, 2 sockets, 64 cores, 1024 GiB"


def on_nodes(facts: HostFacts, cards_of_a_node: int) -> HostFacts:
    cards = facts.accelerators["nvidia"]
    assert not isinstance(cards, Unknown)
    placed = tuple(replace(card, numa_node=card.index // cards_of_a_node) for card in cards)
    return replace(facts, accelerators={"nvidia": placed})


def after(made: Plan, flag: str, count: int) -> tuple[str, ...]:
    words = made.services[0].argv
    return words[words.index(flag) + 1 :][:count] if flag in words else ()


@pytest.mark.parametrize(("engine", "flag"), [("vllm", "--numa-bind-nodes"), ("sglang", "--numa-node")])
def test_ranks_beside_several_numa_nodes_are_bound_one_by_one(engine: str, flag: str) -> None:
    spec = Spec(model="qwen3-235b-a22b", engine=engine)
    made = plan(on_nodes(machine(EIGHT), 4), spec)
    assert after(made, flag, 8) == tuple("00001111")
    assert ("--numa-bind" in made.services[0].argv) == (engine == "vllm")
    (told,) = [one for one in made.decisions if one.subject == "NUMA"]
    assert told.choice == "nodes 0-1, rank by rank on 0, 0, 0, 0, 1, 1, 1, 1"
    assert told.rejected
    assert not after(plan(machine(EIGHT), spec), flag, 8)
    assert not after(plan(on_nodes(machine(EIGHT), 4), replace(spec, settings={"cpus": "0-7"})), flag, 8)


def test_a_service_on_one_numa_node_is_held_to_it_as_a_whole() -> None:
    made = plan(on_nodes(machine(EIGHT), 4), Spec(model="qwen3-8b", engine="vllm"))
    assert not after(made, "--numa-bind-nodes", 1)
    assert made.services[0].numa_nodes == "0"
    assert container_of(made.services[0]).capabilities == ()


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_in_a_container_ranks_may_choose_the_node_of_their_memory(engine: str) -> None:
    made = plan(on_nodes(machine(EIGHT), 4), Spec(model="qwen3-235b-a22b", engine=engine, target="docker"))
    assert container_of(made.services[0]).capabilities == ("SYS_NICE",)


def test_ranks_are_not_bound_where_the_image_lacks_the_tool() -> None:
    facts = machine("8x mi300x-192g, 2 sockets, 64 cores, 1024 GiB")
    cards = facts.accelerators["amd"]
    assert not isinstance(cards, Unknown)
    placed = replace(facts, accelerators={"amd": tuple(replace(card, numa_node=card.index // 4) for card in cards)})
    made = plan(placed, Spec(model="deepseek-r1", engine="vllm"))
    assert made.verdict == "fits", made.binding
    assert not after(made, "--numa-bind-nodes", 1)


def wire(
    name: str, kind: str = "ethernet", speed: int = 1000, address: str | None = None, driver: str = "igb"
) -> Interface:
    return Interface(name, kind, True, speed, 1500, driver, None, None, address)


WIRES = (
    wire("lo", "loopback", 0, "127.0.0.1"), wire("docker0", "bridge", 10_000, "172.17.0.1"),
    wire("usb0", speed=100_000, address="169.254.1.2", driver="cdc_ether"), wire("bare", speed=400_000),
    wire("eno1", address="192.0.2.10"), wire("ens1", speed=100_000, address="198.51.100.7"),
    wire("roce0", speed=25_000, address="203.0.113.9"),
)  # fmt: skip
RDMA = (RdmaDevice("mlx5_0", 1, "active", 200.0, "Ethernet", "roce0", None),)


def met(rdma: tuple[RdmaDevice, ...], engine: str = "vllm", **settings: str) -> Plan:
    facts = replace(machine(f"{EIGHT}, 2 nodes"), network=WIRES, rdma=rdma)
    named = {f"engine.{flag.replace('_', '-')}": value for flag, value in settings.items()}
    return plan(facts, Spec(model="deepseek-r1", engine=engine, settings=named))


def test_the_first_node_is_found_by_the_fastest_address_that_leads_out_of_the_machine() -> None:
    made = met(())
    assert after(made, "--master-addr", 1) == ("198.51.100.7",)
    assert {service.options["master-addr"] for service in made.services} == {"198.51.100.7"}
    assert {service.env["NCCL_SOCKET_IFNAME"] for service in made.services} == {"ens1"}
    (told,) = [one for one in made.decisions if one.subject == "nodes meet on"]
    assert {one.option for one in told.rejected} == {"docker0", "usb0", "bare", "eno1", "roce0"}
    assert not [one for one in made.findings if one.id == "first-node"]


def test_an_address_beside_rdma_comes_first() -> None:
    assert after(met(RDMA), "--master-addr", 1) == ("203.0.113.9",)
    assert after(met(RDMA, "sglang"), "--dist-init-addr", 1) == ("203.0.113.9:29501",)


def test_whoever_names_an_address_has_it() -> None:
    made = met((), master_addr="llm-0.example.org")
    assert after(made, "--master-addr", 1) == ("llm-0.example.org",)
    (told,) = [one for one in made.decisions if one.subject == "address of the first node"]
    assert (told.choice, told.because) == ("llm-0.example.org", "set by name")


def test_machines_that_nobody_has_seen_get_an_address_that_no_start_gets_past() -> None:
    made = plan(f"{EIGHT}, 2 nodes", Spec(model="deepseek-r1", engine="vllm"))
    assert after(made, "--master-addr", 1) == (FIRST_NODE,)
    (told,) = [one for one in made.findings if one.id == "first-node"]
    assert (told.level, told.fix) == ("warning", "`--set engine.master-addr=ADDRESS`")
    assert "network" in machine(f"{EIGHT}, 2 nodes").assumed


def test_a_machine_that_was_looked_at_and_has_no_address_needs_one_before_it_starts() -> None:
    facts = machine(f"{EIGHT}, 2 nodes")
    seen = replace(facts, assumed=tuple(one for one in facts.assumed if one != "network"))
    made = plan(seen, Spec(model="deepseek-r1", engine="vllm"))
    assert [one.level for one in made.findings if one.id == "first-node"] == ["error"]
    named = plan(seen, Spec(model="deepseek-r1", engine="vllm", settings={"engine.master-addr": "192.0.2.7"}))
    assert not [one for one in named.findings if one.level == "error"]


def test_only_the_copy_that_this_machine_is_part_of_meets_at_its_address() -> None:
    facts = replace(machine(f"{EIGHT}, 4 nodes"), network=WIRES, rdma=())
    made = plan(facts, Spec(model="deepseek-r1", engine="vllm"))
    assert made.parallel.replicas == 2
    assert [one.options["master-addr"] for one in made.services] == ["198.51.100.7"] * 2 + [FIRST_NODE] * 2


def test_who_plans_a_purchase_hears_that_it_fits_and_what_is_still_to_be_done() -> None:
    made = plan(
        "8x H20-3e, 2 sockets, 112 cores, 1536 GiB, nvlink=yes, 2 nodes", Spec(profile="flagship", precision="bf16")
    )
    assert verdict_lines(made, Look())[0] == "✓ fits  flagship"
    assert {one.id: one.level for one in made.findings} == {
        "first-node": "warning", "unpublished": "warning", "assumed": "note",
    }  # fmt: skip
    assert action_lines(Planned(machine("8x H20-3e, 2 nodes"), made, ()), Look()) == []

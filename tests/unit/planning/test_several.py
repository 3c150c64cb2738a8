"""Several models on one machine: who goes where, what each may use, and what would help where they do not all fit."""

import json
from collections import defaultdict
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioner.errors import BadInput, Refused
from provisioner.model.facts import Unknown
from provisioner.model.outcome import Planned
from provisioner.model.plan import Plan
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from provisioner.phases.prepare import insist
from provisioner.planning.document import plan_document
from provisioner.planning.plan import make_plan
from provisioner.views.layout import Look
from provisioner.views.plan import plan_view
from tests.unit.planning.samples import CATALOG, PLACE, local, machine, plan

SCHEMA = Path(__file__).parents[3] / "docs" / "reference" / "plan.schema.json"
HOST = "host"


def devices(found: Plan) -> dict[str, list[str]]:
    """By model the accelerators that it is planned on."""
    return {
        one.model.id: [budget.device for budget in one.memory.per_device if budget.device != HOST]
        for one in found.models
    }


def formats(found: Plan) -> dict[str, str]:
    return {one.model.id: one.precision for one in found.models}


def test_two_models_have_a_card_each() -> None:
    found = plan("2x RTX 4090, 128 GiB", Spec(models=("qwen2.5-7b-instruct", "qwen2.5-14b-instruct")))
    assert found.verdict == "fits"
    assert sorted(name for names in devices(found).values() for name in names) == ["nvidia:0", "nvidia:1"]
    assert formats(found)["qwen2.5-7b-instruct"] == "bf16"
    assert [service.port for service in found.services] == [8000, 8001]


def test_a_small_model_shares_the_card_of_a_large_one() -> None:
    found = plan("1x L40S, 128 GiB", Spec(models=("qwen2.5-32b-instruct", "qwen3-0.6b")))
    assert devices(found) == {"qwen2.5-32b-instruct": ["nvidia:0"], "qwen3-0.6b": ["nvidia:0"]}
    assert [service.name for service in found.services] == ["llm-qwen2-5-32b-instruct", "llm-qwen3-0-6b"]
    told = {one.subject: one for one in found.decisions}
    assert "shared" in told["places"].because
    assert told["qwen2.5-32b-instruct: share of the device"].because == "the rest is for qwen3-0.6b"


def test_a_format_for_all_holds_for_each() -> None:
    found = plan("1x L40S, 128 GiB", Spec(models=("qwen2.5-32b-instruct", "qwen3-14b"), precision="awq"))
    assert formats(found) == {"qwen2.5-32b-instruct": "awq", "qwen3-14b": "awq"}


def test_a_large_model_leaves_devices_to_a_small_one() -> None:
    found = plan("8x RTX 4090, 256 GiB", Spec(models=("llama-3.3-70b-instruct", "qwen2.5-7b-instruct")))
    on = devices(found)
    assert found.verdict == "fits"
    assert not set(on["llama-3.3-70b-instruct"]) & set(on["qwen2.5-7b-instruct"])
    assert formats(found)["qwen2.5-7b-instruct"] == "bf16"


def test_what_does_not_fit_is_refused_with_what_would_help() -> None:
    models = ("qwen2.5-72b-instruct", "qwen2.5-7b-instruct")
    found = plan("1x RTX 4090, 64 GiB", Spec(models=models))
    assert (found.verdict, found.services, found.models) == ("refused", (), ())
    assert found.binding.startswith("qwen2.5-72b-instruct: ")
    changes = {change.change: change for change in found.cheapest_changes}
    assert changes["leave out qwen2.5-72b-instruct"].flags == ("--model", "qwen2.5-7b-instruct")
    added = next(change.what_if for change in found.cheapest_changes if change.what_if)
    count = int(added.removeprefix("+").partition("x")[0])
    assert plan(f"{1 + count}x RTX 4090, 64 GiB", Spec(models=models)).verdict == "fits"


def test_models_that_crowd_each_other_out_are_named() -> None:
    found = plan(
        "1x RTX 4090, 64 GiB", Spec(models=("qwen2.5-14b-instruct", "qwen2.5-7b-instruct", "qwen3-8b", "qwen3-4b"))
    )
    assert "it would fit alone, not beside" in found.binding
    left_out = [change for change in found.cheapest_changes if change.change.startswith("leave out")]
    assert left_out
    for change in left_out:
        assert plan("1x RTX 4090, 64 GiB", Spec(models=change.flags[1::2])).verdict == "fits"


def test_without_accelerators_models_share_the_host() -> None:
    found = plan("16 cores, 32 GiB", Spec(models=("qwen3-8b", "qwen3-4b")))
    assert found.verdict == "fits"
    assert {one.engine for one in found.models} == {"llamacpp"}
    assert found.memory is not None
    (host,) = found.memory.per_device
    assert host.free_bytes >= 0
    assert host.free_bytes == found.models[-1].memory.per_device[-1].free_bytes


def test_the_host_has_no_room_for_one_of_them() -> None:
    found = plan("16 cores, 8 GiB", Spec(models=("qwen3-14b", "qwen3-4b")))
    assert found.verdict == "refused"
    assert "on the host" in found.binding


def test_a_file_and_a_model_of_the_catalog_share_a_device() -> None:
    shelf = Shelf(local=(local("/x/a.gguf", sha256="0" * 64),))
    found = plan("1x RTX 4090, 64 GiB", Spec(models=("/x/a.gguf", "qwen3-8b")), shelf)
    assert [one.engine for one in found.models] == ["llamacpp", "vllm"]
    assert devices(found) == {"a": ["nvidia:0"], "qwen3-8b": ["nvidia:0"]}


def test_a_plan_of_several_models_is_started() -> None:
    found = plan("16 cores, 32 GiB", Spec(models=("qwen3-8b", "qwen3-4b")))
    assert not [one for one in found.findings if one.id == "planned-only"]
    insist(found)


def test_one_of_several_that_is_not_published_is_named() -> None:
    found = plan("2x RTX 4090, 128 GiB", Spec(models=("qwen3-8b", "qwen3-4b"), target="docker"))
    second = found.models[1]
    files = tuple(replace(file, origin="convert:huggingface/qwen/qwen3-4b/") for file in second.model.files)
    unmade = replace(second, model=replace(second.model, files=files))
    with pytest.raises(Refused, match=r"publish Qwen3 4B in .*made of qwen/qwen3-4b"):
        insist(replace(found, models=(found.models[0], unmade)))


def test_two_files_of_one_name_are_refused() -> None:
    shelf = Shelf(local=(local("/x/a.gguf", sha256="0" * 64), local("/y/a.gguf", sha256="1" * 64)))
    with pytest.raises(BadInput, match=r"`/x/a.gguf` and `/y/a.gguf` are both called `a`"):
        plan("16 cores, 64 GiB", Spec(models=("/x/a.gguf", "/y/a.gguf")), shelf)


def test_what_is_in_force_keeps_its_name_and_its_port() -> None:
    facts = machine("16 cores, 64 GiB")
    three = make_plan(Spec(models=("qwen3-8b", "qwen3-4b", "qwen3-0.6b")), facts, CATALOG, Shelf(), PLACE)
    fewer = make_plan(Spec(models=("qwen3-8b", "qwen3-0.6b")), facts, CATALOG, Shelf(), PLACE, three)
    assert fewer.services == (three.services[0], three.services[2])
    other = make_plan(Spec(models=("qwen3-1.7b", "qwen3-0.6b", "qwen3-8b")), facts, CATALOG, Shelf(), PLACE, fewer)
    assert [service.port for service in other.services] == [8001, 8002, 8000]
    assert other.services[1:] == (three.services[2], three.services[0])


def test_the_first_of_several_and_the_last_of_them_go_on_as_they_are() -> None:
    def made(in_force: Plan | None, *models: str, **settings: str) -> Plan:
        named = Spec(models=models) if len(models) > 1 else Spec(model=models[0])
        asked = replace(named, precision="q4_k_m", settings=settings)
        return make_plan(asked, machine("16 cores, 64 GiB"), CATALOG, Shelf(), PLACE, in_force)

    one = made(None, "qwen3-8b")
    two = made(one, "qwen3-8b", "qwen3-4b")
    assert two.services[0] == one.services[0]
    last = made(two, "qwen3-4b")
    assert last.services == two.services[1:]
    assert made(last, "qwen3-4b").services == last.services
    assert [(each.name, each.port) for each in made(last, "qwen3-4b", port="8002").services] == [("llm", 8002)]


def test_copies_of_a_model_are_services_of_one_name() -> None:
    found = plan("4x RTX 4090, 128 GiB", Spec(model="qwen3-8b", settings={"replicas": "2"}))
    assert (found.verdict, found.models, found.parallel.replicas) == ("fits", (), 2)
    assert [(one.name, one.port, one.model_name) for one in found.services] == [
        ("llm-qwen3-8b", 8000, "qwen3-8b"), ("llm-qwen3-8b-2", 8001, "qwen3-8b"),
    ]  # fmt: skip
    assert len({one.devices for one in found.services}) == 2
    one = plan("4x RTX 4090, 128 GiB", Spec(model="qwen3-8b", settings={"replicas": "1"}))
    assert (len(one.services), one.parallel.replicas) == (1, 1)
    assert found.memory is not None
    assert one.memory is not None
    assert (found.memory.host_ram_bytes, found.memory.disk_bytes) == (
        2 * one.memory.host_ram_bytes,
        one.memory.disk_bytes,
    )


def test_copies_of_several_models_stand_with_their_model() -> None:
    found = plan("16 cores, 64 GiB", Spec(models=("qwen3-0.6b", "qwen3-1.7b"), settings={"replicas": "2"}))
    assert [one.services for one in found.models] == [
        ("llm-qwen3-0-6b", "llm-qwen3-0-6b-2"), ("llm-qwen3-1-7b", "llm-qwen3-1-7b-2"),
    ]  # fmt: skip
    assert [one.parallel.replicas for one in found.models] == [2, 2]


def test_more_copies_than_there_is_room_for_are_refused_with_the_most_that_fit() -> None:
    found = plan("16 cores, 16 GiB", Spec(model="qwen3-8b", settings={"replicas": "3"}))
    assert found.verdict == "refused"
    (change,) = found.cheapest_changes
    assert change.flags == ("--model", "qwen3-8b", "--set", "replicas=1")
    fitting = Spec(model="qwen3-8b", settings={"replicas": "1"})
    assert plan("16 cores, 16 GiB", fitting).verdict == "fits"


def test_copies_need_a_model_that_is_known_beforehand() -> None:
    with pytest.raises(BadInput, match="chooses its model by the machine"):
        plan("16 cores, 64 GiB", Spec(settings={"replicas": "2"}))
    assert len(plan("16 cores, 64 GiB", Spec("demo", settings={"replicas": "2"})).services) == 2


def test_engines_of_different_targets_are_one_release() -> None:
    shelf = Shelf(local=(local("/x/a.gguf", sha256="0" * 64),))
    found = plan("1x RTX 4090, 64 GiB", Spec(models=("/x/a.gguf", "qwen3-8b")), shelf)
    assert (found.target, [one.engine for one in found.models]) == ("docker", ["llamacpp", "vllm"])
    assert all(service.image for service in found.services)


@pytest.mark.parametrize(
    ("hardware", "spec"),
    [
        ("8x H20, 2 nodes, 2 sockets, 192 cores, 2 TiB", Spec("flagship")),
        ("16 cores, 64 GiB", Spec(model="qwen3-8b", engine="vllm", settings={"engine.nnodes": "2"})),
    ],
)
def test_several_machines_are_not_brought_up_by_one(hardware: str, spec: Spec) -> None:
    with pytest.raises(Refused, match="the plan is for 2 machines, and `provision up` starts what runs on one"):
        insist(plan(hardware, spec))


def test_who_asks_for_other_ports_gets_them() -> None:
    facts, models = machine("16 cores, 64 GiB"), ("qwen3-8b", "qwen3-4b")
    there = make_plan(Spec(models=models), facts, CATALOG, Shelf(), PLACE)
    moved = make_plan(Spec(models=models, settings={"port": "9000"}), facts, CATALOG, Shelf(), PLACE, there)
    assert [service.port for service in moved.services] == [9000, 9001]


def test_what_others_hold_of_a_card_is_nobodys() -> None:
    facts = machine("2x RTX 4090, 128 GiB")
    first, second = facts.accelerators["nvidia"] if isinstance(facts.accelerators["nvidia"], tuple) else ()
    facts = replace(facts, accelerators={"nvidia": (first, replace(second, free_bytes=2 << 30))})
    found = plan(facts, Spec(models=("qwen2.5-7b-instruct", "qwen3-4b")))
    assert devices(found) == {"qwen2.5-7b-instruct": ["nvidia:0"], "qwen3-4b": ["nvidia:0"]}


def test_devices_for_all_and_a_host_that_is_too_small() -> None:
    found = plan("4x RTX 4090, 16 GiB", Spec(models=("qwen3-0.6b", "qwen3-4b", "qwen3-8b")))
    assert found.verdict == "refused"
    assert found.binding.startswith("qwen3-8b: the other models leave 2.2 GiB of the host's memory")
    assert all(change.what_if for change in found.cheapest_changes)


def test_each_model_has_a_line_of_the_verdict() -> None:
    facts = machine("16 cores, 32 GiB")
    shown = plan_view(Planned(facts, plan(facts, Spec(models=("qwen3-8b", "qwen3-4b"))), ()), Look(width=200))
    lines = [line for line in shown.splitlines() if "tokens fit its kv cache" in line]
    assert [line.split(" in ")[0].strip() for line in lines] == ["Qwen3 8B", "Qwen3 4B"]
    assert "tokens fit the kv cache" not in shown


def test_one_of_several_alone_is_that_model() -> None:
    assert plan("1x L40S, 64 GiB", Spec(models=("qwen3-8b",))) == plan("1x L40S, 64 GiB", Spec(model="qwen3-8b"))


def test_the_document_keeps_the_schema() -> None:
    found = plan("1x L40S, 128 GiB", Spec(models=("qwen2.5-32b-instruct", "qwen3-0.6b")))
    document = plan_document(found, ())
    jsonschema.validate(json.loads(json.dumps(document)), json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert document["models"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (Spec(models=("qwen3-8b", "qwen3-8b")), "twice"),
        (Spec(models=("qwen3-0.6b", "Qwen/Qwen3-0.6B")), "the same model"),
        (Spec(models=tuple(f"model-{number}" for number in range(7))), "6 at most"),
        (Spec(model="qwen3-8b", models=("qwen3-4b",)), "both given"),
        (Spec(models=("qwen3-8b", "qwen3-4b"), settings={"placement": "split"}), "not on both"),
    ],
)
def test_what_cannot_be_meant(spec: Spec, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        plan("1x L40S, 64 GiB", spec)


SMALL = ("qwen3-0.6b", "qwen3-4b", "qwen3-8b", "qwen2.5-7b-instruct", "qwen2.5-14b-instruct", "qwen3-30b-a3b")
MACHINES = (
    "1x L40S, 128 GiB",
    "2x RTX 4090, 128 GiB",
    "4x RTX 3090, 256 GiB",
    "1x H100 80GB, 256 GiB",
    "12 cores, 48 GiB",
)


@given(st.sampled_from(MACHINES), st.lists(st.sampled_from(SMALL), min_size=2, max_size=3, unique=True))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_nobody_has_more_than_there_is(hardware: str, models: list[str]) -> None:
    facts = machine(hardware)
    found = plan(facts, Spec(models=tuple(models)))
    if found.verdict != "fits":
        assert found.cheapest_changes
        assert not found.services
        return
    ports = [service.port for service in found.services]
    names = [service.name for service in found.services]
    assert len(set(ports)) == len(ports)
    assert len(set(names)) == len(names)
    assert [one.model.id for one in found.models] == models
    claimed: dict[str, int] = defaultdict(int)
    for one in found.models:
        own = [budget for budget in one.memory.per_device if budget.device != HOST]
        cut = one.parallel
        if one.engine != "llamacpp":
            assert len(own) == cut.tensor * cut.pipeline * cut.data * cut.replicas
            assert len({(budget.budget_bytes, budget.total_bytes) for budget in own}) == 1
        for budget in own:
            claimed[budget.device] += budget.budget_bytes
    cards = {
        f"{card.vendor}:{card.index}": card
        for there in facts.accelerators.values() if not isinstance(there, Unknown) for card in there
    }  # fmt: skip
    for name, claims in claimed.items():
        free = cards[name].free_bytes
        assert not isinstance(free, Unknown)
        assert claims <= free
    assert found.memory is not None
    for budget in found.memory.per_device:
        parts = budget.weights_bytes + budget.kv_cache_bytes + budget.activation_bytes + budget.overhead_bytes
        assert budget.budget_bytes - parts == budget.free_bytes
        assert budget.free_bytes >= 0


def test_an_engine_that_takes_a_part_of_what_is_free_has_its_devices_alone() -> None:
    asked = Spec(models=("qwen3-8b", "qwen3-4b"), engine="sglang")
    one = plan("1x h100-sxm-80g, 256 GiB", asked)
    assert (one.verdict, "it would fit alone, not beside" in one.binding) == ("refused", True)
    two = plan("2x h100-sxm-80g, 256 GiB", asked)
    assert two.verdict == "fits"
    assert sorted(name for names in devices(two).values() for name in names) == ["nvidia:0", "nvidia:1"]
    assert plan("1x h100-sxm-80g, 256 GiB", replace(asked, engine="vllm")).verdict == "fits"

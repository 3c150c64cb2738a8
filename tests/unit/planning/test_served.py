"""Plans on engines that claim their devices: what they are told, in which image, beside which processors, and who is in the way."""

import pytest

from provisioner.errors import BadInput
from provisioner.model.facts import Accelerator, DeviceProcess, HostFacts, Interface, Unknown
from provisioner.model.load import Card
from provisioner.model.plan import Plan
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.planning.asked.whatif import what_if
from provisioner.planning.sources.images import choose_image
from tests.unit.planning.samples import CATALOG, GIB, decision, machine, plan


def cards(facts: HostFacts) -> tuple[Accelerator, ...]:
    found = facts.accelerators["nvidia"]
    assert not isinstance(found, Unknown)
    return found


def with_cards(facts: HostFacts, *changed: Accelerator) -> HostFacts:
    return replace(facts, accelerators={"nvidia": changed})


def option(made: Plan, name: str) -> str:
    words = made.services[0].argv
    return words[words.index(f"--{name}") + 1]


def test_a_model_that_fits_one_card_gets_copies_and_one_that_does_not_is_cut() -> None:
    small, large = plan("4x RTX 4090, 256 GiB", Spec(profile="basic")), plan("4x RTX 4090, 256 GiB", Spec("standard"))
    assert (small.parallel.replicas, small.parallel.tensor, len(small.services)) == (4, 1, 4)
    assert len({service.port for service in small.services}) == len({service.name for service in small.services}) == 4
    assert (large.parallel.replicas, large.parallel.tensor, len(large.services)) == (1, 4, 1)
    assert option(large, "tensor-parallel-size") == "4"


def test_experts_that_were_asked_to_stay_whole_are_planned_whole() -> None:
    """The plan has the cut that the engine is told of. A model without experts has none to keep."""
    whole = {"engine.enable-expert-parallel": "true"}
    for model, hardware, expert in (
        ("deepseek-r1", "8x H200 SXM, 2 TiB", True), ("qwen2.5-72b-instruct", "4x L40S, 512 GiB", False),
    ):  # fmt: skip
        made = plan(hardware, Spec(model=model, engine="vllm", target="docker", settings=whole))
        bare = plan(hardware, Spec(model=model, engine="vllm", target="docker"))
        assert (made.verdict, made.parallel) == ("fits", replace(bare.parallel, expert=expert)), made.binding
        assert made.services[0].argv.count("--enable-expert-parallel") == 1


def test_a_card_without_bfloat16_gets_half_precision_and_the_last_version_that_runs_on_it() -> None:
    made = plan("4x V100 SXM2 32GB, 256 GiB", Spec(profile="basic", engine="vllm"))
    assert made.verdict == "fits", made.binding
    assert option(made, "dtype") == "half"
    assert decision(made, "engine version") == "vLLM 0.19.1"
    assert made.services[0].image is not None
    assert "0.19.1" in made.services[0].image


HALF_AND_OLD = ("half", "vLLM 0.19.1")


@pytest.mark.parametrize(
    "hardware",
    ["1x h100-sxm-80g, 8x V100 SXM2 32GB, 512 GiB", "8x V100 SXM2 32GB, 1x h100-sxm-80g, 512 GiB"],
)
def test_on_a_mixed_machine_the_cards_that_are_used_decide(hardware: str) -> None:
    large = plan(hardware, Spec(model="llama-3.3-70b-instruct", engine="vllm"))
    assert large.parallel.tensor == 8
    assert (option(large, "dtype"), decision(large, "engine version")) == HALF_AND_OLD
    small = plan(hardware, Spec(model="qwen3-8b", engine="vllm"))
    alone = plan("1x h100-sxm-80g, 512 GiB", Spec(model="qwen3-8b", engine="vllm"))
    assert small.services[0].image == alone.services[0].image
    assert "--dtype" not in small.services[0].argv
    assert option(small, "max-num-batched-tokens") == option(alone, "max-num-batched-tokens")


def test_what_one_kind_of_card_cannot_run_another_may() -> None:
    mixed = plan("4x V100 SXM2 32GB, 1x h100-sxm-80g, 512 GiB", Spec(model="qwen3-8b", precision="fp8", engine="vllm"))
    assert mixed.verdict == "fits", mixed.binding
    (card,) = mixed.services[0].devices
    assert card == cards(machine("4x V100 SXM2 32GB, 1x h100-sxm-80g, 512 GiB"))[4].uuid


def test_a_free_card_comes_before_a_cut_over_the_busy_cards_of_a_stronger_kind() -> None:
    facts = machine("2x h100-sxm-80g, 1x L40S, 512 GiB")
    first, second, free = cards(facts)
    assert isinstance(first.memory_bytes, int)
    held = [replace(card, free_bytes=14 * GIB) for card in (first, second)]
    made = plan(with_cards(facts, *held, free), Spec(model="qwen3-8b", engine="vllm"))
    assert made.verdict == "fits", made.binding
    assert (made.parallel.tensor, made.services[0].devices) == (1, (free.uuid,))


def test_degrees_that_no_kind_of_card_is_there_for_are_refused_kind_by_kind() -> None:
    asked = Spec(model="qwen3-8b", engine="vllm", settings={"engine.tensor-parallel-size": "2"})
    made = plan("1x h100-sxm-80g, 1x V100 SXM2 32GB, 512 GiB", asked)
    assert made.verdict == "refused"
    assert made.binding.count("2 devices are asked for, and 1 of ") == 2


def test_degrees_that_do_not_divide_are_the_reason_and_not_formats_that_the_engine_never_loads() -> None:
    asked = Spec(model="qwen3-8b", engine="sglang", settings={"engine.tp-size": "3"})
    made = plan("8x h100-sxm-80g, 256 GiB", asked)
    assert made.verdict == "refused"
    assert "(32) must be divisible by tensor parallel size (3)" in made.binding
    assert decision(made, "devices") == "none"


def test_an_old_driver_gets_the_image_for_it() -> None:
    facts = machine("1x RTX 4090, 64 GiB")
    old = replace(facts, software=replace(facts.software, nvidia_driver="550.78"))
    assert str(plan(old, Spec("basic")).services[0].image).endswith("-cu129")
    assert plan(old, Spec("basic", settings={"image": "ours/vllm:1"})).services[0].image == "ours/vllm:1"


@pytest.mark.parametrize("driver", ["550.78", "580.95"])
def test_an_old_card_gets_an_image_whose_cuda_still_has_code_for_it(driver: str) -> None:
    """CUDA 13 has none for compute capability 7.0, and the release that has was published for one CUDA alone."""
    facts = machine("8x V100-SXM2-32GB")
    facts = replace(facts, software=replace(facts.software, nvidia_driver=driver))
    made = plan(facts, Spec(model="qwen3-32b", engine="vllm"))
    assert made.services[0].image == "vllm/vllm-openai:v0.19.1"
    assert "CUDA 12.9" in next(one.because for one in made.decisions if one.subject == "image")


def test_where_no_image_has_code_for_a_card_another_engine_is_the_remedy() -> None:
    entry = CATALOG.engine("vllm")
    chosen = choose_image(entry, Card("nvidia", "v100", 32 * GIB, 32 * GIB, "sm70"), "0.32.0", machine("1x V100"))
    assert chosen.name is None
    assert "compute capability 7.5 and newer" in chosen.decision.because
    assert "--engine llamacpp" in chosen.findings[0].fix


def test_who_holds_memory_of_a_card_is_named_and_the_share_is_what_is_free() -> None:
    facts = machine("1x RTX 4090, 64 GiB")
    (card,) = cards(facts)
    assert isinstance(card.memory_bytes, int)
    held = replace(card, free_bytes=card.memory_bytes - 4 * GIB, processes=(DeviceProcess(4711, "train", 4 * GIB),))
    made = plan(with_cards(facts, held), Spec(profile="lite"))
    share = next(one for one in made.decisions if one.subject == "share of the device")
    assert "train 4711 holds 4 GiB" in share.because
    assert float(option(made, "gpu-memory-utilization")) < 0.92
    assert made.memory is not None
    assert made.memory.per_device[0].budget_bytes <= card.memory_bytes - 4 * GIB


def test_stopping_who_is_in_the_way_is_the_first_thing_that_would_help() -> None:
    facts = machine("1x RTX 4090, 64 GiB")
    (card,) = cards(facts)
    assert isinstance(card.memory_bytes, int)
    held = replace(card, free_bytes=2 * GIB, processes=(DeviceProcess(4711, "train", card.memory_bytes - 2 * GIB),))
    busy = with_cards(facts, held)
    made = plan(busy, Spec(profile="basic"))
    assert made.verdict == "refused"
    first = made.cheapest_changes[0]
    assert first.change == "stop process 4711 (train)"
    assert plan(what_if(busy, first.what_if, CATALOG), Spec(profile="basic")).verdict == "fits"


def test_processors_beside_the_card_serve_it() -> None:
    facts = machine("2x RTX 4090, 2 sockets, 64 cores, 256 GiB")
    first, second = cards(facts)
    placed = with_cards(facts, replace(first, numa_node=0), replace(second, numa_node=1))
    made = plan(placed, Spec(profile="basic"))
    assert [(one.numa_nodes, one.cpus) for one in made.services] == [("0", "0-31"), ("1", "32-63")]
    both = plan(placed, Spec(profile="standard", precision="awq", settings={"engine.tensor-parallel-size": "2"}))
    assert (both.services[0].numa_nodes, both.services[0].cpus) == ("0-1", "0-63")


def test_nodes_meet_on_the_fastest_wire_and_each_has_its_part() -> None:
    facts = machine("8x H20-3e, 1536 GiB, nvlink=yes, 2 nodes")
    wire = Interface("ens1f0", "ethernet", True, 100_000, 9000, "mlx5_core", None, None)
    slow = Interface("eno1", "ethernet", True, 1_000, 1500, "igb", None, None)
    made = plan(replace(facts, network=(slow, wire)), Spec(profile="flagship", precision="fp16"))
    assert [service.name for service in made.services] == ["llm-node0", "llm-node1"]
    assert [service.options["node-rank"] for service in made.services] == ["0", "1"]
    assert "--headless" in made.services[1].argv
    assert {service.env["NCCL_SOCKET_IFNAME"] for service in made.services} == {"ens1f0"}


def test_degrees_that_do_not_divide_are_refused_with_those_that_do() -> None:
    spec = Spec(model="deepseek-r1-distill-qwen-7b", precision="bf16", settings={"engine.tensor-parallel-size": "8"})
    made = plan("8x RTX 4090, 256 GiB", replace(spec, engine="vllm"))
    assert made.verdict == "refused"
    assert "28" in made.binding
    assert any("tensor-parallel-size" in word for change in made.cheapest_changes for word in change.flags)


def test_a_model_is_known_by_its_other_names_with_the_precision_that_they_imply() -> None:
    made = plan("1x RTX 4090, 64 GiB", Spec(model="Qwen/Qwen2.5-7B-Instruct-AWQ"))
    assert made.model is not None
    assert (made.model.id, made.model.precision) == ("qwen2.5-7b-instruct", "awq")
    other = plan("8x H200, 2 TiB, nvlink=yes", Spec(model="deepseek-ai/DeepSeek-R1-0528"))
    assert "other-weights" in [one.id for one in other.findings]


@pytest.mark.parametrize(
    ("change", "tier"),
    [
        ("+1x RTX 4090", "standard"),
        ("8x H200, nvlink=yes", "flagship"),
        ("-nvidia:0, 24 GiB", "lite"),
        ("without nvidia:0, 24 GiB", "lite"),
    ],
)
def test_a_changed_machine_is_planned_as_it_would_be(change: str, tier: str) -> None:
    facts = machine("1x RTX 4090, 8 cores, 64 GiB")
    assert plan(facts).profile == "plus"
    assert plan(what_if(facts, change, CATALOG)).profile == tier


@pytest.mark.parametrize("change", ["", "+4 cores", "-nvidia:7", "-2x RTX 4090", "+1x RTX 9999", "nvlink=perhaps"])
def test_a_change_that_cannot_be_made_is_refused(change: str) -> None:
    with pytest.raises(BadInput) as caught:
        what_if(machine("1x RTX 4090, 8 cores, 64 GiB"), change, CATALOG)
    assert caught.value.fix


def test_a_device_that_does_not_answer_is_not_the_same_as_none() -> None:
    facts = replace(machine("16 cores, 64 GiB"), accelerators={"ascend": Unknown("npu-smi is not installed")})
    made = plan(facts, Spec(profile="basic"))
    assert made.verdict == "refused"
    assert "Huawei Ascend" in made.binding
    assert "npu-smi is not installed" in made.binding


def test_a_graphics_part_of_the_processor_stands_in_nobodys_way() -> None:
    facts = machine("1x RTX 4090, 16 cores, 64 GiB")
    (card,) = cards(facts)
    part = replace(card, vendor="intel", name="Intel UHD Graphics", shares_host_memory=True)
    made = plan(replace(facts, accelerators={"intel": (part,)}), Spec(profile="lite"))
    assert (made.verdict, made.engine) == ("fits", "llamacpp")


@pytest.mark.parametrize("other", ["RTX 3090", "RTX 4060 Ti"])
def test_llamacpp_joins_unlike_cards_and_why_engines_of_equal_ranks_do_not_is_said(other: str) -> None:
    made = plan(f"1x RTX 4090, 1x {other}", Spec(model="qwen3-32b", precision="q8_0"))
    assert (made.verdict, made.engine) == ("fits", "llamacpp")
    assert made.memory is not None
    assert all(one.free_bytes > 0 < one.weights_bytes for one in made.memory.per_device if one.device != "host")
    placement = next(one for one in made.decisions if one.subject == "placement")
    assert "RTX 4090" in placement.choice
    assert other in placement.choice
    told = next(
        one for one in placement.rejected if one.option.startswith("vLLM or SGLang over NVIDIA GeForce RTX 4090")
    )
    assert "equal share" in told.reason


def test_cards_of_one_kind_that_suffice_are_not_compared_with_all_together() -> None:
    refused = plan("1x RTX 4090, 1x RTX 3090", Spec(model="qwen3-32b", precision="fp8", engine="vllm"))
    assert refused.verdict == "refused"
    assert any("together" in one.option for made in refused.decisions for one in made.rejected)
    fits = plan("2x RTX 4090, 1x RTX 3090", Spec(model="qwen3-32b", precision="fp8", engine="vllm"))
    assert not any("together" in one.option for made in fits.decisions for one in made.rejected)


def test_where_the_devices_have_room_the_host_is_what_binds() -> None:
    made = plan("8x RTX 4090, 8 GiB", Spec(model="llama-3.3-70b-instruct", engine="vllm"))
    assert made.verdict == "refused"
    assert made.binding.startswith("custom: the engine itself on host: 10 GiB of 10 GiB needed")
    added = next(one.what_if for one in made.cheapest_changes if one.what_if.endswith("GiB"))
    facts = what_if(machine("8x RTX 4090, 8 GiB"), added, CATALOG)
    assert plan(facts, Spec(model="llama-3.3-70b-instruct", engine="vllm")).verdict == "fits"


def test_where_both_are_short_both_are_told() -> None:
    made = plan("1x RTX 4090, 2 GiB", Spec(model="qwen3-32b", engine="vllm", precision="bf16"))
    assert "on nvidia:0: no memory for the cache" in made.binding
    assert "; and the engine itself on host: 6 GiB of 6 GiB needed" in made.binding

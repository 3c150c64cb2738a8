"""Cards of makers that have builds and conversions of their own: which files, which release, which image, which words."""

import pytest

from provisioner.engines.vllm import ENGINE as VLLM
from provisioner.model.catalog import Checkpoint
from provisioner.model.facts import HostFacts, Interface
from provisioner.model.plan import Plan
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.planning.sources.stock import from_checkpoint, published
from tests.unit.planning.samples import CATALOG, decision, machine, plan

TWO_910B = "8x 910B3, 2 sockets, 128 cores, 1536 GiB, 8 TiB disk, 2 nodes"
TWO_K100 = "8x K100-AI, 2 sockets, 128 cores, 1536 GiB, 8 TiB disk, 2 nodes"
ONE_910B = "8x 910B3, 2 sockets, 128 cores, 1536 GiB, 8 TiB disk"
FLAGSHIP = Spec(profile="flagship")


def on_a_wire(facts: HostFacts) -> HostFacts:
    wire = Interface("eth0", "ethernet", True, 100000, 1500, "mlx5_core", None, None, "10.0.0.1")
    return replace(facts, network=(wire,))


def after(one: Plan, flag: str) -> str:
    argv = one.services[0].argv
    return argv[argv.index(flag) + 1] if flag in argv else ""


def test_the_671b_on_ascend_is_the_conversion_to_int8_that_its_plugin_loads() -> None:
    one = plan(on_a_wire(machine(TWO_910B)), FLAGSHIP)
    assert one.verdict == "fits", one.binding
    assert one.model is not None
    assert one.model.precision == "int8"
    assert decision(one, "weights").startswith("vllm-ascend/DeepSeek-R1-W8A8/")
    assert after(one, "--quantization") == "ascend"
    assert one.services[0].image == "quay.io/ascend/vllm-ascend:v0.23.0"
    assert decision(one, "engine version") == "vLLM 0.23.0"
    env = one.services[0].env
    assert env["HCCL_SOCKET_IFNAME"] == env["TP_SOCKET_IFNAME"] == env["GLOO_SOCKET_IFNAME"] == "eth0"
    assert "NCCL_SOCKET_IFNAME" not in env


def test_the_671b_on_hygon_is_the_makers_own_conversion() -> None:
    one = plan(on_a_wire(machine(TWO_K100)), FLAGSHIP)
    assert decision(one, "weights").startswith("hygon/DeepSeek-R1-Channel-INT8-w8a8/")
    assert after(one, "--quantization") == "slimquant_marlin"
    assert "vllm:0.18.1-" in (one.services[0].image or "")
    assert one.services[0].env["NCCL_SOCKET_IFNAME"] == "eth0"


def test_a_card_with_two_dies_has_an_image_of_its_own() -> None:
    one = plan("16x ascend-910c, 4 sockets, 192 cores, 1536 GiB, 8 TiB disk", FLAGSHIP)
    assert one.model is not None
    assert (one.engine, one.model.precision, one.parallel.nodes) == ("vllm", "int8", 1)
    assert one.services[0].image == "quay.io/ascend/vllm-ascend:v0.23.0-a3"


def test_vllm_has_no_4_bits_on_ascend_and_sglang_has() -> None:
    one = plan(ONE_910B, replace(FLAGSHIP, precision="awq"))
    assert (one.verdict, one.engine) == ("fits", "sglang")
    assert "older than the flags here" in next(found.message for found in one.findings if found.id == "image")
    refused = plan(ONE_910B, replace(FLAGSHIP, precision="awq", engine="vllm"))
    assert refused.verdict == "refused"
    assert "no kernels for awq; take int8 or 16 bits" in refused.binding


@pytest.mark.parametrize("hardware", ["2x 910B3, 512 GiB", "2x K100-AI, 512 GiB", "2x A100 SXM 80G, 512 GiB"])
def test_a_conversion_for_all_cards_says_itself_what_it_is(hardware: str) -> None:
    one = plan(hardware, Spec(profile="pro", precision="int8"))
    assert one.verdict == "fits", one.binding
    assert decision(one, "weights").startswith("RedHatAI/DeepSeek-R1-Distill-Llama-70B-quantized.w8a8/")
    assert "--quantization" not in one.services[0].argv


def test_a_refused_precision_is_offered_as_int8() -> None:
    one = plan(ONE_910B, Spec(profile="pro", precision="fp8"))
    assert one.verdict == "refused"
    assert ("--precision", "int8") in [change.flags for change in one.cheapest_changes]


def test_a_conversion_for_one_maker_is_nobody_elses() -> None:
    entry = CATALOG.model("deepseek-r1")
    assert published(entry, "int8", frozenset({"nvidia"})) is None
    assert published(entry, "int8", frozenset({"ascend", "nvidia"})) is None
    assert published(entry, "int8", frozenset()) is None
    found = from_checkpoint(entry, "int8", makers=frozenset({"nvidia"}))
    assert not isinstance(found, str)
    assert "nobody is known to publish it" in found.source
    assert not found.methods


def test_the_conversion_for_a_maker_goes_before_the_one_for_all() -> None:
    common = Checkpoint("int8", 10, {"huggingface": "a/all"}, "a source")
    own = Checkpoint("int8", 10, {"modelscope": "a/own"}, "a source", vendors=("ascend",))
    entry = replace(CATALOG.model("qwen3-8b"), checkpoints=(common, own))
    assert entry.checkpoint("int8", frozenset({"ascend"})) == own
    assert entry.checkpoint("int8", frozenset({"nvidia"})) == common
    assert entry.checkpoint("int8") == common


def test_the_first_generation_has_no_build_at_all() -> None:
    facts = machine("8x 910B3, 1 TiB")
    known = facts.accelerators["ascend"]
    assert isinstance(known, tuple)
    cards = tuple(replace(card, name="Ascend 910B (2019)", architecture="Ascend910A") for card in known)
    one = plan(replace(facts, accelerators={"ascend": cards}), Spec(profile="lite", engine="vllm"))
    assert one.verdict == "refused"
    assert "is not built for" in one.binding


def test_every_word_that_an_engine_is_told_has_an_engine() -> None:
    for name in CATALOG.models:
        for one in CATALOG.model(name).checkpoints:
            assert set(one.methods) <= {"vllm", "sglang"}, name
            assert not one.methods or one.vendors, name
            assert set(one.vendors) <= set(VLLM.vendors), name


def test_intels_cards_have_kernels_for_four_bits_with_groups_and_none_for_eight_or_nvfp4() -> None:
    """kernels/linear/mixed_precision/xpu.py of vllm-project/vllm @055e47c, kernels/linear/__init__.py @006fc89."""
    cards = machine("2x Intel Arc Pro B60, 2 sockets, 32 cores, 256 GiB, 4 TiB disk")
    for precision in ("awq", "gptq", "fp8"):
        one = plan(cards, Spec(model="qwen3-32b", engine="vllm", precision=precision))
        assert one.verdict == "fits", (precision, one.binding)
    for precision in ("gptq_int8", "nvfp4"):
        one = plan(cards, Spec(model="qwen3-32b", engine="vllm", precision=precision))
        assert one.verdict == "refused"
        assert f"has no kernels for {precision}" in one.binding, one.binding


def test_a_card_for_which_no_engine_is_built_is_not_called_broken() -> None:
    one = plan(
        machine("8x MetaX C500, 2 sockets, 64 cores, 1 TiB, 4 TiB disk"), Spec(profile="flagship", model="qwen3-32b")
    )
    assert one.verdict == "refused"
    assert not any("mend" in finding.fix for finding in one.findings)


def test_a_makers_company_is_as_good_a_word_as_its_brand() -> None:
    assert machine("8x Kunlunxin P800, 1 TiB") == machine("8x Kunlun P800, 1 TiB")


def test_the_int8_of_qwen38_on_ascend_has_its_published_size_and_the_nvfp4_the_build_that_was_read() -> None:
    """vllm-project/recipes @8959cf6 models/Qwen/Qwen3.8-27B.yaml."""
    entry = CATALOG.model("qwen3.8-27b")
    ascend = entry.checkpoint("int8", frozenset(("ascend",)))
    assert ascend is not None
    assert (ascend.bytes, ascend.repositories["modelscope"]) == (32128768176, "Eco-Tech/Qwen3.8-27B-w8a8")
    nvfp4 = entry.checkpoint("nvfp4")
    assert nvfp4 is not None
    assert (nvfp4.bytes, nvfp4.repositories["huggingface"]) == (26381249312, "Inferact/Qwen3.8-27B-NVFP4")


def test_a_cache_that_an_engine_compresses_by_unread_rules_is_said_to_be_unverified() -> None:
    cards = machine("8x H200, 2 sockets, 128 cores, 2 TiB, 8 TiB disk")
    of = {
        (name, engine): plan(cards, Spec(model=name, engine=engine))
        for name in ("deepseek-v4-flash", "deepseek-v3.2")
        for engine in ("vllm", "sglang")
    }
    found = {key for key, one in of.items() if "cache-unverified" in [finding.id for finding in one.findings]}
    assert all(one.verdict == "fits" for one in of.values())
    assert found == {("deepseek-v4-flash", "sglang")}

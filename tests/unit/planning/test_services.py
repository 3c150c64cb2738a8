"""What each service of a plan is given: ports, processors, memory, folders, and the words of its command line."""

import pytest

from provisioner.errors import BadInput
from provisioner.model.facts import Unknown
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.planning.asked.settings import engine_named
from provisioner.planning.serving.service import model_path
from provisioner.planning.sources import stock
from tests.unit.planning.samples import CATALOG, GIB, PLACE, machine, plan, used

EIGHT = "8x h100-sxm-80g, 2 sockets, 64 cores, 512 GiB"


@pytest.mark.parametrize("image", ["-v /:/x", "--privileged", "one two", "", "name;true"])
def test_what_is_no_name_of_an_image_is_refused(image: str) -> None:
    with pytest.raises(BadInput, match="is no name of an image"):
        plan("1x h100-sxm-80g, 128 GiB", Spec(model="qwen3-8b", settings={"image": image}))


@pytest.mark.parametrize("image", ["vllm", "registry.example:5000/a/vllm:v1", f"vllm@sha256:{'0' * 64}"])
def test_an_image_is_taken_by_tag_or_digest(image: str) -> None:
    made = plan("1x h100-sxm-80g, 128 GiB", Spec(model="qwen3-8b", settings={"image": image}))
    assert made.services[0].image == image


def test_copies_end_on_the_last_port_and_not_after_it() -> None:
    made = plan(EIGHT, Spec(model="qwen3-8b", settings={"port": "65528"}))
    assert [service.port for service in made.services] == list(range(65528, 65536))
    with pytest.raises(BadInput, match="would end on 65537; 65535 is the last"):
        plan(EIGHT, Spec(model="qwen3-8b", settings={"port": "65530"}))


def test_several_models_end_on_the_last_port_and_not_after_it() -> None:
    with pytest.raises(BadInput, match="would end on 65536; 65535 is the last"):
        plan("1x L40S, 128 GiB", Spec(models=("qwen2.5-32b-instruct", "qwen3-0.6b"), settings={"port": "65535"}))


def option(argv: tuple[str, ...], flag: str) -> str:
    return argv[argv.index(flag) + 1]


HOSTED = "1x h100-sxm-80g, 2 sockets, 64 cores, 360 GiB, 4 TiB disk"


def test_experts_that_are_moved_to_the_card_are_said() -> None:
    made = plan(HOSTED, Spec(profile="flagship", engine="ktransformers"))
    assert made.verdict == "fits"
    (service,) = made.services
    assert int(option(service.argv, "--kt-num-gpu-experts")) > 0
    roomy = plan(HOSTED.replace("360 GiB", "1 TiB"), Spec(profile="flagship", engine="ktransformers"))
    assert option(roomy.services[0].argv, "--kt-num-gpu-experts") == "0"


def test_a_service_is_given_its_own_share_of_the_host_and_never_more_than_there_is() -> None:
    (hosted,) = plan(HOSTED, Spec(profile="flagship", engine="ktransformers")).services
    assert (hosted.memory_max_bytes or 0) <= 360 * GIB
    copies = plan(EIGHT, Spec(model="qwen3-8b"))
    assert len(copies.services) == 8
    need = used(copies, "host")
    assert need / 8 < (copies.services[0].memory_max_bytes or 0) < need / 4
    assert sum(service.memory_max_bytes or 0 for service in copies.services) <= 512 * GIB


def test_further_nodes_name_their_cards_by_number_and_need_the_first_one_s_address() -> None:
    made = plan(f"{EIGHT}, 2 nodes", Spec(model="deepseek-r1"))
    assert {service.node for service in made.services} == {0, 1}
    here = next(service for service in made.services if service.node == 0)
    there = next(service for service in made.services if service.node == 1)
    assert not set(here.devices) & set(there.devices)
    assert there.devices == tuple(map(str, range(8)))
    assert there.env["CUDA_VISIBLE_DEVICES"] == "0,1,2,3,4,5,6,7"
    (told,) = [one for one in made.decisions if one.subject == "address of the first node"]
    assert (told.choice, "`--set engine.master-addr=ADDRESS`" in told.because) == ("first-node.invalid", True)


def test_processors_beside_a_card_are_those_that_we_may_use() -> None:
    facts = machine(EIGHT)
    cards = facts.accelerators["nvidia"]
    assert not isinstance(facts.cpu, Unknown)
    assert not isinstance(cards, Unknown)
    beside = tuple(replace(card, numa_node=card.index // 4) for card in cards)
    held = replace(facts, cpu=replace(facts.cpu, usable="0-3"), accelerators={"nvidia": beside})
    services = plan(held, Spec(model="qwen3-8b")).services
    assert {service.cpus for service in services} == {"0-3"}
    assert {service.numa_nodes for service in services} == {"0", None}


def test_checkpoints_of_one_name_do_not_share_a_folder() -> None:
    catalog = stock.from_checkpoint(CATALOG.model("qwen3-8b"), "bf16")
    assert isinstance(catalog, stock.Subject)
    (file,) = catalog.files
    fork = replace(catalog, files=(replace(file, origin="hub:huggingface/somebody/Qwen3-8B/"),))
    assert model_path(catalog, PLACE) != model_path(fork, PLACE)
    assert model_path(catalog, PLACE) == model_path(replace(catalog, files=(file,)), PLACE)


@pytest.mark.parametrize(("engine", "least"), [("vllm", 600), ("sglang", 600), ("llamacpp", 30)])
def test_servers_that_compile_are_waited_for(engine: str, least: int) -> None:
    made = plan("1x RTX 4090, 64 GiB", Spec(model="qwen3-0.6b", engine=engine))
    assert made.services[0].ready_seconds > least
    assert least == 600 or made.services[0].ready_seconds < 300


@pytest.mark.parametrize("engine", ["ollama", "lmstudio", "ktransformers"])
def test_an_engine_is_given_none_of_another_one_s_flags(engine: str) -> None:
    made = plan("1x RTX 4090, 512 GiB, 32 cores", Spec(model="qwen3-30b-a3b", engine=engine, precision="q4_k_m"))
    assert made.verdict == "fits", made.binding
    assert set(made.services[0].options) <= set(engine_named(engine).options)


def test_sglang_counts_all_ranks_of_a_stage_and_parts_them_for_attention() -> None:
    asked = Spec(model="deepseek-r1", engine="sglang", settings={"engine.attn-dp-size": "4"})
    made = plan("8x h200-sxm-141g, 2 sockets, 64 cores, 1 TiB", asked)
    assert made.verdict == "fits", made.binding
    assert (made.parallel.tensor, made.parallel.data) == (2, 4)
    argv = made.services[0].argv
    assert [option(argv, flag) for flag in ("--tp-size", "--attn-dp-size", "--ep-size")] == ["8", "4", "8"]
    both = replace(asked, settings={**asked.settings, "engine.tp-size": "8"})
    assert plan("8x h200-sxm-141g, 2 sockets, 64 cores, 1 TiB", both).parallel == made.parallel


def test_copies_of_a_model_are_services_and_no_flag_of_sglang() -> None:
    with pytest.raises(BadInput, match=r"unknown setting `engine.dp-size`"):
        plan(EIGHT, Spec(model="qwen3-8b", engine="sglang", settings={"engine.dp-size": "8"}))


@pytest.mark.parametrize("flag", ["cache-type-k", "cache-type-v"])
def test_ollama_has_one_type_for_both_halves_of_the_cache(flag: str) -> None:
    asked = Spec(model="qwen3-8b", engine="ollama", settings={f"engine.{flag}": "q8_0"})
    made, full = plan("1x RTX 4090, 64 GiB", asked), plan("1x RTX 4090, 64 GiB", replace(asked, settings={}))
    assert made.services[0].env["OLLAMA_KV_CACHE_TYPE"] == "q8_0"
    assert made.memory is not None
    assert full.memory is not None
    assert made.memory.kv_bytes_per_token < full.memory.kv_bytes_per_token * 0.6


def test_two_types_for_what_is_one_are_refused() -> None:
    settings = {"engine.cache-type-k": "q8_0", "engine.cache-type-v": "q4_0"}
    with pytest.raises(BadInput, match="Ollama has one value for all of them"):
        plan("1x RTX 4090, 64 GiB", Spec(model="qwen3-8b", engine="ollama", settings=settings))


@pytest.mark.parametrize(
    ("engine", "flag"), [("ollama", "num-gpu"), ("lmstudio", "threads"), ("lmstudio", "cache-type-k")]
)
def test_a_flag_that_would_go_nowhere_is_not_known(engine: str, flag: str) -> None:
    with pytest.raises(BadInput, match=f"unknown setting `engine.{flag}`"):
        plan("1x RTX 4090, 64 GiB", Spec(model="qwen3-8b", engine=engine, settings={f"engine.{flag}": "1"}))


def test_an_address_of_version_6_stands_in_brackets() -> None:
    made = plan("1x RTX 4090, 64 GiB", Spec(model="qwen3-8b", engine="llamacpp", listen="[::1]:8001"))
    assert made.services[0].host == "::1"
    assert [one.choice for one in made.decisions if one.subject == "address"] == ["http://[::1]:8001"]


def test_ollama_leaves_old_cards_alone_and_is_not_planned_on_them() -> None:
    facts = machine("2x RTX 4090, 64 GiB")
    cards = facts.accelerators["nvidia"]
    assert not isinstance(cards, Unknown)
    old, new = replace(cards[0], name="Tesla K80", compute_capability="3.7"), cards[1]
    asked = Spec(model="qwen3-8b", engine="ollama", precision="q4_k_m")
    mixed = plan(replace(facts, accelerators={"nvidia": (old, new)}), asked)
    assert mixed.services[0].devices == (new.uuid,)
    made = plan(replace(facts, accelerators={"nvidia": (old,)}), replace(asked, settings={"placement": "device"}))
    assert made.verdict == "refused"
    assert "Ollama needs compute capability 5.0, and Tesla K80 has 3.7" in made.binding

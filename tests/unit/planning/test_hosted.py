"""KTransformers reads two sets of files: experts from a GGUF, and all else from the model's own checkpoint."""

import pytest

from provisioner.model.plan import Plan
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from provisioner.planning.tries.hosted import FOLDER
from tests.unit.planning.samples import GIB, plan

R1 = Spec(model="deepseek-r1", engine="ktransformers", precision="q4_k_m", context=4096, concurrency=1)
SERVER = "2 sockets, 64 cores, 512 GiB, 4 TiB disk"


def option(made: Plan, flag: str) -> str:
    argv = made.services[0].argv
    return argv[argv.index(flag) + 1]


def test_both_sets_are_fetched_into_one_folder_with_experts_in_one_of_their_own() -> None:
    made = plan(f"1x L40S, {SERVER}", R1)
    assert made.model is not None
    assert made.memory is not None
    card, experts = made.model.files
    assert card.origin == "hub:huggingface/deepseek-ai/DeepSeek-R1/"
    assert (experts.name, experts.origin.startswith("hub:huggingface/unsloth/")) == (
        f"{FOLDER}/DeepSeek-R1-Q4_K_M.gguf", True,
    )  # fmt: skip
    assert option(made, "--kt-weight-path") == f"{option(made, '--model-path')}/{FOLDER}"
    assert made.services[0].model_folder == option(made, "--model-path")
    assert made.memory.disk_bytes > 1000 * GIB, "688 GB and 404 GB"
    assert made.model.weights_bytes == sum(file.size_bytes for file in made.model.files)


@pytest.mark.parametrize(
    ("card", "repository"),
    [
        ("1x L40S", "deepseek-ai/DeepSeek-R1"),
        ("1x H100 SXM 80G", "deepseek-ai/DeepSeek-R1"),
        ("1x A100 SXM 80G", "cognitivecomputations/DeepSeek-R1-AWQ"),
        ("1x RTX 3090", "cognitivecomputations/DeepSeek-R1-AWQ"),
    ],
)
def test_the_card_s_part_is_in_a_format_that_it_computes_in(card: str, repository: str) -> None:
    made = plan(f"{card}, {SERVER}", R1)
    assert made.verdict == "fits", made.binding
    assert made.model is not None
    assert repository in made.model.files[0].origin


def test_the_cache_is_as_large_as_planned_and_the_share_holds_it() -> None:
    made = plan(f"1x RTX 4090, {SERVER}", R1)
    assert made.memory is not None
    card = next(one for one in made.memory.per_device if one.device != "host")
    share = float(option(made, "--mem-fraction-static"))
    assert option(made, "--max-total-tokens") == "4096"
    assert card.weights_bytes + card.kv_cache_bytes <= share * card.budget_bytes
    assert share * card.budget_bytes < card.budget_bytes - card.overhead_bytes / 2


def test_threads_are_physical_cores_in_a_pool_for_each_numa_node() -> None:
    made = plan(f"1x L40S, {SERVER}", R1)
    assert (option(made, "--kt-cpuinfer"), option(made, "--kt-threadpool-count")) == ("64", "2")


def test_there_are_no_more_pools_than_blocks_of_an_expert() -> None:
    """Experts of Qwen3 30B-A3B are 768 wide, which are three blocks; what is cut finer does not start."""
    spec = Spec(model="qwen3-30b-a3b", engine="ktransformers", precision="q4_k_m")
    made = plan("1x RTX 4090, 8 sockets, 64 cores, 512 GiB, 4 TiB disk", spec)
    assert option(made, "--kt-threadpool-count") == "3"


def test_memory_that_does_not_hold_all_experts_is_told() -> None:
    made = plan("1x L40S, 2 sockets, 64 cores, 256 GiB, 4 TiB disk", R1)
    assert made.verdict == "refused"
    assert "host memory must hold all experts" in made.binding


def test_whoever_has_the_gguf_alone_is_told_that_the_checkpoint_is_missing() -> None:
    """A plan names both; one of them at hand saves no more than itself."""
    made = plan(f"1x L40S, {SERVER}", R1, Shelf(()))
    assert [
        one.choice.startswith("deepseek-ai/DeepSeek-R1/") for one in made.decisions if one.subject == "weights"
    ] == [True]


def test_it_comes_in_the_published_image_or_in_the_one_that_is_named() -> None:
    assert plan(f"1x L40S, {SERVER}", R1).services[0].image == "docker.io/kvcache/ktransformers:v0.5.3-cu128"
    named = Spec(model="deepseek-r1", engine="ktransformers", precision="q4_k_m", settings={"image": "mine/kt:v1"})
    made = plan(f"1x L40S, {SERVER}", named)
    assert (made.services[0].image, made.target) == ("mine/kt:v1", "docker")
    assert not [one for one in made.findings if one.id == "planned-only"]


def test_a_weaker_gguf_is_no_stronger_for_its_checkpoint() -> None:
    """Speed alone brings nobody experts of less than four bits, though the card's part has eight."""
    made = plan(f"1x L40S, {SERVER}", Spec(profile="flagship", engine="ktransformers"))
    assert made.model is not None
    assert made.model.precision == "q4_k_m"

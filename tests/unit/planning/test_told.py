"""What engines that claim a share are told by name, and by the plan: it is counted, or refused before anything is started."""

import json
from pathlib import Path

import pytest

from provisioner.errors import BadInput
from provisioner.model.plan import Plan
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.model.weights import CheckpointFolder, Shelf
from provisioner.planning.asked.settings import wish_of
from provisioner.planning.machine.ground import survey
from provisioner.planning.tries.attempt import Attempt, Scene
from provisioner.planning.tries.choose import choose
from provisioner.weights.folder import checkpoint_in
from tests.unit.planning.samples import CATALOG, GIB, decision, machine, plan, used
from tests.unit.weights.checkpoints import CONFIG, PARTS, checkpoint, safetensors, write

CARD = "1x RTX 4090, 64 GiB"
CROWDED = {"engine.max-num-seqs": "256"}


def asked(*settings: str, context: int = 8192, concurrency: int = 1, model: str = "qwen3-8b") -> Spec:
    """`settings` as they are written after `--set engine.`."""
    named = {f"engine.{flag}": value for flag, _, value in (setting.partition("=") for setting in settings)}
    return Spec(
        model=model, precision="bf16", engine="vllm", context=context, concurrency=concurrency, settings=named
    )  # fmt: skip


def option(made: Plan, flag: str) -> str:
    words = made.services[0].argv
    return words[words.index(f"--{flag}") + 1]


def cache_of(made: Plan) -> int:
    assert made.memory is not None
    return made.memory.per_device[0].kv_cache_bytes


@pytest.mark.parametrize(("requests", "largest"), [("8", "16"), ("100", "200"), ("256", "512"), ("1000", "512")])
def test_graphs_are_captured_for_twice_the_requests_at_a_time(requests: str, largest: str) -> None:
    made = plan(CARD, asked(f"max-num-seqs={requests}"))
    assert option(made, "max-cudagraph-capture-size") == largest
    assert decision(made, "graphs") == f"batches up to {largest}"


def test_fewer_graphs_leave_more_room_for_the_cache() -> None:
    usual, few, none = (
        cache_of(plan(CARD, asked("max-num-seqs=256", *more)))
        for more in ((), ("max-cudagraph-capture-size=8",), ("enforce-eager=true",))
    )
    assert usual < few < none
    assert none - usual == pytest.approx(1 * GIB, rel=0.01)
    assert none - few == pytest.approx((0.4 + 0.6 * 4 / 51) * GIB, rel=0.01)


@pytest.mark.parametrize(("context", "change"), [(36000, "graphs for batches up to 1"), (39000, "no graphs")])
def test_smaller_graphs_or_none_are_told_where_they_make_it_fit(context: int, change: str) -> None:
    spec = asked("max-num-seqs=256", context=context)
    made = plan(CARD, spec)
    assert made.verdict == "refused"
    first = made.cheapest_changes[0]
    assert first.change == change
    changed = asked("max-num-seqs=256", first.flags[1].removeprefix("engine."), context=context)
    assert plan(CARD, changed).verdict == "fits"


def test_sglang_captures_no_more_than_it_runs_at_a_time() -> None:
    spec = Spec(model="qwen3-8b", precision="awq", engine="sglang", settings={"engine.max-running-requests": "20"})
    assert option(plan(CARD, spec), "cuda-graph-max-bs-decode") == "20"


def test_a_cache_of_so_many_bytes_is_counted_as_that() -> None:
    made = plan(CARD, asked(f"kv-cache-memory-bytes={2 * GIB}"))
    assert (made.verdict, cache_of(made)) == ("fits", 2 * GIB)
    assert made.memory is not None
    assert (
        made.memory.kv_tokens == made.memory.kv_tokens_low == made.memory.kv_tokens_high == 2 * GIB // 147456 // 16 * 16
    )
    assert plan(CARD, asked(f"kv-cache-memory-bytes={1 * GIB}")).verdict == "refused"
    assert plan(CARD, asked(f"kv-cache-memory-bytes={8 * GIB}")).verdict == "refused"


def test_weights_that_are_left_to_the_host_are_counted_there() -> None:
    large = "qwen2.5-14b-instruct"
    assert plan(CARD, asked(model=large, context=4096)).verdict == "refused"
    made = plan(CARD, asked("cpu-offload-gb=12", model=large, context=4096))
    assert made.verdict == "fits", made.binding
    assert made.memory is not None
    device = made.memory.per_device[0]
    assert made.model is not None
    assert device.weights_bytes == pytest.approx(made.model.weights_bytes - 12 * GIB, rel=0.01)
    assert used(made, "host") >= 12 * GIB
    assert made.capacity is not None
    assert made.capacity.tokens_per_second is None
    assert plan("1x RTX 4090, 16 GiB", asked("cpu-offload-gb=12", model=large, context=4096)).verdict == "refused"


@pytest.mark.parametrize(
    ("flag", "value", "known"),
    [
        ("dtype", "nonsense", "bfloat16"), ("dtype", "float32", "bfloat16"), ("block-size", "17", "multiple of 16"),
        ("block-size", "none", "multiple of 16"), ("kv-cache-dtype", "nonsense", "fp8_e5m2"),
        ("quantization", "nonsense", "gptq_marlin"), ("quantization", "awq", "leave it away"),
        ("cpu-offload-gb", "much", "=8"), ("kv-cache-memory-bytes", "much", "=8589934592"),
    ],
)  # fmt: skip
def test_nonsense_is_refused_with_what_would_do(flag: str, value: str, known: str) -> None:
    with pytest.raises(BadInput) as refused:
        plan(CARD, asked(f"{flag}={value}"))
    assert f"engine.{flag}" in refused.value.message or "cache type" in refused.value.message
    assert known in refused.value.fix


def test_a_method_leads_to_the_files_that_it_loads() -> None:
    spec = Spec(model="qwen3-8b", engine="vllm", context=8192, settings={"engine.quantization": "awq_marlin"})
    made = plan(CARD, spec)
    assert made.model is not None
    assert (made.verdict, made.model.precision) == ("fits", "awq")


@pytest.mark.parametrize("hardware", ["2x ascend-910b3, 256 GiB", "2x t4-16g, 64 GiB", "2x k100-ai, 128 GiB",
                                      "2x V100 SXM2 32GB, 128 GiB"])  # fmt: skip
def test_no_cache_in_8_bits_where_cards_have_no_kernels_for_it(hardware: str) -> None:
    """With so many requests at a time that half the bytes for each token would make it fit."""
    spec = Spec(model="qwen3-8b", engine="vllm", context=40960, concurrency=60)
    made = plan(hardware, spec)
    assert made.verdict == "refused"
    assert not [one for one in made.cheapest_changes if "fp8" in " ".join((one.change, *one.flags))]
    fp8 = {"engine.kv-cache-dtype": "fp8"}
    eight = Spec(model="qwen3-8b", engine="vllm", precision="bf16", context=4096, settings=fp8)
    assert "a cache in fp8" in plan(hardware, eight).binding


def test_bytes_for_each_token_are_those_of_the_cache_that_a_checkpoint_asks_for() -> None:
    made = plan("1x b200-180g, 256 GiB", Spec(model="qwen3.8-27b", precision="nvfp4", engine="vllm", context=32768))
    assert made.memory is not None
    assert made.memory.kv_bytes_per_token == 32768


def test_sglang_says_where_activations_are() -> None:
    made = plan(CARD, Spec(model="qwen3-8b", precision="bf16", engine="sglang", context=40960))
    assert made.verdict == "refused"
    assert "0 B" not in made.binding
    assert "activations and graphs are inside the 7.03 GiB that the engine leaves out" in made.binding


def test_gpt_oss_is_not_cut_over_more_ranks_than_it_has_key_value_heads() -> None:
    spec = Spec(model="gpt-oss-120b", engine="vllm", settings={"engine.tensor-parallel-size": "16"})
    made = plan("16x h100-sxm-80g, 1024 GiB", spec)
    assert made.verdict == "refused"
    assert "take tensor parallel 1, 2, 4 or 8" in made.binding


def folder(tmp_path: Path, place: str, tied: bool) -> CheckpointFolder:
    """One of them has its output head in the files, the other uses the embeddings for it."""
    files = checkpoint({**CONFIG, "tie_word_embeddings": tied})
    if tied:
        index = json.loads(files["model.safetensors.index.json"])
        del index["weight_map"]["lm_head.weight"]
        first = {name: kind for name, kind in PARTS[0].items() if name != "lm_head.weight"}
        files |= {"model.safetensors.index.json": json.dumps(index).encode(),
                  "model-00001-of-00002.safetensors": safetensors(first)}  # fmt: skip
    return checkpoint_in(str(write(tmp_path / place / "Tiny", files)), lambda _path: "1" * 64)


def test_two_folders_of_one_name_have_figures_of_their_own(tmp_path: Path) -> None:
    """Whatever is kept between the tries of a plan."""
    one, other = folder(tmp_path, "a", tied=False), folder(tmp_path, "b", tied=True)
    assert one.title == other.title
    shelf, facts = Shelf(folders=(one, other)), machine(CARD)
    scenes = [
        Scene(wish_of(Spec(model=each.path, engine="vllm")), facts, survey(facts), CATALOG, shelf)
        for each in (one, other)
    ]
    together = replace(scenes[1], known=scenes[0].known)
    for scene in (scenes[0], together):
        assert not choose(scene).attempt.problem
    assert weights(choose(together).attempt) == weights(choose(scenes[1]).attempt) < weights(choose(scenes[0]).attempt)


def weights(attempt: Attempt) -> int:
    assert attempt.served is not None
    return attempt.served.load.weights_bytes

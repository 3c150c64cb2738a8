"""Weights on a rank: held to what engines logged, and to what must always hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.model.catalog import Geometry
from provisioner.model.load import Degrees
from provisioner.model.record import replace
from provisioner.model.weights import TensorBytes
from provisioner.planning.memory import checkpoints, sharding
from tests.unit.planning.samples import CATALOG

GIB = 1 << 30
MODELS = ("qwen3-32b", "qwen3-30b-a3b", "deepseek-r1", "deepseek-v2-lite", "gpt-oss-20b", "qwen3-4b-instruct-2507")


def stages(name: str, precision: str, degrees: Degrees) -> list[float]:
    model = CATALOG.model(name)
    found = checkpoints.checkpoint_of(model, precision)
    assert found is not None
    return [size / GIB for size in sharding.stage_bytes(model.architecture, found.bytes, precision, degrees)]


@pytest.mark.parametrize(
    ("name", "precision", "degrees", "logged"),
    [
        # `Model loading took`, in GiB: reference.yaml and the documents of llm-d-planner (@e50305a for 0.11, @2d557dc for 0.19).
        pytest.param("qwen3-14b", "bf16", Degrees(), 27.52, id="l40s-qwen3-14b-bf16"),
        pytest.param("qwen3-32b", "bf16", Degrees(), 61.03, id="llmd-h100-qwen3-32b-tp1"),
        pytest.param("qwen3-32b", "bf16", Degrees(tensor=2), 30.59, id="Qwen3-32B on two ranks"),
        pytest.param("llama-3.1-8b-instruct", "bf16", Degrees(tensor=2), 7.51, id="Llama-3.1-8B on two ranks"),
        pytest.param("llama-3.1-8b-instruct", "bf16", Degrees(tensor=4), 3.77, id="Llama-3.1-8B on four ranks"),
        pytest.param("llama-3.1-8b-instruct", "bf16", Degrees(pipeline=4), 4.26, id="four stages, the ends are fuller"),
        pytest.param("qwen3-8b", "bf16", Degrees(pipeline=3), 5.48, id="three stages"),
        pytest.param("llama-3.3-70b-instruct", "fp8", Degrees(tensor=2), 33.88, id="fp8 by channel"),
        pytest.param("qwen3-30b-a3b", "bf16", Degrees(tensor=4), 14.2474, id="a10x4-qwen3-30b-bf16-tp4"),
        pytest.param("deepseek-r1", "fp8_block128", Degrees(tensor=16), 39.66, id="vllm#13074, without the drafter"),
    ],
)
def test_weights_of_the_fullest_rank_are_the_logged_ones(
    name: str, precision: str, degrees: Degrees, logged: float
) -> None:
    assert max(stages(name, precision, degrees)) == pytest.approx(logged, rel=0.015)


def test_one_rank_holds_the_whole_checkpoint() -> None:
    for name in MODELS:
        model = CATALOG.model(name)
        precision = "mxfp4" if name == "gpt-oss-20b" else "bf16"
        total = checkpoints.checkpoint_bytes(model.architecture, precision)
        padded = 1 + 64 / model.architecture.vocab
        held = sharding.rank_bytes(model.architecture, total, precision, Degrees())
        assert total * 0.9999 <= held <= total * padded


def test_a_drafter_in_the_files_is_not_loaded() -> None:
    model = CATALOG.model("deepseek-r1").architecture
    alone = checkpoints.checkpoint_bytes(model, "fp8_block128")
    with_drafter = alone + checkpoints.draft_bytes(model, "fp8_block128")
    assert with_drafter > alone
    ours = [sharding.rank_bytes(model, size, "fp8_block128", Degrees(tensor=8)) for size in (alone, with_drafter)]
    assert ours[0] == pytest.approx(ours[1], rel=0.001)


def test_experts_weigh_the_same_cut_or_dealt_out_and_attention_is_copied_over_data_ranks() -> None:
    model = CATALOG.model("qwen3-235b-a22b").architecture
    total = checkpoints.checkpoint_bytes(model, "bf16")
    cut = sharding.rank_bytes(model, total, "bf16", Degrees(tensor=8))
    assert cut == sharding.rank_bytes(model, total, "bf16", Degrees(tensor=8, expert=True))
    copied = sharding.rank_bytes(model, total, "bf16", Degrees(tensor=1, data=8, expert=True))
    parts = checkpoints.parts(model)
    assert copied - cut == pytest.approx(2 * (parts.attention + parts.tables) * 7 / 8, rel=0.02)


def test_key_value_heads_are_copied_where_the_tensor_group_is_wider() -> None:
    shape = Geometry("dense-gqa", 10, 10, 1024, 4096, 32, 2, 32, 32, vocab=64000)
    assert sharding.attention_share(shape, 2) == 1 / 2
    assert sharding.attention_share(shape, 8) > 1 / 8
    assert sharding.attention_share(replace(shape, kv_lora_rank=512), 8) == 1 / 8


def test_the_vocabulary_is_padded_and_a_tied_table_is_held_at_both_ends() -> None:
    shape = Geometry("dense-gqa", 2, 2, 64, 64, 2, 2, 32, 32, vocab=65, tied_embeddings=True)
    known = TensorBytes(embedding=65 * 64 * 2)
    assert sharding.tensor_stage_bytes(shape, known, Degrees()) == (128 * 64 * 2,)
    assert sharding.tensor_stage_bytes(shape, known, Degrees(pipeline=2)) == (128 * 64 * 2, 128 * 64 * 2)
    assert sharding.tensor_stage_bytes(shape, known, Degrees(tensor=2)) == (64 * 64 * 2,)


def test_plain_layers_come_first_in_mixed_models() -> None:
    first, second = sharding.stages(CATALOG.model("deepseek-r1").architecture, 2)
    assert (first.dense_layers, second.dense_layers) == (1, 0)
    assert first.expert_layers == pytest.approx(28 / 58)
    assert second.expert_layers == pytest.approx(30 / 58)


@given(name=st.sampled_from(MODELS), tensor=st.sampled_from((1, 2, 4, 8)), pipeline=st.integers(1, 6))
def test_more_ranks_never_hold_more_on_one_and_no_byte_is_lost(name: str, tensor: int, pipeline: int) -> None:
    model = CATALOG.model(name).architecture
    total = checkpoints.checkpoint_bytes(model, "bf16")
    held = sharding.stage_bytes(model, total, "bf16", Degrees(tensor, pipeline))
    assert sum(held) * tensor >= total * 0.999
    wider = sharding.rank_bytes(model, total, "bf16", Degrees(2 * tensor, pipeline))
    assert wider <= max(held)
    assert sharding.rank_bytes(model, total, "bf16", Degrees(tensor, 2 * pipeline)) <= max(held)

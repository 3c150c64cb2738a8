"""Headers of safetensors: what they say, and that no damaged or hostile one does more than raise ValueError."""

import json
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioner.model.weights import TensorBytes
from provisioner.weights.safetensors import Tensor, parse_index, read_header
from provisioner.weights.tensorkinds import kind_of, parameters_of, sums_of
from tests.unit.weights.checkpoints import PARAMETERS, PARTS, checkpoint, safetensors

WHOLE = safetensors(PARTS[0])


def header(data: bytes) -> tuple[Tensor, ...]:
    return read_header(lambda offset, size: data[offset : offset + size], len(data))


def raw(text: bytes, length: int | None = None, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def entry(**changes: object) -> bytes:
    said = {"dtype": "BF16", "shape": [2, 2], "data_offsets": [0, 8], **changes}
    return raw(json.dumps({"t": said}).encode(), data=bytes(8))


def test_names_shapes_and_bytes() -> None:
    found = {tensor.name: tensor for tensor in header(WHOLE)}
    assert found.keys() == PARTS[0].keys()
    assert found["lm_head.weight"] == Tensor("lm_head.weight", "BF16", (256, 64), 32768)


def test_only_the_header_is_read() -> None:
    asked: list[tuple[int, int]] = []

    def read(offset: int, size: int) -> bytes:
        asked.append((offset, size))
        return WHOLE[offset : offset + size]

    read_header(read, len(WHOLE))
    assert sum(size for _, size in asked) == 8 + struct.unpack("<Q", WHOLE[:8])[0]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "too short"),
        (WHOLE[:7], "too short"),
        (WHOLE[:100], "cut short"),
        (WHOLE[:-1], "cut short"),
        (WHOLE + b"!", "belong to no tensor"),
        (raw(b"{}", length=1 << 63), "more than 100000000"),
        (raw(b"{}", length=50), "cut short"),
        (b"PK\x03\x04" + bytes(40), "belong to no tensor|no JSON|cut short"),
        (raw(b"[]"), "no JSON object"),
        (raw(b"{"), "no JSON"),
        (raw(b"[" * 100_000), "no JSON"),
        (raw(b'{"t": 3}'), "no object"),
        (entry(dtype="F99"), "unknown type 'F99'"),
        (entry(dtype=["F32"]), "unknown type"),
        (entry(shape=[-2, -2]), "no proper shape"),
        (entry(shape=[True, 4]), "no proper shape"),
        (entry(shape="22"), "no proper shape"),
        (entry(shape=[2] * 9), "no proper shape"),
        (entry(shape=[1 << 47, 1 << 47]), "has 8 bytes"),
        (entry(data_offsets=[0]), "no proper shape or place"),
        (entry(data_offsets=[8, 0]), "has -8 bytes"),
        (entry(data_offsets=[8, 16]), "begins at byte 8"),
        (entry(shape=[2, 3]), "has 8 bytes, and its shape and type make 12"),
        (entry(dtype="F4", shape=[3], data_offsets=[0, 1]), "make 1.5"),
    ],
)
def test_what_is_wrong_is_named(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        header(data)


def test_two_tensors_in_the_same_place() -> None:
    said = {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]}
    with pytest.raises(ValueError, match="the one before ends at 8"):
        header(raw(json.dumps({"a": said, "b": said}).encode(), data=bytes(8)))


def test_tensors_without_elements_share_a_place() -> None:
    said = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
    assert len(header(raw(json.dumps({"a": said, "b": said}).encode()))) == 2


FUZZ = settings(max_examples=300, deadline=2000, suppress_health_check=[HealthCheck.too_slow])


def refuses_or_reads(data: bytes) -> None:
    try:
        header(data)
    except ValueError:
        return


@FUZZ
@given(st.data())
def test_flipped_and_cut_headers(data: st.DataObject) -> None:
    changed = bytearray(WHOLE[:2000])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at : at + 4] = data.draw(st.binary(min_size=1, max_size=4))
    refuses_or_reads(bytes(changed[: data.draw(st.integers(0, len(changed)))]))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(["BF16", "F4"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["dtype", "shape", "data_offsets", "x", "weight_map", "metadata", "total_size"]), inner
        )
    ),
    max_leaves=8,
)


@FUZZ
@given(JSON)
def test_any_document(document: object) -> None:
    text = json.dumps(document).encode()
    refuses_or_reads(raw(text))
    try:
        parse_index(text)
    except ValueError:
        return


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b.safetensors", "model.bin", 7, None])
def test_an_index_leads_nowhere_else(name: object) -> None:
    with pytest.raises(ValueError, match="no safetensors file of this folder"):
        parse_index(json.dumps({"weight_map": {"t": name}}).encode())


def test_an_index() -> None:
    found = parse_index(checkpoint()["model.safetensors.index.json"])
    assert found.total_bytes == PARAMETERS * 2
    assert found.names() == ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model.embed_tokens.weight", "embedding"),
        ("transformer.wte.weight", "embedding"),
        ("backbone.embeddings.weight", "embedding"),
        ("lm_head.weight", "output"),
        ("language_model.lm_head.weight", "output"),
        ("model.norm.weight", "small"),
        ("model.layers.3.self_attn.q_proj.weight", "attention"),
        ("model.layers.3.self_attn.o_proj.weight_scale_inv", "attention"),
        ("model.layers.3.self_attn.q_proj.qweight", "attention"),
        ("model.layers.3.self_attn.q_norm.weight", "small"),
        ("model.layers.3.self_attn.kv_a_proj_with_mqa.weight", "latent"),
        ("model.layers.3.self_attn.kv_a_layernorm.weight", "small"),
        ("model.layers.3.self_attn.kv_b_proj.weight", "attention"),
        ("model.layers.3.self_attn.indexer.wk.weight", "latent"),
        ("model.layers.3.linear_attn.in_proj_qkvz.weight", "attention"),
        ("backbone.layers.0.mixer.in_proj.weight", "attention"),
        ("backbone.layers.1.mixer.experts.7.up_proj.weight", "experts"),
        ("backbone.layers.1.mixer.shared_experts.up_proj.weight", "shared_experts"),
        ("model.layers.3.mlp.gate.weight", "small"),
        ("model.layers.3.mlp.gate.e_score_correction_bias", "small"),
        ("model.layers.3.mlp.router.weight", "small"),
        ("model.layers.3.mlp.gate_proj.weight", "dense"),
        ("model.layers.3.mlp.experts.7.down_proj.weight", "experts"),
        ("model.layers.3.mlp.experts.gate_up_proj_blocks", "experts"),
        ("model.layers.3.mlp.experts.gate_up_proj_scales", "experts"),
        ("model.layers.3.block_sparse_moe.experts.7.w1.weight", "experts"),
        ("model.layers.3.block_sparse_moe.gate.weight", "small"),
        ("model.layers.3.mlp.shared_experts.up_proj.weight", "shared_experts"),
        ("model.layers.3.mlp.shared_expert.up_proj.weight", "shared_experts"),
        ("model.layers.3.mlp.shared_expert_gate.weight", "small"),
        ("transformer.h.3.mlp.dense_h_to_4h.weight", "dense"),
        ("model.layers.61.mlp.experts.7.down_proj.weight", "draft"),
        ("mtp.layers.0.self_attn.q_proj.weight", "draft"),
        ("model.visual.blocks.3.attn.qkv.weight", "vision"),
        ("vision_tower.vision_model.encoder.layers.80.mlp.fc1.weight", "vision"),
        ("multi_modal_projector.linear_1.weight", "vision"),
    ],
)
def test_what_a_tensor_is_for(name: str, kind: str) -> None:
    assert kind_of(name, 61) == kind


def test_sums_by_kind() -> None:
    tensors = [tensor for part in PARTS for tensor in header(safetensors(part))]
    sums = sums_of(tensors, layers=2)
    assert sums.parameters == PARAMETERS
    assert sums.bytes == TensorBytes(
        embedding=32768,
        output=32768,
        attention=2 * 2 * (2 * 64 * 64 + 2 * 32 * 64),
        experts=2 * 2 * 12 * 32 * 64,
        small=2 * (64 + 2 * (2 * 64 + 2 * 16 + 4 * 64)),
    )
    assert sums.bytes.total == PARAMETERS * 2
    assert sums_of(tensors, layers=1).parameters == PARAMETERS - sum(
        tensor.elements for tensor in header(safetensors(PARTS[1]))
    )


@pytest.mark.parametrize(
    ("name", "dtype", "bits", "times"),
    [
        ("qweight", "I32", 4, 8),
        ("qweight", "I32", 8, 4),
        ("weight_packed", "I32", 4, 8),
        ("weight_packed", "U8", 4, 2),
        ("experts.gate_up_proj_blocks", "U8", 4, 2),
        ("weight", "F8_E4M3", 4, 1),
        ("qzeros", "I32", 4, 0),
        ("scales", "F16", 4, 0),
        ("weight_scale_inv", "F32", 4, 0),
        ("g_idx", "I32", 4, 0),
    ],
)
def test_packed_values_are_counted_one_by_one(name: str, dtype: str, bits: int, times: int) -> None:
    assert parameters_of(Tensor(f"model.layers.0.mlp.up_proj.{name}", dtype, (4, 4), 64), bits) == 16 * times

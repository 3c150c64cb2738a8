"""The arithmetic of memory, held to published figures and to the engine's own log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.model.catalog import Geometry
from provisioner.planning.memory import sizing
from tests.unit.planning.samples import CATALOG

MIB = 1 << 20
PUBLISHED = sorted(name for name in CATALOG.models if CATALOG.model(name).kv_bytes_per_token.get("bf16"))


def shape(layers: int, hidden: int, feed_forward: int, heads: int, kv_heads: int, length: int) -> Geometry:
    return Geometry("dense-gqa", layers, layers, hidden, feed_forward, heads, kv_heads, length, length, vocab=600)


@pytest.mark.parametrize("name", PUBLISHED)
def test_kv_bytes_per_token_are_the_published_ones(name: str) -> None:
    model = CATALOG.model(name)
    assert sizing.kv_bytes_per_token(model.architecture) == model.kv_bytes_per_token["bf16"]


def test_most_of_the_catalog_is_held_to_a_published_figure() -> None:
    assert len(PUBLISHED) >= 30


@pytest.mark.parametrize(
    ("geometry", "context", "logged_mib"),
    [
        # `sched_reserve: CPU compute buffer size`, xllamacpp 2026.10; the context is that of one slot.
        pytest.param(shape(2, 3584, 18944, 28, 4, 128), 4096, 150.02, id="7B in shape"),
        pytest.param(shape(3, 1536, 8960, 12, 2, 128), 4096, 71.52, id="1.5B in shape"),
        pytest.param(shape(2, 5120, 25600, 64, 8, 128), 4096, 204.02, id="32B in shape"),
        pytest.param(shape(2, 1024, 4096, 16, 4, 64), 32768, 66.02, id="long context"),
        pytest.param(shape(2, 1024, 8192, 16, 4, 64), 4096, 62.02, id="wide feed-forward"),
    ],
)
def test_the_compute_buffer_is_what_the_engine_logged(geometry: Geometry, context: int, logged_mib: float) -> None:
    ours = sizing.activation_bytes(geometry, context) / MIB
    assert logged_mib <= ours <= logged_mib + 1.01


@pytest.mark.parametrize(
    ("geometry", "context", "logged_mib"),
    [
        pytest.param(shape(2, 256, 512, 4, 2, 64), 16384, 20.52, id="narrow"),
        pytest.param(shape(2, 1024, 512, 16, 4, 64), 131072, 142.02, id="attention dominates"),
        pytest.param(shape(2, 2048, 512, 32, 4, 64), 4096, 28.02, id="wide hidden state"),
    ],
)
def test_the_compute_buffer_is_never_underestimated(geometry: Geometry, context: int, logged_mib: float) -> None:
    ours = sizing.activation_bytes(geometry, context) / MIB
    assert logged_mib <= ours <= logged_mib * 1.3


def test_the_whole_cache_counts_every_slot() -> None:
    geometry = shape(2, 256, 512, 4, 2, 64)
    # `llama_kv_cache: CPU KV buffer size = 8.00 MiB` for 8,192 tokens over two slots.
    assert sizing.kv_cache_bytes(geometry, 4096, 2, "f16", "f16") == 8 * MIB


def test_quantized_caches_count_ggml_blocks() -> None:
    geometry = shape(1, 256, 512, 4, 2, 64)
    assert sizing.kv_bytes_per_token(geometry, "q8_0", "q8_0") == 2 * 128 * 34 // 32
    assert sizing.kv_bytes_per_token(geometry, "f16", "q4_0") == 128 * 2 + 128 * 18 // 32


def test_latent_attention_keeps_one_row_for_key_and_value() -> None:
    assert sizing.kv_bytes_per_token(CATALOG.model("deepseek-r1").architecture) == 61 * 576 * 2


def test_sliding_layers_keep_their_window_only() -> None:
    geometry = CATALOG.model("gpt-oss-20b").architecture
    long, longer = (sizing.kv_cache_bytes(geometry, context, 1, "f16", "f16") for context in (65536, 131072))
    assert longer - long == 65536 * 12 * 2 * 8 * 64 * 2


@given(st.sampled_from(PUBLISHED), st.integers(1, 1 << 17), st.integers(1, 64))
def test_more_context_and_more_slots_never_need_less(name: str, context: int, slots: int) -> None:
    geometry = CATALOG.model(name).architecture
    less = sizing.need(geometry, 0, context, slots)
    more = sizing.need(geometry, 0, context + 1, slots + 1)
    assert more.kv_bytes > less.kv_bytes
    assert more.activation_bytes >= less.activation_bytes

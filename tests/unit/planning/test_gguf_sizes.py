"""GGUF sizes from the model's shape, against files that are published."""

import pytest

from provisioner.catalog import load_catalog
from provisioner.planning.gguf_sizes import can_size, gguf_bytes

CATALOG = load_catalog()
MIB = 2**20

PUBLISHED = (
    ("deepseek-r1-distill-qwen-7b", "q4_k_m", 4_683_073_504),
    ("deepseek-r1-distill-qwen-14b", "q4_k_m", 8571 * MIB),
    ("deepseek-r1-distill-qwen-14b", "q5_k_m", 10022 * MIB),
    ("deepseek-r1-distill-qwen-14b", "q6_k", 11563 * MIB),
    ("deepseek-r1-distill-qwen-14b", "q8_0", 14976 * MIB),
    ("deepseek-r1-distill-qwen-32b", "q4_k_m", 19_851_335_584),
    ("llama-3.1-8b-instruct", "q4_k_m", 4_920_739_232),
    ("qwen3-4b-instruct-2507", "q4_k_m", 2_497_281_120),
    ("qwen3-8b", "q4_k_m", 5_027_783_488),
    ("qwen3-14b", "q8_0", 14973 * MIB),
    ("qwen3-30b-a3b-instruct-2507", "q4_k_m", 18_556_686_752),
    ("phi-4", "q5_k_m", 9931 * MIB),
)
"""Sizes that public downloaders pin with a sha256, and rounded ones of the same hub's listing (in MiB)."""


@pytest.mark.parametrize(("name", "precision", "size"), PUBLISHED)
def test_published_files_are_as_large(name: str, precision: str, size: int) -> None:
    assert gguf_bytes(CATALOG.model(name).architecture, precision) == pytest.approx(size, rel=0.0015)


def test_sixteen_bits_are_two_bytes_a_parameter() -> None:
    entry = CATALOG.model("qwen2.5-7b-instruct")
    assert gguf_bytes(entry.architecture, "f16") == pytest.approx(2 * entry.parameters, rel=0.001)


def test_tied_embeddings_are_kept_once() -> None:
    tied = CATALOG.model("qwen3-4b").architecture
    assert gguf_bytes(tied, "q8_0") == pytest.approx(CATALOG.model("qwen3-4b").parameters * 34 / 32, rel=0.003)


@pytest.mark.parametrize(
    ("name", "precision", "known"),
    [
        ("qwen3-8b", "q4_k_m", True),
        ("qwen3-30b-a3b", "q8_0", True),
        ("qwen3-8b", "ud_q2_k_xl", False),
        ("deepseek-r1", "q4_k_m", False),
        ("qwen3.6-27b", "q4_k_m", False),
        ("starcoder2-7b", "q4_k_m", False),
        ("qwen3.8-2.4t-a95b", "q8_0", False),
    ],
)
def test_only_shapes_that_were_checked_are_sized(name: str, precision: str, known: bool) -> None:
    assert can_size(CATALOG.model(name).architecture, precision) is known

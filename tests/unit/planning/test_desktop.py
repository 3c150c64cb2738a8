"""Ollama's and LM Studio's own rules."""

import pytest

from provisioner.planning.amounts import GIB
from provisioner.planning.desktop import lmstudio_refuses, ollama_cards, ollama_context


@pytest.mark.parametrize(
    ("gib", "context"), [((8,), 4096), ((12, 8), 4096), ((24,), 32_768), ((24, 24), 262_144), ((80,), 262_144)]
)
def test_ollama_takes_its_context_from_the_memory_of_all_cards(gib: tuple[int, ...], context: int) -> None:
    assert ollama_context(tuple(one * GIB for one in gib)) == context


def test_ollama_goes_no_further_than_the_model_was_trained_for() -> None:
    assert ollama_context((80 * GIB,), trained=131_072) == 131_072


def test_ollama_uses_one_card_where_one_is_enough_and_all_where_not() -> None:
    assert ollama_cards(10 * GIB, (8 * GIB, 23 * GIB, 11 * GIB)) == (1,)
    assert ollama_cards(30 * GIB, (8 * GIB, 23 * GIB, 11 * GIB)) == (0, 1, 2)
    assert ollama_cards(30 * GIB, ()) == ()


def test_lm_studio_serves_gguf_from_one_machine() -> None:
    assert lmstudio_refuses("gguf") == ""
    assert "not safetensors" in lmstudio_refuses("safetensors")
    assert "one machine" in lmstudio_refuses("gguf", nodes=2)

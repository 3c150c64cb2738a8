"""What Ollama and LM Studio do with llama.cpp underneath: contexts that nobody asked for, caches that multiply."""

from provisioner.planning.amounts import GIB

OLLAMA_CONTEXTS = ((47 * GIB, 262_144), (23 * GIB, 32_768), (0, 4096))
"""Ollama's default context by the memory of all cards together (ollama/ollama@fb3076099, the line of 0.33)."""

OLLAMA_PARALLEL = 1
"""OLLAMA_NUM_PARALLEL: requests that one model serves at a time; the cache is laid out for each of them."""


def ollama_context(card_bytes: tuple[int, ...], trained: int = 0) -> int:
    """What Ollama takes when OLLAMA_CONTEXT_LENGTH is not set, and no more than the model was trained for."""
    total = sum(card_bytes)
    context = next(tokens for least, tokens in OLLAMA_CONTEXTS if total >= least)
    return min(context, trained) if trained else context


def ollama_cards(needed_bytes: int, budgets: tuple[int, ...]) -> tuple[int, ...]:
    """Which cards Ollama loads a model onto: the roomiest alone if it holds all, else every one, layers in turn.

    It never cuts a layer, so cards do not add speed: a token passes them one after the other.
    """
    if not budgets:
        return ()
    roomiest = max(range(len(budgets)), key=lambda at: budgets[at])
    return (roomiest,) if budgets[roomiest] >= needed_bytes else tuple(range(len(budgets)))


def lmstudio_refuses(file_format: str, nodes: int = 1) -> str:
    """LM Studio runs llama.cpp (and MLX on Apple) on one machine."""
    if file_format not in ("gguf", "mlx"):
        return f"LM Studio loads GGUF and MLX, not {file_format}"
    return "LM Studio serves from one machine" if nodes > 1 else ""

"""Tiny models that several engines serve beside each other: alike in shape, and each with words of its own."""

from pathlib import Path

from provisioner.world import tinymodel

PIECE = 32 << 10


def tiny(folder: Path, name: str, place: int = 0) -> str:
    """A file of this name. With another `place` other weights have changed places, and it says other things."""
    content = tinymodel.model_bytes()
    first = len(content) // 2 // 32 * 32
    second = first + place * PIECE
    if place:
        one, other = content[first : first + PIECE], content[second : second + PIECE]
        content = content[:first] + other + content[first + PIECE : second] + one + content[second + PIECE :]
    path = folder / f"{name}.gguf"
    path.write_bytes(content)
    return str(path)


def mute(folder: Path, name: str) -> str:
    """One whose engine starts and is healthy, and gives not one answer: its chat template raises."""
    template = tinymodel.CHAT_TEMPLATE.encode()
    content = tinymodel.model_bytes()
    assert template in content
    path = folder / f"{name}.gguf"
    path.write_bytes(content.replace(template, b"{{ raise_exception('no') }}".ljust(len(template))))
    return str(path)


def models(*paths: str) -> tuple[str, ...]:
    """As they are asked for."""
    return tuple(word for path in paths for word in ("--model", path))


def question(model: str, tokens: int = 8, **more: object) -> dict[str, object]:
    """What the same model always answers alike."""
    said = [{"role": "user", "content": "Hello"}]
    return {"model": model, "messages": said, "max_tokens": tokens, "temperature": 0, **more}

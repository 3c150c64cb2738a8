"""Server-sent events of a chat completion, as OpenAI's API streams them: bytes in, what was said out."""

import json

from provisioner.documents import Json
from provisioner.model.record import dataclass


@dataclass(frozen=True, slots=True)
class Delta:
    """What one event adds. `tokens` is the engine's own count, told once at the end where it is told."""

    text: str = ""
    tokens: int = 0
    error: str = ""
    end: bool = False


def deltas(data: bytes) -> tuple[list[Delta], bytes]:
    """All complete events, and the bytes of the one that is not complete yet."""
    *lines, rest = data.replace(b"\r\n", b"\n").split(b"\n")
    found = [_delta(line[5:].strip()) for line in lines if line.startswith(b"data:")]
    return found, rest


def _delta(payload: bytes) -> Delta:
    if payload == b"[DONE]":
        return Delta(end=True)
    try:
        event: Json = json.loads(payload)
    except (ValueError, RecursionError):
        return Delta(error=f"an event is not JSON: {payload[:80]!r}", end=True)
    if not isinstance(event, dict):
        return Delta(error=f"an event is no object: {payload[:80]!r}", end=True)
    if "error" in event:
        return Delta(error=str(event["error"])[:300], end=True)
    usage = event.get("usage")
    tokens = usage.get("completion_tokens") if isinstance(usage, dict) else 0
    return Delta(_said(event.get("choices")), tokens if isinstance(tokens, int) else 0)


def _said(choices: Json) -> str:
    """The answer, or the reasoning before it, which some engines send under a name of its own."""
    first = choices[0] if isinstance(choices, list) and choices else None
    delta = first.get("delta") if isinstance(first, dict) else None
    if not isinstance(delta, dict):
        return ""
    return "".join(
        value for name in ("reasoning_content", "reasoning", "content") if isinstance(value := delta.get(name), str)
    )

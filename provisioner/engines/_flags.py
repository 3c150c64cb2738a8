"""How a planned mapping of options becomes arguments: in the engine's own order, and nothing that was not planned."""

from collections.abc import Iterator, Mapping

LISTS = ("numa-bind-nodes", "numa-bind-cpus", "numa-node", "lora-modules", "lora-paths")
"""Flags of several words, one for each rank; spaces part them."""

NOTHING = "none"
"""What is set for a flag of `OPTIONAL` that shall not be said, though the plan would say it."""

OPTIONAL = ("reasoning-parser", "tool-call-parser", "chat-template", "tokenizer-mode")


def rendered(options: Mapping[str, str], known: tuple[str, ...], switches: tuple[str, ...] = ()) -> Iterator[str]:
    """`--flag value` for each option that is there; a switch takes no value, and is only said when it is on."""
    for flag in known:
        if flag not in options or (flag in OPTIONAL and options[flag] == NOTHING):
            continue
        if flag in LISTS:
            yield from (f"--{flag}", *options[flag].split())
        elif flag not in switches:
            yield from (f"--{flag}", options[flag])
        elif is_on(options[flag]):
            yield f"--{flag}"


def is_on(value: str) -> bool:
    return value.lower() in ("true", "yes", "on", "1")

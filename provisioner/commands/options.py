"""What a command takes: options as data, so that parser, help and completion are made from the same table."""

import os
from collections.abc import Callable, Mapping

from provisioner.console import Screen
from provisioner.errors import BadInput
from provisioner.model.record import dataclass, field

Value = str | int | bool | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Option:
    """`kind`: text, number, switch, count or repeat. A name without dashes is a positional argument."""

    name: str
    help: str
    metavar: str = ""
    short: str = ""
    kind: str = "text"
    suggestions: tuple[str, ...] = ()
    """Values that completion offers: words, or `<file>` and `<folder>` for what the shell knows."""
    default: Value = None

    @property
    def key(self) -> str:
        return self.name.lstrip("-").replace("-", "_").lower()

    @property
    def positional(self) -> bool:
        return not self.name.startswith("-")

    @property
    def takes_value(self) -> bool:
        return self.kind in ("text", "number", "repeat")


@dataclass(frozen=True, slots=True)
class Arguments:
    """The values of one call, by option name without dashes."""

    values: Mapping[str, Value] = field(default_factory=dict)

    def text(self, key: str) -> str | None:
        value = self.values.get(key)
        return value if isinstance(value, str) else None

    def number(self, key: str) -> int | None:
        value = self.values.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def switch(self, key: str) -> bool:
        return bool(self.values.get(key))

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.values.get(key)
        return value if isinstance(value, tuple) else ()

    def one_of(self, option: Option) -> str | None:
        """A word that has to be among those that completion offers."""
        word = self.text(option.key)
        if word is not None and word not in option.suggestions:
            raise BadInput(f"`{option.name} {word}`: not known", fix=f"one of {', '.join(option.suggestions)}")
        return word

    def pairs(self, key: str) -> dict[str, str]:
        """The `key=value` texts of a repeated option."""
        pairs = {}
        for text in self.texts(key):
            name, equals, value = text.partition("=")
            if not equals or not name.strip():
                raise BadInput(
                    f"`--{key} {text}` is not of the form key=value",
                    fix=f"write `--{key} engine.threads=8`, for example",
                )
            pairs[name.strip()] = value
        return pairs

    @property
    def state_dir(self) -> str:
        """Where state lives: as told, else the system's folder for root and the user's own for others."""
        told = self.text("state_dir")
        if told:
            return os.path.abspath(os.path.expanduser(told))
        if os.geteuid() == 0:
            return "/var/lib/provision"
        home = os.environ.get("XDG_STATE_HOME", "")
        # The specification of these folders says that a relative one is to be ignored.
        home = home if os.path.isabs(home) else os.path.expanduser("~/.local/state")
        if not os.path.isabs(home):
            raise BadInput(f"user {os.geteuid()} has no home folder", fix="say where state is kept: --state-dir DIR")
        return os.path.join(home, "provision")


@dataclass(frozen=True, slots=True)
class Example:
    line: str
    says: str


@dataclass(frozen=True, slots=True)
class Command:
    """`run` does the work and returns the exit code; what it raises is printed by `cli`."""

    description: str
    examples: tuple[Example, ...]
    run: Callable[[Arguments, Screen], int]
    options: tuple[Option, ...] = ()
    after: str = ""
    """What the help says at its end."""


PROFILES = ("auto", "demo", "lite", "basic", "plus", "standard", "pro", "flagship")

HARDWARE = Option(
    "--hardware",
    "plan for this machine instead: a file of `detect --json`, or words",
    "FILE|TEXT",
    suggestions=("<file>",),
)
"""Of those that plan and do nothing: `up` acts on the machine that it runs on."""

WANTED = (
    Option("--profile", "the tier to bring up", "NAME", suggestions=PROFILES),
    Option(
        "--model",
        "a model of the catalog, or a GGUF file's path; repeat it to plan several",
        "ID|PATH",
        kind="repeat",
        suggestions=("<file>",),
    ),
    Option("--engine", "the inference server", "NAME", suggestions=("llamacpp",)),
    Option("--target", "what runs the services", "NAME", suggestions=("process", "systemd", "docker")),
    Option(
        "--precision", "the weights' precision", "NAME", suggestions=("bf16", "f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m")
    ),
    Option("--context", "tokens that one request may hold, such as 32768 or 32k", "N", kind="number"),
    Option("--concurrency", "requests served at the same time", "N", kind="number"),
    Option("--weights", "a folder, or a disk, where weights already are", "DIR", suggestions=("<folder>",)),
    Option("--source", "where weights are downloaded from", "NAME|URL", suggestions=("huggingface", "modelscope")),
    Option("--listen", "the address to publish, with keys; 127.0.0.1 unless given", "ADDRESS"),
    Option("--registry", "where images are pulled from instead of the registries in their names", "HOST"),
    Option(
        "--images",
        "an archive of `docker save`, or a folder of some, to take images from",
        "PATH",
        suggestions=("<file>",),
    ),
    Option("--no-monitoring", "leave measurements and their dashboards out", kind="switch"),
    Option("--set", "any planned value by its dotted name; may be repeated", "KEY=VALUE", kind="repeat"),
    Option("--file", "the deployment file", "FILE", short="-f", suggestions=("<file>",)),
)
"""Shared by all commands that plan."""

WAIT = Option("--wait", "wait so many seconds for another run to end, instead of refusing", "SECONDS", kind="number")
"""Shared by all commands that change something: one run at a time."""

DOCKER_FROM = Option(
    "--docker-from",
    "where Docker Engine comes from; what is installed stays",
    "NAME",
    suggestions=("distribution", "docker"),
)
"""Shared by the commands that install it."""

EVERYWHERE = (
    Option("--json", "one JSON document on standard output, and nothing else there", kind="switch"),
    Option("--state-dir", "where releases, weights and keys are kept", "DIR", suggestions=("<folder>",)),
    Option("--verbose", "for errors that are ours, show the traceback", short="-v", kind="count"),
    Option("--help", "show this help", short="-h", kind="switch"),
)
"""Shared by all commands."""

"""What the operator asked for, after `--set`: typed, checked, and nothing else is looked at later."""

import re
from collections.abc import Mapping
from functools import cache

from provisioner.catalog import find, nearest, plugin_names, unknown
from provisioner.errors import BadInput
from provisioner.model.plugins import Companion, Engine
from provisioner.model.record import dataclass, field
from provisioner.model.spec import USERS_PER_REQUEST, Spec
from provisioner.planning.asked.addresses import PORT, listening, parsed, port_of, published_at
from provisioner.planning.asked.amounts import whole_number

PLACEMENTS = ("device", "split", "host")
PROCESS = "process"
CONTAINERS = "docker"
"""The target with a gateway, which is published instead of the engines."""
NUMA = ("distribute", "isolate", "numactl")
MOST_THREADS = 512
"""GGML_MAX_N_THREADS of ggml.h: the engine ends at once when it is told more."""

IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:@-]*")
"""Host, port, path, tag and digest of an image."""

ADAPTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class Wish:
    """`None` leaves the choice to the profile and the planner."""

    profile: str
    model: str | None
    precision: str | None
    placement: str | None
    context: int | None
    concurrency: int | None
    engine: str | None
    target: str | None
    host: str
    port: int
    threads: int | None
    users_per_request: int = USERS_PER_REQUEST
    replicas: int | None = None
    """Servers of each model, each with all of it; None for as many as an engine has devices for."""
    image: str | None = None
    registry: str | None = None
    monitoring: bool = True
    gateway_host: str = "127.0.0.1"
    gateway_port: int = 8443
    beside: Mapping[str, str] = field(default_factory=dict)
    """`--set <service>.<key>=value` of what stands beside the engines, by the whole name."""
    known_as: str = ""
    """What the operator called the model, where that may be other weights of the same shape."""
    system: str = ""
    """The operating system that the machine's devices come with; empty for Linux, on which everything is started."""
    gguf: str = ""
    """The name under which GGUF files were asked for, and nothing else: a repository, or a model's name that says so."""
    numbers: Mapping[str, int] = field(default_factory=dict)
    """Whole-number fields of the service that were set by name."""
    cpus: str | None = None
    adapters: Mapping[str, str] = field(default_factory=dict)
    """`--set lora=NAME=PATH,…`: by the names that they answer to."""
    drafting: str = ""
    """Who drafts tokens ahead: `ngram`, `mtp:2`, `/path:4`."""
    options: Mapping[str, str] = field(default_factory=dict)
    """`--set engine.<flag>=value`, under the engine's own flag name."""


def target_of(wish: Wish, engine: Engine) -> str:
    """The runtime that was asked for, else the engine's own; beside Linux there are only processes."""
    return wish.target or (PROCESS if wish.system else engine.targets[0])


EXAMPLES = {
    "port": 8001,
    "replicas": 2,
    "concurrency": 4,
    "threads": 8,
    "ready_seconds": 600,
    "first_token_seconds": 60,
}
NUMBERS = ("memory_max_bytes", "ready_seconds", "first_token_seconds", "open_files")
KEYS = (
    "placement",
    "context",
    "concurrency",
    "precision",
    "port",
    "threads",
    "cpus",
    "users_per_request",
    "replicas",
    "image",
    "lora",
    "drafting",
    *NUMBERS,
)


def wish_of(spec: Spec) -> Wish:
    """Read the spec; `BadInput` for whatever cannot be meant."""
    engines = _engines(spec)
    known, options, beside = _sorted_out(spec.settings, engines)
    if spec.engine is not None:
        options = _alike(options, engines[0])
    if options:
        from provisioner.planning.asked.given import insist  # Few set an engine's flags.

        insist(options, engines)
    published = spec.target == CONTAINERS
    host, port = listening(None if published else spec.listen)
    gateway_host, gateway_port = published_at(spec.listen if published else None)
    return Wish(
        profile=spec.profile,
        model=spec.model,
        precision=_precision(known.get("precision", spec.precision)),
        placement=_one_of("placement", known.get("placement"), PLACEMENTS),
        context=_number(known, "context", spec.context),
        concurrency=_number(known, "concurrency", spec.concurrency),
        engine=spec.engine,
        target=_one_of("target", spec.target, plugin_names("provisioner.targets")),
        host=host,
        port=port_of(_number(known, "port", port) or PORT),
        threads=_threads(_number(known, "threads", None)),
        numbers={key: value for key in NUMBERS if (value := _number(known, key, None)) is not None},
        cpus=_cpus(known.get("cpus")),
        options=options,
        image=_image(known.get("image")),
        adapters=_adapters(spec),
        drafting=_drafting(known.get("drafting", "")),
        registry=_registry(spec.registry),
        monitoring=spec.monitoring,
        gateway_host=gateway_host,
        gateway_port=gateway_port,
        beside=beside,
        replicas=_number(known, "replicas", None),
        users_per_request=_number(known, "users_per_request", USERS_PER_REQUEST) or USERS_PER_REQUEST,
    )


def _engines(spec: Spec) -> tuple[Engine, ...]:
    """The engine that was asked for, or all whose flags may be meant; none is loaded when no flag is set."""
    names = plugin_names("provisioner.engines")
    if spec.engine is not None:
        if spec.engine not in names:
            raise unknown("engine", spec.engine, names)
        return (engine_named(spec.engine),)
    return tuple(map(engine_named, names)) if spec.settings else ()


@cache
def engine_named(name: str) -> Engine:
    engine = find("provisioner.engines", "ENGINE", name)
    if not isinstance(engine, Engine):
        raise TypeError(f"{name} is no engine")
    return engine


def _sorted_out(
    settings: Mapping[str, str], engines: tuple[Engine, ...]
) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Settings of ours, options of an engine, and what is set of services beside it; any other name is refused with the nearest ones."""
    flags = {f"engine.{flag}": flag for engine in engines for flag in engine.options}
    places = _of_companions() if settings else ()
    known: dict[str, str] = {}
    options: dict[str, str] = {}
    beside: dict[str, str] = {}
    for key, value in settings.items():
        word = key.strip().lower()
        dashed = word.replace("_", "-")
        if dashed in flags:
            options[flags[dashed]] = _option(flags[dashed], value.strip())
        elif word.replace("-", "_") in KEYS:
            known[word.replace("-", "_")] = value.strip()
        elif word in places or word.endswith(".image"):
            beside[word] = _of_companion(word, value.strip())
        else:
            ours = (*KEYS, *flags)
            raise unknown("setting", key, ours if nearest(key, ours) else (*ours, *places))
    return known, options, beside


def _of_companion(word: str, value: str) -> str:
    """A service by its name alone is wanted or not; an image has to be one; what else is set is the service's to understand."""
    if word.endswith(".image"):
        return _image(value) or ""
    return value if "." in word else _one_of(f"answer for {word}", value, ("yes", "no")) or "yes"


def _of_companions() -> tuple[str, ...]:
    """What `--set` reaches of the services beside the engines."""
    found = (find("provisioner.services", "SERVICE", name) for name in plugin_names("provisioner.services"))
    companions = (one for one in found if isinstance(one, Companion))
    return tuple(place for one in companions for place in (one.name, *(f"{one.name}.{key}" for key in one.settings)))


def _alike(options: dict[str, str], engine: Engine) -> dict[str, str]:
    """Flags that have one value in an engine, all with the one that was set."""
    said = {flag: options[flag] for flag in engine.alike if flag in options}
    if len(set(said.values())) > 1:
        told = ", ".join(f"engine.{flag}={value}" for flag, value in said.items())
        raise BadInput(f"{told}: {engine.title} has one value for all of them", fix="set one of them")
    return {**options, **{flag: value for value in said.values() for flag in engine.alike}}


def _option(flag: str, value: str) -> str:
    """A value of the engine's own, held against what the engine takes before it is started with it."""
    if flag.startswith("threads") and parsed(f"engine.{flag}", value, whole_number, 8) > MOST_THREADS:
        raise BadInput(f"engine.{flag} is {value}", fix=f"the engine has {MOST_THREADS} threads at most")
    if flag == "numa":
        _one_of("NUMA policy", value, NUMA)
    return value


def _number(known: Mapping[str, str], key: str, otherwise: int | None) -> int | None:
    if key not in known:
        return _positive(key, otherwise)
    return parsed(key, known[key], whole_number, EXAMPLES.get(key, 8192))


def _positive(key: str, value: int | None) -> int | None:
    if value is not None and value <= 0:
        raise BadInput(f"{key} is {value}", fix=f"give a {key} above 0")
    return value


def _threads(count: int | None) -> int | None:
    if count is not None and count > MOST_THREADS:
        raise BadInput(f"threads is {count}", fix=f"the engine has {MOST_THREADS} threads at most")
    return count


def _one_of(kind: str, word: str | None, known: tuple[str, ...]) -> str | None:
    if word is not None and word not in known:
        raise unknown(kind, word, known)
    return word


def _precision(word: str | None) -> str | None:
    return word.strip().lower().replace("-", "_") if word else None


def _image(name: str | None) -> str | None:
    """It becomes a word of a command line, so nothing that could be read as a flag or as two words."""
    if name is not None and not IMAGE.fullmatch(name):
        raise BadInput(
            f"image: `{name}` is no name of an image", fix="`--set image=registry.example/vllm:v1`, for example"
        )
    return name


def _cpus(text: str | None) -> str | None:
    from provisioner.model.cpus import from_list, to_list

    if text is None:
        return None
    try:
        return to_list(from_list(text)) or None
    except ValueError as error:
        reason = str(error) if text.strip("0123456789-, ") == "" else f"`{text}` is no list of CPUs"
        raise BadInput(f"cpus: {reason}", fix="`--set cpus=0-3,8`, for example") from None


def _adapters(spec: Spec) -> Mapping[str, str]:
    """Names become words of a command line, and paths are looked at before anything else is."""
    for name, path in spec.adapters.items():
        if not ADAPTER.fullmatch(name) or not path.startswith("/"):
            raise BadInput(
                f"lora: `{name}={path}` is no name and whole path",
                fix="`--set lora=sql=/srv/adapters/sql`, for example",
            )
    return spec.adapters


def _drafting(text: str) -> str:
    if text.lower() in ("", "none"):
        return ""
    from provisioner.planning.asked.drafters import parse  # Few ask for it.

    parse(text)
    return text


def _registry(name: str | None) -> str | None:
    """Host, port and path of a registry, as images are named."""
    if name is not None and not IMAGE.fullmatch(name.rstrip("/")):
        raise BadInput(
            f"--registry {name}: this is no registry", fix="`--registry registry.example:5000`, without https://"
        )
    return name.rstrip("/") if name else None

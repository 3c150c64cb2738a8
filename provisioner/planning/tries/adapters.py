"""Adapters (LoRA) beside a model: whether they are its own, what they take on each rank, and the flags that name them.

vLLM and SGLang keep room for so many adapters of the largest rank at every projection: a matrix from the input to the rank for
each part of a packed projection, and one from the rank to its outputs. What goes in is divided over the ranks where the projection
is (o, down), what comes out elsewhere (vllm 0.32.0 lora/layers, held to the byte on the engine itself; sglang 0.5.23
srt/lora/mem_pool.py). llama.cpp lays an adapter over the whole model when it starts.
"""

from collections.abc import Iterator, Mapping

from provisioner.errors import BadInput
from provisioner.model.catalog import Geometry
from provisioner.model.load import Degrees
from provisioner.model.plan import Decision
from provisioner.model.plugins import Engine
from provisioner.model.record import replace
from provisioner.model.weights import Adapter
from provisioner.planning.asked.amounts import size
from provisioner.planning.asked.given import number
from provisioner.planning.sources.stock import Subject, in_store
from provisioner.planning.tries.attempt import Attempt, Scene

FOLDER = "adapters"
"""Beside the model's own files."""

SLOTS, RANK = ("max-loras", "max-loras-per-batch"), ("max-lora-rank",)
BASE_TOO = "max-loras-per-batch"
"""SGLang counts requests without an adapter as one more."""

VOCABULARY_STEP = 64
"""vLLM keeps room at the embeddings and at the logits as well where the model's class has a place for it (Qwen3 has, Qwen2 has none);
this is counted for all. Neither is divided over the ranks (0.32.0 lora/layers/logits_processor.py, vocal_parallel_embedding.py)."""

HALF = 2
"""Bytes of a value: adapters are computed in the model's own 16 bits."""

PACKED = {
    "q_proj": "qkv_proj",
    "k_proj": "qkv_proj",
    "v_proj": "qkv_proj",
    "gate_proj": "gate_up_proj",
    "up_proj": "gate_up_proj",
}
"""Projections that engines keep as one."""


def with_adapters(subject: Subject | str, scene: Scene, engine: Engine) -> Subject | str:
    """The model with the files of its adapters beside its own, or why this engine cannot have them."""
    if not scene.wish.adapters or isinstance(subject, str):
        return subject
    found = adapters_of(scene)
    problem = _problem(found, subject, engine)
    if problem:
        return problem
    for adapter in found:
        _insist(adapter, subject, engine, scene)
    files = tuple(
        replace(in_store(file, scene.shelf), name=f"{FOLDER}/{_place(adapter)}{file.name}")
        for adapter in found
        for file in adapter.files
    )
    more = sum(adapter.bytes for adapter in found) if subject.format == "gguf" else 0
    return replace(subject, files=(*subject.files, *files), weights_bytes=subject.weights_bytes + more)


def adapters_of(scene: Scene) -> tuple[Adapter, ...]:
    """Those that were asked for and are at hand."""
    there = {adapter.name: adapter for adapter in scene.shelf.adapters}
    missing = [name for name in scene.wish.adapters if name not in there]
    if missing:
        raise BadInput(f"the adapter {missing[0]} was not found", fix=f"--set lora={missing[0]}=FOLDER")
    return tuple(there[name] for name in scene.wish.adapters)


def rank_bytes(scene: Scene, engine: Engine, geometry: Geometry, degrees: Degrees) -> int:
    """What the room for adapters takes on the fullest rank; their own bytes do not count, as they are kept on the host."""
    if not scene.wish.adapters:
        return 0
    layers = -(-geometry.layers // degrees.pipeline)
    values = layers * sum(_projections(geometry, degrees.tensor, _modules(scene, engine)))
    if BASE_TOO not in engine.options:
        values += 2 * (geometry.hidden + -(-geometry.vocab // VOCABULARY_STEP) * VOCABULARY_STEP)
    return HALF * slots(scene, engine) * rank(scene, engine) * values


def options_of(attempt: Attempt, scene: Scene, model_path: str) -> Mapping[str, str]:
    """The flags by which the engine finds them; none where there are none."""
    engine, found = attempt.engine, scene.wish.adapters and adapters_of(scene)
    if not found or not engine.adapters:
        return {}
    if not engine.adapter_ranks:
        return {engine.adapters: f"{model_path.rpartition('/')[0]}/{FOLDER}/{found[0].files[0].name}"}
    named = " ".join(f"{adapter.name}={model_path}/{FOLDER}/{adapter.name}" for adapter in found)
    wanted = {
        "enable-lora": "true", engine.adapters: named, RANK[0]: str(rank(scene, engine)),
        **dict.fromkeys(SLOTS, str(slots(scene, engine))),
    }  # fmt: skip
    return {flag: value for flag, value in wanted.items() if flag in engine.options}


def decisions_of(attempt: Attempt, scene: Scene) -> Iterator[Decision]:
    for adapter in adapters_of(scene) if scene.wish.adapters else ():
        made_for = f", made for {adapter.base}" if adapter.base else ""
        told = f"rank {adapter.rank}{made_for}" if adapter.rank else "laid over the whole model"
        yield Decision("adapter", adapter.name, f"{adapter.path}: {size(adapter.bytes)}, {told}")
    served = attempt.served
    if scene.wish.adapters and served:
        taken = rank_bytes(scene, attempt.engine, served.load.geometry, served.load.degrees)
        each = f"{slots(scene, attempt.engine)} at a time, each of rank {rank(scene, attempt.engine)} at most"
        yield Decision("room for adapters", size(taken), f"on each rank, counted with the weights: {each}")


def slots(scene: Scene, engine: Engine) -> int:
    """For how many at a time there is room."""
    usual = len(scene.wish.adapters) + (BASE_TOO in engine.options)
    return number(scene.wish.options, SLOTS) or usual


def rank(scene: Scene, engine: Engine) -> int:
    """The rank that room is kept for: the smallest that the engine has and all of them fit into."""
    asked = number(scene.wish.options, RANK)
    largest = max(adapter.rank for adapter in adapters_of(scene))
    return asked or next(one for one in engine.adapter_ranks if one >= largest)


def _projections(geometry: Geometry, tensor: int, modules: frozenset[str]) -> Iterator[int]:
    """Values for each unit of rank and layer, of the projections that the engine keeps room at."""
    heads = -(-geometry.heads // tensor)
    kv_heads = -(-geometry.kv_heads // tensor)
    wide = geometry.feed_forward // tensor
    if "qkv_proj" in modules:
        yield (
            3 * geometry.hidden + heads * geometry.key_length + kv_heads * (geometry.key_length + geometry.value_length)
        )
    if "o_proj" in modules:
        yield heads * geometry.value_length + geometry.hidden
    if "gate_up_proj" in modules:
        yield 2 * geometry.hidden + 2 * wide
    if "down_proj" in modules:
        yield wide + geometry.hidden


ALL = frozenset({"qkv_proj", "o_proj", "gate_up_proj", "down_proj"})


def _modules(scene: Scene, engine: Engine) -> frozenset[str]:
    """Where room is kept: by vLLM at every projection, by SGLang at those that some adapter changes."""
    if BASE_TOO not in engine.options:
        return ALL
    return frozenset(PACKED.get(name, name) for adapter in adapters_of(scene) for name in adapter.modules)


def _problem(found: tuple[Adapter, ...], subject: Subject, engine: Engine) -> str:
    """Why this engine does not serve them; another may."""
    geometry = subject.geometry
    if not engine.adapters:
        return f"{engine.title} is not planned with adapters; take vllm, sglang or llamacpp"
    as_gguf = [adapter.name for adapter in found if not adapter.rank]
    if not engine.adapter_ranks:
        if len(found) > 1:
            return f"{engine.title} lays an adapter over the whole model, and {len(found)} are asked for; take vllm or sglang"
        return (
            ""
            if as_gguf
            else f"{engine.title} wants the adapter as GGUF (`convert_lora_to_gguf.py` of llama.cpp makes it)"
        )
    if as_gguf:
        return f"{engine.title} wants adapters as folders with safetensors, and {as_gguf[0]} is a GGUF file"
    if geometry.experts or geometry.kv_lora_rank or geometry.linear_layers or geometry.ungated:
        return f"what adapters take beside experts, latent or linear attention is not reckoned here; {subject.title} has such"
    return ""


def _insist(adapter: Adapter, subject: Subject, engine: Engine, scene: Scene) -> None:
    """`BadInput` for one that is not of this model, or larger than engines take."""
    if not adapter.rank:
        return
    asked = number(scene.wish.options, RANK)
    largest = min(asked or engine.adapter_ranks[-1], engine.adapter_ranks[-1])
    if asked and asked not in engine.adapter_ranks:
        known = ", ".join(map(str, engine.adapter_ranks))
        raise BadInput(f"engine.{RANK[0]} is {asked}", fix=f"{engine.title} has {known}")
    if adapter.rank > largest:
        fix = (
            f"--set engine.{RANK[0]}={adapter.rank}"
            if asked
            else "train it with a smaller rank, or merge it into its model"
        )
        raise BadInput(f"{adapter.path} has rank {adapter.rank}, and {largest} is the most there is room for", fix=fix)
    expected = _shapes(subject.geometry)
    for module, shape in adapter.modules.items():
        if module not in expected:
            raise BadInput(
                f"{adapter.path} changes {module}, which is not planned for",
                fix=f"one that changes {', '.join(expected)}",
            )
        if shape != expected[module] or adapter.layers > subject.geometry.layers:
            made_for = f": it says that it was made for {adapter.base}" if adapter.base else ""
            raise BadInput(
                f"{adapter.path} is no adapter of {subject.title}{made_for}", fix="name the model that it was made for"
            )


def _shapes(geometry: Geometry) -> Mapping[str, tuple[int, int]]:
    """What goes into each projection of a dense model, and what comes out."""
    queries, keys = geometry.heads * geometry.key_length, geometry.kv_heads * geometry.key_length
    values = geometry.kv_heads * geometry.value_length
    return {
        "q_proj": (geometry.hidden, queries), "k_proj": (geometry.hidden, keys), "v_proj": (geometry.hidden, values),
        "o_proj": (geometry.heads * geometry.value_length, geometry.hidden),
        "gate_proj": (geometry.hidden, geometry.feed_forward), "up_proj": (geometry.hidden, geometry.feed_forward),
        "down_proj": (geometry.feed_forward, geometry.hidden),
    }  # fmt: skip


def _place(adapter: Adapter) -> str:
    """A folder of its own for one of several files."""
    return f"{adapter.name}/" if adapter.rank else ""

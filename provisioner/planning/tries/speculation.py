"""Drafting ahead (speculative decoding), as it was asked for: by repeated words, by the model's own drafter, or by a smaller model.

What a drafter takes is counted: its weights on each rank, and its cache, which keeps every token as the model's own does. The cache
of a smaller model is counted in layers of the larger one, rounded up, as engines give both their blocks out of one pool.
"""

import json
from collections.abc import Iterator, Mapping
from math import ceil

from provisioner.errors import BadInput
from provisioner.model.catalog import Geometry
from provisioner.model.load import Degrees, Load
from provisioner.model.plan import Decision
from provisioner.model.record import replace
from provisioner.planning.asked.amounts import size
from provisioner.planning.asked.drafters import EXAMPLE, MODEL, MTP, NGRAM, Drafting, parse
from provisioner.planning.memory import kv, sharding, sizing
from provisioner.planning.memory.checkpoints import draft_bytes
from provisioner.planning.sources.folders import from_folder
from provisioner.planning.sources.stock import Subject, from_path
from provisioner.planning.tries.attempt import Attempt, Scene

FOLDER = "draft"
"""Beside the model's own files."""

LOOKED_UP = 4
"""Words that have to repeat: the example of docs.vllm.ai features/speculative_decoding/n_gram."""


def drafted(subject: Subject | str, scene: Scene) -> Subject | str:
    """The model with the files of its drafter beside its own; what there is none of is refused."""
    if not scene.wish.drafting or isinstance(subject, str):
        return subject
    asked = parse(scene.wish.drafting)
    if asked.method == MTP and not subject.geometry.draft_layers:
        raise BadInput(
            f"{subject.title} brings no drafter of its own", fix="`--set drafting=ngram`, or name a smaller model"
        )
    if asked.method != MODEL:
        return subject
    if subject.geometry.heavy_layers and subject.format != "gguf":
        told = f"how a smaller model's cache lies beside the compressed one of {subject.title} is not known"
        raise BadInput(told, fix="`--set drafting=mtp`, its own drafter, or `--set drafting=ngram`")
    small = _small(scene, subject)
    files = tuple(replace(file, name=f"{FOLDER}/{file.name}") for file in small.files)
    more = small.weights_bytes if subject.format == "gguf" else 0
    return replace(subject, files=(*subject.files, *files), weights_bytes=subject.weights_bytes + more)


def _small(scene: Scene, subject: Subject) -> Subject:
    """The smaller model, in files of the same kind and with the same words."""
    path = parse(scene.wish.drafting).path
    found = from_path(path, scene.shelf) if subject.format == "gguf" else from_folder(path, scene.shelf)
    if isinstance(found, str):
        raise BadInput(
            found, fix=f"{subject.title} is served as {subject.format}, and so is what drafts for it: {EXAMPLE}"
        )
    if found.geometry.vocab and subject.geometry.vocab and found.geometry.vocab != subject.geometry.vocab:
        told = f"{found.title} knows {found.geometry.vocab} words, and {subject.title} {subject.geometry.vocab}"
        raise BadInput(f"{told}: it cannot draft for it", fix="name a smaller model of the same family")
    return found


def with_cache(subject: Subject, scene: Scene, cache_type: str) -> Geometry:
    """The shape as the cache sees it: layers for the drafter beside the model's own."""
    if not scene.wish.drafting:
        return subject.geometry
    asked, geometry = parse(scene.wish.drafting), subject.geometry
    more = {NGRAM: 0, MTP: geometry.draft_layers}.get(asked.method)
    if more is None:
        one = kv.bytes_per_token(geometry, Degrees(), cache_type) / max(1, geometry.kv_layers)
        more = ceil(kv.bytes_per_token(_small(scene, subject).geometry, Degrees(), cache_type) / one) if one else 0
    return replace(geometry, layers=geometry.layers + more, kv_layers=geometry.kv_layers + more)


def rank_bytes(subject: Subject, scene: Scene, precision: str, degrees: Degrees) -> int:
    """The drafter's weights on one rank."""
    if not scene.wish.drafting:
        return 0
    asked = parse(scene.wish.drafting)
    if asked.method == MODEL:
        small = _small(scene, subject)
        return sharding.stage_bytes(
            small.geometry, small.weights_bytes, small.precision, Degrees(tensor=degrees.tensor)
        )[0]
    return ceil(draft_bytes(subject.geometry, precision) / degrees.tensor) if asked.method == MTP else 0


def beside(load: Load, subject: Subject, scene: Scene) -> Load:
    """The rank with its drafter."""
    weights = load.weights_bytes + rank_bytes(subject, scene, load.precision, load.degrees)
    shape = with_cache(subject, scene, load.cache_type)
    return replace(load, weights_bytes=weights, geometry=shape, drafting=True, drafts=parse(scene.wish.drafting).method)


def held_cache(subject: Subject, scene: Scene, context: int, slots: int, cache: tuple[str, str]) -> int:
    """The cache of a smaller model beside one that is laid out by llama.cpp."""
    if not scene.wish.drafting or parse(scene.wish.drafting).method != MODEL:
        return 0
    small = _small(scene, subject)
    return sizing.need(small.geometry, small.weights_bytes, context, slots, *cache).kv_bytes


def options_of(attempt: Attempt, scene: Scene, model_path: str) -> Mapping[str, str]:
    """The engine's own flags for it."""
    if not scene.wish.drafting:
        return {}
    asked = parse(scene.wish.drafting)
    named = f"{model_path}/{FOLDER}" if attempt.served else _file_beside(attempt, model_path)
    wanted = {**_as_json(asked, named), **_as_words(asked, named), **_as_files(asked, named)}
    return {flag: value for flag, value in wanted.items() if flag in attempt.engine.options}


def _file_beside(attempt: Attempt, model_path: str) -> str:
    files = attempt.subject.files if attempt.subject else ()
    name = next((file.name for file in files if file.name.startswith(f"{FOLDER}/")), "")
    return f"{model_path.rpartition('/')[0]}/{name}"


def _as_json(asked: Drafting, path: str) -> Mapping[str, str]:
    """As vLLM takes it (0.32.0 config/speculative.py)."""
    said: dict[str, object] = {"method": {MODEL: "draft_model"}.get(asked.method, asked.method)}
    said["num_speculative_tokens"] = asked.tokens
    if asked.method == NGRAM:
        said["prompt_lookup_max"] = LOOKED_UP
    if asked.method == MODEL:
        said["model"] = path
    return {"speculative-config": json.dumps(said)}


def _as_words(asked: Drafting, path: str) -> Mapping[str, str]:
    """As SGLang takes it: the model's own drafter under the name of EAGLE, one branch, and the token before the drafted ones counted
    (docs/advanced_features/speculative_decoding.md of sgl-project/sglang @067ad4d).
    """
    algorithm = {NGRAM: "NGRAM", MTP: "EAGLE", MODEL: "STANDALONE"}[asked.method]
    count = {"speculative-num-draft-tokens": str(asked.tokens + (asked.method != NGRAM))}
    steps = {"speculative-num-steps": str(asked.tokens), "speculative-eagle-topk": "1"} if asked.method != NGRAM else {}
    named = {"speculative-draft-model-path": path} if asked.method == MODEL else {}
    return {"speculative-algorithm": algorithm, **named, **steps, **count}


def _as_files(asked: Drafting, path: str) -> Mapping[str, str]:
    """As llama.cpp takes it, by the names that it has had since its drafters may be mixed; how many tokens follow a repeat it knows
    itself (docs/speculative.md of ggml-org/llama.cpp; common_params_speculative of xllamacpp, whose fields bear these names).
    """
    if asked.method == NGRAM:
        return {"spec-type": "ngram-simple"}
    return {"spec-type": "draft-simple", "model-draft": path, "spec-draft-n-max": str(asked.tokens)}


def decisions_of(attempt: Attempt, scene: Scene) -> Iterator[Decision]:
    if not scene.wish.drafting or attempt.subject is None:
        return
    asked = parse(scene.wish.drafting)
    what = {NGRAM: "words that repeat", MTP: "the model's own drafter", MODEL: asked.path}[asked.method]
    if attempt.served is None:
        yield Decision("drafting", f"{asked.tokens} tokens ahead", f"{what}; asked for")
        return
    load = attempt.served.load
    taken = rank_bytes(attempt.subject, scene, load.precision, load.degrees)
    because = f"{what}; asked for" + (
        f"; {size(taken)} of weights on each rank, and its cache, are counted" if taken else ""
    )
    yield Decision("drafting", f"{asked.tokens} tokens ahead", because)

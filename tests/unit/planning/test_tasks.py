"""Models that give no chat answers: which engines serve them, and that nobody is given one who did not ask."""

import pytest

from provisioner.catalog import scan
from provisioner.errors import Refused
from provisioner.model.catalog import CHAT
from provisioner.model.plugins import Engine
from provisioner.model.spec import Spec
from provisioner.phases.prepare import _insist_on_a_start
from tests.unit.planning.samples import CATALOG, plan

CARD = "1x RTX 4090, 16 cores, 64 GiB"
KNOWLEDGE = [name for name in CATALOG.models if CATALOG.model(name).task != CHAT]


def test_what_knowledge_bases_take_is_there() -> None:
    assert {"bge-m3", "bge-reranker-v2-m3", "qwen3-embedding-0.6b", "qwen3-reranker-0.6b"} <= set(KNOWLEDGE)
    assert {CATALOG.model(name).task for name in CATALOG.models} == {CHAT, "embed", "rerank"}


def test_no_profile_picks_one() -> None:
    models = {CATALOG.profile(name).model for name in CATALOG.profiles} - {""}
    assert all(CATALOG.model(name).task == CHAT for name in models)


def test_every_task_has_engines_and_every_engine_chats() -> None:
    engines = [one for one in scan("provisioner.engines", "ENGINE").values() if isinstance(one, Engine)]
    assert all(CHAT in one.tasks for one in engines)
    assert {task for one in engines for task in one.tasks} == {CHAT, "embed", "rerank"}


@pytest.mark.parametrize(
    ("model", "engine", "taken"),
    [
        ("bge-m3", None, "llamacpp"),
        ("bge-m3", "ollama", "ollama"),
        ("bge-m3", "lmstudio", "lmstudio"),
        ("bge-reranker-v2-m3", None, "llamacpp"),
        ("Qwen/Qwen3-Embedding-0.6B", None, "vllm"),
        ("Qwen/Qwen3-Embedding-8B", "sglang", "sglang"),
        ("Qwen/Qwen3-Embedding-4B", "llamacpp", "llamacpp"),
        ("qwen3-reranker-4b", None, "vllm"),
    ],
)
def test_it_is_planned_and_not_started(model: str, engine: str | None, taken: str) -> None:
    one = plan(CARD, Spec(model=model, engine=engine, concurrency=1))
    assert (one.verdict, one.engine) == ("fits", taken), one.binding
    assert one.capacity is None or one.capacity.tokens_per_second is None
    with pytest.raises(Refused, match="proves a service by a chat answer"):
        _insist_on_a_start(one)


def test_an_encoder_keeps_no_cache() -> None:
    one = plan(CARD, Spec(model="bge-m3"))
    assert one.memory is not None
    assert one.memory.kv_bytes_per_token == 0
    assert all(each.kv_cache_bytes == 0 for each in one.memory.per_device)


@pytest.mark.parametrize("engine", ["ollama", "lmstudio", "transformers", "ktransformers"])
def test_engines_without_the_task_say_so(engine: str) -> None:
    one = plan(CARD, Spec(model="qwen3-reranker-0.6b", engine=engine))
    assert one.verdict == "refused"
    assert "serves no model for the task `rerank`" in one.binding

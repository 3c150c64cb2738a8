"""A real vLLM with an adapter as it is planned: it answers under its own name, differently, and takes the room that was counted."""

import json
from pathlib import Path

import pytest

from provisioner.documents import Json
from provisioner.model.facts import Unknown
from provisioner.model.plan import Service
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from provisioner.weights.adapters import adapters_at
from provisioner.weights.folder import checkpoint_in
from provisioner.world import probe
from tests.bed.adapters import write_adapter
from tests.bed.engine import Engine
from tests.contract.test_vllm_serves import KEY, service, serving
from tests.unit.planning.samples import plan

pytestmark = [pytest.mark.needs("vllm"), pytest.mark.slow]

TABLES = 2 * (256 + 512) * 2 * 8 * 2
"""Room at the embeddings and the logits for two of rank 8, which is counted for every class of models, and Qwen2 has none there."""

TINY = {"q_proj": (256, 256), "v_proj": (256, 128), "down_proj": (512, 256)}


@pytest.mark.parametrize(
    ("name", "shapes", "tables"), [("gqa", TINY, False), ("one-kv-head", {"o_proj": (256, 256)}, True)]
)
def test_the_room_is_that_of_the_engine_to_the_byte(
    engine: Engine, tmp_path: Path, name: str, shapes: dict[str, tuple[int, int]], tables: bool
) -> None:
    folder, adapter = engine.model(name), write_adapter(tmp_path / "sql", shapes, rank=5, scale=0.5)
    seen = engine("adapted", folder=str(folder), adapter=str(adapter), options={"max_loras": 2, "max_lora_rank": 8})
    assert seen["bare"] != seen["adapted"]
    with_it, without = (weights(folder, lora) for lora in (f"sql={adapter},more={adapter}", ""))
    assert with_it - without - (0 if tables else TABLES) == seen["bytes"]


def weights(folder: Path, lora: str) -> int:
    """By the plan, of one rank."""
    spec = Spec(model=str(folder), engine="vllm", target="docker", settings={"lora": lora} if lora else {})
    shelf = Shelf(
        folders=(checkpoint_in(str(folder), lambda _: None),), adapters=adapters_at(spec.adapters, lambda _: None)
    )
    made = plan("1x L40S, 64 GiB", spec, shelf)
    assert made.memory is not None, made.binding
    return made.memory.per_device[0].weights_bytes


@pytest.mark.thorough
def test_it_answers_under_its_own_name_and_not_as_the_model_does(engine: Engine, tmp_path: Path) -> None:
    adapter = write_adapter(tmp_path / "sql", TINY, scale=0.5)
    planned = service(engine.model("gqa"), 1, tmp_path / "llm.key")
    wanted = {"enable-lora": "true", "lora-modules": f"sql={adapter}", "max-loras": "1", "max-lora-rank": "8"}
    planned = replace(planned, options={**planned.options, **wanted}, adapters=("sql",))
    with serving(planned, tmp_path / "vllm.log"):
        listed = json.loads(body(probe.get(planned, "/v1/models", KEY, 30)))
        said = {name: answer(planned, name) for name in ("tiny", "sql")}
    assert {one["id"] for one in listed["data"]} == {"tiny", "sql"}
    assert said["tiny"] != said["sql"]


def answer(planned: Service, model: str) -> str:
    asked: Json = {
        "model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 12, "temperature": 0,
        "ignore_eos": True,
    }  # fmt: skip
    told = json.loads(body(probe.post(planned, "/v1/chat/completions", KEY, asked, 60)))
    return str(told["choices"][0]["message"]["content"])


def body(seen: probe.Answer | Unknown) -> bytes:
    assert not isinstance(seen, Unknown), seen
    assert seen.status == 200, seen.body
    return seen.body

"""What is served beside a model on a real container engine: an adapter under its own name, and a smaller model that drafts."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioner.world import containers, tinymodel
from tests.bed import engine
from tests.bed.adapters import write_adapter, write_gguf_adapter
from tests.e2e.stack import Stack, docker
from tools import images, pyimages

pytestmark = [pytest.mark.needs("compose", "gateway", "llamacpp"), pytest.mark.timeout(300)]


def a_stack(folder: Path, model: str, program: str, image: str, **settings: str) -> Stack:
    named = {"image": image, "gateway.image": images.image("nginx"), "openwebui": "no", **settings}
    words = (word for key, value in named.items() for word in ("--set", f"{key}={value}"))
    served = ("--model", model, "--engine", program, "--context", "512", "--concurrency", "1")
    return Stack(str(folder / "state"), planned=("--no-monitoring", *served, *words))


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    tinymodel.write(str(tmp_path / "model.gguf"))
    stack = a_stack(tmp_path, str(tmp_path / "model.gguf"), "llamacpp", images.image("llamacpp"))
    yield stack
    stack.end()


@pytest.fixture
def of_vllm(tmp_path: Path) -> Iterator[Stack]:
    with engine.running(tmp_path) as vllm:
        model = str(vllm.model("gqa"))
    patient = {"engine.enforce-eager": "true", "first_token_seconds": "30"}
    stack = a_stack(tmp_path, model, "vllm", pyimages.image(pyimages.VLLM), **patient)
    yield stack
    stack.end()


def offered(stack: Stack, key: str) -> list[str]:
    return [one["id"] for one in json.loads(stack.door.ask("/v1/models", key)[1])["data"]]


def said(stack: Stack, key: str, model: str) -> str:
    """What it answers, which is the same each time."""
    asked = {
        "model": model, "messages": [{"role": "user", "content": "ba ba ba ba ba ba"}], "max_tokens": 48, "temperature": 0,
        "ignore_eos": True,
    }  # fmt: skip
    status, body = stack.door.ask("/v1/chat/completions", key, asked)
    assert status == 200, body
    return str(json.loads(body)["choices"][0]["message"]["content"])


def test_an_adapter_by_its_own_name_and_a_smaller_model_that_drafts(stack: Stack, tmp_path: Path) -> None:
    """The model itself stands for the smaller one: all that it drafts is taken, and the answer stays the same."""
    stack.ok("up")
    key = stack.json("key", "create", "mara")["key"]
    (bare,) = offered(stack, key)
    alone = said(stack, key, bare)

    small = tmp_path / "elsewhere" / "small.gguf"
    small.parent.mkdir()
    shutil.copy(tmp_path / "model.gguf", small)
    stack.ok("up", "--set", f"drafting={small}:4")
    assert said(stack, key, bare) == alone
    log = "\n".join(containers.log(stack.state, "llm", 400, follow=False))
    assert "draft acceptance" in log, log

    adapter = write_gguf_adapter(tmp_path / "elsewhere" / "sql.gguf")
    stack.ok("up", "--set", f"lora=sql={adapter}")
    assert offered(stack, key) == ["sql"]
    adapted = said(stack, key, "sql")
    assert adapted not in ("", alone)
    assert stack.door.ask("/v1/chat/completions", "sk-nobody", {"model": "sql", "messages": []})[0] == 401
    assert stack.json("up", "--set", f"lora=sql={adapter}")["changed"] is False

    stack.ok("down", "--purge")
    assert stack.containers() == {}
    assert stack.project not in docker("network", "ls")
    assert not Path(stack.state).exists()
    assert adapter.exists()
    assert small.exists()


@pytest.mark.thorough
@pytest.mark.timeout(900)
@pytest.mark.needs("vllm", "image-vllm")
def test_vllm_answers_under_both_names(of_vllm: Stack, tmp_path: Path) -> None:
    """One engine has the model and its adapter, and the gateway finds it by either name."""
    shapes = {"q_proj": (256, 256), "v_proj": (256, 128), "down_proj": (512, 256)}
    adapter = ("--set", f"lora=sql={write_adapter(tmp_path / 'sql', shapes, scale=0.5)}")
    of_vllm.ok("up", *adapter, timeout=600)
    key = of_vllm.json("key", "create", "mara")["key"]
    assert set(offered(of_vllm, key)) == {"gqa", "sql"}
    assert said(of_vllm, key, "gqa") != said(of_vllm, key, "sql")
    assert of_vllm.json("up", *adapter, timeout=600)["changed"] is False
    of_vllm.ok("down", "--purge")
    assert of_vllm.containers() == {}

"""What is served beside a model in a container: whatever file its engine is told to open is mounted, and read-only."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from provisioner.model.plan import Plan
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from provisioner.targets.docker import TARGET
from provisioner.weights.adapters import adapters_at
from provisioner.weights.folder import checkpoint_in
from tests.bed.adapters import write_adapter
from tests.unit.planning.samples import PLACE, local, plan
from tests.unit.weights.checkpoints import checkpoint, write

CARDS = "1x L40S, 64 cores, 512 GiB"
QWEN3_8B = {"q_proj": (4096, 4096), "down_proj": (12288, 4096)}


def adapted(folder: Path, engine: str) -> Plan:
    spec = Spec(
        model="qwen3-8b", engine=engine, target="docker", settings={"lora": f"sql={write_adapter(folder / 'sql', QWEN3_8B)}"}
    )  # fmt: skip
    return plan(CARDS, spec, Shelf(adapters=adapters_at(spec.adapters, lambda _: None)))


def drafted(folder: Path, engine: str) -> Plan:
    """By another folder of the same family; as files one beside the other for llama.cpp."""
    if engine == "llamacpp":
        shelf = Shelf((local("/w/large.gguf"), local("/w/small.gguf", size=500_000_000, layers=4)))
        large, small = "/w/large.gguf", "/w/small.gguf"
    else:
        large, small = (str(write(folder / name, checkpoint())) for name in ("large", "small"))
        shelf = Shelf(folders=tuple(checkpoint_in(one, lambda _: None) for one in (large, small)))
    spec = Spec(
        model=large, engine=engine, target="docker", settings={"drafting": f"{small}:3", "image": "maker/engine:v1"}
    )
    return plan(CARDS, spec, shelf)


def of_the_engine(made: Plan) -> tuple[list[str], list[str]]:
    """What its container is told, and the folders of this machine that are seen in it under their own names and cannot be written."""
    (compose,) = (file.content for file in TARGET.files(made, PLACE) if file.path == "compose.yaml")
    container = yaml.safe_load(compose)["services"]["llm"]
    volumes = [one for one in container["volumes"] if one["source"] == one["target"] and one["read_only"]]
    return [*container.get("entrypoint", ()), *container["command"]], [one["source"] for one in volumes]


def opened(argv: list[str]) -> list[str]:
    """Every path of this state that is said: alone, behind a name, or inside of JSON."""
    words = [part for word in argv for part in word.replace('"', " ").replace("=", " ").split()]
    return [word for word in words if word.startswith(f"{PLACE.state}/")]


@pytest.mark.parametrize(
    ("made", "engine", "told"),
    [
        (adapted, "vllm", "adapters/sql"),
        (adapted, "sglang", "adapters/sql"),
        (drafted, "vllm", "draft"),
        (drafted, "sglang", "draft"),
        (drafted, "llamacpp", "draft/small.gguf"),
    ],
)
def test_all_that_the_engine_opens_is_mounted(
    made: Callable[[Path, str], Plan], engine: str, told: str, tmp_path: Path
) -> None:
    found = made(tmp_path, engine)
    assert found.verdict == "fits", found.binding
    argv, mounted = of_the_engine(found)
    paths = opened(argv)
    assert any(path.endswith(f"/{told}") for path in paths), argv
    assert [
        path for path in paths if not path.startswith(tuple(f"{folder}/" for folder in mounted)) and path not in mounted
    ] == []
    assert any(f"{file.name}/".startswith(f"{told}/") for file in found.weights), "it is brought where it is opened"

"""Adapters beside a model: looked into, held against the model, counted, and named to the engine."""

from pathlib import Path

import pytest

from provisioner.errors import BadInput
from provisioner.model.plan import Plan
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from provisioner.services import gateway
from provisioner.weights.adapters import adapters_at
from tests.bed.adapters import write_adapter
from tests.unit.planning.samples import decision, plan
from tests.unit.services.samples import stack

CARDS = "2x L40S, 64 cores, 512 GiB"
QWEN3_8B = {"q_proj": (4096, 4096), "v_proj": (4096, 1024), "down_proj": (12288, 4096)}


def planned(
    folder: Path, engine: str = "vllm", model: str = "qwen3-8b", hardware: str = CARDS, **settings: str
) -> Plan:
    spec = Spec(
        model=model, engine=engine, target="docker",
        settings={"lora": f"sql={folder}", **{name.replace("__", ".").replace("_", "-"): one for name, one in settings.items()}},
    )  # fmt: skip
    return plan(hardware, spec, Shelf(adapters=adapters_at(spec.adapters, lambda _: None)))


def test_its_files_lie_beside_the_model_and_it_is_named(tmp_path: Path) -> None:
    made = planned(write_adapter(tmp_path / "sql", QWEN3_8B, rank=12))
    (service, *_), argv = made.services, made.services[0].argv
    assert service.adapters == ("sql",)
    assert argv[argv.index("--lora-modules") + 1] == f"sql={service.model_path}/adapters/sql"
    assert argv[argv.index("--max-lora-rank") + 1] == "16", "the smallest that the engine has and it fits into"
    assert "--enable-lora" in argv
    assert made.model is not None
    assert {"adapters/sql/adapter_config.json", "adapters/sql/adapter_model.safetensors"} <= {
        file.name for file in made.model.files
    }
    assert "rank 12" in next(one.because for one in made.decisions if one.subject == "adapter")


def test_the_room_for_it_is_counted_with_the_weights(tmp_path: Path) -> None:
    """By vLLM's own layers: 36 of them, rank 16, two bytes a value, every projection."""
    folder = write_adapter(tmp_path / "sql", QWEN3_8B, rank=12)
    qkv, o, gate_up, down = 3 * 4096 + 4096 + 1024 + 1024, 4096 + 4096, 2 * 4096 + 2 * 12288, 12288 + 4096
    tables = 2 * (4096 + 151936)
    room = 2 * 16 * (36 * (qkv + o + gate_up + down) + tables)
    bare = plan(CARDS, Spec(model="qwen3-8b", engine="vllm", target="docker"))
    assert weights(planned(folder)) - weights(bare) == room
    assert weights(planned(folder, engine__max_loras="3")) - weights(bare) == 3 * room


def weights(made: Plan) -> int:
    assert made.memory is not None
    return made.memory.per_device[0].weights_bytes


def test_sglang_keeps_room_where_it_changes_something(tmp_path: Path) -> None:
    made = planned(write_adapter(tmp_path / "sql", QWEN3_8B, rank=12), "sglang")
    argv = made.services[0].argv
    assert argv[argv.index("--lora-paths") + 1].startswith("sql=/")
    assert (argv[argv.index("--max-lora-rank") + 1], argv[argv.index("--max-loras-per-batch") + 1]) == ("12", "2")
    qkv, down = 3 * 4096 + 4096 + 1024 + 1024, 12288 + 4096
    bare = plan(CARDS, Spec(model="qwen3-8b", engine="sglang", target="docker"))
    assert weights(made) - weights(bare) == 2 * 2 * 12 * 36 * (qkv + down)


def test_llama_cpp_lays_one_over_all_of_the_model(tmp_path: Path) -> None:
    file = tmp_path / "sql.gguf"
    file.write_bytes(b"GGUF" + bytes(100))
    made = planned(file, "llamacpp")
    (service,) = made.services
    assert service.model_name == "sql"
    assert service.argv[service.argv.index("--lora") + 1] == f"{service.model_folder}/adapters/sql.gguf"


@pytest.mark.parametrize(
    ("shapes", "layers", "model", "settings", "why"),
    [
        (QWEN3_8B, 2, "qwen3-14b", {}, "no adapter of"),
        (QWEN3_8B, 37, "qwen3-8b", {}, "no adapter of"),
        ({"embed_tokens": (4096, 4096)}, 2, "qwen3-8b", {}, "embed_tokens, which is not planned for"),
        (QWEN3_8B, 2, "qwen3-8b", {"engine__max_lora_rank": "8"}, "has rank 12, and 8 is the most"),
        (QWEN3_8B, 2, "qwen3-8b", {"engine__max_lora_rank": "12"}, "max-lora-rank is 12"),
        (QWEN3_8B, 2, "qwen3-8b", {"engine__lora_modules": "a=/b"}, "brought and counted"),
    ],
)
def test_one_that_does_not_belong_is_refused(
    tmp_path: Path, shapes: dict[str, tuple[int, int]], layers: int, model: str, settings: dict[str, str], why: str
) -> None:
    folder = write_adapter(tmp_path / "sql", shapes, rank=12, layers=layers, base="Qwen/Qwen3-8B")
    with pytest.raises(BadInput, match=why):
        planned(folder, model=model, **settings)


def test_what_cannot_be_counted_is_not_planned(tmp_path: Path) -> None:
    made = planned(write_adapter(tmp_path / "sql", QWEN3_8B), model="qwen3-30b-a3b")
    assert made.verdict == "refused"
    told = [other.reason for one in made.decisions for other in one.rejected]
    assert any("is not reckoned here" in reason for reason in (made.binding, *told)), told


@pytest.mark.parametrize("engine", ["ollama", "transformers", "ktransformers", "lmstudio"])
def test_engines_without_a_way_for_it_are_not_in_question(tmp_path: Path, engine: str) -> None:
    folder = write_adapter(tmp_path / "sql", QWEN3_8B)
    with pytest.raises(BadInput, match="lora is for"):
        planned(folder, engine)


def test_a_plan_says_how_much_room_there_is(tmp_path: Path) -> None:
    made = planned(write_adapter(tmp_path / "sql", QWEN3_8B, rank=8))
    assert decision(made, "adapter") == "sql"
    assert decision(made, "room for adapters").endswith("MiB")


def test_the_gateway_knows_the_way_to_it(tmp_path: Path) -> None:
    """Each name has a group of servers of its own, and both lead to the same one."""
    made = planned(write_adapter(tmp_path / "sql", QWEN3_8B))
    lines = gateway.routes(stack(made.services[0])).splitlines()
    assert '# {"qwen3-8b": "model_0", "sql": "model_1"}' in lines
    ways = {line.split()[0]: line.split()[1:] for line in lines if line.startswith("model_")}
    assert ways["model_0"] == ways["model_1"]

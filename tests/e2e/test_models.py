"""The store of weights through the program itself: killed and gone on with, planned for vLLM from it, kept for its release."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioner.world import tinymodel
from tests.e2e.appliance import Appliance
from tests.hub import Faults, Hub, serving
from tests.unit.weights.checkpoints import CONFIG, checkpoint, safetensors, write

SHARD = {"model.layers.0.mlp.experts.0.up_proj.weight": ("BF16", (6 << 10, 2 << 10))}


@pytest.fixture
def appliance(tmp_path: Path) -> Iterator[Appliance]:
    appliance = Appliance(str(tmp_path / "state"))
    yield appliance
    appliance.end()


def test_a_repository_that_was_broken_off_goes_on_where_it_was(appliance: Appliance) -> None:
    """Killed in the middle of 24 MiB, the next run fetches what is missing, and every file is what its hash says."""
    weights = safetensors(SHARD)
    index = json.dumps({"weight_map": dict.fromkeys(SHARD, "model.safetensors")}).encode()
    files = {
        "config.json": json.dumps(CONFIG).encode(),
        "model.safetensors.index.json": index,
        "model.safetensors": weights,
    }
    hub = Hub({f"someone/Tiny/{name}": data for name, data in files.items()}, Faults(seconds_a_chunk=0.001))
    with serving(hub):
        words = appliance.words("model", "add", "someone/Tiny", "--source", hub.url)
        run = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while hub.sent < len(weights) * 0.7:
            assert run.poll() is None
            time.sleep(0.02)
        run.send_signal(signal.SIGKILL)
        run.wait(30)
        hub.faults, before = Faults(), hub.sent
        moved = appliance.json("model", "add", "someone/Tiny", "--source", hub.url)
        assert hub.sent - before < len(weights) * 0.9
    assert [file["name"] for file in moved["models"][0]["files"]] == sorted(files)
    assert appliance.json("model", "verify")["ok"] is True


def test_vllm_is_planned_from_the_store_and_brings_nothing(appliance: Appliance, tmp_path: Path) -> None:
    wide = {**CONFIG, "head_dim": 64}
    folder = write(tmp_path / "Tiny", {**checkpoint(wide), "pytorch_model.bin": b"pickle"})
    wanted = (
        "--model",
        str(folder),
        "--engine",
        "vllm",
        "--target",
        "docker",
        "--set",
        "image=vllm:here",
        "--context",
        "512",
    )
    first = [appliance.program, "plan", *wanted, "--json", "--state-dir", appliance.state]
    before = json.loads(subprocess.run(first, capture_output=True, text=True, check=True, timeout=60).stdout)
    taken = [line for line in before["actions"] if line.startswith("cp ")]
    assert len(taken) == 5
    assert not any("pytorch_model.bin" in line or ".py" in line for line in taken)
    (model,) = appliance.json("model", "add", str(folder))["models"]
    after = json.loads(subprocess.run(first, capture_output=True, text=True, check=True, timeout=60).stdout)
    assert not any(line.startswith(("cp ", "curl ", "ln ")) for line in after["actions"])
    argv = after["services"][0]["argv"]
    assert any(word.endswith(model["folder"]) for word in argv), argv


def test_a_model_in_force_is_kept_and_goes_after_down(appliance: Appliance) -> None:
    appliance.ok("up")
    status = appliance.json("status")
    (model,) = appliance.json("model", "list")["models"]
    assert (model["id"], model["releases"]) == (status["model"], [status["release"]])
    assert status["weights_bytes"] == model["disk_bytes"] > 0
    refused = appliance.run("model", "remove", model["id"])
    assert refused.returncode == 3
    assert status["release"][:12] in refused.stderr
    appliance.ok("down")
    gone = appliance.json("model", "remove", model["id"])
    assert gone["freed_bytes"] == model["disk_bytes"]
    assert not os.path.exists(f"{appliance.state}/blobs/sha256/{tinymodel.sha256()}")


def test_damage_ends_with_one(appliance: Appliance, tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    tinymodel.write(str(path))
    appliance.ok("model", "add", str(path))
    with open(path, "r+b") as stream:
        stream.truncate(1000)
    told = appliance.json("model", "verify", code=1)
    assert [one["name"] for one in told["damaged"]] == ["tiny.gguf"]

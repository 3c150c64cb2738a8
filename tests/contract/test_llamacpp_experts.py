"""Experts in host memory under the real engine: it takes the override, moves the very tensors that are planned, and serves.

A build without CUDA has no device to leave the rest on. What it can show is which tensors it would keep from one.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from provisioner.model.catalog import Geometry
from provisioner.model.spec import Spec
from provisioner.model.weights import LocalFile, Shelf
from provisioner.planning.speed.hybrid import load_of
from provisioner.planning.tries.offload import rows_of
from provisioner.weights.gguf import read_header
from provisioner.world.llamacpp import arguments
from tests.contract.test_llamacpp_memory import LATENT, SECONDS, logged, write_model
from tests.unit.planning.samples import plan

EXPERTS = Geometry(
    "moe-gqa", 12, 12, 512, 0, 8, 2, 64, 64, vocab=300, experts=8, experts_used=2, expert_feed_forward=256, qk_norm=True
)
LOADED = """
import os, sys, xllamacpp
from provisioner.world.llamacpp import experts_on_host
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.n_ctx = 256
params.port = 18398
params.verbosity = 5
params.fit_params = False
params.tensor_buft_overrides = experts_on_host(int(sys.argv[2]))
server = xllamacpp.Server(params)
os._exit(0)
"""
MOVED = re.compile(r"tensor (\S+) \(.*\) buffer type overridden to CPU$")


def moved(model: Path, layers: int) -> list[str]:
    """The tensors that the engine says it keeps on the host, in its most talkative log."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED, str(model), str(layers)], capture_output=True, text=True, timeout=SECONDS, check=False
    )  # fmt: skip
    assert "compute buffer size" in done.stderr, done.stderr
    return [match[1] for line in done.stderr.splitlines() if (match := MOVED.search(line))]


def sizes(model: Path) -> dict[str, int]:
    import gguf

    return {tensor.name: int(tensor.n_bytes) for tensor in gguf.GGUFReader(str(model)).tensors}


@pytest.mark.parametrize("layers", [1, 11])
@pytest.mark.needs("embedded")
def test_the_engine_moves_the_bytes_that_are_planned(tmp_path: Path, layers: int) -> None:
    """The first layer alone is not the eleventh and the twelfth as well."""
    write_model(tmp_path / "m.gguf", EXPERTS)
    tensors = sizes(tmp_path / "m.gguf")
    found = moved(tmp_path / "m.gguf", layers)
    assert sorted(found) == sorted(
        f"blk.{layer}.ffn_{part}_exps.weight" for layer in range(layers) for part in ("down", "gate", "up")
    )
    rows = rows_of(load_of(EXPERTS, sum(tensors.values()), 0, "f16"), EXPERTS)
    assert sum(rows.experts[:layers]) == pytest.approx(sum(tensors[name] for name in found), rel=0.001)
    kept = sum(size for name, size in tensors.items() if name not in found and name != "token_embd.weight")
    assert sum(rows.on_device(at, layers) for at in range(13)) == pytest.approx(kept, rel=0.005)
    assert rows.table == pytest.approx(tensors["token_embd.weight"], rel=0.005)


@pytest.mark.needs("embedded")
def test_a_file_is_planned_by_its_own_tensors_to_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    write_model(path, EXPERTS)
    tensors, size = sizes(path), path.stat().st_size
    with path.open("rb") as file:
        header = read_header(lambda offset, count: os.pread(file.fileno(), count, offset), size)
    shelf = Shelf(local=(LocalFile(str(path), size, None, header),))
    made = plan("1x RTX 4090, 16 cores, 64 GiB", Spec(model=str(path), settings={"engine.n-cpu-moe": "7"}), shelf)
    assert made.verdict == "fits", made.binding
    assert made.memory is not None
    weights = {one.device: one.weights_bytes for one in made.memory.per_device}
    away = sum(tensors[name] for name in moved(path, 7)) + tensors["token_embd.weight"]
    assert weights["nvidia:0"] == sum(tensors.values()) - away
    assert weights["host"] == away + size - sum(tensors.values()), "what is no tensor is the file's header"
    options = arguments().parse_args([*made.services[0].argv[4:]])
    assert (options.n_cpu_moe, options.n_gpu_layers) == (7, 13)


@pytest.mark.needs("embedded")
def test_layers_without_experts_are_counted_and_moved_nowhere(tmp_path: Path) -> None:
    write_model(tmp_path / "m.gguf", LATENT)
    assert moved(tmp_path / "m.gguf", 2) == []


@pytest.mark.needs("embedded")
def test_the_service_takes_the_flag_and_its_cache_stays_what_it_was(tmp_path: Path) -> None:
    write_model(tmp_path / "m.gguf", EXPERTS)
    assert logged(tmp_path / "m.gguf", 1024, 2, "--n-cpu-moe", "7") == logged(tmp_path / "m.gguf", 1024, 2)

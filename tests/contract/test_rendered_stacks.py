"""Whole stacks as they are rendered: Compose accepts each, and so does the argument parser of each engine in it."""

import subprocess
from pathlib import Path

import pytest

from provisioner.engines import ktransformers, transformers
from provisioner.model.spec import Spec
from provisioner.targets.docker import TARGET
from tests.bed.engine import Engine
from tests.unit.planning.samples import PLACE, plan
from tests.unit.planning.test_appliances import ENTRIES, made
from tests.unit.targets.stacks import MACHINES, plans


def written(folder: Path, machine: str) -> list[Path]:
    """The Compose files of one kind of machine, each in a folder of its own with what it reads."""
    made = [one for _, one in plans(machine) if one.verdict == "fits"]
    for number, one in enumerate(made):
        for file in TARGET.files(one, PLACE):
            path = folder / str(number) / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.content)
    return [folder / str(number) / "compose.yaml" for number in range(len(made))]


@pytest.mark.needs("compose")
@pytest.mark.parametrize("machine", ["rtx4090", "910b", "mi300x", "cpu"])
def test_compose_accepts_them(tmp_path: Path, machine: str) -> None:
    files = written(tmp_path, machine)
    assert files
    for file in files:
        told = subprocess.run(
            ["docker", "compose", "--file", str(file), "config", "--quiet"], capture_output=True, text=True, check=False
        )
        assert (told.returncode, told.stderr) == (0, ""), file.read_text()


@pytest.mark.needs("vllm")
def test_vllm_reads_what_it_is_told_for_every_profile_on_every_machine(engine: Engine) -> None:
    argvs = {
        tuple(service.argv[2:])
        for machine in MACHINES
        for _, made in plans(machine)
        for service in made.services
        if service.engine == "vllm"
    }
    assert len(argvs) > 50
    assert engine("parse_all", engine="vllm", argvs=sorted(map(list, argvs)))["read"] == len(argvs)


@pytest.mark.needs("vllm")
def test_sglang_reads_what_it_is_told(engine: Engine) -> None:
    machines = ("2x L40S, 256 GiB", "8x A100 80GB SXM, 1 TiB", "8x H100 SXM, 2 TiB")
    made = [
        plan(machine, Spec(profile=profile, engine="sglang")) for machine in machines for profile in ("basic", "pro")
    ]
    argvs = [list(service.argv[3:]) for one in made for service in one.services]
    assert len(argvs) > 5
    assert engine("parse_all", engine="sglang", argvs=argvs)["read"] == len(argvs)


@pytest.mark.needs("vllm")
def test_ktransformers_reads_what_it_is_told_wherever_a_profile_comes_to_it(engine: Engine) -> None:
    made = [one for machine in MACHINES for _, one in plans(machine)]
    made += [plan(f"1x {card}, 2 sockets, 64 cores, 1 TiB", Spec(profile="flagship", engine="ktransformers", precision="q4_k_m"))
             for card in ("L40S", "A100 80GB SXM", "H100 SXM", "H20")]  # fmt: skip
    argvs = [
        list(service.argv[len(ktransformers.ENGINE.program) :])
        for one in made
        for service in one.services
        if service.engine == "ktransformers"
    ]
    assert len(argvs) > 4
    assert engine("parse_all", engine="ktransformers", argvs=argvs)["read"] == len(argvs)


@pytest.mark.needs("vllm")
def test_transformers_reads_what_it_is_told(engine: Engine) -> None:
    """Its shell takes the path of the weights; everything else is for the parser."""
    spec = Spec(model="qwen3-8b", engine="transformers", settings={"image": "mine"})
    for hardware, device in (("16 cores, 64 GiB", "cpu"), ("1x L40S, 64 GiB", "cuda")):
        (service,) = plan(hardware, spec).services
        name, _, *options = service.argv[len(transformers.ENGINE.program) :]
        seen = engine("parse", engine="transformers", argv=[name, *options])
        assert (seen["force_model"], seen["host"], seen["port"], seen["device"]) == (name, "0.0.0.0", 8000, device)


@pytest.mark.needs("vllm")
def test_vllm_reads_what_the_reference_appliances_tell_it(engine: Engine) -> None:
    argvs = {tuple(one.argv[2:]) for entry in ENTRIES for one in made(entry).services if one.engine == "vllm"}
    assert len(argvs) > 5
    assert engine("parse_all", engine="vllm", argvs=sorted(map(list, argvs)))["read"] == len(argvs)

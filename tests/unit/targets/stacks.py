"""Plans for Docker: every profile on every kind of machine that one is sold for."""

from collections.abc import Iterator

from provisioner.model.plan import Plan
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from tests.unit.planning.samples import CATALOG, plan

MACHINES = {
    "rtx4090": ("2x RTX 4090, 2 sockets, 64 cores, 256 GiB, nvlink=no", {}),
    "l40s": ("4x L40S, 2 sockets, 64 cores, 512 GiB, nvlink=no", {}),
    "a100": ("8x A100 80GB SXM, 2 sockets, 128 cores, 1 TiB", {}),
    "h100": ("8x H100 SXM, 2 sockets, 128 cores, 2 TiB", {}),
    "h20": ("8x H20, 2 sockets, 128 cores, 2 TiB", {}),
    "v100": ("8x V100 SXM2 32GB, 2 sockets, 64 cores, 512 GiB", {}),
    "mi300x": ("8x MI300X, 2 sockets, 128 cores, 2 TiB", {}),
    "910b": ("8x 910B3, 4 sockets, 192 cores, 1 TiB", {}),
    "k100-ai": ("8x K100-AI, 2 sockets, 64 cores, 512 GiB, nvlink=no", {"image": "maker/vllm:dtk"}),
    "cpu": ("2 sockets, 64 cores, 512 GiB", {}),
}
"""The fourth maker's images are its customers' alone, so that one is named."""


def plans(machine: str) -> Iterator[tuple[str, Plan]]:
    """Of each profile, and on processors of vLLM as well, which nobody gets there unasked."""
    hardware, settings = MACHINES[machine]
    for profile in CATALOG.profiles:
        wanted = Spec(profile=profile, target="docker", settings=settings)
        yield profile, _startable(hardware, wanted)
        if machine == "cpu":
            yield f"{profile} on vllm", _startable(hardware, replace(wanted, engine="vllm"))


def _startable(hardware: str, wanted: Spec) -> Plan:
    """Where nobody publishes an image of the engine, as after the operator named one."""
    made = plan(hardware, wanted)
    if all(service.image for service in made.services):
        return made
    return plan(hardware, replace(wanted, settings={**wanted.settings, "image": "maker/engine:v1"}))

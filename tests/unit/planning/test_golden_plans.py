"""Whole plans as they were reviewed; `make golden` writes them anew."""

import json
import os

import pytest

from provisioner.model.plan import Plan
from provisioner.model.spec import Spec
from provisioner.planning.asked.amounts import size
from provisioner.planning.document import plan_document
from tests.unit.planning.samples import CATALOG, plan

FOLDER = os.path.join(os.path.dirname(__file__), "..", "..", "golden", "plans")

MACHINES = {
    "tiny-vm": "1 sockets, 2 cores, 1 GiB, 20 GiB disk",
    "small-vm": "1 sockets, 2 cores, 24 GiB, 200 GiB disk",
    "workstation-rtx4090": "1x RTX 4090, 1 sockets, 16 cores, 64 GiB, 2 TiB disk",
    "two-l40s": "2x L40S, 2 sockets, 64 cores, 512 GiB, 4 TiB disk, nvlink=no",
    "h200": "1x H200, 2 sockets, 64 cores, 1 TiB, 8 TiB disk",
    "big-memory": "2 sockets, 128 cores, 1 TiB, 8 TiB disk",
    "eight-k100": "8x K100-AI, 2 sockets, 64 cores, 512 GiB, 4 TiB disk, nvlink=no",
}
WHOLE = (
    ("small-vm", "demo"),
    ("small-vm", "auto"),
    ("tiny-vm", "auto"),
    ("workstation-rtx4090", "standard"),
    ("h200", "pro"),
    ("big-memory", "flagship"),
)

GROUPS = {
    "vllm, a rank a card": ("8x H200 SXM, 2 TiB", "vllm", {"engine.data-parallel-size": "8"}),
    "vllm, two groups of four": ("8x H200 SXM, 2 TiB", "vllm", {"engine.data-parallel-size": "2"}),
    "vllm, over two nodes": ("8x H200 SXM, 2 TiB, 2 nodes", "vllm", {"engine.data-parallel-size": "16"}),
    "sglang, a rank a card": ("8x H200 SXM, 2 TiB", "sglang", {"engine.attn-dp-size": "8"}),
    "sglang, two groups of four": ("8x H200 SXM, 2 TiB", "sglang", {"engine.attn-dp-size": "2"}),
    "sglang, over two nodes": ("8x H200 SXM, 2 TiB, 2 nodes", "sglang", {"engine.attn-dp-size": "16"}),
}
"""DeepSeek-R1 of which groups of ranks answer by themselves and share the experts; no profile takes it unasked."""


def in_groups(name: str) -> Plan:
    hardware, engine, settings = GROUPS[name]
    return plan(hardware, Spec(profile="flagship", engine=engine, target="docker", settings=settings))


def golden(name: str, made: str) -> str:
    """The reviewed text; written first when that is asked for."""
    path = os.path.join(FOLDER, name)
    if os.environ.get("GOLDEN") == "write":
        os.makedirs(FOLDER, exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(made)
    with open(path, encoding="utf-8") as file:
        return file.read()


@pytest.mark.parametrize(("machine", "profile"), WHOLE)
def test_whole_plans(machine: str, profile: str) -> None:
    document = plan_document(plan(MACHINES[machine], Spec(profile=profile)), ())
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    assert golden(f"{machine}-{profile}.json", text) == text


def test_every_profile_on_every_machine() -> None:
    text = "".join(
        f"{machine}: {MACHINES[machine]}\n{''.join(_line(machine, name) for name in CATALOG.profiles)}\n"
        for machine in MACHINES
    )
    assert golden("verdicts.txt", text) == text


def _line(machine: str, profile: str) -> str:
    made = plan(MACHINES[machine], Spec(profile=profile))
    return f"  {profile:<9} {made.verdict:<8} {_chosen(made) if made.verdict == 'fits' else _refusal(made)}\n"


def _chosen(made: Plan) -> str:
    assert made.model is not None
    assert made.memory is not None
    used = ", ".join(f"{one.device} {size(one.budget_bytes - one.free_bytes)}" for one in made.memory.per_device)
    rate = made.capacity.tokens_per_second if made.capacity else None
    return f"{made.profile} {made.model.precision} {made.context} tokens; {used}; {rate} tokens/s"


def _refusal(made: Plan) -> str:
    changes = "; ".join(" ".join(change.flags) or change.change for change in made.cheapest_changes)
    return f"{made.binding}\n{'':20}would fit: {changes or 'nothing known'}"


def test_what_engines_are_told_of_ranks_that_share_their_experts() -> None:
    text = "".join(f"{name}: {GROUPS[name][0]}\n{_argvs(in_groups(name))}\n" for name in GROUPS)
    assert golden("shared-experts.txt", text) == text


def _argvs(made: Plan) -> str:
    assert made.verdict == "fits", made.binding
    return "".join(f"  {service.name}: {' '.join(service.argv)}\n" for service in made.services)

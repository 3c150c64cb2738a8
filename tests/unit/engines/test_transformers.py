"""Transformers' own server: one device, 16 bits, for a quick look."""

import pytest

from provisioner.model.plan import Plan
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from tests.unit.planning.samples import plan

WANTED = Spec(model="qwen3-8b", engine="transformers", settings={"image": "mine:1"})


def made(hardware: str, **changes: object) -> Plan:
    return plan(hardware, replace(WANTED, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hardware", "device", "grant"), [("16 cores, 64 GiB", "cpu", False), ("2x L40S, 256 GiB, 32 cores", "cuda", True)]
)
def test_it_serves_on_processors_and_on_one_card(hardware: str, device: str, grant: bool) -> None:
    found = made(hardware)
    assert found.verdict == "fits", found.binding
    for service in found.services:
        assert service.argv[service.argv.index("--device") + 1] == device
        assert service.argv[service.argv.index("--host") + 1] == "0.0.0.0"
        assert (service.grant is not None) == grant
        assert len(service.devices) == int(grant)


def test_its_threads_are_those_of_the_cores() -> None:
    assert made("16 cores, 64 GiB").services[0].env["OMP_NUM_THREADS"] == "15"
    assert made("2 sockets, 32 cores, 256 GiB").services[0].env["OMP_NUM_THREADS"] == "31"


@pytest.mark.parametrize(
    ("hardware", "changes", "told"),
    [
        ("16 cores, 64 GiB", {"precision": "fp8"}, "16 bits alone"),
        ("16 cores, 16 GiB", {}, "short"),
        ("1x RTX 4090, 64 GiB", {"model": "qwen3-32b"}, "nvidia:0"),
    ],
)
def test_what_it_cannot_do_is_refused(hardware: str, changes: dict[str, str], told: str) -> None:
    found = made(hardware, **changes)
    assert (found.verdict, told in found.binding) == ("refused", True), found.binding

"""What the real engine says of its memory after a real start, kept and used by the next plan."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioner.model.learned import Residual
from provisioner.world.database import reading
from tests.e2e.appliance import Appliance

pytestmark = [pytest.mark.needs("embedded")]


@pytest.fixture
def appliance(tmp_path: Path) -> Iterator[Appliance]:
    appliance = Appliance(str(tmp_path / "state"))
    yield appliance
    appliance.end()


def learned(appliance: Appliance) -> dict[str, Residual]:
    with reading(appliance.state) as store:
        return {one.kind.component: one for one in store.residuals()}


def starts(appliance: Appliance) -> int:
    with reading(appliance.state) as store:
        return sum(one.kind.component == "activation" for one in store.residuals())


def host(plan: dict[str, Any]) -> dict[str, Any]:
    (budget,) = (one for one in plan["memory"]["per_device"] if one["device"] == "host")
    return dict(budget)


def test_the_next_plan_reckons_with_what_the_engine_said(appliance: Appliance) -> None:
    before = appliance.json("plan")
    appliance.ok("up")
    found = learned(appliance)
    assert sorted(found) == ["activation", "cache", "weights"]
    buffer = found["activation"]
    assert (buffer.kind.engine, buffer.kind.device, buffer.kind.tensor) == ("llamacpp", "host", 1)
    assert buffer.kind.version
    assert buffer.planned_bytes == host(before)["activation_bytes"] != buffer.measured_bytes
    assert found["cache"].measured_bytes == host(before)["kv_cache_bytes"]
    after = appliance.json("plan")
    assert host(after)["activation_bytes"] == buffer.measured_bytes
    assert "activation corrected by what one start measured" in host(after)["basis"]
    assert "activation on host" in appliance.ok("plan", "--explain").stdout


def test_what_was_learned_starts_nothing_anew(appliance: Appliance) -> None:
    appliance.ok("up")
    keeper, release = appliance.keeper(), appliance.release()
    again = appliance.json("up")
    assert again["changed"] is False
    assert (appliance.keeper(), appliance.release()) == (keeper, release)
    assert starts(appliance) == 1, "nothing was started, so nothing was measured"


def test_each_start_is_measured_by_its_own_part_of_the_log(appliance: Appliance) -> None:
    """The log goes on where it was: two starts read as one would have twice the buffers."""
    appliance.ok("up")
    once = learned(appliance)
    appliance.ok("down")
    appliance.ok("up")
    assert starts(appliance) == 2
    assert learned(appliance) == once
    appliance.ok("up", "--concurrency", "1")
    appliance.ok("rollback")
    assert starts(appliance) == 4
    assert learned(appliance) == once

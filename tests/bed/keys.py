"""A state whose release in force has a gateway; nobody listens at its port."""

import json
from pathlib import Path

from provisioner.documents import encode
from provisioner.model.plugins import Place, Stack
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.services import gateway
from provisioner.world.database import locked
from tests.unit.planning.samples import machine, plan

DIGEST = "0" * 64


def state(folder: Path) -> Place:
    here = Place(str(folder), "python", "", user_manager=False)
    planned = plan(machine("2 cores, 16 GiB"), Spec("demo"))
    stack = Stack(planned.services, here, "127.0.0.1", 9, (), {}, {})
    with locked(here.state, "up") as store:
        store.activate(DIGEST)
    release = Path(here.release(DIGEST))
    release.mkdir(parents=True)
    (release / "plan.json").write_text(json.dumps(encode(replace(planned, beside=gateway.containers(stack)))))
    return here

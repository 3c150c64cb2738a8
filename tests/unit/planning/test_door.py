"""What stands beside the engines: who holds their ports, and what is said where nobody does."""

import json

import pytest

from provisioner.model.plan import Plan
from provisioner.model.spec import Spec
from provisioner.planning.serving.beside import with_companions
from provisioner.targets import docker
from tests.unit.planning.samples import PLACE, machine, plan


def stack(engine: str, **settings: str) -> Plan:
    wanted = Spec(profile="demo", engine=engine, target="docker", settings={"image": "maker/engine:1", **settings})
    facts = machine("4 cores, 16 GiB")
    return with_companions(plan(facts, wanted), wanted, PLACE, facts)


@pytest.mark.parametrize("engine", ["ollama", "llamacpp"])
def test_a_door_holds_the_port_of_an_engine_and_nobody_on_the_host_reaches_it(engine: str) -> None:
    import yaml

    made = stack(engine)
    (service,) = made.services
    wanted = docker.containers(made)
    document = yaml.safe_load(docker.compose(wanted, PLACE, {one.name: "" for one in wanted}))
    llm, door = document["services"]["llm"], document["services"]["door"]
    assert (llm.get("ports"), llm["networks"]) == (None, ["closed"])
    assert {tuple(document["services"][name]["networks"]) for name in ("door", "gateway", "webui")} == {
        ("inside", "closed")
    }
    assert [(port["host_ip"], port["published"]) for port in door["ports"]] == [("127.0.0.1", str(service.port))]
    (text,) = (file.content for file in made.files if file.path == "door/nginx.conf")
    assert f'set $engine "llm:{service.port}";' in text
    assert text.count('if ($allowed = "")') == text.count("location / {") == 1
    assert document["networks"]["closed"] == {
        "internal": True,
        "driver_opts": {"com.docker.network.bridge.inhibit_ipv4": "true"},
    }
    assert "keyless" not in {one.id for one in made.findings}


@pytest.mark.parametrize(("engine", "said"), [("ollama", True), ("llamacpp", False)])
def test_without_a_gateway_the_port_is_the_engines_and_one_without_keys_is_spoken_of(engine: str, said: bool) -> None:
    made = stack(engine, gateway="no")
    assert not {"door", "gateway"} & {one.name for one in made.beside}
    wanted = docker.containers(made)
    text = docker.compose(wanted, PLACE, {one.name: "" for one in wanted})
    assert "closed" not in json.dumps(text)
    assert [port.port for port in wanted[0].published] == [made.services[0].port]
    assert ("keyless" in {one.id for one in made.findings}) is said

"""What is rendered for the gateway: its routes, the models behind them, its container, and no secret anywhere."""

import json
import re

import pytest

from provisioner.errors import BadInput
from provisioner.model.plugins import Place, Stack
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.services import gateway
from provisioner.targets.docker import part_of
from tests.unit.planning.samples import machine, plan

STATE = "/var/lib/provision"


def stack(*wanted: str, owner: str = "0:0") -> Stack:
    """Two copies of one model and one of another, on one machine of two."""
    served = plan(machine("2 cores, 16 GiB"), Spec("demo")).services[0]
    engines = (
        replace(served, name="llm-0", port=8000, model_name="large", first_token_seconds=600),
        replace(served, name="llm-1", port=8001, model_name="large"),
        replace(served, name="llm-2", port=8000, model_name="large", node=1),
        replace(served, name="small", port=8002, model_name='it\'s "small"'),
    )
    place = Place(STATE, "python", "", user_manager=False, owner=owner)
    return Stack(engines, place, "127.0.0.1", 8443, (), {}, {}, frozenset(("gateway", *wanted)))


def file(name: str, of: Stack) -> str:
    (found,) = (each.content for each in gateway.files(of) if each.path == f"gateway/{name}")
    return found


def part(of: Stack) -> str:
    """What the container is made from."""
    (container,) = gateway.containers(of)
    return part_of(container, gateway.files(of))


def test_each_model_is_a_group_of_the_servers_on_this_machine() -> None:
    lines = file("routes.txt", stack()).splitlines()
    assert [line for line in lines if line[0] != "#"] == [
        "model_0 llm-0 8000",
        "model_0 llm-1 8001",
        "model_1 small 8002",
    ]


def test_the_script_finds_a_group_by_the_models_name_whatever_that_holds() -> None:
    table = file("routes.txt", stack()).splitlines()[2].removeprefix("# ")
    assert json.loads(table) == {"large": "model_0", 'it\'s "small"': "model_1"}


def test_another_model_is_another_file_of_routes_and_no_other_container() -> None:
    fewer = replace(stack(), engines=stack().engines[:1])
    assert part(fewer) == part(stack())
    changed = {one.path for one in {*gateway.files(fewer)} ^ {*gateway.files(stack())}}
    assert changed == {"gateway/routes.txt"}
    marks = {file("routes.txt", one).partition("\n")[0] for one in (fewer, stack())}
    assert len(marks) == 2


def test_another_configuration_is_another_container() -> None:
    assert part(stack("openwebui")) != part(stack())


def test_only_routes_of_inference_lead_to_an_engine() -> None:
    text = file("nginx.conf", stack("openwebui"))
    assert {name for name in re.findall(r"location = (\S+) \{", text) if name.startswith("/v1/")} == {
        *gateway.ROUTES,
        "/v1/models",
    }
    assert not [word for word in ("tokenize", "load", "pull", "slots", "props", "metrics") if f"/v1/{word}" in text]
    assert re.search(r"location /v1/ \{\s+return 404;", text)


def test_the_chat_page_is_there_only_where_it_stands() -> None:
    assert "proxy_pass http://webui;" in file("nginx.conf", stack("openwebui"))
    assert "webui webui 8080\n" in file("routes.txt", stack("openwebui"))
    assert "webui" not in file("nginx.conf", stack()) + file("routes.txt", stack())
    assert re.search(r"location / \{\s+return 404;", file("nginx.conf", stack()))


def test_answers_may_take_as_long_as_the_slowest_engine_needs() -> None:
    assert file("routes.txt", stack()).splitlines()[1] == "# 2400"


@pytest.mark.parametrize(("owner", "asked"), [("0:0", True), ("1000:1000", False)])
def test_only_where_it_starts_as_root_it_is_told_to_stay_so(owner: str, asked: bool) -> None:
    (container,) = gateway.containers(stack(owner=owner))
    assert ("user root;" in file("nginx.conf", stack(owner=owner))) is asked
    assert bool(container.capabilities) is asked


def test_the_container_sees_folders_so_that_what_is_replaced_there_is_seen() -> None:
    (container,) = gateway.containers(stack())
    assert {(mount.source, mount.target) for mount in container.mounts} == {
        ("@LIVE@/gateway", "/etc/gateway"),
        (f"{STATE}/secrets/gateway", "/srv/keys"),
        (f"{STATE}/secrets/tls/served", "/srv/tls"),
    }
    assert not any(mount.writable for mount in container.mounts)
    assert container.secrets == (f"{STATE}/secrets/llm.key",)
    assert [(port.host, port.port, port.inside) for port in container.published] == [("127.0.0.1", 8443, 8443)]


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "https://127.0.0.1:8443"),
        ("0.0.0.0", "https://127.0.0.1:8443"),
        ("fd00::1", "https://[fd00::1]:8443"),
    ],
)
def test_the_questions_are_asked_where_this_machine_reaches_it(host: str, url: str) -> None:
    asked = gateway.questions(replace(stack(), host=host))
    assert [(one.url, one.status, bool(one.key_file)) for one in asked] == [
        (f"{url}/healthz", 200, False),
        (f"{url}/v1/models", 401, False),
        (f"{url}/v1/models/large", 200, True),
        (f"{url}/v1/models/it%27s%20%22small%22", 200, True),
    ]
    assert asked[0].contains.strip('"') in file("routes.txt", stack())
    assert {one.authority for one in asked} == {f"{STATE}/secrets/tls/authority.pem"}


def test_the_certificate_names_what_this_machine_is_called() -> None:
    (made,) = gateway.makes(replace(stack(), host="192.0.2.7", hostname="gpu-1"))
    assert (made.names, made.certificate, made.key) == (("192.0.2.7", "gpu-1", "localhost", "127.0.0.1"), "", "")
    (everywhere,) = gateway.makes(
        replace(stack(), host="0.0.0.0", hostname="gpu-1", addresses=("192.0.2.7", "10.0.0.7"))
    )
    assert everywhere.names == ("gpu-1", "192.0.2.7", "10.0.0.7", "localhost", "127.0.0.1")


def test_a_certificate_of_the_operators_is_two_files() -> None:
    paths = {"gateway.certificate": "/etc/ssl/a.pem", "gateway.certificate_key": "/etc/ssl/a.key"}
    (made,) = gateway.makes(replace(stack(), settings=paths))
    assert (made.certificate, made.key) == ("/etc/ssl/a.pem", "/etc/ssl/a.key")
    for wrong in ({**paths, "gateway.certificate": "a.pem"}, {"gateway.certificate": "/etc/ssl/a.pem"}):
        with pytest.raises(BadInput, match="two files"):
            gateway.makes(replace(stack(), settings=wrong))

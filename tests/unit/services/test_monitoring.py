"""What monitoring asks and shows, and who may see it; that the queries have answers is tested against Prometheus itself."""

import json
import re
from typing import Any

import pytest
import yaml

from provisioner.errors import BadInput
from provisioner.model.containers import Container, Grant
from provisioner.model.plugins import Companion, Stack
from provisioner.services import exporters, grafana, prometheus
from provisioner.targets.docker import part_of
from tests.unit.services.samples import ALL, engine, stack

FIRST = Grant("nvidia", cdi=("nvidia.com/gpu=GPU-1",), env={"NVIDIA_VISIBLE_DEVICES": "GPU-1"})
SECOND = Grant("nvidia", cdi=("nvidia.com/gpu=GPU-2",), env={"NVIDIA_VISIBLE_DEVICES": "GPU-2"})
CARDS = (engine("a", grant=FIRST), engine("b", grant=SECOND, port=8001))


def one(service: Companion, wanted: Stack) -> Container:
    return service.containers(wanted)[0]


def configuration(wanted: Stack) -> dict[str, Any]:
    found = {file.path: file.content for file in prometheus.SERVICE.files(wanted)}
    return dict(yaml.safe_load(found["prometheus/prometheus.yml"]))


def targets(wanted: Stack) -> dict[str, list[str]]:
    return {
        job["job_name"]: [target for group in job["static_configs"] for target in group["targets"]]
        for job in configuration(wanted)["scrape_configs"]
    }


def shown(wanted: Stack) -> dict[str, Any]:
    files = grafana.SERVICE.files(wanted)
    return {file.path.rpartition("/")[2]: json.loads(file.content) for file in files if file.path.endswith(".json")}


def test_engines_are_asked_with_the_key_and_nobody_reads_it() -> None:
    wanted = stack()
    (job,) = (job for job in configuration(wanted)["scrape_configs"] if job["job_name"] == "engine")
    assert job["authorization"] == {"credentials_file": "/run/secrets/llm.key"}
    assert one(prometheus.SERVICE, wanted).secrets == ("/srv/state/secrets/llm.key",)
    assert job["static_configs"][0]["labels"]["service"] == "llm"


def test_only_what_tells_something_is_asked() -> None:
    wanted = stack(engine("a"), engine("b", engine="ollama"), engine("a-1", node=1), wanted=frozenset({"prometheus"}))
    assert targets(wanted) == {"engine": ["a:8000"], "prometheus": ["127.0.0.1:9090"]}
    assert set(shown(wanted)) == {"engines.json"}


def test_everything_that_stands_is_asked() -> None:
    asked = targets(stack(*CARDS, vendors=("nvidia", "ascend")))
    assert asked == {
        "engine": ["a:8000", "b:8001"],
        "gateway": ["gateway:9145"],
        "host": ["node-exporter:9100"],
        "gpu": ["gpu-exporter-nvidia:9400"],
        "prometheus": ["127.0.0.1:9090"],
    }


@pytest.mark.parametrize("service", [prometheus.SERVICE, grafana.SERVICE, exporters.SERVICE])
def test_only_this_machine_reaches_what_watches_it(service: Companion) -> None:
    for container in service.containers(stack(*CARDS, host="0.0.0.0", vendors=("nvidia",))):
        assert {published.host for published in container.published} <= {"127.0.0.1"}
        assert not container.host_network
        assert container.read_only
    assert service.monitoring


def test_the_exporter_of_the_host_is_nobody_and_sees_no_secret() -> None:
    host = one(exporters.SERVICE, stack())
    assert (host.user, host.secrets, host.secret_env) == ("65534:65534", (), {})
    assert [mount.writable for mount in host.mounts] == [False]


def test_the_exporter_of_cards_gets_those_of_all_engines() -> None:
    _, cards = exporters.SERVICE.containers(stack(*CARDS, vendors=("nvidia",)))
    assert cards.grant is not None
    assert cards.grant.cdi == ("nvidia.com/gpu=GPU-1", "nvidia.com/gpu=GPU-2")
    assert cards.grant.env == {"NVIDIA_VISIBLE_DEVICES": "GPU-1,GPU-2"}
    (counters,) = exporters.SERVICE.files(stack(*CARDS, vendors=("nvidia",)))
    assert counters.path == "exporters/nvidia/counters.csv"
    assert "DCGM_FI_DEV_XID_ERRORS, gauge," in counters.content


@pytest.mark.parametrize("vendors", [(), ("ascend",), ("nvidia",)])
def test_without_cards_or_a_known_exporter_there_is_that_of_the_host_alone(vendors: tuple[str, ...]) -> None:
    assert [one.name for one in exporters.SERVICE.containers(stack(vendors=vendors))] == ["node-exporter"]


def test_grafana_lets_nobody_in_without_the_password_of_the_file() -> None:
    container = one(grafana.SERVICE, stack())
    assert container.env["GF_SECURITY_ADMIN_PASSWORD__FILE"] == "/run/secrets/grafana-admin.password"
    assert container.secrets == ("/srv/state/secrets/grafana-admin.password",)
    assert container.env["GF_AUTH_ANONYMOUS_ENABLED"] == "false"


def part(service: Companion, wanted: Stack) -> str:
    return part_of(one(service, wanted), service.files(wanted))


@pytest.mark.parametrize(
    ("service", "other"),
    [
        (prometheus.SERVICE, stack(engine("a"), engine("b", engine="llamacpp", port=8001))),
        (grafana.SERVICE, stack(engine(engine="ollama"))),
    ],
)
def test_other_engines_are_taken_up_by_the_same_container(service: Companion, other: Stack) -> None:
    assert part(service, other) == part(service, stack())
    assert {file.content for file in service.files(other)} != {file.content for file in service.files(stack())}
    assert {mount.source for mount in one(service, other).mounts if "@" in mount.source} == {f"@LIVE@/{service.name}"}


def test_what_is_asked_of_prometheus_tells_one_release_from_another() -> None:
    """Its targets and its rules each; both stand in the very files that it has read."""
    for other in (stack(engine("a")), stack(engine(engine="llamacpp"))):
        first, second = prometheus.SERVICE.questions(stack()), prometheus.SERVICE.questions(other)
        assert first[0].contains != second[0].contains
        written = {file.path: file.content for file in prometheus.SERVICE.files(other)}
        assert second[0].contains in written["prometheus/prometheus.yml"]
        assert second[1].contains in written["prometheus/rules.yml"]
    assert first[1].contains != second[1].contains


def test_the_operator_sets_ports_and_retention() -> None:
    wanted = stack(settings={"prometheus.port": "9191", "grafana.port": "3131", "prometheus.retention": "50GB"})
    assert one(prometheus.SERVICE, wanted).published[0].port == 9191
    assert "--storage.tsdb.retention.size=50GB" in one(prometheus.SERVICE, wanted).argv
    assert one(grafana.SERVICE, wanted).published[0].port == 3131
    assert [
        question.url for question in (*prometheus.SERVICE.questions(wanted), *grafana.SERVICE.questions(wanted))
    ] == [
        "http://127.0.0.1:9191/api/v1/status/config",
        "http://127.0.0.1:9191/api/v1/rules",
        "http://127.0.0.1:3131/api/health",
    ]


@pytest.mark.parametrize("service", [prometheus.SERVICE, grafana.SERVICE])
@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_what_is_no_port_is_refused(service: Companion, port: str) -> None:
    with pytest.raises(BadInput, match=rf"{service.name}\.port"):
        service.containers(stack(settings={f"{service.name}.port": port}))


def test_dashboards_show_what_their_engines_tell() -> None:
    by_engine = {
        kind: {
            panel["title"]
            for panel in shown(stack(engine(engine=kind), wanted=ALL - {"exporters"}))["engines.json"]["panels"]
        }
        for kind in ("vllm", "llamacpp")
    }
    assert by_engine["vllm"] - by_engine["llamacpp"] == {"Cache", "First token", "Between tokens"}


def test_panels_lie_beside_and_below_each_other_and_never_on_each_other() -> None:
    for one in shown(stack(*CARDS, vendors=("nvidia",))).values():
        places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in one["panels"]]
        assert len(set(places)) == len(places)
        assert max(x for x, _ in places) + 8 <= 24
        assert len({panel["id"] for panel in one["panels"]}) == len(places)


def test_names_of_dashboards_are_taken_by_grafana() -> None:
    """Up to forty of these signs: https://grafana.com/docs/grafana/latest/developers/http_api/dashboard."""
    for one in shown(stack(*CARDS, vendors=("nvidia",))).values():
        assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", one["uid"])

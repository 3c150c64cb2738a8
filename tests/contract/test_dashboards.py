"""Every query of every dashboard, asked of a real Prometheus that asks a real engine and a real host."""

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from provisioner.model.containers import Container, Grant, Mount, ReleaseFile
from provisioner.model.plugins import Stack
from provisioner.model.record import replace
from provisioner.services import exporters, grafana, prometheus
from provisioner.services._gpu_metrics import GPUS
from tests.contract import composed
from tests.ports import free_port
from tools import images

pytestmark = [pytest.mark.needs("prometheus", "llamacpp", "compose"), pytest.mark.slow, pytest.mark.timeout(600)]

RECORDED = Path(__file__).parents[1] / "unit" / "services" / "recorded"
WANTED = frozenset({"prometheus", "exporters", "grafana", "gateway"})
SECONDS = 240

SAYS = """
import http.server, sys
class Says(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(open("/said/" + sys.argv[2], "rb").read())
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Says).serve_forever()
"""


def teller(name: str, port: int, file: str) -> Container:
    """Stands in for what cannot run here, and says what was recorded of it."""
    return Container(
        name=name,
        kind="recorded",
        image=images.image("python"),
        argv=("python3", "-c", SAYS, str(port), file),
        mounts=(Mount(str(RECORDED), "/said"),),
    )


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """A real llama.cpp, a recorded vLLM on a recorded card, and the host as it is."""
    made = composed.stack(
        tmp_path_factory.mktemp("monitoring"),
        WANTED,
        {"prometheus": images.image("prometheus"), exporters.HOST: images.image("node-exporter")},
        {"prometheus.port": str(free_port())},
    )
    (real,) = made.engines
    grant = Grant("nvidia", cdi=("nvidia.com/gpu=all",))
    recorded = replace(real, name="vllm", engine="vllm", model_name="big", port=8001, grant=grant)
    return replace(made, engines=(real, recorded), vendors=("nvidia",))


@pytest.fixture(scope="module")
def running(stack: Stack) -> Iterator[composed.Running]:
    folder = Path(stack.place.state).parent
    files = tuple(_faster(file) for one in (prometheus, exporters) for file in one.SERVICE.files(stack))
    containers = (
        *prometheus.SERVICE.containers(stack),
        exporters.SERVICE.containers(stack)[0],
        composed.engine(replace(stack, engines=stack.engines[:1])),
        teller("vllm", 8001, "vllm-0.32.txt"),
        teller("gpu-exporter-nvidia", 9400, "dcgm-4.8.txt"),
        teller("gateway", 9145, "gateway.txt"),
    )
    with composed.running(stack, containers, files, folder) as started:
        _wait(stack)
        yield started


def _faster(file: ReleaseFile) -> ReleaseFile:
    """A test cannot wait for two scrapes of a stack that nobody is in a hurry to look at."""
    return replace(
        file,
        content=file.content.replace(f"interval: {prometheus.SECONDS}s", "interval: 2s").replace(
            "timeout: 10s", "timeout: 2s"
        ),
    )


def ask(stack: Stack, path: str, **arguments: str) -> Any:
    url = f"http://127.0.0.1:{prometheus.port(stack)}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)["data"]


def _wait(stack: Stack) -> None:
    """Until every target was asked several times: a rate needs two answers."""
    until = time.monotonic() + SECONDS
    while True:
        try:
            found = ask(stack, "query", query="count_over_time(up[1m]) > 5 and up == 1")["result"]
        except OSError:
            found = []
        if len(found) >= 6:
            return
        assert time.monotonic() < until, [one["metric"] for one in found]
        time.sleep(1)


def chat(address: str) -> None:
    """Requests that run for as long as the context is."""
    body = {"model": composed.MODEL, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1500}
    headers = {"Authorization": f"Bearer {composed.KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/v1/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
        assert answer.status == 200


def dashboards(stack: Stack) -> dict[str, dict[str, Any]]:
    return {file.path: json.loads(file.content) for file in grafana.SERVICE.files(stack) if file.path.endswith(".json")}


def test_no_panel_is_empty(stack: Stack, running: composed.Running) -> None:
    chat(f"http://{running.address('llm')}:{composed.ENGINE_PORT}")
    asked = {
        (path, panel["title"], target["expr"])
        for path, shown in dashboards(stack).items()
        for panel in shown["panels"]
        for target in panel["targets"]
    }
    assert len(asked) > 20
    with ThreadPoolExecutor(4) as pool:
        answers = dict(
            zip(asked, pool.map(lambda one: ask(stack, "query", query=one[2])["result"], asked), strict=True)
        )
    assert {one for one, answer in answers.items() if not answer} == set()


def test_the_rules_are_reckoned_without_error_and_nothing_rings(stack: Stack, running: composed.Running) -> None:
    rules = [rule for group in ask(stack, "rules")["groups"] for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}
    assert [rule["name"] for rule in rules if rule.get("state") == "firing"] == []


def test_what_was_reckoned_is_of_each_engine(stack: Stack, running: composed.Running) -> None:
    running_now = ask(stack, "query", query="provision:requests_running")["result"]
    assert {one["metric"]["service"] for one in running_now} == {"llm", "vllm"}
    chat(f"http://{running.address('llm')}:{composed.ENGINE_PORT}")
    until = time.monotonic() + 30
    while (
        float(ask(stack, "query", query='provision:generated_tokens:rate1m{service="llm"}')["result"][0]["value"][1])
        == 0
    ):
        assert time.monotonic() < until
        time.sleep(0.5)


OF_THIS_MACHINE = {"DiskFull", "DiskFills", "HostMemoryLow"}
"""What may well be true of whatever runs the tests."""


def test_an_engine_that_is_stopped_is_told(stack: Stack, running: composed.Running) -> None:
    """The last of these tests: the engine does not come back."""
    running.compose("stop", "--timeout", "1", "llm")
    until = time.monotonic() + 30
    while ask(stack, "query", query='up{service="llm"}')["result"][0]["value"][1] != "0":
        assert time.monotonic() < until
        time.sleep(0.5)
    pending = {rule["name"] for group in ask(stack, "rules")["groups"] for rule in group["rules"] if rule.get("alerts")}
    assert pending - OF_THIS_MACHINE <= {"EngineDown"}


def test_the_gateway_says_what_is_recorded_of_it() -> None:
    script = (Path(__file__).parents[2] / "templates" / "gateway" / "gateway.js.j2").read_text()
    for line in (RECORDED / "gateway.txt").read_text().splitlines():
        assert f"'{line.rpartition(' ')[0]} '" in script


def test_the_card_says_what_it_is_asked_for() -> None:
    said = {line.partition("{")[0] for line in (RECORDED / "dcgm-4.8.txt").read_text().splitlines()}
    asked = {line.partition(",")[0] for line in GPUS["nvidia"].files["counters.csv"].splitlines()}
    assert said == asked


def test_dashboards_ask_the_source_that_grafana_is_given(stack: Stack) -> None:
    source = next(file for file in grafana.SERVICE.files(stack) if "datasources" in file.path)
    (given,) = yaml.safe_load(source.content)["datasources"]
    for shown in dashboards(stack).values():
        assert {panel["datasource"]["uid"] for panel in shown["panels"]} == {given["uid"]}

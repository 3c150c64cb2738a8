"""Prometheus: asks engines, gateway, host and cards how they are, keeps the answers, and calls when something is wrong."""

import json
from hashlib import sha256

from provisioner.model.containers import Container, Health, Mount, Published, Question, ReleaseFile
from provisioner.model.plugins import Companion, Stack
from provisioner.services import _engine_metrics, _rules, exporters, gateway
from provisioner.services._gpu_metrics import GPUS
from provisioner.services._shared import as_yaml, port_of
from provisioner.world.templates import fill

NAME = "prometheus"
START = "start.sh"

IMAGE = "docker.io/prom/prometheus:v3.15.0"
"""https://github.com/prometheus/prometheus/releases"""
INSIDE_PORT = 9090
PORT = "9090"
LOOPBACK = "127.0.0.1"

SECONDS = 15
"""Between two questions; an engine that is wedged is told within three minutes."""
RETENTION_SIZE = "10GB"
RETENTION_TIME = "180d"
MEMORY_BYTES = 2 * 2**30


def containers(stack: Stack) -> tuple[Container, ...]:
    """Its page has no accounts, so only this machine reaches it."""
    keys = tuple(dict.fromkeys(one.key_file for one in _engine_metrics.scraped(stack)))
    return (
        Container(
            name=NAME,
            kind=NAME,
            image=stack.images.get(NAME, IMAGE),
            argv=(
                "/bin/sh",
                f"/etc/prometheus/{START}",
                "prometheus",
                "--config.file=/etc/prometheus/prometheus.yml",
                "--storage.tsdb.path=/prometheus",
                f"--storage.tsdb.retention.size={stack.settings.get(f'{NAME}.retention', RETENTION_SIZE)}",
                f"--storage.tsdb.retention.time={RETENTION_TIME}",
                f"--web.listen-address=:{INSIDE_PORT}",
            ),
            secrets=keys,
            mounts=(
                Mount(f"@LIVE@/{NAME}", "/etc/prometheus"),
                Mount(stack.place.data(NAME), "/prometheus", writable=True),
            ),
            published=(Published(LOOPBACK, port(stack), INSIDE_PORT),),
            # A question that every release of it answers; `check healthy` came with 2.43.
            health=Health(("promtool", "query", "instant", f"http://127.0.0.1:{INSIDE_PORT}", "vector(1)")),
            memory_max_bytes=MEMORY_BYTES,
        ),
    )


def port(stack: Stack) -> int:
    return port_of(stack, NAME, PORT)


def files(stack: Stack) -> tuple[ReleaseFile, ...]:
    """What it asks and when it calls is taken up while it runs."""
    return (
        ReleaseFile(f"{NAME}/{START}", fill(f"{NAME}/{START}.j2")),
        ReleaseFile(f"{NAME}/prometheus.yml", as_yaml(configuration(stack)), awaited=True),
        ReleaseFile(f"{NAME}/rules.yml", as_yaml(rules(stack)), awaited=True),
    )


def configuration(stack: Stack) -> dict[str, object]:
    """It asks itself by the name of its own content, which tells what is in force, and which nothing that it keeps bears."""
    jobs = _jobs(stack)
    own = _job("prometheus", {f"127.0.0.1:{INSIDE_PORT}": {}}) | {"params": {"asked": [_digest(jobs)]}}
    return {
        "global": {"scrape_interval": f"{SECONDS}s", "scrape_timeout": "10s", "evaluation_interval": f"{SECONDS}s"},
        "rule_files": ["/etc/prometheus/rules.yml"],
        "scrape_configs": [*jobs, own],
    }


def _jobs(stack: Stack) -> list[dict[str, object]]:
    of_gateway = _job("gateway", {f"{gateway.NAME}:{gateway.METRICS_PORT}": {}})
    return [
        *_engine_jobs(stack),
        *([of_gateway] if gateway.NAME in stack.wanted else ()),
        *(_exporter_jobs(stack) if exporters.NAME in stack.wanted else ()),
    ]


def rules(stack: Stack) -> dict[str, object]:
    """A group of their own says which they are: a name that changed in the others would have each alarm begin anew."""
    groups = _rules.groups(stack)
    told = {"record": "provision:rules", "expr": "vector(1)", "labels": {"digest": _digest(groups)}}
    return {"groups": [*groups, {"name": "provision-rules", "rules": [told]}]}


def _digest(document: object) -> str:
    return sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


def _engine_jobs(stack: Stack) -> list[dict[str, object]]:
    """One job for each key, since a job has one; nearly always that of the stack."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for one in _engine_metrics.scraped(stack):
        labels = {"job": "engine", "service": one.name, "model": one.model_name, "engine": one.engine}
        found.setdefault(one.key_file, {})[f"{one.name}:{one.port}"] = labels
    jobs = enumerate(found.items())
    return [
        _job(f"engine-{number}" if number else "engine", targets)
        | {"authorization": {"credentials_file": f"/run/secrets/{_secret(key, stack)}"}}
        for number, (key, targets) in jobs
    ]


def _secret(key_file: str, stack: Stack) -> str:
    """Its name inside: folders below the one of secrets are kept apart by dashes."""
    return key_file.removeprefix(f"{stack.place.state}/secrets/").replace("/", "-")


def _exporter_jobs(stack: Stack) -> list[dict[str, object]]:
    makers = {
        f"{exporters.gpu_exporter(maker)}:{GPUS[maker].port}": {"maker": maker} for maker in exporters.makers(stack)
    }
    return [
        _job("host", {f"{exporters.HOST}:{exporters.PORT}": {}}),
        *([_job("gpu", makers)] if makers else ()),
    ]


def _job(name: str, targets: dict[str, dict[str, str]]) -> dict[str, object]:
    return {
        "job_name": name,
        "static_configs": [
            {"targets": [target], **({"labels": labels} if labels else {})} for target, labels in targets.items()
        ],
    }


def questions(stack: Stack) -> tuple[Question, ...]:
    """Whether it is there, and goes by what this release wrote."""
    base = f"http://{LOOPBACK}:{port(stack)}"
    asks, calls = _digest(_jobs(stack)), _digest(_rules.groups(stack))
    return (
        Question(NAME, "the metrics, by the targets of this release", f"{base}/api/v1/status/config", contains=asks),
        Question(NAME, "the alarms of this release", f"{base}/api/v1/rules", contains=calls),
    )


SERVICE = Companion(
    name=NAME,
    title="Prometheus",
    containers=containers,
    files=files,
    questions=questions,
    monitoring=True,
    settings=("port", "retention"),
)

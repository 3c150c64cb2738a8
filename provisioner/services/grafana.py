"""Grafana: the dashboards over Prometheus, for whoever runs the machine."""

import json

from provisioner.model.containers import Container, Mount, Published, Question, ReleaseFile
from provisioner.model.plugins import Companion, Stack
from provisioner.services._shared import as_yaml, port_of

NAME = "grafana"

IMAGE = "docker.io/grafana/grafana:13.2.3"
"""https://grafana.com/docs/grafana/latest/setup-grafana/configure-docker"""
INSIDE_PORT = 3000
PORT = "3000"
LOOPBACK = "127.0.0.1"
MEMORY_BYTES = 2**30

PROVISIONING = "/etc/grafana/provisioning"
DASHBOARDS = f"{PROVISIONING}/shown"

ENVIRONMENT = {
    "GF_AUTH_ANONYMOUS_ENABLED": "false",
    "GF_USERS_ALLOW_SIGN_UP": "false",
    "GF_USERS_ALLOW_ORG_CREATE": "false",
    "GF_SECURITY_DISABLE_GRAVATAR": "true",
    "GF_SECURITY_COOKIE_SAMESITE": "strict",
    "GF_ANALYTICS_REPORTING_ENABLED": "false",
    "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
    "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
    "GF_ANALYTICS_FEEDBACK_LINKS_ENABLED": "false",
    "GF_NEWS_NEWS_FEED_ENABLED": "false",
    "GF_SNAPSHOTS_EXTERNAL_ENABLED": "false",
    "GF_PLUGINS_PREINSTALL_DISABLED": "true",
    "GF_PLUGINS_PLUGIN_ADMIN_ENABLED": "false",
    "GF_UNIFIED_ALERTING_ENABLED": "false",
    "GF_PATHS_DATA": "/var/lib/grafana",
    "GF_PATHS_LOGS": "/tmp/logs",  # noqa: S108 - a folder in memory inside the container
    "GF_LOG_MODE": "console",
    "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": f"{DASHBOARDS}/engines.json",
}
"""Sections and keys of conf/defaults.ini of grafana/grafana 13. Nothing is fetched, nothing is reported, and nobody is
let in without a password; Prometheus alone calls, so that there is one list of alarms."""

PASSWORD = "grafana-admin.password"  # noqa: S105 - the name of its file


def containers(stack: Stack) -> tuple[Container, ...]:
    """It is published for this machine alone: others reach it through `ssh -L`, and the gateway has one thing less to guard."""
    secret = f"{stack.place.state}/secrets/{PASSWORD}"
    return (
        Container(
            name=NAME,
            kind=NAME,
            image=stack.images.get(NAME, IMAGE),
            env={
                **ENVIRONMENT,
                "GF_SECURITY_ADMIN_PASSWORD__FILE": f"/run/secrets/{PASSWORD}",
                "GF_SERVER_ROOT_URL": f"http://{LOOPBACK}:{port(stack)}/",
            },
            secrets=(secret,),
            mounts=(
                Mount(f"@LIVE@/{NAME}", PROVISIONING),
                Mount(stack.place.data(NAME), "/var/lib/grafana", writable=True),
            ),
            published=(Published(LOOPBACK, port(stack), INSIDE_PORT),),
            memory_max_bytes=MEMORY_BYTES,
        ),
    )


def port(stack: Stack) -> int:
    return port_of(stack, NAME, PORT)


def files(stack: Stack) -> tuple[ReleaseFile, ...]:
    from provisioner.services._dashboards import dashboards  # A plan for another machine writes no files.

    shown = dashboards(stack)
    return (
        ReleaseFile(f"{NAME}/datasources/prometheus.yml", as_yaml(_source())),
        ReleaseFile(f"{NAME}/dashboards/provision.yml", as_yaml(_provider())),
        *(
            ReleaseFile(f"{NAME}/shown/{name}.json", json.dumps(one, indent=1), awaited=True)
            for name, one in shown.items()
        ),
    )


def _source() -> dict[str, object]:
    source = {
        "name": "Prometheus", "uid": "prometheus", "type": "prometheus", "access": "proxy",
        "url": "http://prometheus:9090", "isDefault": True, "editable": False,
        "jsonData": {"timeInterval": "15s", "httpMethod": "POST"},
    }  # fmt: skip
    return {"apiVersion": 1, "datasources": [source]}


def _provider() -> dict[str, object]:
    """Dashboards are read again while it runs, and go with their files:
    https://grafana.com/docs/grafana/latest/administration/provisioning/#dashboards.
    """
    provider = {
        "name": "provision", "folder": "provision", "type": "file", "allowUiUpdates": False, "disableDeletion": False,
        "updateIntervalSeconds": 10, "options": {"path": DASHBOARDS},
    }  # fmt: skip
    return {"apiVersion": 1, "providers": [provider]}


def questions(stack: Stack) -> tuple[Question, ...]:
    """Whether it is there, with its database."""
    return (Question(NAME, "the dashboards", f"http://{LOOPBACK}:{port(stack)}/api/health", contains='"ok"'),)


SERVICE = Companion(
    name=NAME,
    title="Grafana",
    containers=containers,
    files=files,
    questions=questions,
    monitoring=True,
    settings=("port",),
)

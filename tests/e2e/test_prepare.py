"""`provision prepare` on a real Debian host: the check says what then changes, a second run changes nothing, the doors hold."""

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from provisioner.planning.host.firewall import ruleset
from tests.components import demand
from tests.e2e import hierarchies
from tests.e2e.conftest import Installation
from tests.e2e.containers import PROJECT, SYSTEMD, Container, started, wait_for_systemd
from tools import docker, images, machines

pytestmark = [pytest.mark.thorough, pytest.mark.needs("lab-host", "index"), pytest.mark.slow, pytest.mark.timeout(900)]

PORT, SSH = 8443, 2222
"""SSH stands for every port that is not named: whoever holds a session there keeps it, and gets another."""
ELSEWHERE = "10.99.0.0/16"
DRIVER = "nvidia-driver-999"
COMPOSE = "/usr/libexec/docker/cli-plugins/docker-compose"
"""The distribution's Docker comes without it."""
WANTED = (
    "--profile",
    "demo",
    "--target",
    "docker",
    "--docker-from",
    "distribution",
    "--time-server",
    "ntp.example.edu",
)
ECHO = """
import socketserver, threading
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(99):
            self.request.sendall(data)
for port in ({PORT}, {SSH}):
    server = socketserver.ThreadingTCPServer(("0.0.0.0", port), Echo)
    threading.Thread(target=server.serve_forever).start()
"""
PACKAGE = f"""
mkdir -p /opt/driver/DEBIAN
printf 'Package: {DRIVER}\\nVersion: 999.1-1\\nArchitecture: all\\nMaintainer: nobody <nobody@example.edu>\\nDescription: none\\n' > /opt/driver/DEBIAN/control
dpkg-deb --build /opt/driver /opt/driver.deb && dpkg --install /opt/driver.deb
"""


@pytest.fixture(scope="module")
def host(wheel: Path, pytestconfig: pytest.Config) -> Iterator[Container]:
    """With a package that is called like a driver, and two programs that listen."""
    with bare_host(wheel, pytestconfig) as lab:
        lab.run("sh", "-euc", PACKAGE)
        echo = ECHO.replace("{PORT}", str(PORT)).replace("{SSH}", str(SSH))
        lab.run("systemd-run", "--unit=echo", "/usr/bin/python3", "-c", echo)
        yield lab


@contextmanager
def bare_host(wheel: Path, pytestconfig: pytest.Config) -> Iterator[Container]:
    """A lab host on a network, with our wheel and what plays the playbooks."""
    demand("lab-host", pytestconfig)
    demand("index", pytestconfig)
    options = [*SYSTEMD, *docker.way_out(), "--volume=/var/lib/docker"]
    with hierarchies.none_left(), started(machines.lab_image(), options, ["/sbin/init"]) as lab:
        wait_for_systemd(lab)
        lab.copy_in(wheel, f"/opt/{wheel.name}")
        pip = "/opt/provision/bin/pip"
        lab.run(
            pip, "install", "--quiet", *pins("ansible-core", "ansible-runner", "pyyaml", "cryptography"), timeout=300
        )
        lab.run(pip, "install", "--quiet", "--no-deps", "--no-index", f"/opt/{wheel.name}")
        yield lab


def pins(*names: str) -> list[str]:
    """These packages with the versions of the lock, for the Python of the lab host."""
    lines = (PROJECT / "requirements-dev.lock").read_text().splitlines()
    words = [line.removesuffix("\\").strip() for line in lines if line.startswith(tuple(f"{name}==" for name in names))]
    return [line.split(" ;")[0] for line in words if ">= '3.12'" not in line]


def prepare(host: Container, *words: str) -> dict[str, Any]:
    ran = host.run("/opt/provision/bin/provision", "prepare", "--json", *WANTED, *words, timeout=600)
    told: dict[str, Any] = json.loads(ran.stdout)
    jsonschema.Draft202012Validator(json.loads((PROJECT / "docs/reference/prepared.schema.json").read_text())).validate(
        told
    )
    return told


def tasks(told: dict[str, Any]) -> list[tuple[str, str]]:
    return [(task["role"], task["task"]) for task in told["tasks"]]


def doors(host: Container) -> str:
    """This machine's address, as the host sees it."""
    return host.run("sh", "-c", "ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p'").stdout.strip()


def guarded(host: Container, allowed: str) -> tuple[str, ...]:
    return ("--port", str(PORT), "--allow", allowed)


@pytest.fixture(scope="module")
def checked(host: Container) -> dict[str, Any]:
    return prepare(host, *guarded(host, doors(host)), "--check")


@pytest.fixture(scope="module")
def prepared(host: Container, checked: dict[str, Any]) -> dict[str, Any]:
    return prepare(host, *guarded(host, doors(host)))


def connect(host: Container, port: int) -> socket.socket:
    address = host.run("sh", "-c", "ip -4 -o address show eth0 | sed 's/.*inet \\([^/]*\\).*/\\1/'").stdout.strip()
    return socket.create_connection((address, port), timeout=2)


def echoed(stream: socket.socket) -> bytes:
    stream.sendall(b"still here")
    return stream.recv(99)


def test_a_check_changes_nothing(host: Container, checked: dict[str, Any]) -> None:
    assert checked["checked_only"]
    assert [step["role"] for step in checked["steps"]] == [
        "container_engine",
        "package_holds",
        "time_service",
        "firewall",
    ]
    assert host.run("sh", "-c", "command -v dockerd nft", check=False).stdout == ""
    assert host.run("ls", "/etc/provision", check=False).returncode != 0
    assert host.run("apt-mark", "showhold").stdout == ""


def test_the_check_said_what_then_changed(checked: dict[str, Any], prepared: dict[str, Any]) -> None:
    assert tasks(checked) == tasks(prepared)
    assert {role for role, _ in tasks(prepared)} == {"container_engine", "package_holds", "time_service", "firewall"}


def test_it_did_what_it_said(host: Container, prepared: dict[str, Any]) -> None:
    assert prepared["changed"]
    assert host.run("docker", "version", "--format", "{{.Server.Version}}").stdout.strip()
    assert host.run("apt-mark", "showhold").stdout.split() == [DRIVER]
    assert "NTP=ntp.example.edu" in host.run("cat", "/etc/systemd/timesyncd.conf.d/60-provision.conf").stdout
    assert host.run("systemctl", "is-enabled", "docker", "provision-firewall").stdout.split() == ["enabled", "enabled"]


def test_a_second_run_changes_nothing(host: Container, prepared: dict[str, Any]) -> None:
    assert prepared["changed"]
    again = prepare(host, *guarded(host, doors(host)))
    assert (again["changed"], tasks(again)) == (False, [])


def test_rules_are_replaced_in_one_step_and_ssh_is_not_touched(host: Container, prepared: dict[str, Any]) -> None:
    assert prepared["changed"]
    stream, session = connect(host, PORT), connect(host, SSH)
    assert echoed(stream) == echoed(session) == b"still here"
    told = prepare(host, *guarded(host, ELSEWHERE))
    assert tasks(told) == [("firewall", "Write the rules"), ("firewall", "Load the rules")]
    assert echoed(stream) == echoed(session) == b"still here"
    with pytest.raises(TimeoutError):
        connect(host, PORT)
    connect(host, SSH).close()
    stream.close()
    session.close()


@pytest.mark.parametrize("sources", [("10.0.0.0/8", "10.1.0.0/16", "fd00::/8"), ("fd00::/8",), ("192.0.2.7",), ()])
def test_nft_understands_the_rules(
    host: Container, prepared: dict[str, Any], sources: tuple[str, ...], tmp_path: Path
) -> None:
    assert prepared["changed"]
    rules = tmp_path / "rules.nft"
    rules.write_text(ruleset((443, 8443), sources))
    host.copy_in(rules, "/opt/rules.nft")
    host.run("nft", "--check", "--file", "/opt/rules.nft")


def test_up_prepares_a_bare_host_first_and_then_serves_on_it(wheel: Path, pytestconfig: pytest.Config) -> None:
    """Its engine's image is handed in between: nothing outside is reached from there."""
    image = images.image("llamacpp")
    alone = [word for name in ("gateway", "openwebui") for word in ("--set", f"{name}=no")]
    words = ["up", "--profile", "demo", "--target", "docker", "--no-monitoring", "--set", f"image={image}", *alone]
    with bare_host(wheel, pytestconfig) as host:
        refused = host.run("/opt/provision/bin/provision", *words, check=False)
        assert (refused.returncode, "provision up --prepare" in refused.stderr) == (3, True), refused.stderr
        words += ["--prepare", "--docker-from", "distribution"]
        host.run("mkdir", "-p", COMPOSE.rpartition("/")[0])
        host.copy_in(Path("~/.docker/cli-plugins/docker-compose").expanduser().resolve(), COMPOSE)
        prepared = host.run("/opt/provision/bin/provision", *words, check=False, timeout=600)
        assert (prepared.returncode, f"docker pull {image}" in prepared.stderr) == (1, True), prepared.stderr
        assert host.run("docker", "version", "--format", "{{.Server.Version}}").stdout.strip()
        into = ["docker", "exec", "--interactive", host.name, "docker", "load"]
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
            subprocess.run(into, stdin=saved.stdout, check=True)
        up = json.loads(host.run("/opt/provision/bin/provision", *words, "--json", timeout=600).stdout)
        assert (up["changed"], up["exit_code"]) == (True, 0)


TOOLKIT = """#!/bin/sh
case "$*" in
"runtime configure --runtime=docker --dry-run") echo '{"runtimes": {"nvidia": {"args": [], "path": "nvidia-container-runtime"}}}' ;;
"--quiet cdi generate") echo 'kind: nvidia.com/gpu' ;;
*) exit 2 ;;
esac
"""
REPOSITORY = """
mkdir -p /opt/toolkit/DEBIAN /opt/toolkit/usr/bin /opt/repository && cd /opt/repository && touch key
install -m 755 /opt/nvidia-ctk /opt/toolkit/usr/bin/nvidia-ctk
printf 'Package: nvidia-container-toolkit\\nVersion: 1.19.1-1\\nArchitecture: all\\nMaintainer: nobody <nobody@example.edu>\\nDescription: none\\n' > /opt/toolkit/DEBIAN/control
dpkg-deb --build /opt/toolkit toolkit.deb
(dpkg-deb --field toolkit.deb; echo Filename: ./toolkit.deb; echo Size: $(stat -c %s toolkit.deb); echo SHA256: $(sha256sum toolkit.deb | cut -c-64)) > Packages
"""
BY_HAND = "import json, sys; from provisioner.world.ansible import play; print([(t.name, t.failure) for t in play(json.load(open(sys.argv[1])), len(sys.argv) > 2)])"


def test_the_toolkit_s_role_with_a_program_that_stands_for_nvidia_s(
    host: Container, prepared: dict[str, Any], tmp_path: Path
) -> None:
    """Its package cannot be had here: what is held is that the role installs, configures, restarts, and then rests."""
    assert prepared["changed"]
    source = {"name": "provision-toolkit", "key": "file:///opt/repository/key", "key_file": "/etc/apt/keyrings/toolkit.asc",
              "content": "Types: deb\nURIs: file:/opt/repository\nSuites: ./\nTrusted: yes\n"}  # fmt: skip
    values = {
        "host_steps": ["package_sources", "container_toolkit"], "package_sources_list": [source],
        "container_toolkit_packages": ["nvidia-container-toolkit>=1.19.1"],
        "container_toolkit_missing": ["nvidia-container-toolkit>=1.19.1"], "container_toolkit_runtime": True,
        "container_toolkit_interface": "/etc/cdi/nvidia.yaml", "container_toolkit_links_rule": "# none\n",
    }  # fmt: skip
    for name, content in (("nvidia-ctk", TOOLKIT), ("host.json", json.dumps(values))):
        (tmp_path / name).write_text(content)
        host.copy_in(tmp_path / name, f"/opt/{name}")
    host.run("sh", "-euc", REPOSITORY)
    python = ("/opt/provision/bin/python", "-c", BY_HAND, "/opt/host.json")
    said = host.run(*python, "check", timeout=600).stdout
    did = host.run(*python, timeout=600).stdout
    assert said == did
    assert "'Install the container toolkit', ''" in did
    assert "'Restart the container engine', ''" in did
    assert "nvidia" in host.run("docker", "info", "--format", "{{.Runtimes}}").stdout
    assert host.run("cat", "/etc/cdi/nvidia.yaml").stdout.startswith("kind: nvidia.com/gpu\n")
    assert host.run(*python, timeout=600).stdout == "[]\n"


def test_without_ansible_it_is_refused_with_the_way_to_have_it(installed: Installation) -> None:
    ran = installed.run("prepare", "--check", "--profile", "demo")
    assert (ran.returncode, ran.stdout) == (3, "")
    assert "pip install 'provision-appliance[host]'" in ran.stderr

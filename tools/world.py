"""Bring up the real components that the end-to-end tests drive, once, and say what could not be had.

What takes time to make is kept in `~/.cache/provision-testbed` under a name made from its recipe, so that a second run, or
a machine that got the folder from an earlier one, only starts it. `docs/testing.md` tells what each component is for.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tools.bed import CACHE, PROJECT, NotHad, check, key, last_line, read, retry, run
from tools.bootstrap import SetupError
from tools.engines import bring_vllm

SUITE = "bookworm"
MIRROR = os.environ.get("PROVISION_DEBIAN_MIRROR", "http://deb.debian.org/debian")

PACKAGES = {
    "strace": "strace",
    "lscpu": "util-linux",
    "debootstrap": "debootstrap",
    "dockerd": "docker.io",
    "docker": "docker.io",
    "iptables": "iptables",
    "numactl": "numactl",
}
"""Which Debian package brings which program."""

FRESH_PACKAGES = ("ca-certificates", "make", "python3")
LAB_PACKAGES = ("curl", "dbus", "dbus-user-session", "iproute2", "libpam-systemd", "procps", "python3-venv", "sudo",
                "systemd", "systemd-sysv")  # fmt: skip
LAB_SETUP = f"""
set -eu
apt-get -qq update
apt-get -qq install --yes --no-install-recommends {" ".join(LAB_PACKAGES)} >/dev/null
rm -rf /var/lib/apt/lists/* /var/cache/apt/archives/*.deb
useradd --create-home --shell /bin/bash --uid 1001 lab
systemctl mask systemd-udevd.service systemd-modules-load.service systemd-resolved.service getty@.service console-getty.service
python3 -m venv /opt/provision
/opt/provision/bin/pip --quiet --disable-pip-version-check install --require-hashes -r /requirements.lock
"""


def main() -> int:
    """Most components build on those before them; what does not is made beside them, since it mostly waits for its packages."""
    os.makedirs(CACHE, exist_ok=True)
    components: dict[str, Callable[[], str]] = {
        "programs": _bring_programs,
        "docker": _bring_docker,
        "fresh machine": lambda: _bring_image(fresh_image(), _make_fresh),
        "lab host": lambda: _bring_image(lab_image(), _make_lab),
    }
    with ThreadPoolExecutor(1) as beside:
        engine = beside.submit(_brought, "vllm", bring_vllm)
        had = [_brought(name, bring) for name, bring in components.items()]
        return 0 if all([*had, engine.result()]) else 1


def _brought(name: str, bring: Callable[[], str]) -> bool:
    start = time.monotonic()
    try:
        what, had = bring(), True
    except (NotHad, SetupError, OSError) as error:
        what, had = f"not to be had: {error}", False
    print(f"{name:14} {what} ({time.monotonic() - start:.1f} s)", flush=True)
    return had


def fresh_image() -> str:
    """Debian with Python and make and nothing else: where `make run` has to work."""
    return f"provision-testbed/fresh:{key(SUITE, *FRESH_PACKAGES)}"


def lab_image() -> str:
    """The same with systemd as its first process, and the packages that our wheel needs."""
    return f"provision-testbed/lab:{key(fresh_image(), LAB_SETUP, read(f'{PROJECT}/requirements.lock'))}"


def _bring_programs() -> str:
    missing = sorted({package for program, package in PACKAGES.items() if not shutil.which(program)})
    if missing:
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise NotHad(f"{', '.join(missing)}: install them, or run this as root on Debian or Ubuntu")
        retry(["apt-get", "-qq", "update"])
        retry(["apt-get", "-qq", "install", "--yes", "--no-install-recommends", *missing])
    return ", ".join(PACKAGES)


def _bring_docker() -> str:
    if not _docker_answers():
        if os.geteuid() != 0 or not shutil.which("dockerd"):
            raise NotHad("no Docker Engine answers, and only root can start one")
        _start_dockerd()
    return "Docker Engine " + _docker("version", "--format", "{{.Server.Version}}")


def _docker_answers() -> bool:
    return bool(shutil.which("docker")) and run(["docker", "version"]).returncode == 0


def _start_dockerd() -> None:
    log = f"{CACHE}/dockerd.log"
    with open(log, "w", encoding="utf-8") as output:
        daemon = subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    deadline = time.monotonic() + 90
    while not _docker_answers():
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise NotHad(f"dockerd does not start: {last_line(read(log))} (more in {log})")
        time.sleep(0.2)


def _bring_image(image: str, make: Callable[[str], None]) -> str:
    if not _docker_answers():
        raise NotHad("it is a container, and no Docker Engine answers")
    if run(["docker", "image", "inspect", image]).returncode == 0:
        return f"{image}, there already"
    name = image.removeprefix("provision-testbed/").replace(":", "-")
    archive = f"{CACHE}/{name}.tar"
    made = "from its archive"
    if not os.path.exists(archive):
        made = "made"
        _forget_older(name)
        make(f"{archive}.part")
        os.replace(f"{archive}.part", archive)
    _docker("import", archive, image)
    for other in _docker("images", image.partition(":")[0], "--format", "{{.Repository}}:{{.Tag}}").split():
        if other != image:
            run(["docker", "rmi", other])  # One of an earlier recipe; a machine that runs from it keeps it.
    return f"{image}, {made}"


def _forget_older(name: str) -> None:
    for entry in os.listdir(CACHE):
        if entry.startswith(name.rsplit("-", 1)[0] + "-"):
            os.unlink(f"{CACHE}/{entry}")


def _make_fresh(archive: str) -> None:
    if os.geteuid() != 0:
        raise NotHad("debootstrap needs root")
    root = f"{CACHE}/rootfs"
    shutil.rmtree(root, ignore_errors=True)
    try:
        retry(["debootstrap", "--variant=minbase", f"--include={','.join(FRESH_PACKAGES)}", SUITE, root, MIRROR])
        shutil.rmtree(f"{root}/var/cache/apt/archives", ignore_errors=True)
        check(["tar", "--numeric-owner", "-C", root, "-cf", archive, "."])
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _make_lab(archive: str) -> None:
    name = f"provision-testbed-{os.getpid()}"
    lock = f"{PROJECT}/requirements.lock"
    try:
        _docker("create", "--name", name, "--network", "host", *way_out(), fresh_image(), "sh", "-c", LAB_SETUP)
        _docker("cp", lock, f"{name}:/requirements.lock")
        _docker("start", "--attach", name)
        _docker("export", "--output", archive, name)
    finally:
        run(["docker", "rm", "--force", name])


def way_out() -> list[str]:
    """Give a container this machine's way to the package index: its proxy, its mirror, the authorities it trusts."""
    names = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
             "http_proxy", "https_proxy", "no_proxy")  # fmt: skip
    options = [option for name in names if name in os.environ for option in ("--env", f"{name}={os.environ[name]}")]
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    trusted = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE") or bundle
    if os.path.exists(trusted):
        options += ["--volume", f"{os.path.realpath(trusted)}:/etc/provision-testbed-ca.crt:ro"]
        options += ["--env", "PIP_CERT=/etc/provision-testbed-ca.crt"]
    return options


def _docker(*arguments: str) -> str:
    return check(["docker", *arguments])


if __name__ == "__main__":
    sys.exit(main())

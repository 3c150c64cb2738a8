"""The Docker Engine that plays machines and runs images: found, or started by hand where no init system does it."""

import os
import shutil
import subprocess
import time

from tools.bed import CACHE, NotHad, check, last_line, read, run


def bring() -> str:
    if not answers():
        if os.geteuid() != 0 or not shutil.which("dockerd"):
            raise NotHad("no Docker Engine answers, and only root can start one")
        _start()
    return "Docker Engine " + docker("version", "--format", "{{.Server.Version}}")


def answers() -> bool:
    return bool(shutil.which("docker")) and run(["docker", "version"]).returncode == 0


def docker(*arguments: str) -> str:
    return check(["docker", *arguments])


def has(image: str) -> bool:
    return run(["docker", "image", "inspect", image]).returncode == 0


def forget_older(image: str) -> None:
    """Those of an earlier recipe; a container that runs from one keeps it."""
    for other in docker("images", image.partition(":")[0], "--format", "{{.Repository}}:{{.Tag}}").split():
        if other != image:
            run(["docker", "rmi", other])


def _start() -> None:
    log = f"{CACHE}/dockerd.log"
    with open(log, "w", encoding="utf-8") as output:
        daemon = subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    deadline = time.monotonic() + 90
    while not answers():
        if daemon.poll() is not None or time.monotonic() > deadline:
            raise NotHad(f"dockerd does not start: {last_line(read(log))} (more in {log})")
        time.sleep(0.2)


PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


def way_out() -> list[str]:
    """Give a container this machine's way to the package index: its proxy, its mirror, the authorities it trusts."""
    names = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST", *PROXIES)
    options = [option for name in names if name in os.environ for option in ("--env", f"{name}={os.environ[name]}")]
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    trusted = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE") or bundle
    if os.path.exists(trusted):
        options += ["--volume", f"{os.path.realpath(trusted)}:/etc/provision-testbed-ca.crt:ro"]
        options += ["--env", "PIP_CERT=/etc/provision-testbed-ca.crt"]
    return options

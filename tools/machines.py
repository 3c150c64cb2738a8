"""The machines that containers play, each from an archive that is made once."""

import os
import shutil
from collections.abc import Callable

from tools.bed import CACHE, PROJECT, NotHad, check, key, read, retry, run
from tools.docker import answers, docker, forget_older, has, way_out

SUITE = "bookworm"
MIRROR = os.environ.get("PROVISION_DEBIAN_MIRROR", "http://deb.debian.org/debian")

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


def fresh_image() -> str:
    """Debian with Python and make and nothing else: where `make run` has to work."""
    return f"provision-testbed/fresh:{key(SUITE, *FRESH_PACKAGES)}"


def lab_image() -> str:
    """The same with systemd as its first process, and the packages that our wheel needs."""
    return f"provision-testbed/lab:{key(fresh_image(), LAB_SETUP, read(f'{PROJECT}/requirements.lock'))}"


def bring_fresh() -> str:
    return _bring(fresh_image(), _make_fresh)


def bring_lab() -> str:
    return _bring(lab_image(), _make_lab)


def _bring(image: str, make: Callable[[str], None]) -> str:
    if not answers():
        raise NotHad("it is a container, and no Docker Engine answers")
    if has(image):
        return f"{image}, there already"
    name = image.removeprefix("provision-testbed/").replace(":", "-")
    archive = f"{CACHE}/{name}.tar"
    made = "from its archive"
    if not os.path.exists(archive):
        made = "made"
        _forget_archives(name)
        make(f"{archive}.part")
        os.replace(f"{archive}.part", archive)
    docker("import", archive, image)
    forget_older(image)
    return f"{image}, {made}"


def _forget_archives(name: str) -> None:
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
        docker("create", "--name", name, "--network", "host", *way_out(), fresh_image(), "sh", "-c", LAB_SETUP)
        docker("cp", lock, f"{name}:/requirements.lock")
        docker("start", "--attach", name)
        docker("export", "--output", archive, name)
    finally:
        run(["docker", "rm", "--force", name])

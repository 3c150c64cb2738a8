"""What no file tells: each topic of `AskKernel`, answered as JSON by this machine."""

import json
import os
import sys
import time
from typing import TYPE_CHECKING

from provisioner.model.facts import Answers, Unknown
from provisioner.world.patience import Overdue, call

if TYPE_CHECKING:
    import socket

ACCELERATORS = ("davinci", "hycu", "kfd", "mkfd", "mxcd", "xpu")
"""How the names of accelerators in /dev begin: Ascend, Hygon, AMD, MetaX, Kunlunxin."""

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

FILESYSTEM_SECONDS = 2.0
"""A network file system whose server is gone never answers; the others take microseconds."""


def answer(topics: tuple[str, ...]) -> Answers:
    """One JSON text a topic; `Unknown` for a topic that this machine cannot answer."""
    spaces = tuple(topic for topic in topics if topic.startswith("statvfs:"))
    plain: dict[str, str | Unknown] = {topic: _one(topic) for topic in topics if topic not in spaces}
    return plain | _spaces(spaces)


def _one(topic: str) -> str | Unknown:
    asked = TOPICS.get(topic)
    if asked is None:
        return Unknown(f"the kernel is not asked about {topic!r}")
    try:
        return json.dumps(asked())
    except OSError as error:
        return Unknown(error.strerror or str(error))


def _spaces(topics: tuple[str, ...]) -> dict[str, str | Unknown]:
    answers: dict[str, str | Unknown] = {topic: Unknown("did not answer in time") for topic in topics}

    def work() -> None:
        for topic in topics:
            answers[topic] = _space(topic.removeprefix("statvfs:"))

    if topics and isinstance(call(work, FILESYSTEM_SECONDS), Overdue):
        return dict(answers)
    return answers


def _space(path: str) -> str | Unknown:
    try:
        space = os.statvfs(path)
    except (OSError, ValueError) as error:
        return Unknown(getattr(error, "strerror", None) or str(error))
    return json.dumps({
        "total": space.f_blocks * space.f_frsize,
        "free": space.f_bavail * space.f_frsize,
        "inodes": space.f_files,
        "free_inodes": space.f_favail,
    })  # fmt: skip


def _uname() -> Json:
    name = os.uname()
    return {"node": name.nodename, "release": name.release, "machine": name.machine}


def _nodes() -> Json:
    """The operating system, and the names in /dev that may be accelerators."""
    try:
        names = os.listdir("/dev")
    except OSError:
        names = []
    return {"system": os.uname().sysname, "names": [*sorted(name for name in names if name.startswith(ACCELERATORS))]}


GET_ADDRESS = 0x8915
"""SIOCGIFADDR of linux/sockios.h: the first IPv4 address of an interface."""


def _addresses() -> Json:
    """IPv4 addresses by interface, of those that have one."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        found = {name: _address(asked, name) for _, name in socket.if_nameindex()}
    return {name: address for name, address in found.items() if address}


def _address(asked: "socket.socket", name: str) -> str | None:
    import socket
    from fcntl import ioctl

    request = name.encode()[:15].ljust(40, b"\0")
    try:
        return socket.inet_ntoa(ioctl(asked.fileno(), GET_ADDRESS, request)[20:24])
    except OSError:
        return None


def _clock() -> Json:
    return {"unix": int(time.time())}


def _user() -> Json:
    """Who asks, and whether a systemd of this user's own runs."""
    user = os.getuid()
    return {"uid": user, "manager": os.path.isdir(f"/run/user/{user}/systemd")}


def _runtime() -> Json:
    """The interpreter, and the embedded engine as its package folder tells: importing it would cost a second."""
    version = ".".join(map(str, sys.version_info[:3]))
    embedded = next((found for folder in sys.path if (found := _engine(folder))), None)
    backends: list[Json] = ["cpu", *_backends(embedded[1])] if embedded else []
    return {
        "python": sys.executable,
        "version": version,
        "embedded": embedded[0] if embedded else None,
        "backends": backends,
    }


def _engine(folder: str) -> tuple[str, str] | None:
    try:
        names = os.listdir(folder or ".")
    except OSError:
        return None
    if "xllamacpp" not in names:
        return None
    starts = [name for name in names if name.startswith("xllamacpp-") and name.endswith(".dist-info")]
    version = starts[0].removeprefix("xllamacpp-").removesuffix(".dist-info") if starts else "unversioned"
    return version, os.path.join(folder, "xllamacpp")


def _backends(folder: str) -> list[Json]:
    """The backends are built into the one compiled module; which, its needs tell: CUDA's runtime, ROCm's, Vulkan's."""
    from provisioner.world.linked import needed

    try:
        libraries = " ".join(
            library
            for name in sorted(os.listdir(folder))
            if ".so" in name
            for library in needed(os.path.join(folder, name))
        )
    except (OSError, ValueError):
        return []
    marks = {"cuda": "libcuda", "hip": "libamdhip64", "vulkan": "libvulkan"}
    return [backend for backend, mark in marks.items() if mark in libraries]


def _memory_devices() -> Json:
    """The memory modules as the firmware's table tells; only root may read it."""
    from provisioner.world import dmi

    with open("/sys/firmware/dmi/tables/DMI", "rb") as table:
        return [dict(module) for module in dmi.memory_devices(table.read(1 << 20))]


TOPICS = {
    "uname": _uname,
    "clock": _clock,
    "nodes": _nodes,
    "user": _user,
    "runtime": _runtime,
    "memory_devices": _memory_devices,
    "addresses": _addresses,
}

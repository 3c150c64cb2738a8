"""A Docker Engine of a test's own, which may be restarted: in a network of its own, where it cannot touch the rules of the machine's."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SECONDS = 60


@dataclass
class Engine:
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    network: str = field(default_factory=lambda: f"provision-{os.getpid()}-{time.monotonic_ns() % 10**6}")

    @property
    def socket(self) -> str:
        return f"{self.folder}/docker.sock"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "DOCKER_HOST": f"unix://{self.socket}"}

    def within(self, *command: str) -> list[str]:
        """A command that sees the ports of this engine's containers."""
        return ["nsenter", f"--net=/run/netns/{self.network}", *command]

    def start(self, *, live_restore: bool = False) -> None:
        """Up, with all that it starts again by itself; or, with `live_restore`, that ran on meanwhile."""
        folders = ("--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/exec")
        files = ("--pidfile", f"{self.folder}/pid", "--host", f"unix://{self.socket}")
        words = self.within("dockerd", *folders, *files, *(("--live-restore",) if live_restore else ()))
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + SECONDS
        while self.run("docker", "version", check=False).returncode:
            assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.2)

    def stop(self) -> None:
        """As its service manager would."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(SECONDS)
            self.process = None

    def take(self, image: str) -> None:
        """An image of the machine's own engine."""
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saved:
            subprocess.run(
                ["docker", "load", "--quiet"], stdin=saved.stdout, env=self.environment, check=True, capture_output=True
            )

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.within(*command), env=self.environment, capture_output=True, text=True, check=check, timeout=120
        )


@contextmanager
def running(images: tuple[str, ...]) -> Iterator[Engine]:
    """In a folder whose name is short: the names of sockets are bounded."""
    engine = Engine(Path(tempfile.mkdtemp(prefix="provision-docker-")))
    subprocess.run(["ip", "netns", "add", engine.network], check=True, capture_output=True)
    try:
        engine.run("ip", "link", "set", "lo", "up")
        engine.start()
        for image in images:
            engine.take(image)
        yield engine
    finally:
        _end(engine)


def _end(engine: Engine) -> None:
    """Its containers first: with live restore they would outlive it."""
    left = engine.run("docker", "ps", "-aq", check=False).stdout.split()
    if left:
        engine.run("docker", "rm", "-f", *left, check=False)
    engine.stop()
    points = [line.split(" ")[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for point in sorted((each for each in points if each.startswith(f"{engine.folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)
    subprocess.run(["ip", "netns", "delete", engine.network], check=False, capture_output=True)
    shutil.rmtree(engine.folder, ignore_errors=True)

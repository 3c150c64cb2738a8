"""Machines to try the program on: containers of the test bed, gone when their test is over."""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

Result = subprocess.CompletedProcess[str]

PROJECT = Path(__file__).parents[2]

CAPABILITIES = (
    "SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "SYS_CHROOT", "MKNOD", "NET_RAW", "AUDIT_WRITE", "SYS_NICE", "IPC_LOCK",
    "SYS_BOOT", "SYSLOG", "DAC_READ_SEARCH",
)  # fmt: skip
SYSTEMD = (
    *(f"--cap-add={name}" for name in CAPABILITIES),
    "--security-opt=seccomp=unconfined", "--tmpfs=/run", "--tmpfs=/run/lock", "--tmpfs=/tmp:exec",
    "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw", "--cgroupns=host",
)  # fmt: skip
"""What systemd as the first process of a container needs; one by one, because some hosts refuse `--privileged`."""


@dataclass(frozen=True, slots=True)
class Container:
    name: str

    def run(
        self,
        *command: str,
        user: str = "root",
        folder: str = "/",
        environment: dict[str, str] | None = None,
        check: bool = True,
        timeout: float = 300,
    ) -> Result:
        """Run a command in the container; `user` gets the environment that a login would give."""
        home = "/root" if user == "root" else f"/home/{user}"
        settings = {"HOME": home, "USER": user, "LANG": "C.UTF-8", **(environment or {})}
        options = [option for key, value in settings.items() for option in ("--env", f"{key}={value}")]
        exec_ = ["docker", "exec", "--user", user, "--workdir", folder, *options, self.name, *command]
        result = _run(exec_, timeout)
        if check and result.returncode:
            raise AssertionError(
                f"{' '.join(command)} ended with {result.returncode}\n{result.stdout}\n{result.stderr}"
            )
        return result

    def run_in_session(self, *command: str, user: str, check: bool = True) -> Result:
        """Run a command that talks to the user's own systemd; the user needs lingering or a login."""
        number = self.run("id", "-u", user).stdout.strip()
        runtime = {
            "XDG_RUNTIME_DIR": f"/run/user/{number}",
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path=/run/user/{number}/bus",
        }
        return self.run(*command, user=user, folder=f"/home/{user}", environment=runtime, check=check)

    def copy_in(self, source: str | os.PathLike[str], destination: str) -> None:
        _checked(["docker", "cp", str(source), f"{self.name}:{destination}"])

    def restart(self, signal: str) -> None:
        """Start the machine again on the same disk: SIGRTMIN+3 asks systemd to shut down, SIGKILL cuts the power."""
        _checked(["docker", "kill", f"--signal={signal}", self.name])
        _checked(["docker", "wait", self.name])
        _checked(["docker", "start", self.name])

    def cut_the_network(self) -> None:
        _checked(["docker", "network", "disconnect", "bridge", self.name])


@contextmanager
def started(image: str, options: Sequence[str], command: Sequence[str]) -> Iterator[Container]:
    """Start a container and remove it afterwards, with its volumes, whatever happened in between."""
    name = f"provision-test-{os.getpid()}-{time.monotonic_ns()}"
    _checked(["docker", "run", "--detach", "--name", name, *options, image, *command])
    try:
        yield Container(name)
    finally:
        _run(["docker", "rm", "--force", "--volumes", name], 60)


def wait_for_systemd(container: Container, deadline: float = 120) -> None:
    """Wait until the machine has booted; a unit that failed on the way is the test's business, not ours."""
    until = time.monotonic() + deadline
    state = ""
    while state not in ("running", "degraded"):
        if time.monotonic() > until:
            raise AssertionError(f"systemd in {container.name} is {state!r} after {deadline:.0f} s")
        time.sleep(0.2)
        state = container.run("systemctl", "is-system-running", check=False).stdout.strip()


def _checked(command: list[str]) -> None:
    result = _run(command, 120)
    if result.returncode:
        raise AssertionError(f"{' '.join(command)}: {result.stderr}")


def _run(command: list[str], timeout: float) -> Result:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=timeout,
    )

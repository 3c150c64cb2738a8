"""The target `systemd` on a machine that systemd runs: under its own manager, and under a user's."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.containers import PROJECT, Container, Result, wait_for_systemd

pytestmark = [pytest.mark.needs("lab-host")]

UNIT = "provision-llm.service"
UP = ("--profile", "demo", "--target", "systemd")
PATIENCE = 40.0


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody on the lab host, with the service manager that answers to them."""

    host: Container
    user: str

    def run(self, *command: str, check: bool = True) -> Result:
        if self.user == "root":
            return self.host.run(*command, check=check)
        return self.host.run_in_session(*command, user=self.user, check=check)

    def shell(self, script: str, *, check: bool = True) -> str:
        return self.run("sh", "-c", script, check=check).stdout.strip()

    def systemctl(self, *words: str, check: bool = True) -> str:
        manager = () if self.user == "root" else ("--user",)
        return self.run("systemctl", *manager, *words, check=check).stdout.strip()

    def journal(self) -> str:
        """Asked for by root: a journal in memory is not split by user, and ordinary users may not read it."""
        field = "_SYSTEMD_UNIT" if self.user == "root" else "_SYSTEMD_USER_UNIT"
        return self.host.run("journalctl", "--no-pager", "-o", "cat", f"{field}={UNIT}").stdout

    def up(self, *more: str) -> dict[str, Any]:
        return self.json("up", *UP, *more)

    def json(self, *words: str) -> dict[str, Any]:
        document = json.loads(self.run("provision", *words, "--json").stdout)
        assert isinstance(document, dict)
        return document

    @property
    def units(self) -> str:
        return "/etc/systemd/system" if self.user == "root" else f"/home/{self.user}/.config/systemd/user"

    @property
    def state(self) -> str:
        return "/var/lib/provision" if self.user == "root" else f"/home/{self.user}/.local/state/provision"

    def shown(self, name: str, unit: str = UNIT) -> str:
        return self.systemctl("show", "-p", name, "--value", unit)

    def keeper(self) -> int:
        return int(self.shown("MainPID"))

    def engine(self) -> int:
        keeper = self.keeper()
        return int(self.shell(f"cat /proc/{keeper}/task/{keeper}/children").split()[0])

    def release(self) -> str:
        return str(self.json("status")["release"])

    def leftovers(self) -> list[str]:
        """Whatever of ours is still there: files, links, units that systemd knows, processes, listeners."""
        found = self.shell(f"find {self.units} -name 'provision*' 2>/dev/null", check=False).splitlines()
        known = self.systemctl("list-units", "--all", "--plain", "--no-legend", "provision*", check=False).splitlines()
        alive = self.host.run("pgrep", "-af", "[p]rovisioner.world", check=False).stdout.splitlines()
        heard = self.host.run("ss", "-Hltn", "sport = :8000").stdout.splitlines()
        return [*found, *known, *alive, *heard]

    def wait_until_healthy(self) -> None:
        until = time.monotonic() + PATIENCE
        while (last := self.run("provision", "check", check=False)).returncode:
            assert time.monotonic() < until, f"{last.stdout}\n{last.stderr}\n{self.journal()[-2000:]}"
            time.sleep(0.3)


@pytest.fixture
def root(lab_host: Container) -> Iterator[Operator]:
    operator = Operator(lab_host, "root")
    yield operator
    operator.run("provision", "down", "--purge")
    assert operator.leftovers() == []


@pytest.fixture
def user(lab_host: Container) -> Iterator[Operator]:
    """Somebody who may leave services running after the log-out."""
    lab_host.run("loginctl", "enable-linger", "lab")
    lab_host.run("sh", "-c", "until test -S /run/user/1001/systemd/private; do sleep 0.1; done", timeout=120)
    operator = Operator(lab_host, "lab")
    yield operator
    operator.run("provision", "down", "--purge")
    assert operator.leftovers() == []
    lab_host.run("loginctl", "disable-linger", "lab")


@pytest.fixture(params=["root", "user"])
def operator(request: pytest.FixtureRequest) -> Operator:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Operator)
    return found


def test_a_unit_that_is_active_enabled_and_left_alone_by_the_next_run(operator: Operator) -> None:
    assert "http://127.0.0.1:8000" in operator.run("provision", *UP).stdout
    assert operator.systemctl("is-active", UNIT) == "active"
    assert operator.systemctl("is-enabled", UNIT) == "enabled"
    assert operator.shown("Slice") == "provision.slice"
    assert operator.shown("ActiveState", "provision.slice") == "active"
    assert 0 < int(operator.shown("MemoryMax")) < 2**40
    keeper, engine = operator.keeper(), operator.engine()
    assert f"/provision.slice/{UNIT}" in operator.shell(f"cat /proc/{engine}/cgroup")
    assert operator.up()["changed"] is False
    assert (operator.keeper(), operator.engine()) == (keeper, engine)
    operator.run("provision", "check")


def test_its_limits_are_in_force_on_the_engine(root: Operator) -> None:
    root.run("taskset", "-c", "0", "provision", *UP)
    text = root.shell(f"cat {root.units}/{UNIT}")
    assert "\nCPUAffinity=0\n" in text
    assert "\nAllowedCPUs=0\n" in text
    engine = root.engine()
    assert root.shell(f"grep Cpus_allowed_list /proc/{engine}/status").split()[1] == "0"
    limit = int(next(line for line in text.splitlines() if line.startswith("MemoryMax=")).partition("=")[2])
    assert _memory_limit(root, engine) == limit


def _memory_limit(operator: Operator, pid: int) -> int:
    """What the kernel holds the process to, with either kind of control groups."""
    groups = dict(line.split(":", 2)[1:] for line in operator.shell(f"cat /proc/{pid}/cgroup").splitlines())
    v1 = groups.get("memory")
    path = f"/sys/fs/cgroup/memory{v1}/memory.limit_in_bytes" if v1 else f"/sys/fs/cgroup{groups['']}/memory.max"
    return int(operator.shell(f"cat {path}"))


@pytest.mark.parametrize("victim", ["engine", "keeper"])
def test_what_is_killed_comes_back(operator: Operator, victim: str) -> None:
    operator.up()
    before = operator.engine()
    operator.run("kill", "-KILL", str(before if victim == "engine" else operator.keeper()))
    operator.shell(f"while kill -0 {before} 2>/dev/null; do sleep 0.05; done")
    operator.wait_until_healthy()
    assert operator.engine() != before
    assert operator.up()["changed"] is False
    if victim == "engine":
        assert "the engine was killed by SIGKILL" in operator.shell(f"cat {operator.state}/logs/llm.log")
        assert "the engine was killed by SIGKILL" in operator.journal()


def test_a_change_is_rolled_out_and_rolled_back(operator: Operator) -> None:
    operator.up()
    first, engine = operator.release(), operator.engine()
    assert operator.up("--concurrency", "1")["changed"] is True
    assert operator.release() != first
    assert operator.engine() != engine
    operator.run("provision", "rollback")
    assert operator.release() == first
    assert first in operator.shown("ExecStart")
    operator.run("provision", "check")


def test_a_copy_comes_and_goes_and_the_first_one_runs_on(root: Operator) -> None:
    """And should it end, it starts from the release that is in force by then."""
    root.up()
    first, keeper, engine = root.release(), root.keeper(), root.engine()
    root.up("--set", "replicas=2")
    assert (root.keeper(), root.engine()) == (keeper, engine)
    copied = root.release()
    assert first not in root.shown("ExecStart")
    assert root.up("--set", "replicas=2")["changed"] is False
    root.run("kill", "-KILL", str(engine))
    root.shell(f"while kill -0 {engine} 2>/dev/null; do sleep 0.05; done")
    root.wait_until_healthy()
    again = root.keeper()
    assert copied in root.shell(f"tr '\\0' ' ' < /proc/{again}/cmdline")
    assert root.up()["changed"] is True
    assert (root.release(), root.keeper()) == (first, again)
    root.run("provision", "check")


def test_a_release_whose_engine_cannot_start_leaves_the_previous_one_serving(operator: Operator) -> None:
    operator.up()
    first = operator.release()
    _broken_model(operator)
    failed = operator.run("provision", "up", *UP, "--model", "/tmp/broken.gguf", "--context", "512", check=False)
    assert failed.returncode == 4, failed.stderr
    assert first[:12] in failed.stderr
    assert operator.release() == first
    operator.run("provision", "check")
    assert operator.systemctl("is-active", UNIT) == "active"
    assert "cannot find tokenizer vocab" in operator.journal()


def test_a_first_release_whose_engine_cannot_start_leaves_nothing(operator: Operator) -> None:
    _broken_model(operator)
    failed = operator.run("provision", "up", *UP, "--model", "/tmp/broken.gguf", "--context", "512", check=False)
    assert failed.returncode == 4, failed.stderr
    assert operator.leftovers() == []
    assert "cannot find tokenizer vocab" in operator.shell(f"cat {operator.state}/logs/llm.log")
    assert "cannot find tokenizer vocab" in operator.journal()


def _broken_model(operator: Operator) -> None:
    """A model whose header is in order and whose words are missing: only the engine itself can notice."""
    make = (
        "from provisioner.world import tinymodel; from pathlib import Path; p = Path('/tmp/broken.gguf');"
        "tinymodel.write(str(p));"
        "p.write_bytes(p.read_bytes().replace(b'tokenizer.ggml.tokens', b'tokenizer.ggml.tokenz')); p.chmod(0o644)"
    )
    operator.host.run("/opt/provision/bin/python", "-c", make)


def test_targets_take_over_from_each_other_and_leave_nothing(operator: Operator) -> None:
    process = ("--profile", "demo", "--target", "process")
    operator.run("provision", *process)
    operator.up()
    keepers = operator.host.run("pgrep", "-f", "[p]rovisioner.world.keeper").stdout.split()
    assert keepers == [str(operator.keeper())]
    operator.run("provision", *process)
    left = operator.leftovers()
    assert [line for line in left if "provision-llm" in line or "provision.slice" in line] == []
    operator.run("provision", "check")


def test_down_removes_a_unit_that_failed_and_one_without_its_file(operator: Operator) -> None:
    operator.up()
    operator.shell(f"rm {operator.state}/models/*/*.gguf")
    operator.run("kill", "-KILL", str(operator.engine()))
    until = time.monotonic() + PATIENCE
    while not operator.shown("StatusText").startswith("the engine ended with 1"):
        assert time.monotonic() < until, operator.shown("StatusText")
        time.sleep(0.2)
    operator.run("provision", "down")
    assert operator.leftovers() == []
    operator.up()
    operator.shell(f"rm {operator.units}/{UNIT}")
    operator.run("provision", "down")
    assert operator.leftovers() == []


def test_a_unit_edited_by_hand_is_restored(operator: Operator) -> None:
    operator.up()
    path = f"{operator.units}/{UNIT}"
    before, keeper = operator.shell(f"cat {path}"), operator.keeper()
    operator.shell(f"sed -i 's/^RestartSec=.*/RestartSec=5min/' {path}")
    operator.systemctl("daemon-reload")
    planned = operator.json("plan", *UP)
    assert any(path in line for line in planned["actions"]), planned["actions"]
    assert operator.up()["changed"] is True
    assert operator.shell(f"cat {path}") == before
    assert operator.keeper() != keeper
    assert operator.up()["changed"] is False


def test_an_administrators_own_settings_are_left_alone(root: Operator) -> None:
    """`systemctl edit` writes a folder beside the unit; `disable` is undone, because the plan says it starts at boot."""
    root.up()
    root.shell(f"mkdir {root.units}/{UNIT}.d && echo '[Service]' > {root.units}/{UNIT}.d/override.conf")
    root.systemctl("daemon-reload")
    keeper = root.keeper()
    assert root.up()["changed"] is False
    root.systemctl("disable", UNIT)
    assert root.up()["changed"] is True
    assert root.systemctl("is-enabled", UNIT) == "enabled"
    assert root.keeper() == keeper
    root.run("provision", "down")
    root.shell(f"rm {root.units}/{UNIT}.d/override.conf && rmdir {root.units}/{UNIT}.d")
    root.systemctl("daemon-reload")


@pytest.mark.parametrize("signal", ["SIGRTMIN+3", "SIGKILL"])
def test_after_a_restart_of_the_machine_it_serves_again(operator: Operator, signal: str) -> None:
    operator.up()
    before = operator.shown("InvocationID")
    operator.host.restart(signal)
    wait_for_systemd(operator.host)
    operator.host.run("sh", "-c", "until pgrep -f '[p]rovisioner.world.llamacpp'; do sleep 0.1; done", timeout=120)
    operator.wait_until_healthy()
    assert operator.shown("InvocationID") not in ("", before)
    assert operator.up()["changed"] is False


def test_killed_at_any_moment_the_next_run_converges(root: Operator) -> None:
    root.up()
    for number in range(10):
        slots = ("--concurrency", str(1 + number % 2))
        words = " ".join(("provision", "up", *UP, *slots))
        root.shell(f"{words} >/dev/null 2>&1 & sleep {0.15 + 0.09 * number:.2f}; kill -KILL $!; wait", check=False)
        root.up(*slots)
        assert root.up(*slots)["changed"] is False
        root.run("provision", "check")
        keepers = root.host.run("pgrep", "-f", "[p]rovisioner.world.keeper").stdout.split()
        assert keepers == [str(root.keeper())]
    for number in range(5):
        root.shell(
            f"provision down >/dev/null 2>&1 & sleep {0.1 + 0.05 * number:.2f}; kill -KILL $!; wait", check=False
        )
        root.run("provision", "down")
        assert root.leftovers() == []
        root.up()


def test_a_user_whose_services_would_end_at_the_log_out_is_told_how_to_keep_them(lab_host: Container) -> None:
    lab_host.run("loginctl", "disable-linger", "lab", check=False)
    _refused(Operator(lab_host, "lab"), "loginctl enable-linger lab")


def test_a_user_is_served_without_a_session_of_their_own(user: Operator) -> None:
    """As after `su`, or in a job of cron: nothing in the environment says where the user's manager listens."""
    user.host.run("provision", *UP, user="lab")
    user.run("provision", "check")


def test_a_folder_that_takes_no_unit_is_named(user: Operator) -> None:
    folder = user.units.rsplit("/", 1)[0]
    user.host.run("sh", "-c", f"rm -rf {user.units} && mkdir -p {folder} && chown -R root: {folder}")
    _refused(user, user.units)
    user.host.run("chown", "-R", "lab:", folder)


def test_a_unit_that_somebody_else_wrote_is_left_alone(root: Operator) -> None:
    path = f"{root.units}/{UNIT}"
    root.shell(f"printf '[Service]\\nExecStart=/bin/true\\n' > {path}")
    _refused(root, path)
    assert "ExecStart=/bin/true" in root.shell(f"cat {path}")
    root.shell(f"rm {path}")


def test_another_state_on_this_machine_keeps_its_hands_off_our_units(root: Operator) -> None:
    root.up()
    keeper = root.keeper()
    other = ("--state-dir", "/srv/other")
    refused = root.run("provision", *UP, "--set", "port=8001", *other, check=False)
    assert (refused.returncode, UNIT in refused.stderr) == (3, True), refused.stderr
    root.run("provision", "--profile", "demo", "--target", "process", "--set", "port=8001", *other)
    root.run("provision", "down", "--purge", *other)
    assert root.keeper() == keeper
    root.run("provision", "check")


def _refused(operator: Operator, words: str) -> None:
    """One clear refusal with a remedy, and nothing left behind by it."""
    before = operator.leftovers()
    refused = operator.run("provision", *UP, check=False)
    assert refused.returncode == 3, refused.stderr
    assert words in refused.stderr
    assert "fix:" in refused.stderr
    assert operator.leftovers() == before


def test_every_reviewed_unit_is_sound_to_systemd_itself(lab_host: Container) -> None:
    lab_host.copy_in(PROJECT / "tests/golden/systemd", "/opt/units")
    verify = (
        "cd /opt/units && for case in *; do systemd-analyze verify $case/*.service $case/*.slice || exit 1; done 2>&1"
    )
    assert lab_host.run("sh", "-c", verify).stdout == ""

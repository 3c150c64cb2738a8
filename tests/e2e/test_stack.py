"""An engine on a real container engine: brought up, proved, hurt, healed and taken down. The whole stack: `test_appliance.py`."""

import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from provisioner.world import containers
from tests.e2e.stack import Stack, docker
from tools import images

pytestmark = [pytest.mark.needs("compose", "llamacpp"), pytest.mark.timeout(300)]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    alone = ("--no-monitoring", "--set", "openwebui=no", "--set", "gateway=no")
    planned = ("--profile", "demo", "--set", f"image={images.image('llamacpp')}", *alone)
    stack = Stack(str(tmp_path / "state"), planned=planned)
    yield stack
    stack.end()


def engine_of(stack: Stack) -> int:
    (one,) = (one for one in containers.running(stack.state) if one.service == "llm")
    assert one.pid
    return one.pid


def child_of(pid: int) -> int:
    """The engine itself, below the first process of its container."""
    (child,) = (int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return child


def test_brought_up_asked_again_and_taken_down(stack: Stack) -> None:
    first = stack.json("up")
    assert first["changed"] is True
    assert set(stack.containers().values()) == {"running"}
    before, made = stack.snapshot(), stack.of("llm")["Id"]
    again = stack.json("up")
    assert again["changed"] is False
    assert (stack.of("llm")["Id"], stack.snapshot()) == (made, before)
    assert stack.json("plan")["actions"] == []
    assert "listening" in stack.ok("logs", "llm").stdout
    stack.ok("down", "--purge")
    assert stack.containers() == {}
    assert not os.path.exists(stack.state)
    assert stack.project not in docker("network", "ls")


def test_nothing_secret_is_in_the_release_or_in_what_the_container_engine_shows(stack: Stack) -> None:
    stack.ok("up")
    shown = docker("inspect", stack.of("llm")["Id"])
    assert stack.key not in shown
    for folder, _, names in os.walk(f"{stack.state}/releases"):
        assert not any(stack.key in Path(folder, name).read_text() for name in names)


def test_a_container_has_only_what_it_needs(stack: Stack) -> None:
    stack.ok("up")
    host = stack.of("llm")["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert (host["CapDrop"], host["CapAdd"]) == (["ALL"], None)
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["Privileged"] is False
    assert host["Memory"] == host["MemorySwap"] > 0
    assert {one["HostIp"] for bound in host["PortBindings"].values() for one in bound} == {"127.0.0.1"}
    way_out = ["docker", "exec", stack.of("llm")["Id"], "sh", "-c", "exec 3<>/dev/tcp/192.0.2.1/80"]
    assert subprocess.run(way_out, capture_output=True, timeout=60, check=False).returncode


def test_compose_alone_starts_the_same_from_the_folder(stack: Stack) -> None:
    stack.ok("up")
    release = stack.json("status")["release"]
    part = stack.of("llm")["Config"]["Labels"]["provision.part"]
    docker("compose", "--project-name", stack.project, "down")
    assert stack.containers() == {}
    docker("compose", "--project-directory", f"{stack.state}/releases/{release}", "up", "--detach", "--wait")
    assert stack.of("llm")["Config"]["Labels"]["provision.part"] == part
    assert stack.json("up")["changed"] is False


def test_an_engine_that_was_frozen_is_named_and_healed(stack: Stack) -> None:
    stack.ok("up")
    os.kill(child_of(engine_of(stack)), signal.SIGSTOP)
    checked = stack.json("check", code=1)
    assert "not-wedged" in {finding["id"] for finding in checked["findings"]}
    stack.ok("up")
    assert stack.json("check")["findings"] == []


def test_an_engine_that_dies_is_started_again_by_its_runtime(stack: Stack) -> None:
    stack.ok("up")
    first = engine_of(stack)
    os.kill(first, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while stack.run("check").returncode:
        assert time.monotonic() < deadline, stack.run("check").stdout
    assert engine_of(stack) != first


def test_another_release_that_does_not_come_up_gives_way_to_the_one_before(stack: Stack) -> None:
    stack.ok("up")
    good = stack.json("status")["release"]
    done = stack.run("up", "--set", f"image={images.image('nginx')}")
    assert done.returncode == 4, done.stderr
    assert f"release {good[:12]} is back" in done.stderr
    assert stack.json("status")["release"] == good
    assert stack.json("check")["findings"] == []


def test_from_containers_to_processes_and_back(stack: Stack) -> None:
    stack.ok("up")
    words = [stack.program, "up", "--profile", "demo", "--set", f"port={stack.port}", "--state-dir", stack.state]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert stack.containers() == {}
    stack.ok("rollback")
    assert stack.containers() == {"llm": "running"}


def test_an_engine_that_wants_more_memory_than_it_may_have_is_told_so(stack: Stack) -> None:
    ended_for_memory(stack)
    # Docker may hear of the end before it hears of the kernel's choice.
    deadline = time.monotonic() + 20
    while stack.containers() != {"llm": "exited: out of memory"}:
        assert time.monotonic() < deadline, stack.containers()
        time.sleep(0.5)
    findings = stack.json("check", code=1)["findings"]
    (ended,) = (one for one in findings if one["id"] == "process-alive")
    assert "out-of-memory" in ended["message"]
    assert "memory_max_bytes" in ended["fix"]
    stack.ok("up")


def ended_for_memory(stack: Stack) -> None:
    """Somebody beside the engine takes what memory there is, and the kernel chooses the engine."""
    stack.ok("up")
    docker("update", "--restart=no", stack.of("llm")["Id"])
    Path(f"/proc/{child_of(engine_of(stack))}/oom_score_adj").write_text("1000")
    greedy = ["docker", "exec", stack.of("llm")["Id"], "sh", "-c", "all=$(yes | head -c 3000000000)"]
    deadline = time.monotonic() + 60
    with subprocess.Popen(greedy, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as beside:
        while stack.containers()["llm"].startswith("running"):
            assert time.monotonic() < deadline, stack.containers()
            time.sleep(0.2)
        beside.kill()


def test_a_port_that_somebody_else_took_is_named_and_nothing_is_changed(stack: Stack) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", stack.port))
        other.listen()
        done = stack.run("up")
    assert done.returncode == 3, done.stderr
    assert f"port {stack.port} is taken by" in done.stderr
    assert not os.path.exists(stack.state)


def test_an_image_that_nobody_has_is_refused_with_the_ways_to_bring_it(stack: Stack) -> None:
    done = stack.run("up", "--set", "image=127.0.0.1:1/nobody/has:this")
    assert done.returncode == 1, done.stderr
    assert "cannot be pulled" in done.stderr
    assert "--registry" in done.stderr
    assert stack.containers() == {}


def test_an_upgrade_that_fails_gives_way_and_one_that_is_kept_can_be_taken_back_with_its_data(stack: Stack) -> None:
    """The chat page is left out here; its database is there as it would leave it."""
    stack.planned = (*stack.planned, "--set", "engine.threads=1")
    stack.ok("up")
    good = stack.json("status")["release"]
    page = f"{stack.state}/data/openwebui"
    os.makedirs(page)
    chats(page, "CREATE TABLE chat (words TEXT)", "INSERT INTO chat VALUES ('before')")
    done = stack.run("upgrade", "--set", f"image={images.image('nginx')}")
    assert done.returncode == 4, done.stderr
    assert "llm: image" in done.stderr
    assert f"release {good[:12]} is back" in done.stderr
    assert (stack.json("status")["release"], chats(page)) == (good, ["before"])

    upgraded = stack.json("upgrade", "--concurrency", "1", "--accept-slower")
    assert (upgraded["previous"], upgraded["before"]["release"]) == (good, good)
    assert not [one for one in upgraded["differences"] if one["what"].startswith("file ") and not one["before"]]
    chats(page, "INSERT INTO chat VALUES ('after')")
    stack.ok("rollback", "--with-data")
    assert (stack.json("status")["release"], chats(page)) == (good, ["before"])
    assert stack.json("check")["findings"] == []


def chats(page: str, *statements: str) -> list[str]:
    with closing(sqlite3.connect(f"{page}/webui.db")) as database, database:
        for statement in statements:
            database.execute(statement)
        return [str(words) for (words,) in database.execute("SELECT words FROM chat ORDER BY rowid")]


def test_an_image_out_of_an_archive(stack: Stack, tmp_path: Path) -> None:
    """The very image under a name that no registry knows."""
    name, archive = f"provision-tests/archived:{os.getpid()}", tmp_path / "images" / "engine.tar"
    archive.parent.mkdir()
    docker("tag", images.image("llamacpp"), name)
    docker("save", "--output", str(archive), name)
    docker("rmi", name)
    try:
        named = ("--set", f"image={name}", "--images", str(archive.parent))
        assert f"docker load --input {archive}  # {name}" in stack.ok("plan", *named).stdout
        assert stack.json("up", *named, timeout=240)["changed"] is True
        assert stack.json("up", *named)["changed"] is False
        stack.ok("down", "--purge")
        with archive.open("r+b") as broken:
            broken.truncate(1 << 20)
        docker("rmi", name)
        refused = stack.run("up", *named)
        assert (refused.returncode, f"{archive}: this is no archive of images" in refused.stderr) == (2, True)
    finally:
        subprocess.run(["docker", "rmi", name], capture_output=True, check=False)

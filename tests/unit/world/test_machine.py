"""Machines that are live, in a folder, in one file, or hostile: each answers, and none leads out of its folder."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioner.accelerators import amd, apple, ascend, hygon, intel, kunlun, metax, nvidia
from provisioner.errors import BadInput
from provisioner.facts.document import facts_document
from provisioner.model.facts import (
    Answers,
    AskDocker,
    AskKernel,
    AskNvml,
    AskTools,
    CannotAsk,
    Cpu,
    HostFacts,
    NotThere,
    Question,
    ReadFiles,
    Unknown,
)
from provisioner.phases.gather import gather
from provisioner.world.machine import RecordedMachine, ThisMachine
from provisioner.world.recorder import Recorder
from provisioner.world.tree import FolderTree, MemoryTree, answer, expand
from tests.machines import samples
from tests.unit.facts import test_parsers

VENDORS = {maker.VENDOR.name: maker.VENDOR for maker in (amd, apple, ascend, hygon, intel, kunlun, metax, nvidia)}
MACHINES = Path(__file__).parent.parent.parent / "machines"


def test_this_machine_is_read_without_a_process() -> None:
    """No process is started where no bus shows another maker's device, and nothing is opened for writing: the interpreter tells."""
    code = """
import sys
from provisioner.catalog import scan
from provisioner.phases.gather import gather
from provisioner.world.machine import ThisMachine
vendors = scan("provisioner.accelerators", "VENDOR")
seen = []
def watch(event, arguments):
    if event.startswith(("subprocess", "os.exec", "os.fork", "os.posix_spawn", "os.system", "os.mkdir", "os.rename")):
        seen.append(event)
    if event == "open" and arguments[2] & 3:
        seen.append((event, arguments))
sys.addaudithook(watch)
gather(ThisMachine(), vendors)
print(seen)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_this_machine_has_what_every_linux_has() -> None:
    facts = gather(ThisMachine(), VENDORS)
    assert isinstance(facts.cpu, Cpu)
    assert facts.cpu.threads == os.cpu_count()
    assert not isinstance(facts.memory, Unknown)
    assert not isinstance(facts.filesystems, Unknown)
    assert not isinstance(facts.software.runtime, Unknown)
    assert facts.software.runtime.python == sys.executable


@pytest.mark.parametrize("form", ["folder", "file.json"])
def test_this_machine_recorded_reads_back_to_the_same_document(form: str, tmp_path: Path) -> None:
    recorder = Recorder(ThisMachine())
    shown = json.dumps(facts_document(gather(recorder, VENDORS)))
    recorder.write(str(tmp_path / form))
    again = json.dumps(facts_document(gather(RecordedMachine(str(tmp_path / form)), VENDORS)))
    assert shown == again


def test_a_recording_is_never_mixed_with_another(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("x")
    with pytest.raises(BadInput, match="not empty"):
        Recorder(ThisMachine()).write(str(tmp_path))


class Talkative:
    """A machine that tells more than a recording may hold."""

    FILES: ClassVar = {
        "/sys/bus/pci/devices/0000:05:00.0/class": "0x120000\n",
        "/sys/bus/pci/devices/0000:05:00.0/vendor": "0x1002\n",
        "/sys/class/kfd/kfd/topology/nodes/1/properties": "vendor_id 4098\nlocation_id 1280\ngfx_target_version 90402\n"
        "unique_id 2864457224837561596\nhive_id 17778158520442550414\n",
        "/proc/cpuinfo": "processor\t: 0\nmodel name\t: Pi\nSerial\t\t: 00000000deadbeef\n",
        "/proc/self/status": "Name:\tbash\nUid:\t1000\nCpus_allowed_list:\t0\n",
        "/proc/self/mountinfo": "1 0 8:1 / /home/alice rw - ext4 /dev/disk/by-uuid/1c2d3e4f-0000-1111-2222-333344445555 rw\n"
        "2 0 0:9 / /mnt rw - cifs //box.example.org/share rw,username=alice,password=hunter2\n",
        "/proc/version": "Linux version 6.1.0 (alice@workshop) (gcc) #1 SMP\n",
        "/proc/sys/kernel/random/boot_id": "4cc3f9a0-7509-4468-aeb3-0f8d946500f0\n",
        "/sys/class/net/enx001122334455/type": "1\n",
        "/sys/class/net/enx001122334455/uevent": "INTERFACE=enx001122334455\nMAC=00:11:22:33:44:55\n",
    }
    SECRETS = ("deadbeef", "alice", "hunter2", "workshop", "4cc3f9a0", "001122334455", "00:11:22", "1c2d3e4f", "box.example.org", "s3cret", "1b0f7c2e", "2864457224837561596", "17778158520442550414", "27c098ab60be7cfc", "98b7c03c4a6c0f01", "1122334455667788", "02K0MA0258D0007R", "10.1.2.3")  # fmt: skip

    TOOLS: ClassVar = {
        amd.LIST: samples.AMD_LIST,
        amd.STATIC: samples.AMD_STATIC_LIST,
        amd.METRIC: "Serial Number : 02K0MA0258D0007R\nasked by /home/alice/bin/tool on box.example.org\n",
    }

    def ask(self, question: Question) -> Answers:
        match question:
            case ReadFiles():
                return answer(MemoryTree(self.FILES, {}), question)
            case AskKernel(topics):
                told = {"uname": {"node": "box.example.org", "release": "6", "machine": "x86_64"}, "runtime": {"python": "/home/alice/bin/python", "version": "3"}, "addresses": {"enx001122334455": "10.1.2.3"}}  # fmt: skip
                space = {"total": 9, "free": 9, "inodes": 9, "free_inodes": 9}
                known = {f"statvfs:{place}": space for place in ("/home/alice", "/mnt")} | told
                return {topic: json.dumps(known[topic]) if topic in known else Unknown("no") for topic in topics}
            case AskDocker(paths):
                info = {
                    "Name": "box.example.org",
                    "HttpProxy": "http://alice:s3cret@proxy",
                    "ID": "X",
                    "Driver": "overlay2",
                }
                return dict.fromkeys(paths, json.dumps(info | {"Version": "28", "ApiVersion": "1.5"}))
            case AskTools(commands):
                return {
                    command: self.TOOLS.get(command, Unknown("no answer from box.example.org")) for command in commands
                }
            case AskNvml():
                card = {"index": 0, "name": "NVIDIA L4", "uuid": "GPU-1b0f7c2e-8a44-4d57-9d5c-0a5f6e7b8c9d"}
                return {"nvml": json.dumps({"devices": [card]})}
            case _:
                return {key: value for part in question.questions for key, value in self.ask(part).items()}


def test_a_recording_names_nobody(tmp_path: Path) -> None:
    recorder = Recorder(Talkative())
    facts = gather(recorder, VENDORS)
    recorder.write(str(tmp_path / "one.json"))
    recorder.write(str(tmp_path / "tree"))
    written = (tmp_path / "one.json").read_text()
    for path in (tmp_path / "tree").rglob("*"):
        written += str(path.relative_to(tmp_path)) + (path.read_text() if path.is_file() else "")
    assert [secret for secret in Talkative.SECRETS if secret in written + json.dumps(facts_document(facts))] == []


def test_what_tools_print_is_recorded_and_read_back(tmp_path: Path) -> None:
    """The same devices from the machine, from a folder and from a file; the stand-ins of identifiers stay the same."""
    recorder = Recorder(Talkative())
    shown = facts_document(gather(recorder, VENDORS))
    names = [card["name"] for card in cast("list[dict[str, str]]", shown["accelerators"])]
    assert names == ["AMD Instinct MI300X", "NVIDIA L4"]
    for form in ("tree", "one.json"):
        recorder.write(str(tmp_path / form))
        again = gather(RecordedMachine(str(tmp_path / form)), VENDORS)
        assert json.dumps(facts_document(again)) == json.dumps(shown)


def test_what_is_asked_with_scrubbed_words_reaches_the_real_place() -> None:
    """The mount /home/alice is shown as another one, and its free space is still found."""
    facts = gather(Recorder(Talkative()), VENDORS)
    assert not isinstance(facts.filesystems, Unknown)
    home, share = facts.filesystems
    assert home.mount.startswith("/home/user")
    assert (share.mount, home.free_bytes, share.free_bytes) == ("/mnt", 9, 9)


def test_links_are_followed_inside_and_never_out(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("outside")
    root = tmp_path / "root"
    (root / "sys/real").mkdir(parents=True)
    (root / "secret").write_text("inside")
    (root / "sys/real/value").write_text("5")
    (root / "sys/absolute").symlink_to("/sys/real")
    (root / "sys/relative").symlink_to("../sys/./real")
    (root / "sys/up").symlink_to("../../../../secret")
    (root / "sys/out").symlink_to(tmp_path / "secret")
    (root / "sys/round").symlink_to("round")
    (root / "sys/round2").symlink_to("round2/x")
    os.mkfifo(root / "sys/pipe")
    tree = FolderTree(str(root))
    assert tree.text("/sys/absolute/value") == tree.text("/sys/relative/value") == "5"
    assert tree.text("/sys/up") == "inside"
    assert tree.text("/sys/out") is None
    assert tree.text("/sys/round") is None
    assert tree.text("/sys/round2") is None
    assert isinstance(tree.text("/sys/pipe"), Unknown)
    assert isinstance(tree.text("/sys/real"), Unknown)
    assert tree.target("/sys/absolute") == "/sys/real"


def test_names_that_no_file_can_have_are_not_there(tmp_path: Path) -> None:
    """A control group's path comes from the recording itself."""
    own = tmp_path / "proc/self"
    own.mkdir(parents=True)
    (own / "cgroup").write_text("0::/a\0b/*/" + "c" * 300 + "\n")
    (own / "mountinfo").write_text("1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    (own / "limits").write_text("Max open files            1024                 1048576              files\n")
    facts = gather(RecordedMachine(str(tmp_path)), VENDORS)
    assert not isinstance(facts.limits, Unknown)
    assert facts.limits.open_files == 1024


def test_what_is_too_large_is_told_and_not_read(tmp_path: Path) -> None:
    with (tmp_path / "cpuinfo").open("wb") as file:
        file.truncate(20 << 20)
    assert FolderTree(str(tmp_path)).text("/cpuinfo") == Unknown("larger than 16 MiB")


def test_patterns() -> None:
    tree = MemoryTree({"/a/x1/v": "", "/a/x22/v": "", "/a/y/v": "", "/a/x": ""}, {})
    assert [*expand(tree, "/a/x*/v")] == ["/a/x/v", "/a/x1/v", "/a/x22/v"]
    assert sorted(answer(tree, ReadFiles(("/a/x*/v", "/nowhere/*/v")))) == ["/a/x1/v", "/a/x22/v"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"files": 5}', '{"kernel": []}'])
def test_what_is_no_recording_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "machine.json").write_text(text)
    with pytest.raises(BadInput, match="not a recording"):
        RecordedMachine(str(tmp_path / "machine.json"))


def test_a_place_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such folder or recording"):
        RecordedMachine(str(tmp_path / "nothing"))


def test_a_tree_without_answers_says_not_recorded(tmp_path: Path) -> None:
    machine = RecordedMachine(str(tmp_path))
    assert isinstance(machine.ask(AskKernel(("clock",)))["clock"], Unknown)
    with pytest.raises(CannotAsk, match="not recorded"):
        machine.ask(AskNvml())
    with pytest.raises(CannotAsk, match="not recorded"):
        machine.ask(AskDocker(("/version",)))


def test_a_tree_whose_bus_shows_no_card_has_none(tmp_path: Path) -> None:
    device = tmp_path / "sys/bus/pci/devices/0000:00:00.0"
    device.mkdir(parents=True)
    (device / "vendor").write_text("0x8086\n")
    with pytest.raises(NotThere):
        RecordedMachine(str(tmp_path)).ask(AskNvml())


PATHS = st.sampled_from(test_parsers.FACTS).flatmap(lambda fact: test_parsers.keys(fact.question))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.dictionaries(PATHS, test_parsers.TEXTS, max_size=20), st.text(max_size=30))
def test_any_tree_gives_facts(answers: dict[str, str], device: str) -> None:
    """Gathering never raises, whatever a tree holds; and what it gives has a document."""
    files: dict[str, object] = {key: text for key, text in answers.items() if key.startswith("/")}
    topics: dict[str, object] = {key: text for key, text in answers.items() if not key.startswith("/")}
    recording: dict[str, dict[str, object]] = {
        "files": files,
        "kernel": topics,
        "docker": {"/version": device, "/info": device},
        "nvml": {"devices": [{"name": device}]},
    }
    facts = gather(_Given(recording), VENDORS)
    assert isinstance(facts, HostFacts)
    json.dumps(facts_document(facts))


class _Given:
    """A recording that was never written down."""

    def __init__(self, recording: dict[str, dict[str, object]]) -> None:
        self._recording = recording
        self._tree = MemoryTree({path: str(text) for path, text in recording["files"].items()}, {})

    def ask(self, question: Question) -> Answers:
        match question:
            case ReadFiles():
                return answer(self._tree, question)
            case AskKernel(topics):
                return {topic: str(self._recording["kernel"].get(topic, "5")) for topic in topics}
            case AskDocker(paths):
                return {path: str(self._recording["docker"].get(path)) for path in paths}
            case AskNvml():
                return {"nvml": json.dumps(self._recording["nvml"])}
            case AskTools(commands):
                return {command: str(self._recording["nvml"]) for command in commands}
            case _:
                return {key: value for part in question.questions for key, value in self.ask(part).items()}

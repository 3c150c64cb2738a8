"""Macs, from what their own tools have printed: every fact, and what a tool that fails costs."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from provisioner.facts import macos_cpu, macos_host, macos_memory, macos_network, macos_storage
from provisioner.facts._macos import MORE, SYSCTL
from provisioner.facts.macos_host import SW_VERS
from provisioner.facts.macos_memory import VM_STAT
from provisioner.model.facts import Answers, CannotAsk, Cpu, Host, HostFacts, Memory, Unknown
from provisioner.phases.gather import gather
from provisioner.world.machine import RecordedMachine
from provisioner.world.recorder import Recorder
from tests.machines import macos as printed
from tests.machines import macs
from tests.unit.world.test_machine import VENDORS

MACHINES = Path(__file__).parents[2] / "machines"
GIB = 1 << 30
NAMES = ("apple-m1-16g", "apple-m4-max-64g", "apple-m3-ultra-512g", "apple-intel-32g")


def facts_of(name: str) -> HostFacts:
    return gather(RecordedMachine(str(MACHINES / f"{name}.json")), VENDORS)


def cpu(dump: str) -> Cpu:
    return macos_cpu.parse({SYSCTL: macs.asked(dump, SYSCTL)})


def memory(dump: str, vm_stat: str) -> Memory:
    told = {command: macs.asked(dump, command) for command in (SYSCTL, MORE)}
    return macos_memory.parse({**told, VM_STAT: vm_stat})


@pytest.mark.parametrize(
    ("dump", "model", "counts", "kinds"),
    [
        (printed.M1, "Apple M1", (1, 8, 8), {"performance": "0-3", "efficiency": "4-7"}),
        (printed.M4_MAX, "Apple M4 Max", (1, 16, 16), {"performance": "0-11", "efficiency": "12-15"}),
        (printed.M3_ULTRA, "Apple M3 Ultra", (1, 32, 32), {"performance": "0-23", "efficiency": "24-31"}),
        (printed.M5, "Apple M5", (1, 10, 10), {"super": "0-3", "efficiency": "4-9"}),
        (printed.INTEL_MAC, "Intel(R) Core(TM) i7-6700K CPU @ 4.00GHz", (1, 4, 8), {}),
    ],
)
def test_processors(dump: str, model: str, counts: tuple[int, int, int], kinds: dict[str, str]) -> None:
    found = cpu(dump)
    assert (found.model, (found.sockets, found.cores, found.threads), found.core_types) == (model, counts, kinds)
    assert found.online == found.usable == f"0-{counts[2] - 1}"
    assert found.vendor == ("GenuineIntel" if "Intel" in model else "Apple")


def test_instructions_have_the_names_that_linux_gives_them() -> None:
    assert cpu(printed.M4_MAX).flags == ("asimd", "asimddp", "asimdhp", "bf16", "i8mm", "sme", "sme2")
    assert cpu(printed.M1).flags == ("asimd", "asimddp", "asimdhp")
    assert cpu(printed.M3_ULTRA).flags == ("asimd", "asimddp", "asimdhp", "bf16", "i8mm")
    assert cpu(printed.INTEL_MAC).flags == ("avx", "avx2", "bmi2", "f16c", "fma", "sse4_2", "ssse3")
    assert cpu(printed.INTEL_MAC).max_mhz == 4000


@pytest.mark.parametrize("name", ["Performance", "Efficiency"])
def test_levels_without_names_are_the_usual_two(name: str) -> None:
    """macOS 11 and 12 do not print them all (Dr-Noob/cpufetch#139)."""
    lines = [line for line in printed.M1.splitlines() if not line.endswith(name)]
    assert cpu("\n".join(lines)).core_types == {"performance": "0-3", "efficiency": "4-7"}


def test_levels_that_do_not_add_up_are_not_believed() -> None:
    assert cpu(printed.M1.replace("perflevel1.logicalcpu: 4", "perflevel1.logicalcpu: 3")).core_types == {}


def test_memory_that_files_are_kept_in_is_available() -> None:
    """As Activity Monitor counts: (336604 - 175 + 119215 + 204575) pages of 16 KiB are used of 16 GiB."""
    found = memory(printed.M1, printed.VM_STAT_16G)
    assert found.total_bytes == 16 * GIB
    assert found.available_bytes == 16 * GIB - 660219 * 16384
    assert found.swap_bytes == 4 * GIB
    assert isinstance(found.channels, Unknown)


def test_pages_of_an_intel_mac_are_smaller() -> None:
    found = memory(printed.INTEL_MAC, printed.VM_STAT_INTEL)
    assert found.available_bytes == 32 * GIB - (464333 - 11820 + 715958) * 4096


def test_the_root_is_what_may_be_written_below_it() -> None:
    """The sealed root is read-only, and its links lead to the data volume; the system's own volumes are nobody's place."""
    root, disk = macos_storage.parse({macos_storage.DF: printed.DF, macos_storage.MOUNT: printed.MOUNT})
    assert (root.mount, root.device, root.type, root.read_only) == ("/", "/dev/disk3s5", "apfs", False)
    assert (root.total_bytes, root.free_bytes) == (971350180 * 1024, 160432128 * 1024)
    assert root.free_inodes == 1604321280
    assert (disk.mount, disk.free_bytes) == ("/Volumes/Fast Disk (2)", 856762584 * 1024)


def test_another_df_leaves_the_data_volume_out() -> None:
    found = macos_storage.parse({macos_storage.DF: printed.DF_OF_GNU, macos_storage.MOUNT: printed.MOUNT})
    assert [(one.mount, one.device, one.read_only, one.free_bytes) for one in found] == [
        ("/", "/dev/disk3s5", False, 214278308 * 1024),
        ("/nix", "/dev/disk3s7", False, 214278308 * 1024),
    ]


def test_a_root_of_old_is_no_link() -> None:
    """Before macOS 10.15 the root holds everything (yujitach/MenuMeters#63)."""
    df = "Filesystem 1024-blocks Used Available Capacity iused ifree %iused Mounted on\n/dev/disk2s1 976797816 455931488 432383256 52% 1466401 9223372036853309406 0% /\n"
    (root,) = macos_storage.parse(
        {macos_storage.DF: df, macos_storage.MOUNT: "/dev/disk2s1 on / (apfs, local, journaled)\n"}
    )
    assert (root.device, root.read_only, root.free_bytes) == ("/dev/disk2s1", False, 432383256 * 1024)


def test_disks() -> None:
    (disk,) = macos_storage.parse_disks({macos_storage.DISKS: printed.NVME})
    assert (disk.name, disk.model, disk.size_bytes, disk.speed_class) == (
        "disk0",
        "APPLE SSD AP1024Z",
        1000555581440,
        "nvme",
    )


def test_controllers_without_a_list_of_disks_are_none() -> None:
    assert macos_storage.parse_disks({macos_storage.DISKS: '{"SPNVMeDataType": [{"_items": 3}, {}, 4]}'}) == ()


def test_interfaces() -> None:
    found = macos_network.parse({macos_network.IFCONFIG: printed.IFCONFIG, macos_network.PORTS: printed.PORTS})
    assert {one.name: (one.kind, one.up, one.speed_mbps, one.mtu, one.address) for one in found} == {
        "lo0": ("loopback", True, None, 16384, "127.0.0.1"),
        "gif0": ("virtual", False, None, 1280, None),
        "anpi0": ("virtual", False, None, 1500, None),
        "en0": ("ethernet", True, 10000, 9000, "192.168.1.3"),
        "en1": ("wireless", True, None, 1500, "192.168.18.201"),
        "en2": ("ethernet", False, None, 1500, None),
        "bridge0": ("bridge", False, None, 1500, None),
        "utun0": ("virtual", True, None, 1380, None),
    }


def test_interfaces_without_the_list_of_ports() -> None:
    told: Answers = {macos_network.IFCONFIG: printed.IFCONFIG, macos_network.PORTS: Unknown("is not installed")}
    kinds = {one.name: one.kind for one in macos_network.parse(told)}
    assert (kinds["en0"], kinds["en1"], kinds["utun0"]) == ("ethernet", "ethernet", "virtual")


@pytest.mark.parametrize("name", NAMES)
def test_all_that_every_machine_has_is_known_of_a_mac(name: str) -> None:
    facts = facts_of(name)
    unknown = {each.name for each in fields(facts) if isinstance(getattr(facts, each.name), Unknown)}
    assert unknown == {"limits"}
    assert isinstance(facts.host, Host)
    assert facts.host.system == "Darwin"
    assert facts.host.os.startswith("macOS 1")
    assert (facts.numa, facts.rdma, facts.pci) == ((), (), ())


@pytest.mark.parametrize(
    ("command", "lost", "reason"),
    [
        (SYSCTL, {"cpu", "memory"}, "sysctl"),
        (VM_STAT, {"memory"}, "vm_stat: did not answer within 10 s"),
        (SW_VERS, set(), ""),
        (MORE, set(), ""),
        (macos_storage.DF, {"filesystems"}, "df: did not answer within 10 s"),
        (macos_storage.MOUNT, {"filesystems"}, "mount: did"),
        (macos_storage.DISKS, {"disks"}, "system_profiler: did"),
        (macos_network.IFCONFIG, {"network"}, "ifconfig: did"),
        (macos_network.PORTS, set(), ""),
    ],
)
def test_a_tool_that_hangs_costs_its_own_facts_alone(command: str, lost: set[str], reason: str, tmp_path: Path) -> None:
    recorded = json.loads((MACHINES / "apple-m4-max-64g.json").read_text(encoding="utf-8"))
    recorded["tools"][command] = {"unknown": "did not answer within 10 s"}
    (tmp_path / "mac.json").write_text(json.dumps(recorded), encoding="utf-8")
    facts = gather(RecordedMachine(str(tmp_path / "mac.json")), VENDORS)
    found = {each.name: getattr(facts, each.name) for each in fields(facts)}
    assert {name for name, fact in found.items() if isinstance(fact, Unknown)} == {"limits", *lost}
    assert all(reason in found[name].reason for name in lost)


def test_a_version_that_is_not_told_says_why() -> None:
    found = macos_host.parse({SW_VERS: Unknown("sw_vers is not installed"), "uname": '{"release": "24.3.0"}'})
    assert (found.os, found.kernel, found.product) == (
        "macOS of unknown version (sw_vers is not installed)",
        "24.3.0",
        None,
    )


def test_a_translated_python_is_told_the_machine_and_not_its_own_kind() -> None:
    told = {"uname": '{"machine": "x86_64"}', SYSCTL: "hw.optional.arm64: 1\n"}
    assert macos_host.parse(told).architecture == "arm64"
    assert cpu(printed.M1 + printed.OF_ROSETTA) == cpu(printed.M1)
    assert macos_host.parse({"uname": '{"machine": "x86_64"}'}).architecture == "x86_64"


@pytest.mark.parametrize(
    ("text", "word"),
    [("", "page size"), (printed.VM_STAT_16G.replace("Anonymous pages:", "Pages:"), "Anonymous pages")],
)
def test_memory_is_not_guessed(text: str, word: str) -> None:
    with pytest.raises(CannotAsk, match=word):
        memory(printed.M1, text)


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_reads_back_to_the_same_facts(name: str, tmp_path: Path) -> None:
    recorder = Recorder(RecordedMachine(str(MACHINES / f"{name}.json")))
    facts = gather(recorder, VENDORS)
    for place in (str(tmp_path / "mac"), str(tmp_path / "mac.json")):
        recorder.write(place)
        assert gather(RecordedMachine(place), VENDORS) == facts


def test_a_recording_names_nobody() -> None:
    """Volumes, shares, users, addresses and serial numbers of the outputs; what they stand beside is still understood."""
    kept = "".join(map(str, macs.scrubbed(dict(macs.tools(printed.M1, printed.VM_STAT_16G))).values()))
    words = (
        "jane",
        "Jane",
        "Fast Disk",
        "Team",
        "nas",
        "192.168",
        "fe80",
        "24:5e",
        "8e:1b",
        "0ba018e4045c5e3e",
        "6B66F471",
    )
    assert [word for word in words if word in kept] == []
    assert "/dev/disk5s1 on /Volumes/volume" in kept
    assert "/System/Volumes/Data" in kept

"""Every parser, with answers as they come and with any others: a value, or ValueError, KeyError and CannotAsk, and nothing else."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioner.accelerators import amd, apple, ascend, hygon, intel, kunlun, metax, nvidia
from provisioner.facts import (
    clock,
    container_toolkit,
    cpu,
    cuda,
    disk,
    docker,
    filesystem,
    host,
    kubernetes,
    limits,
    macos_cpu,
    macos_host,
    macos_memory,
    macos_network,
    macos_storage,
    memory,
    network,
    numa,
    nvidia_driver,
    pci,
    presence,
    rdma,
    runtime,
    secure_boot,
    systemd,
)
from provisioner.model.answers import pairs
from provisioner.model.cpus import from_list, from_mask, to_list
from provisioner.model.facts import (
    AskAll,
    AskDocker,
    AskKernel,
    AskNvml,
    AskTools,
    CannotAsk,
    Fact,
    HugePages,
    Limits,
    Question,
    ReadFiles,
    Unknown,
)
from tests.machines import macos as macs_printed
from tests.machines import samples

GROUPS = limits.Groups(
    "/a/b", ("/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a", "/sys/fs/cgroup"), ("/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a")
)
MOUNT = filesystem.Mount("/", "/dev/sda1", "ext4", False)
FACTS: tuple[Fact[object], ...] = (
    clock.FACT, clock.IN_STEP, container_toolkit.FACT, cpu.FACT, cuda.FACT, disk.FACT, docker.FACT, filesystem.MOUNTS,
    filesystem.measured((MOUNT,)), host.FACT, kubernetes.FACT, limits.GROUPS, limits.within(GROUPS), memory.FACT,
    network.FACT, numa.FACT, nvidia_driver.FACT, pci.ADDRESSES, pci.at(("0000:01:00.0",)), presence.FACT, rdma.FACT,
    runtime.FACT, secure_boot.FACT, systemd.FACT, systemd.USER, macos_host.FACT, macos_cpu.FACT, macos_memory.FACT, macos_storage.FILESYSTEMS,
    macos_storage.INTERNAL, macos_network.FACT,
    *(maker.VENDOR.probe for maker in (amd, apple, ascend, hygon, intel, kunlun, metax, nvidia)),
)  # fmt: skip

WORDS = st.sampled_from([
    "0", "1", "-1", "0-3,8", "ff,ffffffff", "max", "max 100000", "200000 100000", "MemTotal: 16 kB", "MemTotal: x MB", "Node 0 MemTotal: 5 kB",
    "always [madvise] never", "channel 0 slot 1", "0x030000", "0x10de", "16.0 GT/s PCIe", "4: ACTIVE", "100 Gb/sec (4X EDR)", "4294967295",
    "{}", "[]", "null", "[1, 2]", '{"unix": 5}', '{"total": 1}', '{"python": 1, "version": 2}', "processor\t: 0\n\nprocessor\t: 1", "CPU part : 0xd0c",
    "vendor_id 4098\nlocation_id 1280\ngfx_target_version 90402\nunique_id 5\n", "type 11\nnode_to 1\n", "heap_type 1\nsize_in_bytes 9\n", '{"system": "Linux", "names": []}', "0x1002",
    "36 35 98:0 / / rw - ext4 /dev/sda1 rw", "4:memory:/a/b\n0::/a/b", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat", "-", "\x06\x00\x00\x00\x01",
])  # fmt: skip
PRINTED = st.sampled_from(
    [
        text
        for name, text in (*vars(samples).items(), *vars(macs_printed).items())
        if name.isupper() and isinstance(text, str)
    ]
)
MANGLED = st.builds(
    lambda text, at, length, other: text[:at] + other + text[at + length :],
    PRINTED, st.integers(0, 1200), st.integers(0, 40), WORDS | st.text("0123456789{}[]|:\"-/ \n", max_size=12),
)  # fmt: skip
"""Outputs that were cut, or of which a part is something else."""
TEXTS = WORDS | st.text(max_size=40) | st.builds("\n".join, st.lists(WORDS, max_size=5)) | MANGLED
ANSWERS = TEXTS | st.builds(Unknown, st.text(max_size=8))
NAMES = st.sampled_from(["0", "1", "card0", "tile0", "vram_1", "cpu0", "cpu7", "node0", "node3", "nodeX", "eth0", "sda", "nvme0n1", "mc0", "dimm1", "mlx5_0", "policy0", "hugepages-2048kB", "0000:01:00.0"])  # fmt: skip


def keys(question: Question) -> st.SearchStrategy[str]:
    """Names of answers that this question could have."""
    match question:
        case ReadFiles(files, links):
            return st.sampled_from([*files, *links]).flatmap(_filled)
        case AskKernel(topics):
            return st.sampled_from(topics)
        case AskAll(questions):
            return st.one_of(*map(keys, questions))
        case AskDocker(paths):
            return st.sampled_from(paths)
        case AskNvml():
            return st.just("nvml")
        case AskTools(commands):
            return st.sampled_from(commands)


def _filled(pattern: str) -> st.SearchStrategy[str]:
    parts = [NAMES if "*" in part else st.just(part) for part in pattern.split("/")]
    return st.tuples(*parts).map("/".join)


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.name)
def test_any_answers_are_understood_or_refused(fact: Fact[object]) -> None:
    @settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.dictionaries(keys(fact.question), ANSWERS, min_size=1, max_size=8))
    def attempt(answers: Mapping[str, str | Unknown]) -> None:
        try:
            fact.parse(answers)
        except (ValueError, KeyError, CannotAsk):
            return

    attempt()


@given(st.frozensets(st.integers(0, 2000)))
def test_cpu_lists_read_back(cpus: frozenset[int]) -> None:
    assert from_list(to_list(cpus)) == cpus
    assert from_mask(f"{sum(1 << cpu for cpu in cpus):x}") == cpus


@pytest.mark.parametrize("text", ["5-3", "-1", "a", "0-9999999999", "1-2-3"])
def test_what_is_no_cpu_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        from_list(text)


def test_the_first_of_equal_names_counts() -> None:
    assert pairs("a: 1\na: 2\nb", ":") == {"a": "1"}


def test_memory() -> None:
    found = memory.FACT.parse({
        "/proc/meminfo": "MemTotal: 100 kB\nMemFree: 10 kB\nBuffers: 5 kB\nCached: 20 kB\nSwapTotal: 7 kB\n",
        "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages": "4\n",
        "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages": "3\n",
        "/sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
        "memory_devices": json.dumps([
            {"locator": "DIMM_A1", "bank": "P0", "mega_transfers": 4800},
            {"locator": "DIMM_A2", "bank": "P0", "mega_transfers": 4800},
            {"locator": "DIMM_B1", "bank": "P0", "mega_transfers": 4400},
        ]),
    })  # fmt: skip
    assert (found.total_bytes, found.available_bytes, found.swap_bytes) == (102400, 35840, 7168)
    assert found.huge_pages == (HugePages(2097152, 4, 3),)
    assert (found.transparent_huge_pages, found.channels, found.mega_transfers) == ("madvise", 2, 4400)


def test_channels_from_the_memory_controllers() -> None:
    folder = "/sys/devices/system/edac/mc/mc0/"
    found = memory.FACT.parse({
        "/proc/meminfo": "MemTotal: 100 kB\n",
        folder + "dimm0/dimm_location": "channel 0 slot 0\n", folder + "dimm0/size": "16384\n",
        folder + "dimm1/dimm_location": "channel 0 slot 1\n", folder + "dimm1/size": "16384\n",
        folder + "dimm2/dimm_location": "channel 1 slot 0\n", folder + "dimm2/size": "16384\n",
        folder + "dimm3/dimm_location": "channel 2 slot 0\n", folder + "dimm3/size": "0\n",
    })  # fmt: skip
    assert found.channels == 2


def test_the_tightest_group_binds() -> None:
    found = limits.within(GROUPS).parse({
        "/proc/self/limits": "Max open files            1024                 1048576              files     \n"
        "Max locked memory         unlimited            unlimited            bytes     \n",
        "/sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
        "/sys/fs/cgroup/a/cpu.max": "150000 100000\n",
        "/sys/fs/cgroup/cpu.max": "400000 100000\n",
        "/sys/fs/cgroup/a/b/memory.max": "8000\n",
        "/sys/fs/cgroup/a/memory.max": "4000\n",
        "/sys/fs/cgroup/a/memory.current": "3000\n",
        "/sys/fs/cgroup/a/memory.stat": "anon 1\ninactive_file 500\n",
    })  # fmt: skip
    assert found == Limits(1.5, 4000, 2500, 1024, None, "/a/b")


def test_groups_of_version_one_write_numbers_for_none() -> None:
    groups = limits.Groups(None, ("/c",), ("/m",))
    files = {
        "/c/cpu.cfs_quota_us": "-1",
        "/c/cpu.cfs_period_us": "100000",
        "/m/memory.limit_in_bytes": "9223372036854771712",
    }
    found = limits.within(groups).parse(files)
    assert (found.cpus, found.memory_bytes) == (None, None)


def test_a_container_sees_its_group_at_the_top() -> None:
    """Without a namespace of its own the process's path is below the mount's root."""
    found = limits.GROUPS.parse({
        "/proc/self/cgroup": "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n",
        "/proc/self/mountinfo": "1 0 0:1 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
        "2 0 0:2 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu,cpuacct\n",
    })  # fmt: skip
    assert (found.cpu, found.memory) == (("/sys/fs/cgroup/cpu",), ("/sys/fs/cgroup/memory",))


@pytest.mark.parametrize(
    ("name", "answers", "speed_class"),
    [
        ("nvme0n1", {"queue/rotational": "0", "device/model": "SAMSUNG"}, "nvme"),
        ("nvme0n1", {"queue/rotational": "0", "device/model": "Amazon Elastic Block Store"}, "network"),
        ("nvme1n1", {"queue/rotational": "0", "device/transport": "rdma"}, "network"),
        ("sda", {"queue/rotational": "1"}, "hdd"),
        ("sda", {"queue/rotational": "0"}, "ssd"),
        ("sdb", {"queue/rotational": "1", "": "../devices/platform/host3/session1/target3:0:0/block/sdb"}, "network"),
        ("vda", {"queue/rotational": "1"}, "virtual"),
        ("mmcblk0", {"queue/rotational": "0"}, "flash"),
        ("sdc", {}, "unknown"),
    ],
)
def test_speed_classes_are_declared(name: str, answers: Mapping[str, str], speed_class: str) -> None:
    (found,) = disk.FACT.parse(
        {f"/sys/block/{name}/size": "100\n"}
        | {f"/sys/block/{name}/{key}".rstrip("/"): value for key, value in answers.items()}
    )
    assert (found.speed_class, found.size_bytes) == (speed_class, 51200)


def test_mounts_leave_views_of_the_kernel_out() -> None:
    lines = (
        "1 0 0:1 / /proc rw - proc proc rw", "2 0 8:1 / / rw,relatime - ext4 /dev/sda1 rw", "3 0 0:3 / /dev/shm rw - tmpfs tmpfs rw",
        "4 0 8:2 / /mnt/a\\040b ro - xfs /dev/sdb1 rw", "5 0 7:1 / /snap/x ro - squashfs /dev/loop1 ro",
    )  # fmt: skip
    found = filesystem.MOUNTS.parse({"/proc/self/mountinfo": "\n".join(lines)})
    assert [(mount.point, mount.read_only) for mount in found] == [("/", False), ("/mnt/a b", True)]


def test_a_file_system_that_hangs_leaves_the_others() -> None:
    mounts = (MOUNT, filesystem.Mount("/nfs", "server:/x", "nfs4", False))
    space = json.dumps({"total": 100, "free": 40, "inodes": 0, "free_inodes": 0})
    found = filesystem.measured(mounts).parse({"statvfs:/": space, "statvfs:/nfs": Unknown("did not answer in time")})
    assert [(each.mount, each.free_bytes, each.free_inodes) for each in found] == [("/", 40, None)]


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023", "535.104.05"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.95.05  Release Build", "580.95.05"),
        ("NVRM version: NVIDIA UNIX ppc64le Kernel Module  396.26  Mon Apr 30", "396.26"),
    ],
)
def test_driver_version(line: str, version: str) -> None:
    assert nvidia_driver.FACT.parse({nvidia_driver.PLACE: line + "\nGCC version:  gcc version 13.3.0\n"}) == version


def test_docker() -> None:
    found = docker.FACT.parse({
        "/version": '{"Version": "28.5.1", "ApiVersion": "1.51"}',
        "/info": '{"Runtimes": {"runc": {}, "nvidia": {}}, "SecurityOptions": ["name=rootless"], "CgroupDriver": "systemd", "Driver": "overlayfs", "DockerRootDir": "/var/lib/docker"}',
    })  # fmt: skip
    assert found is not None
    assert (found.version, found.runtimes, found.rootless) == ("28.5.1", ("nvidia", "runc"), True)
    assert not found.podman


def test_podman_behind_the_socket_of_docker() -> None:
    """As 4.3.1 of Debian 12 answered."""
    found = docker.FACT.parse({
        "/version": '{"Platform": {"Name": "linux/amd64/debian-12"}, "Components": [{"Name": "Podman Engine", "Version": "4.3.1", "Details": {"APIVersion": "4.3.1"}}, {"Name": "Conmon", "Version": "conmon version 2.1.6, commit: unknown"}], "Version": "4.3.1", "ApiVersion": "1.41", "MinAPIVersion": "1.24"}',
        "/info": '{"Runtimes": {"crun": {}, "runc": {}}, "SecurityOptions": ["name=seccomp,profile=default"], "CgroupDriver": "cgroupfs", "Driver": "overlay", "DockerRootDir": "/var/lib/containers/storage"}',
    })  # fmt: skip
    assert found is not None
    assert (found.version, found.podman) == ("4.3.1", True)


@pytest.mark.parametrize(("value", "on"), [("\x06\x00\x00\x00\x01", True), ("\x06\x00\x00\x00\x00", False)])
def test_secure_boot(value: str, on: bool) -> None:
    assert secure_boot.FACT.parse({secure_boot.VARIABLE: value}) is on


def test_hybrid_cores_of_intel() -> None:
    found = cpu.FACT.parse({
        "/proc/cpuinfo": "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: i7\nflags\t\t: fpu avx2 avx_vnni\n",
        "/sys/devices/system/cpu/online": "0-3\n",
        "/sys/devices/cpu_core/cpus": "0-1\n",
        "/sys/devices/cpu_atom/cpus": "2-3\n",
        "/proc/self/status": "Name:\tx\nCpus_allowed_list:\t1-2\n",
    })  # fmt: skip
    assert found.core_types == {"performance": "0-1", "efficiency": "2-3"}
    assert (found.usable, found.flags) == ("1-2", ("avx2", "avx_vnni"))


def test_rdma() -> None:
    folder = "/sys/class/infiniband/mlx5_0/"
    (found,) = rdma.FACT.parse({
        folder + "ports/1/state": "4: ACTIVE\n", folder + "ports/1/rate": "400 Gb/sec (4X NDR)\n", folder + "ports/1/link_layer": "InfiniBand\n",
        folder + "device/numa_node": "-1\n", folder + "device/net/ib0/dev_port": "0\n",
    })  # fmt: skip
    assert (found.state, found.rate_gbps, found.interface, found.numa_node) == ("active", 400.0, "ib0", None)


@pytest.mark.parametrize(
    ("device", "vendor"), [("10de", "NVIDIA"), ("1002", "AMD"), ("19e5", "Huawei"), ("1d94", "Hygon"), ("1d22", "Kunlunxin"), ("beef", None)]
)  # fmt: skip
@pytest.mark.parametrize("kind", ["0x030000", "0x038000", "0x120000", "0x0b4000"])
def test_devices_of_all_makers_are_seen_without_a_driver(device: str, vendor: str | None, kind: str) -> None:
    folder = f"{pci.ROOT}/0000:01:00.0/"
    answers = {
        folder + "class": kind,
        folder + "vendor": f"0x{device}",
        folder + "device": "0x0001",
        folder + "numa_node": "-1",
    }
    assert pci.ADDRESSES.parse(answers) == ("0000:01:00.0",)
    (found,) = pci.at(("0000:01:00.0",)).parse(answers)
    assert (found.vendor, found.driver, found.numa_node) == (vendor, None, None)


def test_interfaces_have_the_addresses_that_the_kernel_tells() -> None:
    folder = "/sys/class/net/eth0"
    files = {f"{folder}/type": "1\n", f"{folder}/operstate": "up\n", f"{folder}/device": "../../../0000:01:00.0"}
    (found,) = network.parse({**files, "addresses": '{"lo": "127.0.0.1", "eth0": "192.0.2.7"}'})
    assert (found.name, found.kind, found.up, found.address) == ("eth0", "ethernet", True, "192.0.2.7")
    for nothing in (
        {},
        {"addresses": Unknown("no")},
        {"addresses": "[1]"},
        {"addresses": "{"},
        {"addresses": '{"eth0": 7}'},
    ):
        assert network.parse({**files, **nothing})[0].address is None

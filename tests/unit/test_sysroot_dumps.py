"""Counts of CPUs, cores, sockets and NUMA maps of recorded machines, held against `lscpu --sysroot`.

The machines are those of `tests/machines/`, and every tree in the folders that `PROVISION_DUMPS` names (colon-separated):
unpack the archives of util-linux's `tests/ts/lscpu/dumps` and of hwloc's `tests/hwloc/linux` there.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioner.accelerators.nvidia import VENDOR
from provisioner.model.cpus import from_list, to_list
from provisioner.model.facts import Cpu, NumaNode, Unknown
from provisioner.phases.gather import gather
from provisioner.world.machine import RecordedMachine
from provisioner.world.recorder import Recorder

MACHINES = Path(__file__).parent.parent / "machines"

HOLDS_NO_CPU = {
    "4fake-4gr1nu1pu": "hwloc made it up: it has empty cpuN folders, and neither a topology nor a /proc/cpuinfo",
    "apple-m4-max": "macOS has neither /proc nor /sys",
    "test1.fsroot": "hwloc's test of file names: it has no /sys at all",
}
"""Trees that do not hold what is asked."""

MACS = ("apple-m1-16g", "apple-m4-max-64g", "apple-m3-ultra-512g", "apple-intel-32g")
"""Their own tools tell of them, and lscpu knows none of it."""

LSCPU_IS_WRONG = {
    "16em64t-4s2c2t-offlines": (
        {"cpus", "cores", "sockets"},
        (
            "lscpu counts every possible CPU where the kernel keeps no list of those online; in the dump cpu2/online, "
            "cpu5/online, cpu13/online and cpu14/online hold 0, and these four have no topology"
        ),
    ),
    "2ps3-2t": (
        {"cpus", "cores", "sockets"},
        (
            "lscpu 2.38 prints no CPU for this tree and ends with a segmentation fault when asked for the summary; "
            "`online` is 0-1, and both CPUs' thread_siblings are 3: one core with two threads"
        ),
    ),
    "arm-A510-A710-A715-X3": (
        {"sockets"},
        (
            "lscpu numbers sockets anew for each kind of core and shows one for each of four kinds; the kernel of this "
            "telephone gives three packages: core_siblings are 07, 78 and 80, physical_package_id 0, 1 and 2"
        ),
    ),
}
"""Where lscpu is wrong: in what, and the evidence."""


def _dumps() -> Iterator[Path]:
    yield from sorted(path for path in MACHINES.iterdir() if path.suffix == ".json")
    for folder in filter(None, os.environ.get("PROVISION_DUMPS", "").split(":")):
        yield from sorted(path for path in Path(folder).iterdir() if path.is_dir())


def _name(dump: Path) -> str:
    return dump.stem if dump.suffix == ".json" else dump.name


def _tree(dump: Path, place: Path) -> Path:
    """What our questions read of a machine, as files; so no answer can come from elsewhere.

    lscpu refuses trees of kernels before 2.6.26, which had no list of possible CPUs, and trees without a /proc/cpuinfo.
    It gets both: the CPUs that have a folder.
    """
    recorder = Recorder(RecordedMachine(str(dump)))
    gather(recorder, {"nvidia": VENDOR})
    recorder.write(str(place))
    cpu = place / "sys/devices/system/cpu"
    if cpu.is_dir() and not (cpu / "possible").exists():
        listed = {int(each.name[3:]) for each in cpu.glob("cpu*") if each.name[3:].isdecimal()}
        for name in ("present", "online"):
            listed |= from_list((cpu / name).read_text()) if (cpu / name).exists() else set()
        (cpu / "possible").write_text(to_list(range(max(listed) + 1)) + "\n")
    info = place / "proc/cpuinfo"
    if cpu.is_dir() and not info.exists():
        info.parent.mkdir(exist_ok=True)
        possible = from_list((cpu / "possible").read_text())
        info.write_text("".join(f"processor\t: {number}\n\n" for number in sorted(possible)))
    return place


def _lscpu(tree: Path, *options: str) -> str:
    done = subprocess.run(["lscpu", "--sysroot", str(tree), *options], capture_output=True, text=True, check=False)
    return done.stdout


def _counts(tree: Path) -> dict[str, int]:
    """CPUs, cores and sockets as lscpu numbers them. Each kind of core is a machine of its own to it: they are added up."""
    rows = [line.split(",") for line in _lscpu(tree, "-p=CPU,CORE,SOCKET").splitlines() if not line.startswith("#")]
    counts = {"cpus": len(rows)}
    if rows and rows[0][1]:
        counts["cores"] = len({core for _, core, _ in rows})
    if rows and rows[0][2]:
        counts["sockets"] = len({socket for _, _, socket in rows})
    kinds = [line.split(":")[1].strip() for line in _lscpu(tree).splitlines() if "Core(s) per socket" in line]
    if len(kinds) > 1:
        counts["cores"] = sum(map(int, kinds))
    return counts


def _nodes(tree: Path) -> dict[int, str]:
    text = _lscpu(tree, "-J")
    rows = json.loads(text)["lscpu"] if text else []
    found = {}
    while rows:
        row = rows.pop()
        rows += row.get("children", [])
        words = row["field"].split()
        if (
            words[:2] == ["NUMA", words[1] if len(words) > 1 else ""]
            and words[-1] == "CPU(s):"
            and words[1][:4] == "node"
        ):
            found[int(words[1][4:])] = to_list(from_list(row["data"] or ""))
    return found


@pytest.mark.needs("lscpu")
@pytest.mark.parametrize("dump", [dump for dump in _dumps() if _name(dump) not in MACS], ids=_name)
def test_agrees_with_lscpu(dump: Path, tmp_path: Path) -> None:
    facts = gather(RecordedMachine(str(dump)), {"nvidia": VENDOR})
    if _name(dump) in HOLDS_NO_CPU:
        assert isinstance(facts.cpu, Unknown)
        return
    assert isinstance(facts.cpu, Cpu)
    assert not isinstance(facts.numa, Unknown)
    tree = _tree(dump, tmp_path / "tree")
    ours = {"cpus": facts.cpu.threads, "cores": facts.cpu.cores, "sockets": facts.cpu.sockets}
    theirs = _counts(tree)
    wrong, _evidence = LSCPU_IS_WRONG.get(_name(dump), (set(), ""))
    assert {name: count for name, count in theirs.items() if name not in wrong} == {
        name: ours[name] for name in theirs if name not in wrong
    }
    assert _nodes(tree) == {node.node: node.cpus for node in facts.numa}


@pytest.mark.needs("lscpu")
@pytest.mark.parametrize("name", sorted(LSCPU_IS_WRONG))
def test_lscpu_is_still_wrong(name: str, tmp_path: Path) -> None:
    """An exemption that is no longer needed must go."""
    dump = MACHINES / f"{name}.json"
    facts = gather(RecordedMachine(str(dump)), {})
    assert isinstance(facts.cpu, Cpu)
    ours = {"cpus": facts.cpu.threads, "cores": facts.cpu.cores, "sockets": facts.cpu.sockets}
    theirs = {"cpus": 0, "cores": 0, "sockets": 0} | _counts(_tree(dump, tmp_path / "tree"))
    assert all(ours[what] != theirs[what] for what in LSCPU_IS_WRONG[name][0])


@pytest.mark.parametrize("dump", [*_dumps()], ids=_name)
def test_a_recording_reads_back_the_same(dump: Path, tmp_path: Path) -> None:
    recorder = Recorder(RecordedMachine(str(dump)))
    facts = gather(recorder, {"nvidia": VENDOR})
    for place in (tmp_path / "tree", tmp_path / "one.json"):
        recorder.write(str(place))
        assert gather(RecordedMachine(str(place)), {"nvidia": VENDOR}) == facts


def _machine(name: str) -> tuple[Cpu, tuple[NumaNode, ...]]:
    facts = gather(RecordedMachine(str(MACHINES / f"{name}.json")), {})
    assert isinstance(facts.cpu, Cpu)
    assert not isinstance(facts.numa, Unknown)
    return facts.cpu, facts.numa


def test_cpu_zero_may_be_offline() -> None:
    cpu, numa = _machine("offline-cpu0-node0")
    assert (cpu.online, cpu.offline) == ("4-20", "0-3,21-23")
    assert 0 not in {node.node for node in numa} or numa[0].cpus == ""


def test_node_numbers_may_have_holes() -> None:
    _, numa = _machine("48amd64-4d2n6c-sparse")
    assert [node.node for node in numa] != list(range(len(numa)))


def test_nodes_may_lack_cpus_or_memory() -> None:
    _, numa = _machine("nvidiagpunumanodes")
    assert [node.node for node in numa if not node.cpus]


@pytest.mark.parametrize(
    ("name", "types"),
    [
        ("arm-A510-A710-A715-X3", {"capacity 280": "0-2", "capacity 855": "3-6", "capacity 1024": "7"}),
        ("nvidia-dgx-gb10", {"capacity 718": "0-4", "capacity 997": "5-9", "capacity 731": "10-14", "capacity 1017": "15-18", "capacity 1024": "19"}),
        ("x86_64-epyc_7451", {}),
    ],
)  # fmt: skip
def test_unlike_cores_are_told_apart(name: str, types: dict[str, str]) -> None:
    assert _machine(name)[0].core_types == types

"""Processors: model, sockets, cores, threads, the instructions that engines care about, and which of them may be used."""

from collections.abc import Iterable, Mapping

from provisioner.model.answers import names, number, pairs, text
from provisioner.model.cpus import from_list, to_list
from provisioner.model.facts import Answers, Cpu, Fact, ReadFiles, Unknown

ROOT = "/sys/devices/system/cpu"
ENGINE_FLAGS = frozenset({
    "ssse3", "sse4_2", "avx", "avx2", "fma", "f16c", "bmi2",
    "avx_vnni", "avx_vnni_int8", "avx_ifma", "avx_ne_convert",
    "avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl", "avx512vbmi",
    "avx512_vbmi2", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "amx_tile", "amx_int8", "amx_bf16", "amx_fp16",
    "asimd", "asimdhp", "asimddp", "sve", "sve2", "i8mm", "bf16", "svei8mm", "svebf16", "sme", "sme2",
    "lsx", "lasx", "vx", "vxe", "vxe2", "nnpa",
})  # fmt: skip
"""What llama.cpp, oneDNN and KTransformers choose their kernels by: of x86, Arm, LoongArch and s390."""
FLAG_LINES = ("flags", "Features", "features", "CPU Features")
MODEL_LINES = ("model name", "Model Name", "cpu model", "uarch", "cpu", "Processor", "Hardware", "family", "isa")
HYBRID = {"performance": "/sys/devices/cpu_core/cpus", "efficiency": "/sys/devices/cpu_atom/cpus"}
"""Intel's two kinds of cores, as the kernel's performance counters know them."""
ARM_PARTS = {
    ("0x41", "0xd03"): "Cortex-A53", ("0x41", "0xd05"): "Cortex-A55", ("0x41", "0xd07"): "Cortex-A57",
    ("0x41", "0xd08"): "Cortex-A72", ("0x41", "0xd0b"): "Cortex-A76", ("0x41", "0xd0c"): "Neoverse-N1",
    ("0x41", "0xd40"): "Neoverse-V1", ("0x41", "0xd46"): "Cortex-A510", ("0x41", "0xd47"): "Cortex-A710",
    ("0x41", "0xd48"): "Cortex-X2", ("0x41", "0xd49"): "Neoverse-N2", ("0x41", "0xd4d"): "Cortex-A715",
    ("0x41", "0xd4e"): "Cortex-X3", ("0x41", "0xd4f"): "Neoverse-V2", ("0x41", "0xd85"): "Cortex-X925",
    ("0x41", "0xd87"): "Cortex-A725", ("0x48", "0xd01"): "Kunpeng-920", ("0x48", "0xd02"): "Kunpeng-920B",
    ("0x70", "0x662"): "FTC662", ("0x70", "0x663"): "FTC663", ("0xc0", "0xac3"): "Ampere-1",
    ("0xc0", "0xac4"): "Ampere-1a",
}  # fmt: skip
"""Implementer and part number, as util-linux's lscpu-arm.c lists them; the kernel prints only the numbers."""
ARM_MAKERS = {
    "0x41": "ARM",
    "0x43": "Cavium",
    "0x48": "HiSilicon",
    "0x4e": "NVIDIA",
    "0x70": "Phytium",
    "0xc0": "Ampere",
}


def parse(answers: Answers) -> Cpu:
    """Counts come from the topology masks of the CPUs that are online; a CPU without masks counts as a core."""
    info = text(answers, "/proc/cpuinfo") or ""
    # LoongArch writes a block about the whole system before the first processor's.
    first = pairs("\n".join(info.split("\n\n", 2)[:2]), ":")
    threads, packages = _masks(answers, "thread_siblings"), _masks(answers, "core_siblings")
    online = _online(answers, threads, info)
    if not online:
        raise ValueError("no CPU is listed")
    cores = _groups(threads, online)
    return Cpu(
        model=_model(first, info),
        vendor=_vendor(first),
        sockets=_groups(packages, online) if packages else 1,
        cores=cores,
        threads=len(online),
        online=to_list(online),
        offline=to_list(_offline(answers, online)),
        usable=to_list(_allowed(answers, online)),
        flags=_flags(first),
        core_types=_core_types(answers, info, online),
        max_mhz=_max_mhz(answers),
    )


def _masks(answers: Answers, name: str) -> dict[int, int]:
    """For each CPU, the mask of those it shares its core or its package with."""
    masks = {}
    for key, value in answers.items():
        if key.endswith(name) and isinstance(value, str):
            cpu = key[len(ROOT) + 4 :].split("/", 1)[0]
            mask = text(answers, key)
            if cpu.isdecimal() and mask:
                masks[int(cpu)] = int(mask.replace(",", ""), 16)
    return masks


def _online(answers: Answers, masks: Mapping[int, object], info: str) -> frozenset[int]:
    """The kernel's own list; kernels before 2.6.26 had none, there the CPUs with a topology are those online."""
    listed = text(answers, f"{ROOT}/online")
    if listed:
        return from_list(listed)
    return frozenset(masks) or frozenset(range(_processors(info)))


def _processors(info: str) -> int:
    return sum(line.lower().startswith(("processor\t", "processor ")) for line in info.splitlines())


def _groups(masks: Mapping[int, int], online: frozenset[int]) -> int:
    """How many different groups the CPUs that are online form."""
    known = {masks[cpu] for cpu in online if cpu in masks}
    return len(known) + sum(cpu not in masks for cpu in online)


def _offline(answers: Answers, online: frozenset[int]) -> frozenset[int]:
    """Those that are plugged in and switched off; `offline` also counts sockets that could be filled some day."""
    present = text(answers, f"{ROOT}/present")
    return from_list(present if present is not None else text(answers, f"{ROOT}/offline") or "") - online


def _allowed(answers: Answers, online: frozenset[int]) -> frozenset[int]:
    """What affinity and cpuset leave to this process."""
    allowed = pairs(text(answers, "/proc/self/status") or "", ":").get("Cpus_allowed_list")
    return online & from_list(allowed) if allowed else online


def _model(first: Mapping[str, str], info: str) -> str:
    parts = [_arm_part(pairs(block, ":")) for block in info.split("\n\n") if "CPU part" in block]
    if parts:
        return " + ".join(dict.fromkeys(parts))
    if first.get("vendor_id", "").startswith("IBM/S390"):
        machine = info.partition("machine = ")[2].split("\n", 1)[0].strip()
        return f"IBM/S390 {machine}".strip()
    return next((first[name] for name in MODEL_LINES if first.get(name)), "unknown")


def _arm_part(block: Mapping[str, str]) -> str:
    maker, part = block.get("CPU implementer", "?"), block.get("CPU part", "?")
    return ARM_PARTS.get((maker, part), f"{ARM_MAKERS.get(maker, maker)} part {part}")


def _vendor(first: Mapping[str, str]) -> str:
    maker = first.get("CPU implementer")
    if maker:
        return ARM_MAKERS.get(maker, maker)
    return first.get("vendor_id") or first.get("vendor") or first.get("mvendorid") or "unknown"


def _flags(first: Mapping[str, str]) -> tuple[str, ...]:
    words = {word for line in FLAG_LINES for word in first.get(line, "").split()}
    return tuple(sorted(words & ENGINE_FLAGS))


def _core_types(answers: Answers, info: str, online: frozenset[int]) -> dict[str, str]:
    """Unlike cores by kind; empty where all are alike."""
    kinds = {name: from_list(text(answers, path) or "") & online for name, path in HYBRID.items()}
    for grouped in (kinds, _by_capacity(answers, online), _by_part(info, online)):
        found = {name: to_list(cpus) for name, cpus in grouped.items() if cpus}
        if len(found) > 1:
            return found
    return {}


def _by_capacity(answers: Answers, online: frozenset[int]) -> dict[str, frozenset[int]]:
    """Arm's kernel rates each core against the strongest, which is 1024."""
    return _grouped((cpu, number(answers, f"{ROOT}/cpu{cpu}/cpu_capacity")) for cpu in _numbered(answers) & online)


def _by_part(info: str, online: frozenset[int]) -> dict[str, frozenset[int]]:
    blocks = [pairs(block, ":") for block in info.split("\n\n") if "CPU part" in block]
    numbered = [(int(b["processor"]), _arm_part(b)) for b in blocks if b.get("processor", "").isdecimal()]
    return _grouped((cpu, part) for cpu, part in numbered if cpu in online)


def _grouped(kinds: Iterable[tuple[int, int | str | None]]) -> dict[str, frozenset[int]]:
    groups: dict[str, set[int]] = {}
    for cpu, kind in kinds:
        if kind is not None:
            groups.setdefault(f"capacity {kind}" if isinstance(kind, int) else kind, set()).add(cpu)
    return {name: frozenset(groups[name]) for name in sorted(groups, key=lambda name: min(groups[name]))}


def _numbered(answers: Answers) -> frozenset[int]:
    return frozenset(int(name[3:]) for name in names(answers, ROOT) if name.startswith("cpu") and name[3:].isdecimal())


def _max_mhz(answers: Answers) -> int | None:
    speeds = [number(answers, key) for key in answers if key.endswith("/cpuinfo_max_freq")]
    return max((speed for speed in speeds if speed), default=0) // 1000 or None


FACT: Fact[Cpu] = Fact(
    name="cpu",
    question=ReadFiles((
        "/proc/cpuinfo",
        "/proc/self/status",
        f"{ROOT}/online",
        f"{ROOT}/offline",
        f"{ROOT}/present",
        f"{ROOT}/cpu*/topology/thread_siblings",
        f"{ROOT}/cpu*/topology/core_siblings",
        f"{ROOT}/cpu*/cpu_capacity",
        f"{ROOT}/cpufreq/policy*/cpuinfo_max_freq",
        *HYBRID.values(),
    )),
    parse=parse,
    absent=Unknown("neither /proc/cpuinfo nor the CPUs of /sys are there"),
)  # fmt: skip

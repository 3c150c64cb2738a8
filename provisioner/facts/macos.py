"""A Mac, which has neither /proc nor /sys: what its own tools tell of the machine, its processors and its memory."""

import json
from collections.abc import Iterator, Mapping

from provisioner.model.answers import pairs, printed
from provisioner.model.facts import Answers, AskAll, AskKernel, AskTools, CannotAsk, Cpu, Fact, Host, Memory, Unknown

SYSTEM = "Darwin"
FOLDERS = ("/usr/sbin", "/sbin", "/usr/bin", "/bin")
LEVELS = range(8)
"""Of performance: two until today's chips, and level 0 always is the fastest (sysctl.h of macOS 12, in open-mpi/hwloc#507)."""
ARM_FLAGS = {
    "hw.optional.arm.AdvSIMD": "asimd", "hw.optional.neon": "asimd",
    "hw.optional.arm.FEAT_FP16": "asimdhp", "hw.optional.neon_fp16": "asimdhp",
    "hw.optional.arm.FEAT_DotProd": "asimddp", "hw.optional.arm.FEAT_I8MM": "i8mm", "hw.optional.arm.FEAT_BF16": "bf16",
    "hw.optional.arm.FEAT_SME": "sme", "hw.optional.arm.FEAT_SME2": "sme2",
}  # fmt: skip
"""Linux's words for them, which engines choose their kernels by; the shorter names are those of older systems."""
INTEL_FLAGS = {
    "SSSE3": "ssse3", "SSE4.2": "sse4_2", "AVX1.0": "avx", "FMA": "fma", "F16C": "f16c", "AVX2": "avx2", "BMI2": "bmi2",
    "AVX512F": "avx512f", "AVX512CD": "avx512cd", "AVX512BW": "avx512bw", "AVX512DQ": "avx512dq", "AVX512VL": "avx512vl",
    "AVX512VBMI": "avx512vbmi", "AVX512VNNI": "avx512_vnni",
}  # fmt: skip
SYSCTL = "sysctl hw machdep.cpu"
"""All below these names, as people publish it: a recording holds what a later release may ask for."""
MORE = "sysctl -i hw.model vm.swapusage kern.hv_vmm_present kern.bootsessionuuid"
"""`-i` passes over names that this system does not know; without it one of them fails the whole command (spack/spack#22088)."""
VM_STAT, SW_VERS = "vm_stat", "sw_vers"
NAMES = ("performance", "efficiency")
"""What systems that do not name their levels have."""
UNITS = {"K": 10, "M": 20, "G": 30, "T": 40}


def parse_host(answers: Answers) -> Host:
    """A tool that fails costs its own part alone; that this is a Mac, the kernel has told."""
    uname, told = _uname(answers), _told(answers, MORE)
    # Under Rosetta the kernel says x86_64 (Comfy-Org/comfy-cli#568).
    arm = _told(answers, SYSCTL).get("hw.optional.arm64") == "1"
    return Host(
        hostname=uname.get("node") or "unknown",
        os=_version(answers),
        kernel=uname.get("release") or "unknown",
        architecture="arm64" if arm else uname.get("machine") or "unknown",
        product=told.get("hw.model"),
        virtualization="hypervisor" if told.get("kern.hv_vmm_present") == "1" else None,
        boot_id=told.get("kern.bootsessionuuid"),
        system=SYSTEM,
    )


def _version(answers: Answers) -> str:
    """`macOS 15.3 (24D60)`."""
    try:
        told = pairs(printed(answers, SW_VERS), ":")
        return f"{told['ProductName']} {told['ProductVersion']} ({told['BuildVersion']})"
    except CannotAsk as error:
        return f"macOS of unknown version ({error})"
    except KeyError as error:
        return f"macOS of unknown version ({SW_VERS} tells no {error.args[0]})"


def _uname(answers: Answers) -> dict[str, str]:
    answer = answers.get("uname")
    found = json.loads(answer) if isinstance(answer, str) else None
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _printed_or_empty(answers: Answers, command: str) -> str:
    output = answers.get(command)
    return output if isinstance(output, str) else ""


def _told(answers: Answers, command: str) -> Mapping[str, str]:
    return {name: value for name, value in pairs(_printed_or_empty(answers, command), ":").items() if value}


def parse_cpu(answers: Answers) -> Cpu:
    """No processor has a number there, and nothing is pinned to one: they are counted here, the fastest first."""
    told = pairs(printed(answers, SYSCTL), ":")
    threads = _count(told, "hw.logicalcpu")
    model = told.get("machdep.cpu.brand_string", "unknown")
    # A translated program (Rosetta) is told the instructions and the clock of a processor that is not there.
    arm = told.get("hw.optional.arm64") == "1"
    hertz = "" if arm else told.get("hw.cpufrequency_max", "")
    every = f"0-{threads - 1}" if threads > 1 else "0"
    return Cpu(
        model=model,
        vendor=told.get("machdep.cpu.vendor") or ("Apple" if model.startswith("Apple") else "unknown"),
        sockets=_count(told, "hw.packages") if told.get("hw.packages") else 1,
        cores=_count(told, "hw.physicalcpu"),
        threads=threads,
        online=every,
        offline="",
        usable=every,
        flags=tuple(sorted(set(_arm_flags(told) if arm else _intel_flags(told)))),
        core_types=_core_types(told, threads),
        max_mhz=int(hertz) // 1_000_000 if hertz.isdecimal() else None,
    )


def _count(told: Mapping[str, str], name: str) -> int:
    word = told.get(name, "")
    if not word.isdecimal() or not 0 < int(word) <= 1 << 16:
        raise CannotAsk(f"sysctl tells no {name}")
    return int(word)


def _arm_flags(told: Mapping[str, str]) -> Iterator[str]:
    return (flag for name, flag in ARM_FLAGS.items() if told.get(name) == "1")


def _intel_flags(told: Mapping[str, str]) -> Iterator[str]:
    words = f"{told.get('machdep.cpu.features', '')} {told.get('machdep.cpu.leaf7_features', '')}".split()
    return (INTEL_FLAGS[word] for word in words if word in INTEL_FLAGS)


def _core_types(told: Mapping[str, str], threads: int) -> dict[str, str]:
    """Unlike cores by kind; empty where all are alike, and where the levels do not add up to the whole."""
    kinds: dict[str, str] = {}
    first = 0
    for level in LEVELS:
        word = told.get(f"hw.perflevel{level}.logicalcpu", "")
        count = int(word) if word.isdecimal() else 0
        if count:
            name = (told.get(f"hw.perflevel{level}.name") or NAMES[min(level, 1)]).lower()
            kinds[name] = f"{first}-{first + count - 1}" if count > 1 else str(first)
            first += count
    return kinds if len(kinds) > 1 and first == threads else {}


def parse_memory(answers: Answers) -> Memory:
    """What is not held: as Activity Monitor counts "Memory Used", by programs, by the kernel, and by what is compressed."""
    told = pairs(printed(answers, SYSCTL), ":")
    size = told.get("hw.memsize", "")
    if not size.isdecimal() or int(size) == 0:
        raise CannotAsk("sysctl tells no hw.memsize")
    return Memory(
        total_bytes=int(size),
        available_bytes=max(0, int(size) - _used(printed(answers, VM_STAT))),
        swap_bytes=_swap(_told(answers, MORE).get("vm.swapusage", "")),
        huge_pages=(),
        transparent_huge_pages=None,
        channels=Unknown("macOS does not tell the channels of its memory"),
        mega_transfers=None,
    )


def _used(vm_stat: str) -> int:
    """App memory, wired memory and the compressor's (eneskirca/nodeterm#135 held it against Activity Monitor); files that
    are kept in memory are given back. Pages are of 16 KiB on Apple's chips, of 4 KiB on Intel's: the first line says it.
    """
    head, _, rest = vm_stat.partition("\n")
    size = head.partition("page size of ")[2].partition(" ")[0]
    if not size.isdecimal():
        raise CannotAsk(f"`{VM_STAT}` tells no page size: {head.strip()[:80]}")
    counts = {name: value.rstrip(".") for name, value in pairs(rest, ":").items()}
    app = max(0, _pages(counts, "Anonymous pages") - _pages(counts, "Pages purgeable"))
    return int(size) * (app + _pages(counts, "Pages wired down") + _pages(counts, "Pages occupied by compressor"))


def _pages(counts: Mapping[str, str], name: str) -> int:
    word = counts.get(name, "")
    if not word.isdecimal():
        raise CannotAsk(f"`{VM_STAT}` tells no `{name}`")
    return int(word)


def _swap(usage: str) -> int:
    """`total = 2048.00M  used = 1158.25M  free = 889.75M  (encrypted)`; the file grows as it is needed."""
    word = usage.partition("total = ")[2].partition(" ")[0]
    number, unit = word[:-1], word[-1:]
    return int(float(number) * (1 << UNITS[unit])) if unit in UNITS and number.replace(".", "", 1).isdecimal() else 0


HOST: Fact[Host] = Fact(
    name="host",
    question=AskAll((AskTools((SYSCTL, MORE, SW_VERS), FOLDERS), AskKernel(("uname",)))),
    parse=parse_host,
    absent=Unknown("nothing tells what machine this is"),
)
CPU: Fact[Cpu] = Fact("cpu", AskTools((SYSCTL,), FOLDERS), parse_cpu, absent=Unknown("sysctl told nothing"))
MEMORY: Fact[Memory] = Fact(
    "memory", AskTools((SYSCTL, MORE, VM_STAT), FOLDERS), parse_memory, absent=Unknown("sysctl told nothing")
)
NO_GROUPS = Unknown("macOS has no control groups, and each shell sets for itself how many files may be open")
"""What stands for a process's limits."""

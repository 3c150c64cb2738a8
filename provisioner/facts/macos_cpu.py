"""The processors of a Mac: Apple's, with cores of several kinds, or Intel's."""

from collections.abc import Iterator, Mapping

from provisioner.facts._macos import FOLDERS, SYSCTL
from provisioner.model.answers import pairs, printed
from provisioner.model.facts import Answers, AskTools, CannotAsk, Cpu, Fact, Unknown

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
NAMES = ("performance", "efficiency")
"""What systems that do not name their levels have."""


def parse(answers: Answers) -> Cpu:
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


FACT: Fact[Cpu] = Fact("cpu", AskTools((SYSCTL,), FOLDERS), parse, absent=Unknown("sysctl told nothing"))

"""How much the images take that are not here yet, as far as anybody has said it: no registry is asked before the run."""

from collections.abc import Mapping

from provisioner.model.plan import Finding, Plan
from provisioner.model.record import dataclass
from provisioner.model.release import Standing
from provisioner.planning.asked.amounts import size
from provisioner.planning.diff import images_of


@dataclass(frozen=True, slots=True)
class Said:
    """What an image took on somebody's disk; releases differ, and seldom become smaller."""

    size_bytes: int
    source: str


SIZES: Mapping[str, Said] = {
    "vllm/vllm-openai": Said(28_600_000_000, "vllm-project/vllm#22377: 0.12.0, December 2025; 12 GB to pull (#27154)"),
    "lmsysorg/sglang": Said(11_000_000_000, "sgl-project/sglang#3673, February 2025: to pull, before it is unpacked"),
    "rocm/vllm": Said(22_000_000_000, "ROCm/vllm#363, January 2025: to pull, before it is unpacked"),
    "open-webui/open-webui": Said(4_000_000_000, "open-webui/open-webui#8886, January 2025"),
    "ollama/ollama": Said(3302 << 20, "ollama/ollama#9982, March 2025"),
}
"""By repository, whichever registry has it."""


def missing(plan: Plan, standing: Standing) -> tuple[str, ...]:
    """The images that are neither here nor in an archive of the operator's."""
    return tuple(name for name in images_of(plan) if name not in standing.images and name not in standing.archives)


def known_bytes(names: tuple[str, ...]) -> int:
    """What those of known size take together."""
    return sum(said.size_bytes for said in map(said_of, names) if said)


def said_of(name: str) -> Said | None:
    """By the last two parts of its repository; a mirror may stand before them."""
    path = name.partition("@")[0]
    head, _, last = path.rpartition("/")
    return SIZES.get(f"{head.rpartition('/')[2]}/{last.partition(':')[0]}")


def told(plan: Plan, names: tuple[str, ...]) -> tuple[Finding, ...]:
    """What is to be pulled, in words; nothing where all is here."""
    if not names:
        return ()
    known = [name for name in names if said_of(name)]
    count = f"{len(names)} image{'s are' if len(names) > 1 else ' is'} to be pulled"
    if not known:
        return (Finding("images", "note", f"{plan.hostname}: {count}; how large they are is not known"),)
    sizes = f"{size(known_bytes(names))} at least for {', '.join(known)}"
    rest = len(names) - len(known)
    unknown = f"; of {rest} more the size is not known" if rest else ""
    return (Finding("images", "note", f"{plan.hostname}: {count}: {sizes}{unknown}"),)

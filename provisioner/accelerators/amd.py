"""AMD's cards: from the kernel driver's files, with `amd-smi` for the names and whatever the files do not tell."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from provisioner.accelerators import _kfd
from provisioner.accelerators._reading import (
    BARE,
    GENERATIONS,
    address,
    distinct,
    document,
    objects,
    size,
    told,
    whole,
    why,
    within,
    word,
)
from provisioner.model.answers import last, names, node, number, text
from provisioner.model.facts import (
    Accelerator,
    Answers,
    AskAll,
    AskTools,
    CannotAsk,
    DeviceProcess,
    Fact,
    ReadFiles,
    Unknown,
)
from provisioner.model.plugins import Vendor
from provisioner.model.record import dataclass, replace

if TYPE_CHECKING:
    from provisioner.model.containers import Grant

VENDOR_ID = 0x1002
CARDS = "/sys/class/drm"
DETAILS = (
    "vendor", "device", "numa_node", "product_name", "mem_info_vram_total", "mem_info_vram_used",
    "current_compute_partition", "current_memory_partition",
    "current_link_speed", "current_link_width", "max_link_speed", "max_link_width",
)  # fmt: skip
DRIVER = "/sys/module/amdgpu/version"
LIST, STATIC, METRIC = (
    "amd-smi list -e --json",
    "amd-smi static --asic --bus --vram --json",
    "amd-smi metric --mem-usage --json",
)
NAMES = {
    "738c": "AMD Instinct MI100", "7408": "AMD Instinct MI250X", "740c": "AMD Instinct MI250X/MI250",
    "740f": "AMD Instinct MI210", "74a0": "AMD Instinct MI300A", "74a1": "AMD Instinct MI300X",
    "74a2": "AMD Instinct MI308X", "74a5": "AMD Instinct MI325X", "75a0": "AMD Instinct MI350X",
    "75a3": "AMD Instinct MI355X",
}  # fmt: skip
"""libdrm's data/amdgpu.ids: for machines without `amd-smi`. Radeon cards share ids, and are told by the tool alone."""
ON_THE_PROCESSOR = frozenset({
    "gfx902", "gfx909", "gfx90c", "gfx1013", "gfx1033", "gfx1035", "gfx1036", "gfx1037",
    "gfx1103", "gfx1150", "gfx1151", "gfx1152", "gfx1153",
})  # fmt: skip
"""Marked APU in LLVM's AMDGPUUsage: what they call their memory is set aside of the host's."""
WHOLE_CARD = ("", "SPX")


@dataclass(frozen=True, slots=True)
class _Told:
    """What `amd-smi` says of one device."""

    name: str = ""
    uuid: str = ""
    hip: int | None = None
    architecture: str = ""
    memory_bytes: int | None = None
    used_bytes: int | None = None
    memory_kind: str = ""


def parse(answers: Answers) -> tuple[Accelerator, ...]:
    """By the compute driver; without it by the cards that the display driver shows; without that by the tool."""
    tool, cards = _from_tool(answers), _cards(answers)
    nodes = _kfd.nodes(answers, VENDOR_ID)
    if nodes:
        return tuple(_computing(answers, each, nodes, cards.get(each.card, ""), tool) for each in nodes)
    drawing = [(place, folder) for place, folder in sorted(cards.items()) if number(answers, f"{folder}/{TOTAL}")]
    if drawing:
        return tuple(
            _drawing(answers, index, place, folder, tool.get(place, _Told()))
            for index, (place, folder) in enumerate(drawing)
        )
    if tool:
        slots = [place.rpartition(".")[0] for place in tool]
        cut = {place: slots.count(place.rpartition(".")[0]) > 1 for place in tool}
        return distinct([_told_only(at, place, tool[place], cut[place]) for at, place in enumerate(sorted(tool))])
    raise CannotAsk(f"the amdgpu driver shows no device, and {why(answers, STATIC, LIST)}")


TOTAL, USED = "mem_info_vram_total", "mem_info_vram_used"


def _cards(answers: Answers) -> dict[str, str]:
    """The folder of each of AMD's cards by its PCI address."""
    found = {}
    for name in names(answers, CARDS):
        folder = f"{CARDS}/{name}/device"
        place = last(answers, folder)
        if place and text(answers, f"{folder}/vendor") == f"0x{VENDOR_ID:04x}":
            found[place] = folder
    return found


def _computing(
    answers: Answers, each: _kfd.Node, nodes: tuple[_kfd.Node, ...], folder: str, tool: Mapping[str, _Told]
) -> Accelerator:
    alone = each.partitions == 1
    told_of = tool.get(each.card if alone else f"{each.card[:-1]}{each.partition}", tool.get(each.card, _Told()))
    memory = each.memory_bytes or (_whole_card(answers, folder) if alone else None) or told_of.memory_bytes
    name = _name(answers, folder, told_of, each.device_id)
    return replace(
        _base(answers, folder, name, each.index, each.card),
        uuid=each.uuid or told_of.uuid,
        memory_bytes=memory or Unknown("neither the driver nor amd-smi tells the memory"),
        free_bytes=_free(answers, each, folder, memory, told_of),
        links=_kfd.links(answers, each, nodes),
        processes=_processes(_kfd.held(answers, each)),
        architecture=each.architecture,
        part_of=_part(answers, each, folder),
        shares_host_memory=_shares(each.architecture, each.device_id, told_of),
    )


def _free(answers: Answers, each: _kfd.Node, folder: str, memory: int | None, told_of: _Told) -> int | Unknown:
    """Of a partition only its own programs' use is known: the card's counter is that of all of them."""
    if memory is None:
        return Unknown("the memory is not known")
    if each.partitions == 1:
        used = number(answers, f"{folder}/{USED}") if folder else None
        used = told_of.used_bytes if used is None else used
        return (
            Unknown("neither the driver nor amd-smi tells the used memory") if used is None else max(0, memory - used)
        )
    held = _kfd.held(answers, each)
    return held if isinstance(held, Unknown) else max(0, memory - sum(held.values()))


def _part(answers: Answers, each: _kfd.Node, folder: str) -> str | None:
    """`0000:05:00.0 CPX/NPS4`: the card and how it is cut."""
    mode = "/".join(
        found
        for found in (text(answers, f"{folder}/current_{what}_partition") for what in ("compute", "memory"))
        if found
    )
    return f"{each.card} {mode}".strip() if each.partitions > 1 else None


def _processes(held: dict[int, int] | Unknown) -> tuple[DeviceProcess, ...] | Unknown:
    """A program that has the driver open and holds nothing is no user of the card (ROCm/legacy-rocm-build#4411)."""
    if isinstance(held, Unknown):
        return held
    return tuple(DeviceProcess(process, None, used) for process, used in sorted(held.items()) if used)


def _drawing(answers: Answers, index: int, place: str, folder: str, told_of: _Told) -> Accelerator:
    """A card with a display driver and no compute driver: programs that use Vulkan can use it."""
    memory, used = number(answers, f"{folder}/{TOTAL}") or 0, number(answers, f"{folder}/{USED}")
    device_id = (text(answers, f"{folder}/device") or "").removeprefix("0x")
    name = _name(answers, folder, told_of, device_id)
    return replace(
        _base(answers, folder, name, index, place),
        uuid=told_of.uuid,
        memory_bytes=memory,
        free_bytes=Unknown("the driver does not tell the used memory") if used is None else max(0, memory - used),
        architecture=told_of.architecture or None,
        shares_host_memory=_shares(told_of.architecture, device_id, told_of),
        problem="no compute driver (/dev/kfd)",
    )


def _told_only(index: int, place: str, told_of: _Told, is_cut: bool) -> Accelerator:
    """Without the kernel's view the memory of a partition is not known: the tool gives it that of the whole card, or not."""
    memory, used = (None, None) if is_cut else (told_of.memory_bytes, told_of.used_bytes)
    return replace(
        BARE,
        vendor="amd",
        name=told_of.name or "AMD device",
        uuid=told_of.uuid,
        index=index if told_of.hip is None else told_of.hip,
        memory_bytes=Unknown(f"amd-smi does not tell {'a partition' if is_cut else 'the device'}'s memory")
        if memory is None
        else memory,
        free_bytes=Unknown("amd-smi does not tell the used memory")
        if memory is None or used is None
        else max(0, memory - used),
        pci=place,
        processes=Unknown("the driver does not tell who uses the device"),
        architecture=told_of.architecture or None,
        part_of=f"{place.rpartition('.')[0]}.0" if is_cut else None,
        shares_host_memory=_shares(told_of.architecture, "", told_of),
    )


def _base(answers: Answers, folder: str, name: str, index: int, place: str) -> Accelerator:
    def speed(file: str) -> int | None:
        return GENERATIONS.get((text(answers, f"{folder}/{file}") or "").partition(" ")[0])

    return replace(
        BARE,
        vendor="amd",
        name=name,
        index=index,
        pci=place,
        numa_node=node(answers, f"{folder}/numa_node"),
        processes=Unknown("the driver does not tell who uses the device"),
        pcie_generation=speed("current_link_speed"),
        pcie_width=number(answers, f"{folder}/current_link_width"),
        pcie_max_generation=speed("max_link_speed"),
        pcie_max_width=number(answers, f"{folder}/max_link_width"),
        driver=text(answers, DRIVER),
    )


def _whole_card(answers: Answers, folder: str) -> int | None:
    return number(answers, f"{folder}/{TOTAL}") if folder else None


def _name(answers: Answers, folder: str, told_of: _Told, device_id: str) -> str:
    """As `amd-smi` sells it, or as the board's own memory says; OAM is how it is mounted, not what it is."""
    product = text(answers, f"{folder}/product_name") if folder else None
    return (told_of.name or product or NAMES.get(device_id) or f"AMD device {device_id}").removesuffix(" OAM")


def _shares(architecture: str, device_id: str, told_of: _Told) -> bool:
    kinds = ("DDR", "LPDDR")
    return architecture in ON_THE_PROCESSOR or device_id == "74a0" or told_of.memory_kind.upper().startswith(kinds)


def _from_tool(answers: Answers) -> dict[str, _Told]:
    """By PCI address: the tool's own index is not HIP's. A list in ROCm 6, below `gpu_data` in ROCm 7."""
    listed = {whole(each.get("gpu")): each for each in objects(document(told(answers, LIST)), "gpu_data")}
    used = {whole(each.get("gpu")): each for each in objects(document(told(answers, METRIC)), "gpu_data")}
    static = {whole(each.get("gpu")): each for each in objects(document(told(answers, STATIC)), "gpu_data")}
    found = {}
    for number_ in sorted(key for key in {*listed, *static} if key is not None):
        named, detailed = listed.get(number_, {}), static.get(number_, {})
        place = address(word(named.get("bdf")) or word(within(detailed, "bus", "bdf")))
        if place:
            found[place] = _of_tool(named, detailed, used.get(number_, {}))
    return found


def _of_tool(named: Mapping[str, object], static: Mapping[str, object], used: Mapping[str, object]) -> _Told:
    size_now = size(within(used, "mem_usage", "total_vram"), "MB")
    return _Told(
        name=word(within(static, "asic", "market_name")),
        uuid=word(named.get("hip_uuid")) or word(named.get("uuid")),
        hip=whole(named.get("hip_id")),
        architecture=word(within(static, "asic", "target_graphics_version")),
        memory_bytes=size_now or size(within(static, "vram", "size"), "MB"),
        used_bytes=size(within(used, "mem_usage", "used_vram"), "MB"),
        memory_kind=word(within(static, "vram", "type")),
    )


def grant(_cards: tuple[Accelerator, ...]) -> "Grant":
    """All cards have one door; which of them are used is said by a variable (rocm.docs.amd.com, running ROCm containers)."""
    from provisioner.model.containers import Grant  # Detection has no use for it.

    return Grant(vendor="amd", nodes=("/dev/kfd", "/dev/dri"), groups=("video",), resource="amd.com/gpu")


VENDOR = Vendor(
    name="amd",
    pci_vendor_ids=(f"{VENDOR_ID:04x}",),
    probe=Fact(
        "accelerators.amd",
        AskAll((
            ReadFiles(
                (*_kfd.FILES, *(f"{CARDS}/card*/device/{name}" for name in DETAILS), DRIVER), (f"{CARDS}/card*/device",)
            ),
            AskTools((LIST, STATIC, METRIC), ("/opt/rocm/bin",)),
        )),
        parse,
        absent=(),
    ),
    visible_devices="ROCR_VISIBLE_DEVICES",
    pci_classes=("03", "12"),
    nodes=("kfd",),
    grant=grant,
)  # fmt: skip

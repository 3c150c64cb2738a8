"""What each maker's tool has printed, and the devices that are read from it: every trap that is known has a case."""

from collections.abc import Mapping

import pytest

from provisioner.accelerators import _kfd, _reading, amd, apple, ascend, hygon, intel, kunlun, metax
from provisioner.model.facts import Accelerator, CannotAsk, DeviceProcess, Link, Unknown
from tests.machines import samples

MIB = 1 << 20
KFD = _kfd.ROOT
CARD = f"{amd.CARDS}/card1/device"


def short(found: tuple[Accelerator, ...]) -> list[tuple[int, str, int | None, int | None, str]]:
    """Index, name, total and free MiB, address."""
    return [
        (
            each.index,
            each.name,
            None if isinstance(each.memory_bytes, Unknown) else each.memory_bytes // MIB,
            None if isinstance(each.free_bytes, Unknown) else each.free_bytes // MIB,
            each.pci,
        )
        for each in found
    ]


def node(number: int, files: Mapping[str, str], gpu_id: int = 28851) -> dict[str, str]:
    return {f"{KFD}/{number}/{name}": text for name, text in files.items()} | {f"{KFD}/{number}/gpu_id": f"{gpu_id}\n"}


def partitions(count: int, bank: str) -> dict[str, str]:
    """One MI300X that is cut, as the kernel shows it: the partition in the location's topmost bits."""
    files: dict[str, str] = {f"{KFD}/0/properties": "cpu_cores_count 96\nsimd_count 0\ngfx_target_version 0\n"}
    for at in range(count):
        properties = samples.AMD_KFD_MI300X["properties"].replace(
            "location_id 1280", f"location_id {1280 + (at << 28)}"
        )
        files |= node(1 + at, {"properties": properties, "mem_banks/0/properties": bank}, 1000 + at)
    return files


MI300X_CARD = {
    CARD: "../../../0000:05:00.0",
    f"{CARD}/vendor": "0x1002\n",
    f"{CARD}/device": "0x74a1\n",
    f"{CARD}/numa_node": "0\n",
    f"{CARD}/product_name": "AMD Instinct MI300X OAM\n",
    f"{CARD}/mem_info_vram_total": "206141652992\n",
    f"{CARD}/mem_info_vram_used": "297078784\n",
    f"{CARD}/current_link_speed": "32.0 GT/s PCIe\n",
    f"{CARD}/current_link_width": "16\n",
}


def test_amd_from_files_alone() -> None:
    """Nothing is installed but the driver: name, memory, use, architecture, link and node are all there."""
    missing = dict.fromkeys((amd.LIST, amd.STATIC, amd.METRIC), Unknown("amd-smi is not installed"))
    (found,) = amd.parse({**MI300X_CARD, **node(2, samples.AMD_KFD_MI300X), **missing})
    assert short((found,)) == [(0, "AMD Instinct MI300X", 196592, 196308, "0000:05:00.0")]
    assert (found.architecture, found.uuid, found.numa_node) == ("gfx942", f"GPU-{2864457224837561596:016x}", 0)
    assert (found.pcie_generation, found.pcie_width, found.part_of) == (5, 16, None)


def test_amd_partitions_have_their_own_memory_and_the_card_is_told() -> None:
    """Eight devices of one card: the tools give each the whole card's memory, the kernel's banks do not."""
    modes = {f"{CARD}/current_compute_partition": "CPX\n", f"{CARD}/current_memory_partition": "NPS4\n"}
    held = {f"{_kfd.PROCESSES}/4711/vram_1003": f"{MIB << 10}\n", f"{_kfd.PROCESSES}/4711/vram_1004": "0\n"}
    found = amd.parse(partitions(8, samples.AMD_CPX_BANK) | MI300X_CARD | modes | held)
    assert [each.index for each in found] == list(range(8))
    assert {each.memory_bytes for each in found} == {25767706624}
    assert {each.part_of for each in found} == {"0000:05:00.0 CPX/NPS4"}
    assert found[3].free_bytes == 25767706624 - (MIB << 10)
    assert found[3].processes == (DeviceProcess(4711, None, MIB << 10),)
    assert (found[4].free_bytes, found[4].processes) == (25767706624, ())


def test_amd_partitions_of_the_tool_do_not_count_memory_twice() -> None:
    """Where the kernel's view is there, the tool's 196592 MB for the first of two partitions is not believed."""
    bank = samples.AMD_CPX_BANK.replace("25767706624", str(98296 * MIB))
    tool = {amd.STATIC: samples.AMD_STATIC_DPX, amd.METRIC: samples.AMD_METRIC_DPX}
    found = amd.parse(partitions(2, bank) | MI300X_CARD | tool)
    assert short(found) == [(at, "AMD Instinct MI300X", 98296, 98296, "0000:05:00.0") for at in (0, 1)]


@pytest.mark.parametrize(
    "static", [samples.AMD_STATIC_LIST, '{"gpu_data": ' + samples.AMD_STATIC_LIST.partition("\n")[2] + "}"]
)
def test_amd_json_in_both_shapes_and_after_a_warning(static: str) -> None:
    (found,) = amd.parse({amd.STATIC: static, amd.METRIC: samples.AMD_METRIC_7})
    assert short((found,)) == [(0, "AMD Instinct MI300X", 196592, 179439, "0000:05:00.0")]
    assert (found.architecture, found.shares_host_memory) == ("gfx942", False)


def test_amd_partitions_of_the_tool_alone_have_no_known_memory() -> None:
    found = amd.parse({amd.STATIC: samples.AMD_STATIC_DPX, amd.METRIC: samples.AMD_METRIC_DPX})
    assert [(each.pci, each.part_of) for each in found] == [
        ("0000:05:00.0", "0000:05:00.0"),
        ("0000:05:00.1", "0000:05:00.0"),
    ]
    assert {each.memory_bytes for each in found} == {Unknown("amd-smi does not tell a partition's memory")}


def test_amd_index_is_that_of_hip_and_not_of_the_tool() -> None:
    found = amd.parse({amd.LIST: samples.AMD_LIST})
    assert [(each.index, each.pci, each.uuid) for each in found] == [
        (0, "0000:26:00.0", "GPU-98b7c03c4a6c0f02"),
        (1, "0000:05:00.0", "GPU-98b7c03c4a6c0f01"),
    ]
    assert all(isinstance(each.memory_bytes, Unknown) for each in found)


@pytest.mark.parametrize(
    ("value", "mib"),
    [({"value": 196592, "unit": "MB"}, 196592), (196592, 196592), ("196592", 196592), ("196592 MB", 196592),
     ({"value": "N/A", "unit": "MB"}, None), ("N/A", None), (None, None), (True, None), ({"value": 192, "unit": "GB"}, 196608),
     ({"value": 201310208, "unit": "KB"}, 196592), ({"value": 5, "unit": "bananas"}, None), (2**64 - 1, None)],
)  # fmt: skip
def test_sizes_in_every_form_that_was_seen(value: object, mib: int | None) -> None:
    assert _reading.size(value, "MB") == (None if mib is None else mib * MIB)


@pytest.mark.parametrize(("version", "name"), [(90402, "gfx942"), (90010, "gfx90a"), (90500, "gfx950"), (110501, "gfx1151"), (120001, "gfx1201"), (90006, "gfx906")])  # fmt: skip
def test_the_names_of_architectures(version: int, name: str) -> None:
    assert _kfd.architecture(version) == name


def test_amd_graphics_of_a_processor_share_its_memory() -> None:
    """The two cards of mudler/LocalAI#7761: an RX 6800, and the graphics of a Ryzen whose 64 MiB are set aside."""
    files: dict[str, str] = {}
    for at, (place, version, total, used) in enumerate(
        (("0000:03:00.0", 100300, 17163091968, 692142080), ("0000:0e:00.0", 100306, 67108864, 26079232))
    ):
        bus = int(place[5:7], 16)
        folder = f"{amd.CARDS}/card{at}/device"
        files |= {
            folder: f"../../../{place}",
            f"{folder}/vendor": "0x1002",
            f"{folder}/device": ("0x73bf", "0x164e")[at],
        }
        files |= {f"{folder}/mem_info_vram_total": str(total), f"{folder}/mem_info_vram_used": str(used)}
        files |= node(1 + at, {"properties": f"vendor_id 4098\ndevice_id 1\nlocation_id {bus << 8}\nsimd_count 8\ngfx_target_version {version}\n"})  # fmt: skip
    card, graphics = amd.parse(files)
    assert short((card, graphics)) == [
        (0, "AMD device 0001", 16368, 15707, "0000:03:00.0"),
        (1, "AMD device 0001", 64, 39, "0000:0e:00.0"),
    ]
    assert (card.architecture, card.shares_host_memory) == ("gfx1030", False)
    assert (graphics.architecture, graphics.shares_host_memory) == ("gfx1036", True)


def test_amd_links_are_those_of_the_kernel() -> None:
    link = "type {}\nnode_from 1\nnode_to {}\nweight 15\n"
    here = {**samples.AMD_KFD_MI300X, "io_links/0/properties": link.format(2, 0), "io_links/1/properties": link.format(11, 2),
            "p2p_links/0/properties": link.format(2, 3), "p2p_links/1/properties": link.format(2, 2)}  # fmt: skip
    other = samples.AMD_KFD_MI300X["properties"]
    files = node(1, here)
    for at, bus in ((2, 0x26), (3, 0x46)):
        files |= node(at, {"properties": other.replace("location_id 1280", f"location_id {bus << 8}")})
    first, *_ = amd.parse(files)
    assert first.links == (Link(1, "xgmi", "XGMI", None, True), Link(2, "pcie", "unknown", None, True))


def test_amd_card_without_a_compute_driver_says_so() -> None:
    (found,) = amd.parse(MI300X_CARD)
    assert found.problem == "no compute driver (/dev/kfd)"
    assert short((found,)) == [(0, "AMD Instinct MI300X", 196592, 196308, "0000:05:00.0")]


def test_ascend_of_the_second_generation() -> None:
    first, second = ascend.parse({ascend.INFO: samples.ASCEND_910B4})
    assert short((first, second)) == [
        (0, "910B4", 32768, 32768 - 2787, "0000:c1:00.0"),
        (1, "910B4", 32768, 32768 - 2833, "0000:01:00.0"),
    ]
    assert (first.architecture, first.problem, first.processes, first.driver) == ("Ascend910B", None, (), "24.1.rc1")
    assert second.problem == "npu-smi: health Warning"
    assert second.processes == (DeviceProcess(124528, "python3.8", 17400 * MIB),)
    assert (first.part_of, first.links) == (None, ())


def test_ascend_of_the_third_generation_has_two_chips_a_card() -> None:
    """Four devices of two cards, each with its own number, bus address and memory; the board tells which 910C it is."""
    found = ascend.parse({
        ascend.INFO: samples.ASCEND_910C,
        ascend.MAPPING: samples.ASCEND_910C_MAPPING,
        ascend.BOARD: samples.ASCEND_910C_BOARD,
        ascend.TOPOLOGY: samples.ASCEND_910C_TOPOLOGY,
    })  # fmt: skip
    assert short(found) == [
        (0, "Ascend910_9392", 65536, 65536 - 3419, "0000:9d:00.0"),
        (1, "Ascend910_9392", 65536, 65536 - 2874, "0000:9f:00.0"),
        (2, "Ascend910_9392", 65536, 65536 - 61609, "0000:99:00.0"),
        (3, "Ascend910_9392", 65536, 65536 - 3193, "0000:9b:00.0"),
    ]
    assert [each.part_of for each in found] == ["NPU 0, chip 0", "NPU 0, chip 1", "NPU 1, chip 0", "NPU 1, chip 1"]
    assert found[2].processes == (DeviceProcess(1444272, "sglangschedul", 58200 * MIB),)
    assert {each.architecture for each in found} == {"Ascend910C"}
    assert [(link.to, link.kind, link.hops) for link in found[1].links] == [
        (0, "hccs", "SIO"),
        (2, "hccs", "HCCS_SW"),
        (3, "hccs", "HCCS_SW"),
    ]


def test_ascend_numbers_come_from_the_mapping() -> None:
    """`ASCEND_RT_VISIBLE_DEVICES` takes logical numbers: NPU 3 of this server is device 0."""
    mapping = "\tNPU ID  Chip ID  Chip Logic ID  Chip Name\n\t3  0  0  Ascend 910B4\n\t3  1  -  Mcu\n\t0  0  1  Ascend 910B4\n"
    found = ascend.parse({ascend.INFO: samples.ASCEND_910B4, ascend.MAPPING: mapping})
    assert [(each.index, each.pci) for each in found] == [(0, "0000:01:00.0"), (1, "0000:c1:00.0")]


def test_ascend_links() -> None:
    info = samples.ASCEND_910B4.partition("+---------------------------+---------------+----------------------------------------------------+\n| NPU     Chip")[0]  # fmt: skip
    rows = "".join(
        f"| {npu}     910B3  | OK  | 90.0  40  0 / 0 |\n| 0    | 0000:0{npu}:00.0  | 0  0 / 0  3439 / 65536 |\n"
        for npu in range(4)
    )
    found = ascend.parse({ascend.INFO: info.partition("+====")[0] + rows, ascend.TOPOLOGY: samples.ASCEND_TOPOLOGY})
    assert [(link.to, link.kind, link.hops) for link in found[0].links] == [
        (1, "hccs", "HCCS"),
        (2, "hccs", "HCCS"),
        (3, "pcie", "SYS"),
    ]
    assert [(link.to, link.kind, link.hops) for link in found[3].links] == [
        (0, "pcie", "SYS"),
        (1, "pcie", "PHB"),
        (2, "hccs", "HCCS"),
    ]


def test_ascend_without_hbm_and_of_the_first_generation() -> None:
    (inference,) = ascend.parse({ascend.INFO: samples.ASCEND_310P})
    assert short((inference,)) == [(0, "310P3", 21525, 21525 - 1839, "0000:84:00.0")]
    assert isinstance(inference.processes, Unknown)
    (training,) = ascend.parse({ascend.INFO: samples.ASCEND_910A})
    assert short((training,)) == [(0, "Ascend 910B (2019)", 32768, 32768 - 1365, "0000:c1:00.0")]
    assert training.architecture == "Ascend910A"


def test_hygon_total_is_the_total() -> None:
    found = hygon.parse({
        hygon.CARDS: samples.HYGON_HCU_MADE, hygon.AVAILABLE: samples.HYGON_AVAILABLE, hygon.TOPOLOGY: samples.HYGON_TOPOLOGY_MADE,
    })  # fmt: skip
    assert short(found) == [(0, "K100_AI", 65520, 13600, "0000:33:00.0"), (1, "K100_AI", 65520, 65518, "0000:36:00.0")]
    assert found[0].links == (Link(1, "pcie", "unknown", None, None),)


def test_hygon_text_with_the_older_label() -> None:
    found = hygon.parse({hygon.CARDS: samples.HYGON_DCU_TEXT})
    assert short(found) == [(0, "Z100SM", 16368, None, ""), (1, "Z100SM", 16368, None, "")]


def test_hygon_available_memory_is_never_taken_for_the_total() -> None:
    cards = '{"card0": {"Card Series": "K100_AI"}, "card1": {"Card Series": "K100_AI"}}'
    first, _ = hygon.parse({hygon.CARDS: cards, hygon.AVAILABLE: samples.HYGON_AVAILABLE})
    assert first.memory_bytes == Unknown("hy-smi tells only the available memory")
    assert first.free_bytes == 13600 * MIB


def test_hygon_architecture_is_that_of_the_kernel() -> None:
    """The compute driver is made from AMD's, and shows the same files with another maker's number."""
    properties = f"vendor_id {0x1D94}\nsimd_count 4\nlocation_id {0x33 << 8}\ngfx_target_version 90208\nunique_id 7\n"
    first, second = hygon.parse({hygon.CARDS: samples.HYGON_HCU_MADE} | node(4, {"properties": properties}))
    assert (first.architecture, first.uuid, second.architecture) == ("gfx928", "GPU-0000000000000007", None)
    with pytest.raises(CannotAsk):
        amd.parse(node(4, {"properties": properties}))


def test_kunlun_and_its_virtual_functions() -> None:
    link = {f"{kunlun.ROOT}/0000:03:00.1/physfn": "../0000:03:00.0"}
    whole, part = kunlun.parse({kunlun.INFO: samples.KUNLUN_P800} | link)
    assert short((whole, part)) == [
        (0, "P800 OAM", 98304, 49152, "0000:03:00.0"),
        (1, "P800 VF", 49152, 49152 - 45604, "0000:03:00.1"),
    ]
    assert (whole.part_of, part.part_of, whole.driver) == (None, "0000:03:00.0, virtual function", "5.0.21.40")
    _, alone = kunlun.parse({kunlun.OLD_INFO: samples.KUNLUN_P800, kunlun.INFO: Unknown("xpu-smi is not installed")})
    assert alone.part_of == "a card, virtual function"


def test_one_name_for_two_programs() -> None:
    with pytest.raises(CannotAsk, match="not Kunlunxin's"):
        kunlun.parse({kunlun.INFO: samples.INTEL_SUMMARY})
    with pytest.raises(CannotAsk, match="is Kunlunxin's"):
        intel.parse(
            {intel.SUMMARY: samples.KUNLUN_P800, intel.DEVICES: Unknown("`xpu-smi discovery -j` ended with status 1")}
        )


def test_metax_in_both_forms() -> None:
    found = metax.parse({metax.INFO: samples.METAX_C550})
    assert short(found) == [
        (0, "MetaX C550", 65536, 64678, "0000:0f:00.0"),
        (1, "MetaX C550", 65536, 64678, "0000:34:00.0"),
    ]
    assert (found[0].driver, isinstance(found[0].processes, Unknown)) == ("2.15.9", True)
    used = "| Process: |\n|  GPU   PID   Process Name   GPU Memory |\n|  0   4711   /opt/conda/bin/python3   57344 |\n"
    (old,) = metax.parse({metax.INFO: samples.METAX_OLD + used})
    assert short((old,)) == [(0, "MXC550", 65536, 64726, "0000:2a:00.0")]
    assert old.processes == (DeviceProcess(4711, "python3", 57344 * MIB),)


def test_intel_of_version_one_names_cards_that_its_driver_does_not_know() -> None:
    (found,) = intel.parse({intel.DEVICES: samples.INTEL_DISCOVERY})
    assert short((found,)) == [(0, "Intel(R) Arc(TM) Pro B60 Graphics", 24480, 24268, "0000:17:00.0")]
    assert isinstance(found.processes, Unknown)


def test_intel_of_version_two_and_a_processor_with_graphics() -> None:
    card, graphics = intel.parse({
        intel.SUMMARY: samples.INTEL_SUMMARY, intel.DEVICES: samples.INTEL_DISCOVERY_2, intel.SIZES: samples.INTEL_SIZES,
    })  # fmt: skip
    assert short((card, graphics)) == [
        (0, "Intel(R) Arc(TM) B570 Graphics", 10240, 10140, "0000:03:00.0"),
        (1, "Intel(R) UHD Graphics 770", None, None, "0000:00:02.0"),
    ]
    assert graphics.memory_bytes == Unknown("Intel(R) UHD Graphics 770 shares the host's memory")
    assert (card.shares_host_memory, graphics.shares_host_memory) == (False, True)


def test_intel_from_the_driver_alone() -> None:
    """A card with two tiles under the xe driver, and no tool: each tile shows its own memory."""
    folder = f"{intel.CARDS}/card0/device"
    files = {folder: "../../../0000:4b:00.0", f"{folder}/vendor": "0x8086", f"{folder}/device": "0x0bd5",
             f"{folder}/tile0/physical_vram_size_bytes": str(64 << 30), f"{folder}/tile1/physical_vram_size_bytes": str(64 << 30)}  # fmt: skip
    (found,) = intel.parse(files | {intel.DEVICES: Unknown("xpu-smi is not installed")})
    assert short((found,)) == [(0, "Intel(R) Data Center GPU Max 1550", 131072, None, "0000:4b:00.0")]


@pytest.mark.parametrize(
    ("chip", "limit", "mib"),
    [
        (samples.APPLE_M1_PRO, Unknown("`sysctl iogpu.wired_limit_mb` ended with status 1"), 21845),
        (samples.APPLE_M4_MAX, "iogpu.wired_limit_mb: 0\n", 27648),
        (samples.APPLE_M1_PRO.replace("34359738368", "25769803776"), "", 16384),
        (samples.APPLE_M1_PRO, "iogpu.wired_limit_mb: 26624\n", 26624),
        (samples.APPLE_M1_PRO, "iogpu.wired_limit_mb: 99999\n", 32768),
    ],
)
def test_apple_gives_its_gpu_a_part(chip: str, limit: str | Unknown, mib: int) -> None:
    (found,) = apple.parse({apple.CHIP: chip, apple.LIMIT: limit})
    assert found.memory_bytes == {21845: 34359738368 * 2 // 3}.get(mib, mib * MIB)
    assert (found.shares_host_memory, isinstance(found.free_bytes, Unknown)) == (True, True)


def test_a_mac_with_another_makers_processor_has_none() -> None:
    assert apple.parse({apple.CHIP: "hw.memsize: 17179869184\nmachdep.cpu.brand_string: Intel(R) Core(TM) i7\n"}) == ()


MODULES = (amd, apple, ascend, hygon, intel, kunlun, metax)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (Unknown("the tool is not installed"), "the tool is not installed"),
        (Unknown("did not answer within 10 s"), "did not answer within 10 s"),
        (samples.ASCEND_BUSY, "DrvMngGetConsoleLogLevel failed"),
        ("", ""),
        ("\x00\xff[{{{", ""),
        ("[" * 100000, ""),
    ],
    ids=["missing", "hangs", "fails", "silent", "garbage", "nested"],
)
def test_a_tool_that_tells_nothing_is_quoted(module: object, output: str | Unknown, reason: str) -> None:
    """The maker's devices are unknown for this reason; nothing else is raised, and nothing is made up."""
    commands = [
        value for name, value in vars(module).items() if name.isupper() and isinstance(value, str) and " " in value
    ]
    commands += [kunlun.INFO, kunlun.OLD_INFO, metax.INFO]
    with pytest.raises(CannotAsk) as refusal:
        module.parse(dict.fromkeys(commands, output))  # type: ignore[attr-defined]  # Each module has one.
    assert reason in str(refusal.value) or module in (intel, kunlun)

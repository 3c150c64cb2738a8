"""What makers' tools have really printed, each with where it was read. Lines that say nothing new about a shape are left out.

`MADE` in a name: composed from published figures in a published shape, because nobody has published the output itself.
"""

AMD_METRIC_7 = """\
{"gpu_data": [{"gpu": 0, "usage": {"gfx_activity": {"value": 94, "unit": "%"}, "umc_activity": {"value": 61, "unit": "%"}, "mm_activity": "N/A"},
  "power": {"socket_power": {"value": 612, "unit": "W"}, "gfx_voltage": "N/A"},
  "mem_usage": {"total_vram": {"value": 196592, "unit": "MB"}, "used_vram": {"value": 17153, "unit": "MB"}}}]}
"""
"""`amd-smi metric --json` of ROCm 7: below `gpu_data`. The total of one MI300X; ROCm/amdsmi#132 shows the same figure."""

AMD_STATIC_LIST = """\
WARNING: User is missing the following required groups: render, video. Please add user to these groups.
[{"gpu": 0, "bus": {"bdf": "0000:05:00.0"}, "asic": {"market_name": "AMD Instinct MI300X", "vendor_id": "0x1002",
  "device_id": "0x74a1", "asic_serial": "0x1122334455667788", "target_graphics_version": "gfx942"},
  "vram": {"type": "HBM", "vendor": "N/A", "size": {"value": 196592, "unit": "MB"}}}]
"""
"""`amd-smi static --json` before ROCm 7: a list (ROCm/rocprofiler-compute#836), here after a warning; the fields are those of
ROCm/rocm-systems#2987, the values an MI300X's."""

AMD_LIST = """\
[{"gpu": 0, "bdf": "0000:05:00.0", "uuid": "98ff74a1-0000-1000-8000-000000000000", "kfd_id": 28851, "node_id": 2, "partition_id": 0,
  "card": "card1", "render": "renderD128", "hsa_id": 2, "hip_id": 1, "hip_uuid": "GPU-98b7c03c4a6c0f01"},
 {"gpu": 1, "bdf": "0000:26:00.0", "uuid": "N/A", "hsa_id": "N/A", "hip_id": 0, "hip_uuid": "GPU-98b7c03c4a6c0f02"}]
"""
"""`amd-smi list -e --json`: the fields that its source stores (ROCm/amdsmi, `amdsmi_commands.py`), with the order of HIP turned round."""

AMD_STATIC_DPX = """\
{"gpu_data": [
 {"gpu": 0, "bus": {"bdf": "0000:05:00.0"}, "asic": {"market_name": "AMD Instinct MI300X"}, "vram": {"type": "HBM", "size": {"value": 196592, "unit": "MB"}}},
 {"gpu": 1, "bus": {"bdf": "0000:05:00.1"}, "asic": {"market_name": "AMD Instinct MI300X"}, "vram": {"type": "N/A", "size": "N/A"}}]}
"""
AMD_METRIC_DPX = """\
{"gpu_data": [
 {"gpu": 0, "mem_usage": {"total_vram": {"value": 196592, "unit": "MB"}, "used_vram": {"value": 283, "unit": "MB"}}},
 {"gpu": 1, "mem_usage": {"total_vram": {"value": 98296, "unit": "MB"}, "used_vram": {"value": 492, "unit": "MB"}}}]}
"""
"""An MI300X in two partitions, with the figures of ROCm/amdsmi#132 (AMD-SMI 26.0.2, ROCm 7.0.2): the tool counts the second as the
function of the address, and gives the first the memory of the whole card."""

AMD_KFD_MI300X = {
    "properties": "cpu_cores_count 0\nsimd_count 1216\nmem_banks_count 1\nio_links_count 8\nvendor_id 4098\ndevice_id 29857\n"
    "location_id 1280\ndomain 0\ndrm_render_minor 128\nhive_id 17778158520442550414\nunique_id 2864457224837561596\n"
    "num_xcc 8\ngfx_target_version 90402\n",
    "mem_banks/0/properties": "heap_type 1\nsize_in_bytes 206141652992\nflags 0\nwidth 8192\nmem_clk_max 1300\n",
}
"""The kernel's own words: the version as in ROCm/rocm-cli#343, the bank as in ROCm/legacy-rocm-build#4750."""
AMD_CPX_BANK = "heap_type 1\nsize_in_bytes 25767706624\nflags 0\nwidth 8192\nmem_clk_max 1300\n"
"""One of eight partitions, ROCm/legacy-rocm-build#4750: rocm-smi and amd-smi show the whole card's memory for each, this file does not."""

ASCEND_910B4 = """\
+------------------------------------------------------------------------------------------------+
| npu-smi 24.1.rc1                 Version: 24.1.rc1                                             |
+---------------------------+---------------+----------------------------------------------------+
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
+===========================+===============+====================================================+
| 0     910B4               | OK            | 88.2        38                0    / 0             |
| 0                         | 0000:C1:00.0  | 0           0    / 0          2787 / 32768         |
+===========================+===============+====================================================+
| 3     910B4               | Warning       | 89.9        57                0    / 0             |
| 0                         | 0000:01:00.0  | 0           0    / 0          2833 / 32768         |
+===========================+===============+====================================================+
+---------------------------+---------------+----------------------------------------------------+
| NPU     Chip              | Process id    | Process name             | Process memory(MB)      |
+===========================+===============+====================================================+
| No running processes found in NPU 0                                                            |
+===========================+===============+====================================================+
| 3       0                 | 124528        | python3.8                | 17400                   |
+===========================+===============+====================================================+
"""
"""vllm-project/vllm-ascend#1249 (npu-smi 24.1.rc1); the second card's health and the process row are of other machines."""

ASCEND_910C = """\
+------------------------------------------------------------------------------------------------------------------+
| npu-smi 26.0.rc2                            Version: 26.0.rc2                                                    |
+---------------------------+---------------+----------------------------------------------------------------------+
| NPU   Name                | Health        | Power(W)             Temp(C)                 Hugepages-Usage(page)   |
| Chip  Phy-ID              | Bus-Id        | AICore(%)            Memory-Usage(MB)        HBM-Usage(MB)           |
+===========================+===============+======================================================================+
| 0     Ascend910           | OK            | 162.6                34                      0    / 0                |
| 0     0                   | 0000:9D:00.0  | 0                    0    / 0                3419 / 65536            |
+------------------------------------------------------------------------------------------------------------------+
| 0     Ascend910           | OK            | -                    34                      0    / 0                |
| 1     1                   | 0000:9F:00.0  | 0                    0    / 0                2874 / 65536            |
+===========================+===============+======================================================================+
| 1     Ascend910           | OK            | 186.3                36                      0    / 0                |
| 0     2                   | 0000:99:00.0  | 0                    0    / 0                61609/ 65536            |
+------------------------------------------------------------------------------------------------------------------+
| 1     Ascend910           | OK            | -                    36                      0    / 0                |
| 1     3                   | 0000:9B:00.0  | 0                    0    / 0                3193 / 65536            |
+===========================+===============+======================================================================+
+---------------------------+---------------+----------------------------------------------------------------------+
| NPU     Chip              | Process id    | Process name             | Process memory(MB)                        |
+===========================+===============+======================================================================+
| 1       0                 | 1444272       | sglangschedul            | 58200                                     |
+===========================+===============+======================================================================+
"""
"""Atlas A3, two chips a card: vllm-project/vllm-ascend#12980 (npu-smi 26.0.rc2); the second card as in #2534, whose used memory
without a blank is as in #3062."""
ASCEND_910C_MAPPING = """\
\tNPU ID   Chip ID   Chip Logic ID   Chip Phy-ID   Chip Name
\t0        0         0               0             Ascend910
\t0        1         1               1             Ascend910
\t0        2         -               -             Mcu
\t1        0         2               2             Ascend910
\t1        1         3               3             Ascend910
\t1        2         -               -             Mcu
"""
"""`npu-smi info -m`, the columns of an A3 as in vllm-project/vllm-ascend, tests/ut/test_cpu_binding.py."""
ASCEND_910C_BOARD = """\
        NPU ID                         : 0
        NPU Name                       : 9392
        Chip ID                        : 0
        Chip Name                      : Ascend910
"""
"""`npu-smi info -t board -i 0 -c 0` of an A3, from CANN's guide to the name of a chip, which joins two lines to `Ascend910_9392`;
an A2 has no `NPU Name`."""
ASCEND_910C_TOPOLOGY = """\
           Phy-ID0    Phy-ID1    Phy-ID2    Phy-ID3    CPU Affinity
Phy-ID0    X          SIO        HCCS_SW    HCCS_SW    0-79
Phy-ID1    SIO        X          HCCS_SW    HCCS_SW    0-79
Phy-ID2    HCCS_SW    HCCS_SW    X          SIO        80-159
Phy-ID3    HCCS_SW    HCCS_SW    SIO        X          80-159
"""
"""`npu-smi info -t topo` of an A3: names and words as in a test of ZStack's zstacklib (Phy-ID2, Phy-ID3, Phy-ID12, Phy-ID13)."""

ASCEND_TOPOLOGY = """\
\t   NPU0       NPU1       NPU2       NPU3       CPU Affinity
NPU0       X          HCCS       HCCS       SYS        144-167
NPU1       HCCS       X          HCCS       PHB        144-167
NPU2       HCCS       HCCS       X          HCCS       96-119
NPU3       SYS        PHB        HCCS       X          96-119

Legend:

  X    = Self
  SYS  = Path traversing PCIe and NUMA nodes.
  HCCS = Connection traversing HCCS.
"""
"""`npu-smi info -t topo` as in modelscope/ms-swift's NPU guide, cut to four cards, two of its words exchanged for PCIe's."""

ASCEND_310P = """\
+--------------------------------------------------------------------------------------------------------+
| npu-smi 25.3.rc1                                 Version: 25.3.rc1                                     |
+-------------------------------+-----------------+------------------------------------------------------+
| NPU     Name                  | Health          | Power(W)     Temp(C)           Hugepages-Usage(page) |
| Chip    Device                | Bus-Id          | AICore(%)    Memory-Usage(MB)                        |
+===============================+=================+======================================================+
| 6       310P3                 | OK              | NA           50                0     / 0             |
| 0       0                     | 0000:84:00.0    | 0            1839 / 21525                            |
+===============================+=================+======================================================+
"""
"""Atlas 300I Duo: no HBM column, and the memory is the card's DDR (npu-smi 25.3.rc1, from a public installation guide)."""

ASCEND_910A = """\
| npu-smi 24.1.0                   Version: 24.1.0                                               |
| NPU   Name                | Health        | Power(W)    Temp(C)           Hugepages-Usage(page)|
| Chip                      | Bus-Id        | AICore(%)   Memory-Usage(MB)  HBM-Usage(MB)        |
| 0     910B                | OK            | 70.0        34                0    / 0             |
| 0                         | 0000:C1:00.0  | 0           1197 / 13553      1365 / 32768         |
"""
"""A server of the first generation that calls itself 910B (npu-smi 24.1.0, from the README of a project for 910A, OpDev-910A)."""

ASCEND_BUSY = "DrvMngGetConsoleLogLevel failed. (g_conLogLevel=3)\ndcmi model initialized failed, because the device is used. ret is -8020\n"
"""From fastllm's guide for Ascend: what is printed in a container whose device another one holds."""

HYGON_HCU_MADE = """\

{"card0": {"Card Series": "K100_AI", "Card Vendor": "C-3000 IC Design Co., Ltd.", "PCI Bus": "0000:33:00.0",
  "vram Total Memory (MiB)": "65520", "vram Total Used Memory (MiB)": "51920", "HCU use (%)": "97.0"},
 "card1": {"Card Series": "K100_AI", "Card Vendor": "C-3000 IC Design Co., Ltd.", "PCI Bus": "0000:36:00.0",
  "vram Total Memory (MiB)": "65520", "vram Total Used Memory (MiB)": "2", "HCU use (%)": "0.0"}}

================================ End of Hygon SMI Log ================================
"""
"""hy-smi's JSON: the fields that SwanLab (`card0`, strings) and public exporters read (`vram Total Memory (MiB)`, `HCU use (%)`)."""
HYGON_DCU_TEXT = """\
DCU[0]          : Card Series:           Z100SM
DCU[1]          : Card Series:           Z100SM
DCU[0]          : vram Total Memory (MiB): 16368
DCU[1]          : vram Total Memory (MiB): 16368
"""
"""An older build with text and the older label: MetaInfer/MetaInfer@5604ba6, a test of its hardware discovery."""
HYGON_AVAILABLE = (
    '{"card0": {"Available memory size (MiB)": "13600"}, "card1": {"Available memory size (MiB)": "65518"}}'
)
"""`hy-smi --showmemavailable --json`: free memory, which ZStack and SwanLab show as the total."""
HYGON_TOPOLOGY_MADE = """\
============================= Weight between two HCUs ================================
       HCU0         HCU1
HCU0   0            40
HCU1   40           0
=========================== Link Type between two HCUs ===============================
       HCU0         HCU1
HCU0   0            PCIE
HCU1   PCIE         0
==================================== Numa Nodes ======================================
HCU[0]          : (Topology) Numa Node: 0
HCU[1]          : (Topology) Numa Node: 0
"""
"""The matrices of rocm-smi --showtopo, with the label that Hygon's descendant prints."""

KUNLUN_P800 = """\
Tue Dec 23 16:24:21 2025       
+-----------------------------------------------------------------------------+
| XPU-SMI               Driver Version: 5.0.21.40    XPU-RT Version: 5.0.21   |
|-------------------------------+----------------------+----------------------+
| XPU  Name        Persistence-M| Bus-Id        Disp.A | Volatile Uncorr. ECC |
| Fan  Temp  Perf  Pwr:Usage/Cap|         Memory-Usage | XPU-Util  Compute M. |
|                               |             L3-Usage |            SR-IOV M. |
|===============================+======================+======================|
|   0  P800 OAM           N/A   | 00000000:03:00.0 N/A |                    0 |
| N/A   37C  N/A     85W / 400W |      0MiB / 98304MiB |      0%      Default |
|                               |      0MiB /    96MiB |              Enabled |
+-------------------------------+----------------------+----------------------+
|   1  P800 VF            N/A   | 00000000:03:00.1 N/A |                  N/A |
| N/A   37C  N/A     85W / 400W |  45604MiB / 49152MiB |      0%      Default |
|                               |     48MiB /    48MiB |                  N/A |
+-------------------------------+----------------------+----------------------+
"""  # noqa: W291
"""Project-HAMi/HAMi#1548: a card with one virtual function, which holds half of its memory."""

METAX_C550 = """\
mx-smi  version: 2.2.4

=================== MetaX System Management Interface Log ===================
Timestamp                                         : Tue Jul 29 12:16:08 2025

Attached GPUs                                     : 2
+---------------------------------------------------------------------------------+
| MX-SMI 2.2.4                        Kernel Mode Driver Version: 2.15.9          |
| MACA Version: 2.32.0.6              BIOS Version: 1.25.1.0                      |
|------------------------------------+---------------------+----------------------+
| GPU         NAME                   | Bus-id              | GPU-Util             |
| Temp        Pwr:Usage/Cap          | Memory-Usage        | GPU-State            |
|====================================+=====================+======================|
| 0           MetaX C550             | 0000:0f:00.0        | 0%                   |
| 29C         53W / 450W             | 858/65536 MiB       | Available            |
+------------------------------------+---------------------+----------------------+
| 1           MetaX C550             | 0000:34:00.0        | 0%                   |
| 29C         53W / 450W             | 858/65536 MiB       | Available            |
+------------------------------------+---------------------+----------------------+
"""
"""PaddlePaddle/ERNIE, the training guide for MetaX (mx-smi 2.2.4), cut to two cards."""
METAX_OLD = """\
| MX-SMI 2.1.6                        Kernel Mode Driver Version: 2.5.014         |
| GPU         NAME                   | Bus-id              | GPU-Util             |
| Temp        Power                  | Memory-Usage        |                      |
|====================================+=====================+======================|
| 0           MXC550                 | 0000:2a:00.0        | 0%                   |
| 31C         44W                    | 810/65536 MiB       |                      |
"""
"""PaddlePaddle/PaddleNLP, the guide for C550 (mx-smi 2.1.6): another name, no state."""

INTEL_DISCOVERY = """\
{
    "device_list": [
        {
            "device_function_type": "physical",
            "device_id": 0,
            "device_name": "Intel(R) Graphics [0xe211]",
            "device_type": "GPU",
            "drm_device": "/dev/dri/card0",
            "memory_free_size_byte": "25447600128",
            "memory_physical_size_byte": "25669140480",
            "pci_bdf_address": "0000:17:00.0",
            "pci_device_id": "0xe211",
            "uuid": "00000000-0000-0017-0000-0000e2118086",
            "vendor_name": "Intel(R) Corporation"
        }
    ]
}
"""
"""intel/xpumanager#127 (version 1.3, an Arc Pro B60); address and uuid as in sgl-project/sglang#38873."""
INTEL_SUMMARY = """\
+----------------------------------------------+----------------------------+------------------------+
|            Intel XPU-SMI v2.1    Driver: 85B7CA089405934276CBAD3    Level Zero: 1.28.6             |
+----------------------------------------------+----------------------------+------------------------+
| GPU  Name                    Persistence-M   | Bus-Id            Disp.A   |   Volatile Uncorr. ECC |
| Fan              Temp  Pwr:Usage/Cap         | Memory-Usage               |   GPU-Util  Compute M. |
+----------------------------------------------+----------------------------+------------------------+
|   0  Intel(R) Arc(TM) B570   Off             | 0000:03:00.0      Off      |               Disabled |
|      Graphics                                |                            |                        |
| 0%                N/A  41W / 190W            | 32MiB / 10172MiB           |      N/A       Default |
+----------------------------------------------+----------------------------+------------------------+
"""
"""intel/xpumanager#158: version 2 without arguments."""
INTEL_DISCOVERY_2 = """\
{"device_list": [
  {"device_function_type": "physical", "device_id": 0, "device_name": "Intel(R) Arc(TM) B570 Graphics", "device_state": "normal",
   "device_type": "GPU", "drm_device": "/dev/dri/card1", "pci_bdf_address": "0000:03:00.0", "pci_device_id": "0xe20c",
   "uuid": "00000000-0000-0003-0000-0000e20c8086", "vendor_name": "Intel(R) Corporation"},
  {"device_function_type": "physical", "device_id": 1, "device_name": "Intel(R) UHD Graphics 770", "device_state": "normal",
   "device_type": "GPU", "drm_device": "/dev/dri/card0", "pci_bdf_address": "0000:00:02.0", "pci_device_id": "0x4680",
   "uuid": "00000000-0000-0000-0200-000046808086", "vendor_name": "Intel(R) Corporation"}]}
"""
"""The fields that version 2 writes (intel/xpumanager@34c32c6, ial/cmn/cmd_discovery.cpp), with the card of #158 and a processor's graphics."""
INTEL_SIZES = 'Device ID,Device Name,PCI BDF Address,Memory Physical Size\n0,"Intel(R) Arc(TM) B570 Graphics",0000:03:00.0,10240.00 MiB\n1,"Intel(R) UHD Graphics 770",0000:00:02.0,N/A\n'
"""`--dump`, as in henrygd/beszel#755, whose user was not told the memory either."""

APPLE_M1_PRO = "hw.memsize: 34359738368\nmachdep.cpu.brand_string: Apple M1 Pro\n"
APPLE_M4_MAX = "hw.memsize: 38654705664\nmachdep.cpu.brand_string: Apple M4 Max\n"
"""`sysctl hw.memsize machdep.cpu.brand_string`, of machines whose GPU limit llama.cpp has logged: 22906.50 MB and 28991.03 MB."""

"""What a Mac's own tools have printed, and where it was published; only lines that are asked for are kept.

Names of volumes, addresses and serial numbers stand for others. A line that says "composed" is of the same form, with other figures.
"""

M1 = """\
hw.memsize: 17179869184
hw.packages: 1
hw.physicalcpu: 8
hw.logicalcpu: 8
hw.perflevel0.logicalcpu: 4
hw.perflevel0.name: Performance
hw.perflevel1.logicalcpu: 4
hw.perflevel1.name: Efficiency
hw.optional.arm.FEAT_DotProd: 1
hw.optional.arm.FEAT_BF16: 0
hw.optional.arm.FEAT_I8MM: 0
hw.optional.arm.FEAT_FP16: 1
hw.optional.neon: 1
hw.optional.neon_fp16: 1
hw.optional.arm64: 1
machdep.cpu.brand_string: Apple M1
hw.model: Macmini9,1
vm.swapusage: total = 4096.00M  used = 2743.50M  free = 1352.50M  (encrypted)
kern.hv_vmm_present: 0
kern.bootsessionuuid: 6B66F471-BAD0-40FF-BC86-D2EBEC4EDB06
"""
"""archspec/archspec-json@4a906a1, tests/targets/rossetta2-monterey-core2, an M1 with 16 GB; `vm.swapusage` of walles/px#80, the rest of the last
four lines composed.
"""
OF_ROSETTA = """\
hw.optional.avx2_0: 0
hw.cpufrequency_max: 2400000000
machdep.cpu.features: FPU VME DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH DS ACPI MMX FXSR SSE SSE2 SS HTT TM PBE SSE3 PCLMULQDQ DTSE64 MON DSCPL VMX EST TM2 SSSE3 CX16 TPR PDCM SSE4.1 SSE4.2 AES SEGLIM64
"""
"""What stands in the same file besides, because a program for Intel's processors asked."""
M4_MAX = """\
hw.memsize: 68719476736
hw.perflevel0.logicalcpu: 12
hw.perflevel0.name: Performance
hw.perflevel1.logicalcpu: 4
hw.perflevel1.name: Efficiency
hw.optional.arm.FEAT_DotProd: 1
hw.optional.arm.FEAT_BF16: 1
hw.optional.arm.FEAT_I8MM: 1
hw.optional.arm.AdvSIMD: 1
hw.optional.arm.FEAT_FP16: 1
hw.optional.arm.FEAT_SME: 1
hw.optional.arm.FEAT_SME2: 1
hw.optional.neon: 1
hw.optional.neon_fp16: 1
hw.physicalcpu: 16
hw.logicalcpu: 16
hw.packages: 1
hw.optional.arm64: 1
machdep.cpu.brand_string: Apple M4 Max
hw.model: Mac16,5
vm.swapusage: total = 0.00M  used = 0.00M  free = 0.00M  (encrypted)
kern.hv_vmm_present: 0
"""
"""archspec/archspec-json@90b453f, tests/targets/darwin-sequoia-m4 (Apache-2.0 or MIT), whole but for what is not asked; the last three
lines, which it does not have, composed.
"""
M3_ULTRA = """\
hw.memsize: 549755813888
hw.model: Mac15,14
hw.packages: 1
hw.physicalcpu: 32
hw.logicalcpu: 32
hw.perflevel0.name: Performance
hw.perflevel0.logicalcpu: 24
hw.perflevel1.name: Efficiency
hw.perflevel1.logicalcpu: 8
hw.optional.arm.AdvSIMD: 1
hw.optional.arm.FEAT_FP16: 1
hw.optional.arm.FEAT_DotProd: 1
hw.optional.arm.FEAT_I8MM: 1
hw.optional.arm.FEAT_BF16: 1
hw.optional.arm.FEAT_SME: 0
hw.optional.arm64: 1
machdep.cpu.brand_string: Apple M3 Ultra
vm.swapusage: total = 0.00M  used = 0.00M  free = 0.00M  (encrypted)
kern.hv_vmm_present: 0
"""
"""Composed: the counts of geerlingguy/sbc-reviews#95 (32 cores, 512 GB), the lines of an M3 Max in archspec-json@90b453f, darwin-sequoia-m3."""
M5 = """\
hw.memsize: 25769803776
hw.packages: 1
hw.physicalcpu: 10
hw.logicalcpu: 10
hw.perflevel0.name: Super
hw.perflevel0.logicalcpu: 4
hw.perflevel1.name: Efficiency
hw.perflevel1.logicalcpu: 6
hw.optional.arm.AdvSIMD: 1
hw.optional.arm.FEAT_SME2: 1
hw.optional.arm64: 1
machdep.cpu.brand_string: Apple M5
"""
"""archspec/archspec-json@ad69579, tests/targets/darwin-tahoe-m5: the fast cores have another name there."""
INTEL_MAC = """\
hw.memsize: 34359738368
hw.model: iMac17,1
hw.packages: 1
hw.physicalcpu: 4
hw.logicalcpu: 8
hw.cpufrequency_max: 4000000000
machdep.cpu.brand_string: Intel(R) Core(TM) i7-6700K CPU @ 4.00GHz
machdep.cpu.vendor: GenuineIntel
machdep.cpu.features: FPU VME DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH DS ACPI MMX FXSR SSE SSE2 SS HTT TM PBE SSE3 PCLMULQDQ DTES64 MON DSCPL VMX EST TM2 SSSE3 FMA CX16 TPR PDCM SSE4.1 SSE4.2 x2APIC MOVBE POPCNT AES PCID XSAVE OSXSAVE SEGLIM64 TSCTMR AVX1.0 RDRAND F16C
machdep.cpu.leaf7_features: RDWRFSGS TSC_THREAD_OFFSET SGX BMI1 HLE AVX2 SMEP BMI2 ERMS INVPCID RTM FPU_CSDS MPX RDSEED ADX SMAP CLFSOPT IPT MDCLEAR TSXFA IBRS STIBP L1DF SSBD
"""
"""`machdep.cpu` of archspec-json@90b453f, tests/targets/darwin-mojave-skylake; the counts are that processor's, the rest composed."""

VM_STAT_16G = """\
Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                                    79141.
Pages active:                                 306165.
Pages inactive:                               292169.
Pages speculative:                             13860.
Pages throttled:                                   0.
Pages wired down:                             119215.
Pages purgeable:                                 175.
"Translation faults":                     5354572810.
Pages copy-on-write:                       730111564.
Pages zero filled:                        1592063278.
Pages reactivated:                           8342528.
Pages purged:                                1107925.
File-backed pages:                            275590.
Anonymous pages:                              336604.
Pages stored in compressor:                   373938.
Pages occupied by compressor:                 204575.
Decompressions:                              4430568.
Compressions:                                7452741.
Pageins:                                    80219212.
Pageouts:                                     133226.
Swapins:                                       23795.
Swapouts:                                     141164.
"""
"""A 16 GiB Mac whose `memory_pressure` said 67 % free at the same time: to be found on GitHub by "Captured from a 16 GiB Mac"."""
VM_STAT_INTEL = """\
Mach Virtual Memory Statistics: (page size of 4096 bytes)
Pages free:                             6127229.
Pages active:                            485320.
Pages inactive:                          628646.
Pages speculative:                       430715.
Pages throttled:                              0.
Pages wired down:                        715958.
Pages purgeable:                          11820.
"Translation faults":                  11477162.
Pages copy-on-write:                     356264.
Pages zero filled:                      7628050.
Pages reactivated:                         9561.
Pages purged:                              1423.
File-backed pages:                      1080348.
Anonymous pages:                         464333.
Pages stored in compressor:                   0.
Pages occupied by compressor:                 0.
"""
"""wazuh/wazuh#22113, without its last lines."""

SW_VERS = "ProductName:\t\tmacOS\nProductVersion:\t\t15.3\nBuildVersion:\t\t24D60\n"
"""The form of wazuh/wazuh#19129, the version of wazuh/wazuh#30692 (macOS 15.3 with Darwin 24.3.0)."""
SW_VERS_12 = "ProductName:\tmacOS\nProductVersion:\t12.1\nBuildVersion:\t21C52\n"
"""open-mpi/hwloc#507, with Darwin 21.2.0."""

DF = """\
Filesystem     1024-blocks       Used Available Capacity iused      ifree %iused  Mounted on
/dev/disk3s1s1   971350180   10485760 160432128     7%  426000 1604321280    0%   /
devfs                  350        350         0   100%    1211          0  100%   /dev
/dev/disk3s6     971350180    3145728 160432128     2%       3 1604321280    0%   /System/Volumes/VM
/dev/disk3s5     971350180  788529152 160432128    84% 12000000 1604321280    1%   /System/Volumes/Data
/dev/disk5s1     976762584  120000000 856762584    13%    1000 8567625840    0%   /Volumes/Fast Disk (2)
"""
"""`df -kl`: the volumes of 0xJacky/nginx-ui#1213 (`df -h` of a Mac with 1 TB, whose sizes these are), in the columns of jduncanator/node-diskusage#35;
a disk of its owner's beside them, composed.
"""
DF_OF_GNU = """\
Filesystem     1K-blocks      Used Available Use% Mounted on
/dev/disk3s1s1 971350180 757071872 214278308  78% /
/dev/disk3s6   971350180 757071872 214278308  78% /System/Volumes/VM
/dev/disk3s7   971350180 757071872 214278308  78% /nix
"""
"""As of exelban/stats#2542, whose `df` is that of GNU's core utilities: it leaves the data volume out."""
MOUNT = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
devfs on /dev (devfs, local, nobrowse)
/dev/disk3s6 on /System/Volumes/VM (apfs, local, noexec, journaled, noatime, nobrowse)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse, protect, root data)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
/dev/disk5s1 on /Volumes/Fast Disk (2) (apfs, local, nodev, nosuid, journaled, noowners, mounted by jane)
//jane@nas._smb._tcp.local/Team%20Share on /Volumes/Team Share (smbfs, nodev, nosuid, mounted by jane)
"""
"""The lines of libyal/libfsapfs#47 with the volumes of `DF`; a disk and a share of their owner's, composed in the form of others' reports."""
NVME = """\
{
  "SPNVMeDataType" : [
    {
      "_items" : [
        {
          "_name" : "APPLE SSD AP1024Z",
          "bsd_name" : "disk0",
          "detachable_drive" : "no",
          "device_model" : "APPLE SSD AP1024Z",
          "device_revision" : "561.100.",
          "device_serial" : "0ba018e4045c5e3e",
          "partition_map_type" : "guid_partition_map_type",
          "removable_media" : "no",
          "size" : "1 TB",
          "size_in_bytes" : 1000555581440,
          "smart_status" : "Verified",
          "spnvme_trim_support" : "Yes",
          "volumes" : [
            {
              "_name" : "Macintosh HD of Jane",
              "bsd_name" : "disk0s2",
              "iocontent" : "Apple_APFS",
              "size" : "994.66 GB",
              "size_in_bytes" : 994662584320
            }
          ]
        }
      ],
      "_name" : "Apple SSD Controller"
    }
  ]
}
"""
"""`system_profiler SPNVMeDataType -json` (asked by henrygd/beszel#1873, too), of a 256 GB disk whose capture is to be found on GitHub by
"disk (251000193024 bytes), no SATA controller"; the size is that of a 1 TB one (developer.apple.com/forums/thread/773032).
"""

IFCONFIG = """\
lo0: flags=8049<UP,LOOPBACK,RUNNING,MULTICAST> mtu 16384
\toptions=1203<RXCSUM,TXCSUM,TXSTATUS,SW_TIMESTAMP>
\tinet 127.0.0.1 netmask 0xff000000
\tinet6 ::1 prefixlen 128\x20
\tinet6 fe80::1%lo0 prefixlen 64 scopeid 0x1\x20
\tnd6 options=201<PERFORMNUD,DAD>
gif0: flags=8010<POINTOPOINT,MULTICAST> mtu 1280
anpi0: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 1500
\toptions=400<CHANNEL_IO>
\tether 9e:00:06:96:00:0b
\tmedia: none
\tstatus: inactive
en1: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 1500
\toptions=6460<TSO4,TSO6,CHANNEL_IO,PARTIAL_CSUM,ZEROINVERT_CSUM>
\tether 8e:1b:06:52:66:72
\tinet6 fe80::1c66:bdd4:ddc4:669%en1 prefixlen 64 secured scopeid 0xb
\tinet 192.168.18.201 netmask 0xffffff00 broadcast 192.168.18.255
\tnd6 options=201<PERFORMNUD,DAD>
\tmedia: autoselect
\tstatus: active
en2: flags=8963<UP,BROADCAST,SMART,RUNNING,PROMISC,SIMPLEX,MULTICAST> mtu 1500
\toptions=460<TSO4,TSO6,CHANNEL_IO>
\tether 36:00:07:a1:00:00
\tmedia: autoselect <full-duplex>
\tstatus: inactive
en0: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 9000
\toptions=567<RXCSUM,TXCSUM,VLAN_MTU,TSO4,TSO6,AV,CHANNEL_IO>
\tether 24:5e:be:4e:25:85\x20
\tinet6 fe80::10d3:b1f0:b90c:eaf4%en0 prefixlen 64 secured scopeid 0x16\x20
\tinet 192.168.1.3 netmask 0xffffff00 broadcast 192.168.1.255
\tnd6 options=201<PERFORMNUD,DAD>
\tmedia: autoselect (10Gbase-T <full-duplex,flow-control>)
\tstatus: active
bridge0: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 1500
\toptions=63<RXCSUM,TXCSUM,TSO4,TSO6>
\tether 36:00:07:a1:00:00
\tmember: en2 flags=3<LEARNING,DISCOVER>
\tmedia: <unknown type>
\tstatus: inactive
utun0: flags=8051<UP,POINTOPOINT,RUNNING,MULTICAST> mtu 1380
\tinet6 fe80::aaaa%utun0 prefixlen 64 scopeid 0x14\x20
"""
"""`ifconfig -a`: glpi-project/glpi-agent#673 (a MacBook Pro with an M3), with the wireless one of brona/iproute2mac#56 and the wire of ntop/ntopng#6453."""
PORTS = """\

Hardware Port: Ethernet
Device: en0
Ethernet Address: 24:5e:be:4e:25:85

Hardware Port: Wi-Fi
Device: en1
Ethernet Address: 8e:1b:06:52:66:72

Hardware Port: Thunderbolt 1
Device: en2
Ethernet Address: 36:00:07:a1:00:00

Hardware Port: Thunderbolt Bridge
Device: bridge0
Ethernet Address: 36:00:07:a1:00:00

VLAN Configurations
===================
"""
"""`networksetup -listallhardwareports`, in the form of mrodalgaard/alfred-network-workflow#20."""

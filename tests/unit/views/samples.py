"""Values made by hand for the views: a small host, a server with accelerators, and what happens on them."""

from dataclasses import replace

from provisioner.model.actions import Activate, LinkFile, MakeKey, StartProcess, TakeFile
from provisioner.model.baseline import Baseline, Figure, Speed
from provisioner.model.containers import Container, MakeCertificate, Published
from provisioner.model.facts import (
    Accelerator,
    Cpu,
    Filesystem,
    Host,
    HostFacts,
    Interface,
    Limits,
    Link,
    Memory,
    NumaNode,
    PciDevice,
    Runtime,
    Software,
    Unknown,
)
from provisioner.model.learned import Kind, Reading, Reckoned
from provisioner.model.outcome import (
    Benched,
    BesideStatus,
    Checked,
    ModelStatus,
    Outcome,
    Planned,
    Removed,
    RolledBackTo,
    ServiceStatus,
    Status,
)
from provisioner.model.plan import (
    Capacity,
    Change,
    Decision,
    DeviceBudget,
    Finding,
    MemoryBudget,
    ModelChoice,
    Parallel,
    Plan,
    Rejected,
    Service,
    WeightFile,
)
from provisioner.model.release import Applied, HistoryEntry, Running, Step
from provisioner.model.report import Completion, Observed, Report, ServiceObserved
from provisioner.model.upgrading import Difference, Speeds, Upgraded

GIB = 2**30
STATE = "/var/lib/provision"
DIGEST = "3f9a1c20d4e5" + "0" * 52

SOFTWARE = Software(
    runtime=Runtime("/usr/bin/python3", "3.11.2", "0.2.1", ("cpu",)),
    nvidia_driver=None,
    cuda=None,
    docker=None,
    container_toolkit=None,
    kubernetes=None,
    systemd="252",
    systemd_user=False,
    secure_boot=Unknown("no EFI variables: this machine was not started by UEFI"),
    clock_unix=1_780_000_000,
    clock_synchronised=True,
)

SMALL = HostFacts(
    host=Host("lab-01", "Debian GNU/Linux 12 (bookworm)", "6.1.0-18-amd64", "x86_64", None, "kvm", None),
    cpu=Cpu("AMD EPYC 9654", "AuthenticAMD", 1, 2, 4, "0-3", "", "0-3", ("avx2", "avx512f", "avx512_vnni"), {}, None),
    numa=(NumaNode(0, "0-3", 24 * GIB, None, (10,)),),
    memory=Memory(24 * GIB, 22 * GIB, 0, (), None, Unknown("the firmware's tables can be read by root only"), None),
    limits=Limits(2.0, 16 * GIB, GIB, 1024, None, "/lab.slice"),
    disks=(),
    filesystems=(Filesystem("/", "/dev/vda1", "ext4", 100 * GIB, 60 * GIB, 1000, False),),
    network=(Interface("eth0", "ethernet", True, 10_000, 1500, "virtio_net", None, None),),
    rdma=(),
    pci=(),
    accelerators={"nvidia": ()},
    software=SOFTWARE,
    sources={},
)


def card(index: int) -> Accelerator:
    return Accelerator(
        vendor="nvidia",
        name="NVIDIA H200",
        uuid=f"GPU-{index}",
        index=index,
        memory_bytes=141 * GIB,
        free_bytes=140 * GIB,
        compute_capability="9.0",
        numa_node=index // 4,
        pci=f"0000:{index:02x}:00.0",
        links=tuple(Link(other, "nvlink", "NV18", 18, True) for other in range(8) if other != index),
        processes=(),
        pcie_generation=5,
        pcie_width=16,
        pcie_max_generation=5,
        pcie_max_width=16,
        ecc=True,
        ecc_errors=0,
        row_remap=None,
        mig=None,
        persistence=False,
        problem=None,
    )


SERVER = replace(
    SMALL,
    host=Host("gpu-07", "Ubuntu 24.04.2 LTS", "6.8.0-52-generic", "x86_64", "DGX H200", None, None),
    cpu=Cpu(
        "Intel(R) Xeon(R) Platinum 8480C",
        "GenuineIntel",
        2,
        112,
        224,
        "0-223",
        "",
        "0-223",
        ("avx2", "avx512f", "amx_tile"),
        {},
        None,
    ),
    numa=tuple(NumaNode(node, f"{node * 56}-{node * 56 + 55}", 1024 * GIB, None, (10, 21)) for node in range(2)),
    memory=Memory(2048 * GIB, 2000 * GIB, 0, (), None, 16, 4800),
    limits=Limits(None, None, None, 1024, None, None),
    accelerators={
        "nvidia": tuple(card(index) for index in range(8)),
        "amd": Unknown("amdgpu: permission denied on /dev/kfd"),
    },
    pci=(
        PciDevice(
            "0000:c1:00.0",
            "10de",
            "2684",
            "0302",
            "NVIDIA",
            "AD102 [GeForce RTX 4090]",
            None,
            1,
            None,
            None,
            None,
            None,
        ),
    ),
    software=replace(SOFTWARE, nvidia_driver="580.159"),
)

WEIGHTS = WeightFile("tiny.gguf", 7 * 2**20, "ab" * 32, "made:")

MODEL = ModelChoice(
    "qwen3-8b", "Qwen3 8B", "q4_k_m", "gguf", (WEIGHTS,), 5 * GIB, 36, 8_190_000_000, 40960, "Qwen/Qwen3-8B-GGUF"
)

SERVICE = Service(
    name="llm",
    engine="llamacpp",
    argv=("/usr/bin/python3", "-I", "-m", "provisioner.world.llamacpp", "--port", "8000"),
    env={},
    host="127.0.0.1",
    port=8000,
    model_name="qwen3-8b",
    model_path=f"{STATE}/models/abababababababab/tiny.gguf",
    context=16384,
    slots=4,
    cpus="0-1",
    numa_nodes=None,
    memory_max_bytes=12 * GIB,
    key_file=f"{STATE}/secrets/llm.key",
    health_path="/health",
    ready_seconds=60,
    first_token_seconds=10,
)

NOTE = Finding("clock", "note", "the clock is not known to be synchronised")
WARNING = Finding(
    "open-files", "warning", "lab-01: 1,024 open files are allowed, 4,096 are wanted by 4 requests", "ulimit -n 4096"
)
ERROR = Finding(
    "disk-space",
    "error",
    "lab-01: /var/lib/provision has 3.1 GiB free, the weights take 4.7 GiB",
    "free 1.6 GiB, or `--state-dir` on another disk",
)

PLAN = Plan(
    verdict="fits",
    profile="basic",
    hostname="lab-01",
    model=MODEL,
    engine="llamacpp",
    target="process",
    parallel=Parallel(),
    context=16384,
    memory=MemoryBudget(
        (
            DeviceBudget(
                "host", 24 * GIB, 16 * GIB, 5 * GIB, 2 * GIB + GIB // 4, GIB // 2, GIB // 4, 8 * GIB, "exact sizes"
            ),
        ),
        147_456,
        65_536,
        8 * GIB,
        5 * GIB,
    ),
    capacity=Capacity(4, 12, 9.4, "memory bandwidth of this processor's kind"),
    services=(SERVICE,),
    decisions=(
        Decision("model", "Qwen3 8B", "the profile names it", ()),
        Decision(
            "precision",
            "q4_k_m",
            "the best of the profile's ladder that leaves room for 4 requests of 16,384 tokens",
            (
                Rejected("bf16", "15.3 GiB of weights leave 0.7 GiB, the kv cache needs 2.3 GiB"),
                Rejected(
                    "q8_0",
                    "8.1 GiB of weights fit, but answers would come with 5 tokens/s, below the 8 that a person reads",
                ),
                Rejected("q6_k", "6.3 GiB of weights fit; 7 tokens/s"),
            ),
        ),
        Decision("target", "process", "there is no service manager as process 1"),
    ),
    binding="",
    cheapest_changes=(),
    findings=(NOTE, WARNING),
)

ACTIONS = (
    TakeFile(replace(WEIGHTS, origin="/data/models/qwen3-8b-q4_k_m.gguf"), f"{STATE}/blobs/sha256/{'ab' * 32}"),
    LinkFile(f"{STATE}/blobs/sha256/{'ab' * 32}", SERVICE.model_path),
    MakeKey(SERVICE.key_file),
    StartProcess("llm", DIGEST, f"{STATE}/releases/{DIGEST}/units/llm.json"),
    Activate(DIGEST),
)

PLANNED = Planned(SMALL, PLAN, ACTIONS)

SERVER_PLAN = replace(
    PLAN,
    profile="flagship",
    hostname="gpu-07",
    parallel=Parallel(tensor=8),
    memory=MemoryBudget(
        tuple(
            DeviceBudget(
                f"nvidia:{index}", 141 * GIB, 126 * GIB, 85 * GIB, 30 * GIB, 3 * GIB, 2 * GIB, 6 * GIB, "exact sizes"
            )
            for index in range(8)
        ),
        70_272,
        3_600_000,
        40 * GIB,
        685 * GIB,
    ),
    findings=(),
)

REFUSED = replace(
    PLAN,
    verdict="refused",
    profile="flagship",
    model=replace(MODEL, title="DeepSeek V3", weights_bytes=377 * GIB),
    memory=MemoryBudget(
        (DeviceBudget("host", 24 * GIB, 16 * GIB, 377 * GIB, GIB, GIB, GIB, 0, "exact sizes"),),
        70_272,
        0,
        380 * GIB,
        377 * GIB,
    ),
    binding="the weights alone take 377 GiB, and 16 GiB of memory may be used here",
    cheapest_changes=(Change("the basic profile", "8 B instead of 671 B parameters", ("--profile", "basic")),),
    findings=(
        Finding(
            "fits",
            "error",
            "the weights alone take 377 GiB, and 16 GiB of memory may be used here",
            "`provision up --profile basic`",
        ),
    ),
    services=(),
)

NOT_READY = replace(PLAN, findings=(ERROR, WARNING))

COMPLETION = Completion(200, (0.045, 0.078, 0.11, 0.142), "Hello! How can I help\x1b[2J you today?", 4)

SERVICE_OBSERVED = ServiceObserved("llm", 4242, "S", 200, ("qwen3-8b",), 16384, COMPLETION, 401, 401)

OBSERVED = Observed((SERVICE_OBSERVED,))

APPLIED = Applied(7, "up", (Step("ln a b", "done", 0.01), Step("setsid -f python …", "done", 4.2)), ok=True)

OUTCOME = Outcome(SMALL, PLAN, APPLIED, OBSERVED, Report((NOTE,), 0), changed=True, new_key="0123456789abcdef" * 3)

UNCHANGED = replace(
    OUTCOME,
    applied=None,
    changed=False,
    new_key=None,
    recovered="run 6 (`provision up`) was cut off at: ln a b; it is undone",
)

RUNNING = Running("llm", DIGEST, "process", 4242, 1000, "S")

PART = Reckoned(
    "nvidia:0", Kind("llamacpp", "2026.10", "dense", "rtx4090-24g", 1, "activation"), 300 << 20, 320 << 20, 2
)
LEARNED = (
    Reading(PART, 318 << 20, 3),
    Reading(Reckoned("host", replace(PART.kind, device="host", component="cache"), 1 << 20, 1 << 20), None, 0),
)
SPEED = Speed(
    tokens_per_second=Figure(41.5, 40.0, 43.0, 44.0, 5),
    total_tokens_per_second=Figure(160.2, 155.0, 166.0, 170.0, 3),
    first_token_seconds=Figure(0.21, 0.2, 0.24, 0.19, 5),
    first_token_p95_seconds=0.3,
    concurrency=4,
    seconds=8.4,
)
BASELINE = Baseline(DIGEST, MODEL.id, "llamacpp", 1_780_000_000, quick=True, speed=SPEED)
BENCHED = Benched(PLAN, BASELINE)
SLOWER = replace(BASELINE, release="77" * 32, speed=replace(SPEED, tokens_per_second=Figure(39.0, 38.0, 40.0, 41.0, 5)))
UPGRADED = Upgraded(
    OUTCOME,
    "77" * 32,
    (Difference("llm: --threads", "4", "8"), Difference("llm: image", "", "ghcr.io/engine@sha256:" + "1" * 64)),
    (Speeds(MODEL.id, SLOWER, BASELINE),),
    tolerance=0.1,
)
NOT_UPGRADED = Upgraded(UNCHANGED, DIGEST)

STATUS = Status(DIGEST, PLAN, (ServiceStatus(SERVICE, RUNNING),), models=(ModelStatus(PLAN, LEARNED, BASELINE),))
BROKEN = Status(
    DIGEST,
    PLAN,
    (ServiceStatus(SERVICE, RUNNING), ServiceStatus(replace(SERVICE, name="llm-2", port=8001, host="::1"), None)),
    unfinished="run 8 (`provision up`) was cut off at: ln a b",
    holder="provision down, process 4711",
)
NOTHING = Status(None, None, ())

CHECKED = Checked(DIGEST, OBSERVED, Report((), 0))
WEDGED = Checked(
    DIGEST,
    Observed(
        (
            replace(
                SERVICE_OBSERVED,
                process_state="T",
                completion=Unknown("no token within 10 s"),
                health=Unknown("no answer within 2 s"),
            ),
        )
    ),
    Report(
        (
            Finding(
                "answers",
                "error",
                "llm: its process is stopped (state T), and no token came within 10 s",
                "kill -CONT 4242",
            ),
        ),
        1,
    ),
)

HISTORY = (
    HistoryEntry(8, "up", 1_780_000_000, None, DIGEST, None, "interrupted"),
    HistoryEntry(7, "up", 1_779_990_000, 1_779_990_125, DIGEST, None, "rolled-back", (ERROR,)),
    HistoryEntry(6, "up", 1_779_980_000, 1_779_980_004, "77" * 32, None, "good"),
    HistoryEntry(5, "up", 1_779_970_000, 1_779_970_000, "77" * 32, None, "good"),
)

REMOVED = Removed(
    APPLIED, ("4.7 GiB of weights in /var/lib/provision/blobs/sha256 (`provision down --purge` removes them)",)
)
BACK = RolledBackTo("77" * 32, DIGEST, APPLIED, Report((NOTE,), 0))

GATEWAY = Container("gateway", "gateway", "nginx@sha256:" + "1f" * 32, published=(Published("0.0.0.0", 8443, 8443),))
CHAT = Container(
    "webui",
    "openwebui",
    "open-webui@sha256:" + "2e" * 32,
    env={"WEBUI_ADMIN_EMAIL": "admin@localhost"},
    secret_env={"WEBUI_ADMIN_PASSWORD": f"{STATE}/secrets/webui-admin.password"},
)
CONTAINED = replace(
    PLAN, target="docker", beside=(GATEWAY, CHAT), makes=(MakeCertificate(f"{STATE}/secrets/tls", ("lab-01",)),)
)
CONTAINED_OUTCOME = replace(OUTCOME, plan=CONTAINED)
CONTAINED_STATUS = replace(
    STATUS,
    weights_bytes=5 * GIB,
    plan=CONTAINED,
    beside=tuple(
        BesideStatus(one, Running(one.name, DIGEST, "docker", 77, 1, "running", "ab")) for one in (GATEWAY, CHAT)
    ),
)

"""What PyTorch and the libraries under it write when an engine does not start: the same in every engine that is built on it."""

from provisioner.model.causes import Cause

DRIVER = (
    Cause(
        "driver-too-old",
        r"NVIDIA driver on your system is too old",
        "the driver of the host is older than the CUDA of the image",
        "install a newer driver (`provision prepare`), or name an image for an older CUDA: `--set image=NAME`",
        "RuntimeError: The NVIDIA driver on your system is too old (found version 12080).",
        "modelscope/FunASR#2973",
    ),
    Cause(
        "driver-forward-compatibility",
        r"Error 80[34]: |forward compatibility was attempted on non supported HW",
        "the driver of the host does not fit the CUDA of the image",
        "install the driver that the image asks for, and restart after an upgrade: `provision doctor` says which is loaded",
        "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 804: forward compatibility was attempted on non "
        "supported HW",
        "vllm-project/vllm#4940",
    ),
    Cause(
        "no-device",
        r"Found no NVIDIA driver on your system|No CUDA GPUs are available|Failed to infer device type",
        "no device is seen inside the container",
        "`provision doctor` says what Docker lacks to hand out cards",
        "RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU",
        "torch 2.13.0 torch/cuda/__init__.py",
    ),
    Cause(
        "no-kernel",
        r"no kernel image is available for execution on the device",
        "the image has no code for this card",
        "name an image or a release that has: `--set image=NAME`, or `--engine llamacpp`",
        "RuntimeError: CUDA error: no kernel image is available for execution on the device",
        "torch 2.13.0, cudaErrorNoKernelImageForDevice of the CUDA runtime",
    ),
)

RANKS = (
    Cause(
        "ranks-timed-out",
        r"Watchdog caught collective operation timeout",
        "ranks waited for each other in vain: one of them is stuck or cannot be reached",
        "`provision doctor` looks at fabric manager and links; a smaller `--set engine.tensor-parallel-size` avoids the link",
        "[rank0]:[E ProcessGroupNCCL.cpp:563] [Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=1, "
        "OpType=ALLREDUCE, NumelIn=1, NumelOut=1, Timeout(ms)=600000) ran for 600086 milliseconds before timing out.",
        "vllm-project/vllm#5458",
    ),
    Cause(
        "ranks-missing",
        r"Timed out after \d+ seconds waiting for clients",
        "not all nodes or ranks came to the meeting place in time",
        "start every node of the plan; `engine.master-addr` (`engine.dist-init-addr`) has to be reached from each, through its firewall",
        "torch.distributed.DistStoreError: Timed out after 601 seconds waiting for clients. 1/2 clients joined.",
        "torch 2.13.0 torch/csrc/distributed/c10d/TCPStore.cpp",
    ),
    Cause(
        "ranks-do-not-meet",
        r"NCCL error|ncclSystemError|ncclUnhandledCudaError|unhandled system error",
        "the library between the ranks could not start",
        "see the lines before it in `provision logs`; often /dev/shm is full, or a network interface is not the right one",
        "RuntimeError: NCCL error: unhandled system error (run with NCCL_DEBUG=INFO for details)",
        "vllm 0.32.0 distributed/device_communicators/pynccl_wrapper.py",
    ),
)

PLACE = (
    Cause(
        "port-taken",
        r"[Aa]ddress already in use",
        "its port is taken by another program",
        "`--set port=NUMBER`, or stop the other program: `ss -ltnp` names it",
        "OSError: [Errno 98] Address already in use",
        "uvicorn and Python 3.11 on Linux, as seen",
    ),
    Cause(
        "shared-memory",
        r"Insufficient space in /dev/shm|/dev/shm.*No space left|Bus error",
        "its processes have too little shared memory between them",
        "a container gets its share from the plan; outside one, mount a larger /dev/shm",
        "RuntimeError: Insufficient space in /dev/shm for shared-memory allocation: 160 MiB required, 64 MiB free. Increase "
        "/dev/shm (e.g. --shm-size or --ipc=host).",
        "vllm 0.32.0 on processors, as seen",
    ),
    Cause(
        "disk-full",
        r"No space left on device",
        "a disk or a folder in memory that it writes to is full",
        "`df -h`, and `provision doctor`",
        "OSError: [Errno 28] No space left on device",
        "Python 3.11 on Linux",
    ),
)

FILES = (
    Cause(
        "architecture-unknown",
        r"Model architectures .* are not supported|does not recognize this architecture",
        "this release does not know the model's architecture",
        "a newer release of the engine, or another model",
        "ValueError: Model architectures ['GptX'] are not supported for now. Supported architectures: dict_keys([...])",
        "vllm 0.32.0 model_executor/models/registry.py",
    ),
    Cause(
        "weights-missing",
        r"Cannot find any model weights with|No such file or directory: .*\.safetensors|is not the path to a directory|"
        r"Repo id must be in the form|Can't load the configuration of|Invalid repository ID or local directory",
        "files of the model are not where it looks for them",
        "`provision up` brings what is missing; `provision doctor` looks at what is there",
        "RuntimeError: Cannot find any model weights with `/models/tiny`",
        "vllm 0.32.0 model_executor/model_loader/default_loader.py",
    ),
    Cause(
        "weights-broken",
        r"SafetensorError|HeaderTooLarge|incomplete metadata, file not fully covered|MetadataIncompleteBuffer",
        "a file of the weights is cut off or damaged",
        "`provision down --purge`, then `provision up` brings it anew; a file that is not downloaded is held against its hash",
        "safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata, file not fully covered",
        "safetensors 0.6, as its library words it",
    ),
)

MEMORY = (
    Cause(
        "out-of-memory-on-device",
        r"CUDA out of memory|OutOfMemoryError|HIP out of memory|NPU out of memory",
        "the device has no memory left",
        "a smaller `--context`, a lower `--concurrency`, a weaker `--precision`; `provision detect` says who else uses the device",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.96 GiB. GPU 0 has a total capacity of 23.64 GiB",
        "torch 2.13.0 c10/cuda/CUDACachingAllocator.cpp",
    ),
    Cause(
        "out-of-memory-on-host",
        r"DefaultCPUAllocator: can't allocate memory|std::bad_alloc|Cannot allocate memory|MemoryError",
        "the host, or its limit for this service, has no memory left",
        "`--set memory_max_bytes=…`, a smaller `--context` or a weaker `--precision`",
        "RuntimeError: [enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried to allocate "
        "34359738368 bytes. Error code 12 (Cannot allocate memory)",
        "torch 2.13.0 c10/core/impl/alloc_cpu.cpp",
    ),
)

"""The embedded engine as a process of its own: llama.cpp's server inside Python, with llama-server's flag names.

`python -I -m provisioner.world.llamacpp --model FILE …` serves until SIGTERM. Exit codes: 0 ended on request,
1 the model could not be served, 2 a wrong flag; one line on stderr says why.
"""

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING, Protocol

from provisioner.world import openmp

if TYPE_CHECKING:
    from types import FrameType

NUMA = ("distribute", "isolate", "numactl")
CACHE_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1")


class Threads(Protocol):
    n_threads: int


class ModelFile(Protocol):
    path: str


class Draft(Protocol):
    n_max: int
    n_gpu_layers: int
    mparams: ModelFile


class Speculative(Protocol):
    types: list[object]
    draft: Draft


class Params(Protocol):
    """What is set of llama.cpp's `common_params`; the names are its own."""

    model: ModelFile
    model_alias: set[str]
    hostnames: list[str]
    port: int
    n_ctx: int
    n_parallel: int
    n_gpu_layers: int
    tensor_split: list[float]
    tensor_buft_overrides: str
    cpuparams: Threads
    cpuparams_batch: Threads
    numa: object
    lora_adapters: list[object]
    speculative: "Speculative"
    cache_type_k: object
    cache_type_v: object
    api_keys: list[str]
    endpoint_metrics: bool
    endpoint_slots: bool
    ui: bool
    fit_params: bool
    offline: bool
    cors_origins: str
    cors_credentials: bool
    cache_ram_mib: int
    verbosity: int


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="provisioner.world.llamacpp", allow_abbrev=False, description=__doc__)
    parser.add_argument("--model", required=True, help="GGUF file; of a split model the first part")
    parser.add_argument("--alias", required=True, help="name under which /v1/models lists it")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--ctx-size", type=int, default=0, help="tokens of all slots together; 0: as trained")
    parser.add_argument("--parallel", type=int, default=1, help="slots; each gets its share of the context")
    parser.add_argument("--threads", type=int, default=-1)
    parser.add_argument("--threads-batch", type=int, default=-1)
    parser.add_argument("--n-gpu-layers", type=int, default=0)
    parser.add_argument(
        "--n-cpu-moe", type=int, default=0, help="layers, from the first, whose experts stay on the host"
    )
    parser.add_argument("--tensor-split", type=shares, default=[], help="layers on each device, such as 20,13")
    parser.add_argument("--numa", choices=NUMA)
    parser.add_argument("--api-key-file", help="file with one key a line")
    parser.add_argument("--cache-type-k", choices=CACHE_TYPES, default="f16")
    parser.add_argument("--cache-type-v", choices=CACHE_TYPES, default="f16")
    parser.add_argument("--lora", help="GGUF file of an adapter, which is laid over the whole model")
    parser.add_argument("--model-draft", help="GGUF file of a smaller model that drafts tokens ahead")
    parser.add_argument("--spec-type", choices=("draft-simple", "ngram-simple"), help="what drafts tokens ahead")
    parser.add_argument("--spec-draft-n-max", type=int, default=16, help="tokens that a smaller model drafts at a time")
    parser.add_argument("--metrics", action="store_true")
    return parser


def shares(text: str) -> list[float]:
    return [float(word) for word in text.split(",")]


def main(argv: list[str]) -> int:
    options = arguments().parse_args(argv)
    try:
        keys = read_keys(options.api_key_file) if options.api_key_file else []
        refuse_unreadable(options.model)
        server = serve(options, keys)
    except OSError as error:
        return _refuse(options, f"{error.filename}: {os.strerror(error.errno or 0)}")
    except ValueError as error:
        return _refuse(options, str(error))
    except RuntimeError:
        return _refuse(options, "llama.cpp could not load it or not listen; its own lines above say why")
    sys.stderr.write(f"{options.alias}: serving on {options.host}:{options.port}\n")
    sys.stderr.flush()
    wait_for_end(server)
    return 0


def _refuse(options: argparse.Namespace, reason: str) -> int:
    sys.stderr.write(f"{options.alias}: cannot serve `{options.model}` on port {options.port}: {reason}\n")
    return 1


def read_keys(path: str) -> list[str]:
    with open(path, encoding="utf-8") as file:
        keys = [line.strip() for line in file if line.strip()]
    if not keys:
        raise ValueError(f"`{path}` holds no key, and without one everybody could use the engine")
    return keys


def refuse_unreadable(path: str) -> None:
    """Say in one sentence what llama.cpp would say in twenty lines: it is not there, no GGUF, or cut short."""
    from provisioner.weights.gguf import read_header

    with open(path, "rb") as file:
        descriptor = file.fileno()
        read_header(lambda offset, size: os.pread(descriptor, size, offset), os.fstat(descriptor).st_size)


def serve(options: argparse.Namespace, keys: list[str]) -> object:
    openmp.bring()
    import xllamacpp

    params: Params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.model_alias = {options.alias}
    params.hostnames = [options.host]
    params.port = options.port
    params.n_ctx = options.ctx_size
    params.n_parallel = options.parallel
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.threads_batch
    params.n_gpu_layers = options.n_gpu_layers
    # The engine has one place for every device that it could ever see.
    params.tensor_split = [*options.tensor_split, *params.tensor_split[len(options.tensor_split) :]]
    if options.n_cpu_moe:
        params.tensor_buft_overrides = experts_on_host(options.n_cpu_moe)
    if options.numa:
        params.numa = getattr(xllamacpp.ggml_numa_strategy, f"GGML_NUMA_STRATEGY_{options.numa.upper()}")
    params.cache_type_k = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{options.cache_type_k.upper()}")
    params.cache_type_v = getattr(xllamacpp.ggml_type, f"GGML_TYPE_{options.cache_type_v.upper()}")
    # A single key's last letters would be written to the log, several are only counted.
    params.api_keys = keys * 2
    params.endpoint_metrics = options.metrics
    lay_over(params, options.lora)
    draft(params, options)
    lock_down(params)
    return xllamacpp.Server(params)


def lay_over(params: Params, path: str | None) -> None:
    """An adapter over the whole model, at its full strength."""
    if path is None:
        return
    import xllamacpp

    adapter = xllamacpp.CommonAdapterLoraInfo()
    adapter.path, adapter.scale = path, 1.0
    params.lora_adapters = [adapter]


def draft(params: Params, options: argparse.Namespace) -> None:
    """A smaller model drafts, or the words that repeat; its layers go where those of the model go."""
    if not options.spec_type:
        return
    import xllamacpp

    kind = options.spec_type.upper().replace("-", "_")
    params.speculative.types = [getattr(xllamacpp.common_speculative_type, f"COMMON_SPECULATIVE_TYPE_{kind}")]
    if options.model_draft:
        params.speculative.draft.n_max = options.spec_draft_n_max
        params.speculative.draft.mparams.path = options.model_draft
        params.speculative.draft.n_gpu_layers = -1 if options.n_gpu_layers else 0


def experts_on_host(layers: int) -> str:
    """What llama.cpp's own `--n-cpu-moe` does (common/arg.cpp): the tensors of these layers' experts by their names."""
    numbers = "|".join(map(str, range(layers)))
    return rf"blk\.({numbers})\.ffn_(up|down|gate_up|gate)_(ch|)exps=CPU"


def lock_down(params: Params) -> None:
    """The plan has decided sizes, and the engine must not shrink them; nothing is open that nobody asked for."""
    params.fit_params = False
    params.endpoint_slots = False
    params.ui = False
    params.offline = True
    params.cors_origins = ""
    params.cors_credentials = False
    # A prompt cache in host memory (8 GiB when not set) is in no plan's budget.
    params.cache_ram_mib = 0
    params.verbosity = 4


def wait_for_end(server: object) -> None:
    """Serve until SIGTERM or SIGINT; before this, during loading, either ends the process at once."""

    def end(_number: int, _frame: "FrameType | None") -> None:
        # The server's own destructor can wait for its main loop without end, and nothing of ours is to be saved.
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    while server is not None:
        signal.pause()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:]))

"""What llama.cpp writes when it does not start, by itself and inside Ollama and LM Studio."""

from provisioner.model.causes import Cause

CAUSES = (
    Cause(
        "no-room-for-cache",
        r"failed to (allocate|initialize) (buffer for )?(the )?(kv|KV) ?cache|failed to initialize the context",
        "the cache for all requests does not fit",
        "a smaller `--context` or `--concurrency`, or `--set engine.cache-type-k=q8_0`",
        "llama_init_from_model: failed to initialize the context: failed to allocate buffer for kv cache",
        "ggml-org/llama.cpp src/llama-context.cpp",
    ),
    Cause(
        "out-of-memory-at-capture",
        r"failed to allocate compute (buffers|graph|pp buffers|tg buffers)",
        "what is computed between the layers does not fit beside weights and cache",
        "`--set engine.n-gpu-layers=` fewer, or a smaller `--context` or `--concurrency`",
        "graph_reserve: failed to allocate compute buffers",
        "llama.cpp as in xllamacpp's library",
    ),
    Cause(
        "number-format",
        r"quantized V cache (requires flash_attn|was requested, but this requires Flash Attention)|has invalid ggml type",
        "the cache, or the file, is in a format of numbers that this release or this device does not compute in",
        "`--set engine.cache-type-v=f16`, another `--precision`, or a newer release",
        "llama_context: quantized V cache was requested, but this requires Flash Attention",
        "llama.cpp as in xllamacpp's library",
    ),
    Cause(
        "drafter-refused",
        r"failed to load draft model|draft model vocab|draft model number of sequences",
        "the smaller model cannot draft for the larger one",
        "leave `drafting` out, or name a smaller model of the same family",
        "srv  load_model: failed to load draft model, '/models/draft/small.gguf'",
        "llama.cpp as in xllamacpp's library",
    ),
    Cause(
        "adapter-refused",
        r"failed to (load|apply) lora adapter",
        "the adapter is none of this model, or its file cannot be read",
        "leave `lora` out, or name an adapter that was made for this model",
        "common_init_from_params: failed to load lora adapter '/models/adapters/sql.gguf'",
        "llama.cpp as in xllamacpp's library",
    ),
    Cause(
        "out-of-memory-on-device",
        r"cudaMalloc failed: out of memory|unable to allocate (CUDA|ROCm|SYCL|Vulkan)\d* buffer|"
        r"failed to allocate (CUDA|ROCm|SYCL|Vulkan)\d* buffer",
        "the layers that were planned on a device do not fit there",
        "`--set engine.n-gpu-layers=` fewer, a smaller `--context`, or a weaker `--precision`; `provision detect` says who "
        "else uses the device",
        "llama_model_load: error loading model: unable to allocate CUDA0 buffer",
        "ollama/ollama#8597",
    ),
    Cause(
        "out-of-memory-on-host",
        r"unable to allocate CPU buffer|failed to allocate (CPU )?buffer|model requires more system memory|std::bad_alloc",
        "the host, or its limit for this service, has no memory left",
        "a smaller `--context`, a lower `--concurrency`, or a weaker `--precision`",
        "llama_model_load: error loading model: unable to allocate CPU buffer",
        "ollama/ollama#12634",
    ),
    Cause(
        "architecture-unknown",
        r"unknown model architecture",
        "this release does not know the model's architecture",
        "a newer release of the engine, or another model",
        "llama_model_load: error loading model: error loading model architecture: unknown model architecture: 'gptx'",
        "ggml-org/llama.cpp src/llama-model.cpp",
    ),
    Cause(
        "weights-missing",
        r"failed to open GGUF file|gguf_init_from_file: failed to open|No such file or directory",
        "the file of the weights is not where it looks for it",
        "`provision up` brings what is missing",
        "gguf_init_from_file: failed to open GGUF file '/nowhere.gguf' (No such file or directory)",
        "ggml-org/llama.cpp ggml/src/gguf.cpp",
    ),
    Cause(
        "weights-broken",
        r"invalid magic characters|tensor '.*' data is not within the file bounds|failed to read tensor|corrupted or incomplete",
        "the file of the weights is cut off or no GGUF",
        "bring it anew: `provision down --purge`, then `provision up`",
        "llama_model_load: error loading model: tensor 'blk.0.attn_q.weight' data is not within the file bounds, model is "
        "corrupted or incomplete",
        "ggml-org/llama.cpp src/llama-model-loader.cpp",
    ),
    Cause(
        "port-taken",
        r"couldn't bind HTTP server socket|bind: address already in use|[Aa]ddress already in use",
        "its port is taken by another program",
        "`--set port=NUMBER`, or stop the other program: `ss -ltnp` names it",
        "Error: listen tcp 127.0.0.1:11434: bind: address already in use",
        "ollama 0.17.4, as its Go library words it",
    ),
    Cause(
        "driver-too-old",
        r"CUDA driver version is insufficient for CUDA runtime version",
        "the driver of the host is older than the CUDA of the image",
        "install a newer driver (`provision prepare`), or name an image for an older CUDA: `--set image=NAME`",
        "ggml_cuda_init: failed to initialize CUDA: CUDA driver version is insufficient for CUDA runtime version",
        "cudaErrorInsufficientDriver of the CUDA runtime",
    ),
    Cause(
        "argument-unknown",
        r"error: invalid argument:|error: unknown argument",
        "it does not know an argument: the program is of another release than the plan is for",
        "name an image of a newer release: `--set image=NAME`",
        "error: invalid argument: --n-cpu-moe",
        "ggml-org/llama.cpp common/arg.cpp",
    ),
)

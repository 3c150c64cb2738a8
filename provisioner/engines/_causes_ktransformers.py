"""What kt-kernel writes when it does not start, in its own words; the rest of the server is SGLang."""

from provisioner.engines import _causes_sglang
from provisioner.model.causes import Cause

OWN = (
    Cause(
        "kernels-missing",
        r"kt_kernel is not installed|No module named 'kt_kernel'|unexpected keyword argument 'num_gpu_experts'",
        "the image has no kt-kernel, or an SGLang that is not the one made for it",
        "an image with kt-kernel and sglang-kt of one release: `--set image=NAME`",
        "ImportError: kt_kernel is not installed. To use KTransformers EP wrapper, please install kt_kernel.",
        "sglang 0.5.23 srt/layers/moe/kt_ep_wrapper.py; kt-kernel 0.7.2 experts.py",
    ),
    Cause(
        "processor-too-old",
        r"requires a newer CPU ISA than this host|Failed to load kt_kernel extension|Illegal instruction",
        "kt-kernel in this image was compiled for newer processors",
        "an image with all variants of it: `--set image=NAME`; or `--engine llamacpp`",
        "RuntimeError: The installed kt-kernel extension requires a newer CPU ISA than this host: detected=avx2, loaded=amx.",
        "kt-kernel 0.7.2 _cpu_detect.py",
    ),
    Cause(
        "experts-missing",
        r"GGUF weight path not found|No \.gguf files found in directory|GGUF path not found",
        "the experts are not where it was told to look",
        "`provision model verify`, then `provision up`: what is missing is linked again",
        "FileNotFoundError: No .gguf files found in directory: /models/experts",
        "kt-kernel 0.7.2 utils/llamafile.py, utils/loader.py",
    ),
    Cause(
        "expert-width",
        r"must be divisible by QK_K|is too small for threadpool_count",
        "the experts of this model cannot be cut over so many pools of threads",
        "`--set engine.kt-threadpool-count=1`; or `--engine llamacpp`",
        "ValueError: intermediate_size (256) is too small for threadpool_count (2).",
        "kt-kernel 0.7.2 utils/llamafile.py",
    ),
    Cause(
        "experts-unread",
        r"Llamafile backend not available|Method '\w{1,40}' not supported for inference mode",
        "kt-kernel cannot read experts in this precision",
        "another `--precision`: `q4_k_m` and `q8_0` are what its own examples use",
        "RuntimeError: Llamafile backend not available. kt_kernel_ext was not compiled with Llamafile support.",
        "kt-kernel 0.7.2 utils/llamafile.py, experts.py",
    ),
)

CAUSES = (*OWN, *_causes_sglang.CAUSES)

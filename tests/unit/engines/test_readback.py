"""What engines say of their own memory: logs that they really wrote, some here, most as people published them."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from provisioner.engines import llamacpp, sglang, vllm
from provisioner.model.measured import DeviceMeasured, Measured

LOGS = Path(__file__).parent / "logs"
GIB, MIB = 1 << 30, 1 << 20

VLLM_METRICS = """\
# HELP vllm:cache_config_info Information of the LLMEngine CacheConfig
# TYPE vllm:cache_config_info gauge
vllm:cache_config_info{block_size="128",cache_dtype="auto",engine="0",gpu_memory_utilization="0.92",\
kv_cache_memory_bytes="67108864",kv_cache_size_tokens="65536",num_gpu_blocks="512",sliding_window="None"} 1.0
vllm:num_requests_running{engine="0",model_name="m"} 0.0
"""
SGLANG_METRICS = """\
# TYPE sglang:max_total_num_tokens gauge
sglang:max_total_num_tokens{model_name="m",tp_rank="0"} 2.086558e+06
"""
VLLM_TODAY = """\
(Worker_PP1_TP0 pid=7) INFO 11-21 13:00:00 [gpu_model_runner.py:5149] Model loading took 15.27 GiB memory and 9.123456 seconds
(Worker_PP1_TP0 pid=7) INFO 11-21 13:00:09 [gpu_worker.py:759] Available KV cache memory: 40.5 GiB
(EngineCore pid=5) INFO 11-21 13:00:09 [kv_cache_utils.py:2327] GPU KV cache size: 331,776 tokens, Maximum concurrency for \
32,768 tokens per request: 10.12x
(Worker_PP1_TP0 pid=7) INFO 11-21 13:00:20 [gpu_model_runner.py:6581] Graph capturing finished in 9 secs, took 0.75 GiB
(Worker_PP1_TP0 pid=7) INFO 11-21 13:00:20 [mm_encoder_model_runner.py:95] Encoder graph capturing finished in 2 secs, took \
0.25 GiB (9 graphs)
(Worker_PP1_TP0 pid=7) DEBUG 11-21 13:00:20 [gpu_worker.py:1015] Free memory on device (78.5/79.25 GiB) on startup. Desired GPU \
memory utilization is (0.92, 72.91 GiB). Actual usage is 15.9 GiB for consumed memory (weights + non-torch), 5.5 GiB for peak \
activation, and 0.75 GiB for CUDAGraph memory. Replace gpu_memory_utilization config with `--kv-cache-memory=1`
"""
"""In the words of vllm 0.32.0 (v1/worker/gpu_worker.py, v1/core/kv_cache_utils.py), with made-up figures."""

SGLANG_TODAY = """\
[2026-11-21 13:00:00 DP0 TP1] Load weight end. elapsed=9.50 s, type=DeepseekV3ForCausalLM, avail mem=50.25 GB, mem usage=80.5 GB.
[2026-11-21 13:00:01 DP0 TP1] KV Cache VA upper bound. dtype: torch.bfloat16, #tokens: 900000, KV size: 60.00 GB
[2026-11-21 13:00:09 DP0 TP1] Capture decode CUDA graph end. bs=[1, 2], elapsed=5.00 s, mem usage=1.50 GB, avail mem=48.00 GB.
[2026-11-21 13:00:12 DP0 TP1] Capture prefill CUDA graph end. elapsed=2.00 s, mem usage=0.50 GB, avail mem=47.00 GB.
[2026-11-21 13:00:13 DP0 TP1] Post-capture KV sizing: KV cache allocated. dtype: torch.bfloat16, #tokens: 600000, KV size: 40.25 GB, \
avail mem=7.00 GB
"""
"""In the words of sglang 0.5.23 (model_runner.py, mem_cache/memory_pool.py, cuda_graph_setup.py), with made-up figures."""


def published(name: str) -> str:
    return (LOGS / f"{name}.log").read_text()


def of_vllm(log: str, metrics: str = "") -> Measured:
    return vllm.read_back(log, metrics)


def test_vllm_before_v1() -> None:
    (device,) = of_vllm(published("vllm-0.8-tp")).devices
    assert device == DeviceMeasured(
        "", round(21.21 * GIB), round(1.57 * GIB), round(0.37 * GIB), None, round(0.20 * GIB)
    )  # fmt: skip


def test_vllm_with_two_lines_for_its_cache() -> None:
    assert of_vllm(published("vllm-0.8-v1")) == Measured(158656, None, (DeviceMeasured("", round(14.9889 * GIB)),))


def test_vllm_names_its_ranks() -> None:
    found = of_vllm(published("vllm-0.11-tp2"))
    assert (found.kv_tokens, found.devices) == (75840, (DeviceMeasured("TP0", kv_bytes=round(2.30 * GIB)),))


def test_vllm_tells_its_graphs() -> None:
    found = of_vllm(published("vllm-0.21"))
    assert (found.kv_tokens, found.devices) == (396928, (DeviceMeasured("", graphs_bytes=round(0.11 * GIB)),))


def test_vllm_on_ascend() -> None:
    assert of_vllm(published("vllm-ascend")).devices == (
        DeviceMeasured("", round(1.14 * GIB), None, round(0.22 * GIB), round(0.04 * GIB), round(0.13 * GIB)),
    )


def test_vllm_of_today() -> None:
    assert of_vllm(VLLM_TODAY) == Measured(
        331776, None, (DeviceMeasured("PP1_TP0", round(15.27 * GIB), round(40.5 * GIB), 11 * GIB // 2, 3 * GIB // 4),)
    )


def test_vllm_on_a_processor_tells_tokens_and_no_bytes() -> None:
    assert of_vllm(published("vllm-0.32-cpu-tp2")) == Measured(87296)


def test_vllms_metrics_are_exact_and_win() -> None:
    found = of_vllm(VLLM_TODAY, VLLM_METRICS)
    assert (found.kv_tokens, found.block, found.devices[0].kv_bytes) == (65536, 128, 64 * MIB)
    assert of_vllm("", VLLM_METRICS).devices == (DeviceMeasured("", kv_bytes=64 * MIB),)


def test_sglang_of_several_ranks() -> None:
    first, second = sglang.read_back(published("sglang-0.5-tp"), "").devices
    assert (first.device, first.kv_bytes, first.graphs_bytes) == ("TP2", 2 * round(23.92 * GIB), None)
    assert (second.device, second.graphs_bytes) == ("TP1", round(1.04 * GIB))


def test_sglang_on_one_card() -> None:
    found = sglang.read_back(published("sglang-one-card"), "")
    assert found == Measured(
        2086558, None, (DeviceMeasured("", None, 2 * round(59.91 * GIB), None, round(1.44 * GIB)),)
    )


def test_what_sglang_needs_before_the_weights() -> None:
    first, second = sglang.read_back(published("sglang-distributed"), "").devices
    assert (first.device, first.runtime_bytes, first.weights_bytes) == ("TP7", round(1.77 * GIB), None)
    assert (second.device, second.kv_bytes) == ("TP5", 2 * round(53.31 * GIB))


def test_sglang_of_today_sizes_its_cache_after_the_graphs() -> None:
    found = sglang.read_back(SGLANG_TODAY, SGLANG_METRICS)
    assert found == Measured(
        2086558, None, (DeviceMeasured("DP0 TP1", round(80.5 * GIB), round(40.25 * GIB), None, 2 * GIB),)
    )


def test_llamacpp_on_a_processor() -> None:
    found = llamacpp.read_back(published("llamacpp-demo-cpu"), "")
    assert found.kv_tokens == 1024
    assert found.devices == (
        DeviceMeasured("CPU_Mapped", round(2.65 * MIB)),
        DeviceMeasured("CPU", None, MIB, round(5.02 * MIB), None, 0),
    )


def test_llamacpp_on_cards() -> None:
    found = {device.device: device for device in llamacpp.read_back(published("llamacpp-two-cards"), "").devices}
    assert found["CUDA0"] == DeviceMeasured("CUDA0", round(31014.14 * MIB), 144 * MIB, round(300.75 * MIB))
    assert found["CPU"].weights_bytes == round(809.29 * MIB)
    assert found["CUDA_Host"].activation_bytes == round(12.01 * MIB)


def test_nothing_is_known_of_nothing() -> None:
    assert [engine.read_back("", "") for engine in (vllm, sglang, llamacpp)] == 3 * [Measured()]


PIECES = tuple(line for path in sorted(LOGS.glob("*.log")) for line in path.read_text().splitlines())
PARTS = st.one_of(
    st.sampled_from([*PIECES, *VLLM_TODAY.splitlines(), *SGLANG_TODAY.splitlines(), *VLLM_METRICS.splitlines()]),
    st.text(max_size=60),
    st.sampled_from(["KV cache size: 9,,9 tokens", "took 99999999999 GiB", "took . GiB", "took 1.1.1 GiB", "\x00", "\u0664 GiB"]),
)  # fmt: skip
TEXTS = st.lists(st.tuples(PARTS, st.integers(0, 200), PARTS), max_size=8).map(
    lambda parts: "\n".join(one[:cut] + other for one, cut, other in parts)
)


@given(TEXTS, TEXTS)
def test_no_log_breaks_it(log: str, metrics: str) -> None:
    for engine in (vllm, sglang, llamacpp):
        found = engine.read_back(log, metrics)
        assert found.kv_tokens is None or found.kv_tokens >= 0
        for device in found.devices:
            assert all(value is None or value >= 0 for value in (device.weights_bytes, device.kv_bytes))

"""vLLM on processors: weights, cache and ranks in host memory, only for who asks for it."""

import pytest

from provisioner.engines.vllm import ENGINE
from provisioner.model.facts import Cpu, HostFacts, Unknown
from provisioner.model.plan import Plan, Service
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.planning.machine.cpu_ranks import cpu_ranks
from tests.unit.planning.samples import GIB, decision, machine, plan

TWO_SOCKETS = "2 sockets, 64 cores, 512 GiB"


def made(hardware: HostFacts | str = TWO_SOCKETS, **changes: object) -> Plan:
    spec = Spec(profile="basic", engine="vllm", target="docker")
    return plan(hardware, replace(spec, **changes))  # type: ignore[arg-type]


def served(found: Plan) -> Service:
    assert found.verdict == "fits", found.binding
    (service,) = found.services
    return service


def option(found: Plan, name: str) -> str:
    argv = served(found).argv
    return argv[argv.index(f"--{name}") + 1]


def with_flags(facts: HostFacts, *flags: str) -> HostFacts:
    assert isinstance(facts.cpu, Cpu)
    return replace(facts, cpu=replace(facts.cpu, flags=flags))


def test_a_rank_for_each_node_with_the_node_s_own_processors() -> None:
    found = made()
    assert option(found, "tensor-parallel-size") == "2"
    assert served(found).env["VLLM_CPU_OMP_THREADS_BIND"] == "0-30|32-62"
    assert served(found).image == "vllm/vllm-openai-cpu:v0.32.0-x86_64"
    assert served(found).devices == ()
    assert "CUDA_VISIBLE_DEVICES" not in served(found).env
    assert found.model is not None
    assert (found.parallel.tensor, found.model.precision) == (2, "bf16")


def test_the_cache_holds_what_is_asked_for_at_a_time_on_each_rank() -> None:
    """28 layers of 4 key-value heads of 128 values in 16 bits, two of the heads on a rank."""
    found = made(context=8192, concurrency=3)
    assert int(option(found, "kv-cache-memory-bytes")) == 28 * 2 * 2 * 128 * 2 * 8192 * 3
    assert found.memory is not None
    (host,) = found.memory.per_device
    assert (host.device, host.kv_cache_bytes) == ("host", 2 * 28 * 2 * 2 * 128 * 2 * 8192 * 3)
    assert 14 * GIB < host.weights_bytes < 15 * GIB


def test_a_cache_that_is_told_is_not_tight() -> None:
    assert [one.id for one in made().findings if one.id == "tight"] == []


def test_its_first_answer_is_waited_for_longer_than_a_card_s() -> None:
    card = plan("1x L40S, 64 GiB", Spec(profile="basic", engine="vllm", target="docker"))
    assert served(made()).first_token_seconds >= 120 > card.services[0].first_token_seconds


def test_the_limit_holds_all_ranks_and_their_server() -> None:
    found = made(context=8192, concurrency=3)
    assert found.memory is not None
    (host,) = found.memory.per_device
    limit = served(found).memory_max_bytes
    assert limit is not None
    assert host.budget_bytes - host.free_bytes < limit <= host.budget_bytes


def test_inside_a_container_it_listens_everywhere_and_reads_its_key_there() -> None:
    found = made()
    service = served(found)
    assert option(found, "host") == "0.0.0.0"
    assert (service.host, ENGINE.key_variable) == ("127.0.0.1", "VLLM_API_KEY")
    assert "api-key" not in " ".join(service.argv)
    assert (service.shared_memory_bytes or 0) > 160 << 20


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"engine.tensor-parallel-size": "3"}, "must be divisible by tensor parallel size (3)"),
        ({"engine.tensor-parallel-size": "128"}, "128 ranks need a core each, and 64 may be used"),
        ({"engine.pipeline-parallel-size": "2"}, "cut by tensor parallelism alone"),
        ({"engine.data-parallel-size": "2"}, "cut by tensor parallelism alone"),
        ({"engine.enable-expert-parallel": "true"}, "experts are cut like all else"),
    ],
)
def test_cuts_that_cannot_be(settings: dict[str, str], told: str) -> None:
    found = made(settings=settings)
    assert (found.verdict, told in found.binding) == ("refused", True), found.binding


def test_too_little_memory_is_refused_with_what_binds() -> None:
    found = made("1 sockets, 16 cores, 8 GiB")
    assert found.verdict == "refused"
    assert "on host" in found.binding
    assert "short" in found.binding


def test_formats_without_kernels() -> None:
    found = made(precision="fp8")
    assert "has no kernels for fp8" in found.binding


def test_instructions_that_its_kernels_need() -> None:
    facts = machine(TWO_SOCKETS)
    assert "AVX2" in made(with_flags(facts, "sse4_2", "avx")).binding
    assert made(with_flags(facts, "avx2", "avx512f")).verdict == "fits"


def test_it_reads_memory_no_faster_than_llama_cpp_and_says_whose_figures_these_are() -> None:
    """The channels of one socket, and a fifth more for the second, whoever reads them."""
    found = made("2 sockets, 64 cores, 768 GiB DDR5-4800, 12 channels per socket")
    assert found.memory is not None
    assert found.capacity is not None
    reached = found.memory.per_device[0].weights_bytes * (found.capacity.tokens_per_second or 0)
    assert 0.8 < reached / (12 * 4800e6 * 8 * 0.55 * 1.2) < 1
    assert found.capacity.basis.startswith("estimate, ")
    assert "33% of 24 channels at 4800 MT/s, as llama.cpp's, range widened" in found.capacity.basis


def test_nobody_gets_it_unasked() -> None:
    assert plan(TWO_SOCKETS, Spec(profile="basic")).engine == "llamacpp"
    assert plan("1x RTX 4090, 64 GiB", Spec(profile="basic", engine="vllm")).parallel.tensor == 1
    here = plan("1x RTX 4090, 512 GiB", Spec(profile="basic", engine="vllm", settings={"placement": "host"}))
    assert served(here).env["CUDA_VISIBLE_DEVICES"] == "-1"
    assert decision(here, "devices").endswith("(host)")


def test_a_device_that_does_not_answer_is_not_passed_over() -> None:
    facts = machine("1x RTX 4090, 512 GiB")
    broken = replace(facts, accelerators={"nvidia": Unknown("NVML: driver/library version mismatch")}, pci=Unknown("-"))
    assert made(broken).verdict == "refused"


def test_ranks_of_part_of_a_machine() -> None:
    facts = machine(TWO_SOCKETS)
    assert [one.cpus for one in cpu_ranks(facts, "0-3,32-35", None)] == [("0-2", "32-34"), ("0-3,32-34",)]
    assert [one.cpus for one in cpu_ranks(facts, "0-5", 2)] == [("0-1", "3-4")]
    assert [one.problem for one in cpu_ranks(facts, "0-1", 4)] == ["4 ranks need a core each, and 2 may be used"]

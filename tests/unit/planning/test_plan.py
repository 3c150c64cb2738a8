"""What the planner decides: choices, refusals and what would help, on machines that a line describes."""

import pytest

from provisioner.engines.llamacpp import ENGINE
from provisioner.errors import BadInput
from provisioner.model.facts import Accelerator, Cpu, HostFacts, Memory, Mig, Unknown
from provisioner.model.plan import WeightFile
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from provisioner.world.llamacpp import arguments
from tests.unit.planning.samples import (
    CATALOG,
    GIB,
    PLACE,
    broken_driver,
    decision,
    local,
    machine,
    plan,
    used,
    with_backends,
    with_limits,
    with_more_memory,
)

LITE_FILE = "/models/DeepSeek-R1-Distill-Qwen-1.5B-Q4_K_M.gguf"


def test_demo_fits_a_small_machine_and_names_all_that_its_service_needs() -> None:
    made = plan("2 cores, 2 GiB", Spec(profile="demo"))
    (service,) = made.services
    assert made.verdict == "fits"
    assert made.model is not None
    assert made.model.files[0].origin == "made"
    assert (service.context, service.slots, service.host, service.port) == (512, 2, "127.0.0.1", 8000)
    (file,) = made.model.files
    assert service.model_path == f"{PLACE.state}/models/{str(file.sha256)[:16]}/{file.name}"
    assert service.argv[:4] == (PLACE.python, "-I", "-m", "provisioner.world.llamacpp")


@pytest.mark.parametrize("text", ["2 cores, 24 GiB", "1x RTX 4090, 64 GiB", "1x H200, 2 sockets, 64 cores, 1 TiB"])
def test_the_engine_itself_understands_every_planned_argv(text: str) -> None:
    (service,) = plan(text, Spec(engine="llamacpp")).services
    options = arguments().parse_args(list(service.argv[4:]))
    assert options.ctx_size == service.context * service.slots
    assert options.parallel == service.slots
    assert options.model == service.model_path
    assert options.n_gpu_layers == int(service.options["n-gpu-layers"])


@pytest.mark.parametrize(
    ("text", "tier"),
    [
        ("2 cores, 24 GiB", "lite"),
        ("1x RTX 3060, 32 GiB", "basic"),
        ("1x RTX 4090, 64 GiB", "plus"),
        ("1x H200, 256 GiB", "pro"),
        ("8x H200, 2 TiB, nvlink=yes", "flagship"),
    ],
)
def test_auto_takes_the_largest_tier_that_fits_and_says_why_not_the_larger_ones(text: str, tier: str) -> None:
    made = plan(text)
    chosen = next(one for one in made.decisions if one.subject == "profile")
    assert (made.verdict, made.profile, chosen.choice) == ("fits", tier, tier)
    names = CATALOG.profile("auto").tiers
    assert tuple(passed.option for passed in chosen.rejected) == names[: names.index(tier)]
    assert all(passed.reason for passed in chosen.rejected)


def test_auto_passes_over_a_tier_that_is_too_slow_to_talk_to() -> None:
    chosen = next(one for one in plan("2 cores, 24 GiB").decisions if one.subject == "profile")
    assert "tokens/s" in next(passed.reason for passed in chosen.rejected if passed.option == "basic")


def test_a_slow_profile_that_was_asked_for_is_planned_with_a_warning() -> None:
    made = plan("2 cores, 24 GiB", Spec(profile="basic"))
    assert made.verdict == "fits"
    assert [one.level for one in made.findings if one.id == "speed"] == ["warning"]


def test_auto_refuses_a_tiny_machine_and_never_takes_the_toy_by_itself() -> None:
    made = plan("2 cores, 1 GiB")
    assert made.verdict == "refused"
    assert made.services == ()
    assert ("--profile", "demo") in [change.flags for change in made.cheapest_changes]


def test_auto_stays_with_the_tier_that_is_in_force() -> None:
    before = plan("2 cores, 24 GiB")
    from provisioner.planning.plan import make_plan

    richer = with_more_memory(machine("8 sockets, 128 cores, 24 GiB"), "host", 400 * GIB)
    assert make_plan(Spec(), richer, CATALOG, Shelf(), PLACE).profile != before.profile
    assert make_plan(Spec(), richer, CATALOG, Shelf(), PLACE, in_force=before).profile == before.profile


def test_a_refusal_names_component_device_shortfall_and_a_remedy() -> None:
    made = plan("1x RTX 4090, 64 GiB", Spec(profile="pro", engine="llamacpp"))
    assert made.verdict == "refused"
    assert "weights on nvidia:0" in made.binding
    assert "short" in made.binding
    (error,) = (one for one in made.findings if one.level == "error")
    assert error.fix
    assert made.cheapest_changes


@pytest.mark.parametrize(
    ("text", "spec", "flag"),
    [
        ("1x RTX 4090, 64 GiB", Spec(profile="standard", engine="llamacpp"), "--concurrency"),
        ("1x RTX 5090, 64 GiB", Spec(profile="standard", precision="q8_0"), "--precision"),
        ("2 cores, 7 GiB", Spec(profile="basic", context=32768), "--context"),
        ("2 cores, 12 GiB", Spec(profile="standard"), "--profile"),
    ],
)
def test_cheap_changes_come_in_flags_that_can_be_typed(text: str, spec: Spec, flag: str) -> None:
    made = plan(text, spec)
    assert made.verdict == "refused"
    assert flag in [word for change in made.cheapest_changes for word in change.flags]


def test_host_memory_is_not_used_behind_the_back_of_a_card() -> None:
    refused = plan("1x RTX 3070, 64 GiB", Spec(profile="plus", precision="q4_k_m", context=4096))
    assert refused.verdict == "refused"
    asked = plan("1x RTX 3070, 64 GiB", Spec(profile="plus", settings={"placement": "host"}))
    assert asked.verdict == "fits"
    assert asked.services[0].env["CUDA_VISIBLE_DEVICES"] == "-1"
    assert asked.services[0].devices == ()
    assert asked.services[0].options["n-gpu-layers"] == "0"


def test_a_split_counts_both_sides() -> None:
    made = plan("1x RTX 3070, 64 GiB", Spec(profile="plus", precision="q4_k_m", settings={"placement": "split"}))
    assert made.verdict == "fits"
    layers = int(made.services[0].options["n-gpu-layers"])
    assert 0 < layers < 48
    assert made.memory is not None
    assert sum(one.weights_bytes for one in made.memory.per_device) == pytest.approx(
        made.model.weights_bytes if made.model else 0, abs=2
    )


def test_one_card_of_several_is_used_and_the_plan_says_so() -> None:
    made = plan("4x RTX 4090, 256 GiB", Spec(profile="plus", engine="llamacpp"))
    placed = next(one for one in made.decisions if one.subject == "placement")
    assert placed.choice.startswith("nvidia:0")
    assert [passed.option for passed in placed.rejected] == ["nvidia:1", "nvidia:2", "nvidia:3"]
    assert len(made.services[0].devices) == 1


def test_the_card_with_most_free_memory_is_taken() -> None:
    facts = machine("2x RTX 4090, 256 GiB")
    first, second = _cards(facts)
    busy = replace(facts, accelerators={"nvidia": (replace(first, free_bytes=2 * GIB), second)})
    assert plan(busy, Spec(profile="basic", engine="llamacpp")).services[0].devices == (second.uuid,)
    assert plan(busy, Spec(profile="basic")).services[0].devices == (second.uuid,)


def _cards(facts: HostFacts) -> tuple[Accelerator, ...]:
    found = facts.accelerators["nvidia"]
    assert not isinstance(found, Unknown)
    return found


def test_an_engine_without_cuda_is_refused_for_a_card_with_the_wheel_that_has_it() -> None:
    made = plan(with_backends(machine("1x RTX 4090, 64 GiB"), "cpu"), Spec(profile="basic", engine="llamacpp"))
    assert made.verdict == "refused"
    (error,) = (one for one in made.findings if one.level == "error")
    assert "whl/cu128" in error.fix
    assert ("--set", "placement=host") in [change.flags for change in made.cheapest_changes]


def test_an_engine_with_cuda_is_planned_without_a_note() -> None:
    made = plan(with_backends(machine("1x RTX 4090, 64 GiB"), "cpu", "cuda"), Spec(profile="basic", engine="llamacpp"))
    assert made.verdict == "fits"
    assert "engine-backend" not in [one.id for one in made.findings]


def test_a_broken_driver_refuses_what_needs_a_card_and_lets_the_toy_through() -> None:
    facts = broken_driver(machine("16 cores, 64 GiB"))
    assert plan(facts, Spec(profile="basic")).verdict == "refused"
    assert plan(facts, Spec(profile="demo")).verdict == "fits"


def test_a_card_cut_into_mig_instances_is_not_taken_for_a_whole_one() -> None:
    facts = machine("1x H200, 256 GiB")
    (card,) = _cards(facts)
    cut = replace(facts, accelerators={"nvidia": (replace(card, mig=Mig(True, ("MIG-1 1g.18gb",))),)})
    made = plan(cut, Spec(profile="basic"))
    assert made.verdict == "refused"
    assert "MIG" in made.binding


def test_a_cgroup_limit_is_the_memory_that_counts() -> None:
    facts = with_limits(machine("16 cores, 64 GiB"), memory=4 * GIB, used=1 * GIB)
    made = plan(facts, Spec(profile="basic"))
    assert made.verdict == "refused"
    assert made.memory is not None
    assert made.memory.per_device[0].budget_bytes < 3 * GIB


def test_a_cpu_quota_is_the_number_of_threads() -> None:
    made = plan(with_limits(machine("64 cores, 64 GiB"), cpus=2.0), Spec(profile="demo"))
    assert made.services[0].options["threads"] == "2"
    assert "quota" in next(one.because for one in made.decisions if one.subject == "threads")


def test_threads_are_physical_cores_of_those_that_may_be_used() -> None:
    facts = machine("64 cores, 128 threads, 64 GiB")
    assert isinstance(facts.cpu, Cpu)
    pinned = replace(facts, cpu=replace(facts.cpu, usable="0-7"))
    made = plan(pinned, Spec(profile="demo"))
    assert made.services[0].options["threads"] == "4"
    assert made.services[0].cpus == "0-7"
    assert plan(facts, Spec(profile="demo")).services[0].cpus is None


def test_slow_cores_of_a_hybrid_processor_get_no_threads() -> None:
    facts = machine("14 cores, 20 threads, 64 GiB")
    assert isinstance(facts.cpu, Cpu)
    hybrid = replace(facts, cpu=replace(facts.cpu, core_types={"performance": "0-11", "efficiency": "12-19"}))
    assert plan(hybrid, Spec(profile="demo")).services[0].options["threads"] == "6"


def test_numa_is_spread_over_nodes_with_memory() -> None:
    assert plan("2 sockets, 64 cores, 64 GiB", Spec(profile="demo")).services[0].options["numa"] == "distribute"
    assert "numa" not in plan("1 sockets, 8 cores, 64 GiB", Spec(profile="demo")).services[0].options


def test_unknown_memory_is_refused_and_never_guessed() -> None:
    facts = replace(machine("8 cores"), memory=Unknown("/proc/meminfo could not be read"))
    made = plan(facts, Spec(profile="demo"))
    assert made.verdict == "refused"
    assert "/proc/meminfo could not be read" in made.binding


def test_weights_at_hand_are_used_with_their_real_size() -> None:
    shelf = Shelf(local=(local(LITE_FILE, 1_117_320_736, layers=28),))
    made = plan("2 cores, 24 GiB", Spec(profile="lite"), shelf)
    assert made.model is not None
    assert made.model.files == (WeightFile(LITE_FILE.rsplit("/", 1)[-1], 1_117_320_736, None, LITE_FILE),)


def test_a_file_of_the_right_name_and_the_wrong_shape_is_refused() -> None:
    made = plan("2 cores, 24 GiB", Spec(profile="lite"), Shelf(local=(local(LITE_FILE, layers=2),)))
    assert made.verdict == "refused"
    assert "it has 2 layers, not 28" in made.binding


def test_what_the_hub_offers_replaces_the_rounded_size() -> None:
    name = "DeepSeek-R1-Distill-Qwen-1.5B-Q4_K_M.gguf"
    offer = WeightFile(
        name, 1_117_320_800, "ab" * 32, f"hub:huggingface/unsloth/DeepSeek-R1-Distill-Qwen-1.5B-GGUF/{name}"
    )
    made = plan("2 cores, 24 GiB", Spec(profile="lite"), Shelf(offered=(offer,)))
    assert made.model is not None
    assert made.model.files == (offer,)
    assert made.services[0].model_path == f"{PLACE.state}/models/{'ab' * 8}/{name}"
    blob = f"{PLACE.state}/blobs/sha256/{'ab' * 32}"
    stored = plan("2 cores, 24 GiB", Spec(profile="lite"), Shelf(stored={"ab" * 32: blob}, offered=(offer,)))
    assert stored.model is not None
    assert stored.model.files[0].origin == blob
    assert stored.services == made.services


def test_a_gguf_of_the_operators_is_planned_from_its_own_header() -> None:
    shelf = Shelf(local=(local("/data/mine.gguf", 4_683_074_336),))
    made = plan("2 cores, 24 GiB", Spec(model="/data/mine.gguf"), shelf)
    assert (made.verdict, made.profile) == ("fits", "custom")
    assert made.model is not None
    assert (made.model.id, made.model.precision, made.model.weights_bytes) == ("mine", "q4_k_m", 4_683_074_336)
    assert made.memory is not None
    assert made.memory.kv_bytes_per_token == 57344


def test_all_shards_of_a_split_model_are_one_model() -> None:
    names = [f"/data/big-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    shelf = Shelf(local=tuple(local(name, GIB, shard=index, shards=3) for index, name in enumerate(names)))
    made = plan("16 cores, 64 GiB", Spec(model=names[0]), shelf)
    assert made.model is not None
    assert [file.origin for file in made.model.files] == names
    assert made.model.weights_bytes == 3 * GIB
    missing = plan("16 cores, 64 GiB", Spec(model=names[0]), Shelf(local=shelf.local[:2]))
    assert missing.verdict == "refused"
    assert "one of 3 parts, and 2 of them are there" in missing.binding


def test_a_file_that_cannot_be_read_says_why() -> None:
    broken = replace(local("/data/mine.gguf"), header=Unknown("the file ends after 12 bytes"))
    made = plan("2 cores, 24 GiB", Spec(model="/data/mine.gguf"), Shelf(local=(broken,)))
    assert made.verdict == "refused"
    assert "the file ends after 12 bytes" in made.binding


def test_a_context_beyond_the_training_is_refused() -> None:
    made = plan("16 cores, 64 GiB", Spec(profile="demo", context=8192))
    assert made.verdict == "refused"
    assert "trained for 4096" in made.binding


def test_a_context_that_was_asked_for_is_never_shortened() -> None:
    shelf = Shelf(local=(local("/data/mine.gguf", context=4096),))
    assert plan("16 cores, 64 GiB", Spec(model="/data/mine.gguf"), shelf).context == 4096
    asked = plan("16 cores, 64 GiB", Spec(model="/data/mine.gguf", context=8192), shelf)
    assert (asked.verdict, asked.context) == ("refused", 8192)


def test_a_model_of_the_catalog_can_be_named() -> None:
    made = plan("16 cores, 64 GiB", Spec(model="deepseek-r1-distill-llama-8b"))
    assert made.verdict == "fits"
    assert made.model is not None
    assert made.model.precision == "q6_k"
    largest = plan("16 cores, 64 GiB", Spec(model="deepseek-r1-distill-llama-8b", precision="q8_0"))
    assert largest.capacity is not None
    assert (largest.capacity.tokens_per_second or 0) < 5, "q8_0 fits and is too slow to talk to"


def test_settings_reach_planned_values() -> None:
    settings = {
        "port": "9001", "threads": "3", "engine.cache_type_k": "q8_0", "engine.cache-type-v": "q8_0", "cpus": "0-1",
        "context": "4K", "ready_seconds": "77", "open_files": "4096", "memory_max_bytes": "8000000000",
    }  # fmt: skip
    made = plan("16 cores, 64 GiB", Spec(profile="basic", settings=settings))
    (service,) = made.services
    assert (service.port, service.context, service.cpus, service.ready_seconds) == (9001, 4096, "0-1", 77)
    assert (service.open_files, service.memory_max_bytes) == (4096, 8_000_000_000)
    assert service.options["threads"] == "3"
    assert service.argv[service.argv.index("--cache-type-k") + 1] == "q8_0"
    default = plan("16 cores, 64 GiB", Spec(profile="basic", context=4096))
    assert used(made, "host") < used(default, "host")


@pytest.mark.parametrize(
    ("spec", "message", "fix"),
    [
        (Spec(profile="standart"), "unknown profile `standart`", "`standard`"),
        (Spec(model="deepseek-r9"), "unknown model `deepseek-r9`", "`deepseek-r1`"),
        (Spec(engine="lamacpp"), "unknown engine `lamacpp`", "`llamacpp`"),
        (Spec(target="sysd"), "unknown target `sysd`", "`systemd`"),
        (Spec(settings={"prot": "1"}), "unknown setting `prot`", "`port`"),
        (Spec(settings={"engine.thread": "1"}), "unknown setting `engine.thread`", "`engine.threads`"),
        (Spec(settings={"placement": "gpu"}), "unknown placement `gpu`", "device"),
        (Spec(settings={"port": "70000"}), "port 70000", "65535"),
        (Spec(settings={"context": "many"}), "context: `many`", "8192"),
        (Spec(settings={"cpus": "a-b"}), "cpus", "0-3"),
        (Spec(settings={"engine.cache-type-k": "q3"}), "cache type `q3`", "q8_0"),
        (Spec(listen="0.0.0.0"), "loopback only", "ssh -L"),
        (Spec(listen="192.168.0.4:8000"), "loopback only", "ssh -L"),
        (Spec(concurrency=0), "concurrency is 0", "above 0"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_may_be(spec: Spec, message: str, fix: str) -> None:
    with pytest.raises(BadInput) as caught:
        plan("16 cores, 64 GiB", spec)
    assert message in caught.value.message
    assert fix in caught.value.fix


@pytest.mark.parametrize(
    ("listen", "host", "port"),
    [
        ("127.0.0.1", "127.0.0.1", 8000),
        ("localhost:9000", "localhost", 9000),
        (":9000", "127.0.0.1", 9000),
        ("[::1]:9000", "::1", 9000),
    ],
)
def test_loopback_addresses_are_taken(listen: str, host: str, port: int) -> None:
    (service,) = plan("16 cores, 64 GiB", Spec(profile="demo", listen=listen)).services
    assert (service.host, service.port) == (host, port)


def test_the_target_is_process_unless_systemd_is_asked_for() -> None:
    assert plan("16 cores, 64 GiB", Spec(profile="demo")).target == "process"
    asked = plan("16 cores, 64 GiB", Spec(profile="demo", target="systemd"))
    assert (asked.target, decision(asked, "target")) == ("systemd", "systemd")


def test_a_service_does_not_depend_on_how_much_memory_is_free_right_now() -> None:
    facts = machine("16 cores, 64 GiB")
    assert isinstance(facts.memory, Memory)
    later = replace(facts, memory=replace(facts.memory, available_bytes=40 * GIB))
    assert plan(facts, Spec(profile="basic")).services == plan(later, Spec(profile="basic")).services


def test_no_secret_and_no_key_is_in_a_plan() -> None:
    (service,) = plan("16 cores, 64 GiB", Spec(profile="demo")).services
    assert service.argv[service.argv.index("--api-key-file") + 1] == service.key_file
    assert "--api-key" not in service.argv


def test_the_engines_flags_are_all_planned_or_settable() -> None:
    (service,) = plan("1x RTX 4090, 2 sockets, 64 GiB", Spec(profile="basic", engine="llamacpp")).services
    assert set(service.options) <= set(ENGINE.options)

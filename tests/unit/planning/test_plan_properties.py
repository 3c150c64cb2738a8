"""What holds for every machine: budgets are kept, memory never harms, remedies work, nothing unknown crashes."""

import shlex
from collections import Counter
from collections.abc import Iterator

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioner.model.facts import Accelerator, HostFacts, Limits, Memory, Unknown
from provisioner.model.load import Degrees, Load
from provisioner.model.plan import Change, Plan
from provisioner.model.record import fields, replace
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from provisioner.planning.asked.devices import card_of
from provisioner.planning.asked.settings import engine_named
from provisioner.planning.asked.whatif import what_if
from provisioner.planning.document import plan_document
from provisioner.planning.plan import make_plan
from tests.thorough import examples
from tests.unit.planning.samples import CATALOG, GIB, PLACE, altered, machine, plan, with_backends, with_more_memory

PROFILES = sorted(CATALOG.profiles)
CARDS = (
    "", "1x RTX 3060, ", "1x RTX 4090, ", "2x L40S, ", "1x A100 80GB PCIe, ", "1x H200, ", "1x K100-AI, ", "8x RTX 4090, ",
    "2x RTX 4090, 2x RTX 3090, ", "4x V100 SXM2 32GB, ", "8x H20-3e, nvlink=yes, ", "8x 910B3, ", "8x MI300X, 2 nodes, ",
)  # fmt: skip
MIXTURES = ("gpt-oss-120b", "qwen3-235b-a22b-instruct-2507", "deepseek-r1", "qwen3-30b-a3b")
"""Models with experts, of which GGUF files are known: cards and host memory can share them in more than one way."""
UNKNOWN = Unknown("it could not be asked")
EACH = settings(deadline=None, max_examples=examples(60))


@st.composite
def machines(draw: st.DrawFn) -> HostFacts:
    card, cores = draw(st.sampled_from(CARDS)), draw(st.integers(1, 256))
    gib = draw(st.integers(1, 2048))
    facts = machine(f"{card}{draw(st.integers(1, 4))} sockets, {cores} cores, {gib} GiB")
    limit = draw(st.none() | st.integers(256 << 20, 64 * GIB))
    facts = replace(facts, limits=Limits(draw(st.none() | st.floats(0.1, 64)), limit, 0, 1024, None, "/box"))
    return with_backends(facts, "cpu") if draw(st.booleans()) else facts


@st.composite
def specs(draw: st.DrawFn) -> Spec:
    placement = draw(st.none() | st.sampled_from(("device", "split", "host")))
    return Spec(
        profile=draw(st.sampled_from(PROFILES)),
        model=draw(st.none() | st.sampled_from(MIXTURES)),
        context=draw(st.none() | st.integers(1, 1 << 17)),
        concurrency=draw(st.none() | st.integers(1, 32)),
        precision=draw(st.none() | st.sampled_from(("q4_k_m", "q8_0", "bf16", "fp8", "awq"))),
        engine=draw(st.none() | st.sampled_from(("vllm", "sglang", "llamacpp", "ollama", "ktransformers"))),
        settings={} if placement is None else {"placement": placement},
    )


@st.composite
def half_known(draw: st.DrawFn) -> HostFacts:
    """A machine of which any fact may be unknown, alone or with others."""
    facts = draw(machines())
    lost = [
        field.name
        for field in fields(facts)
        if field.name not in ("software", "sources", "assumed", "accelerators", "nodes")
    ]
    changes: dict[str, object] = {name: UNKNOWN for name in lost if draw(st.booleans())}
    if draw(st.booleans()):
        changes["accelerators"] = {"nvidia": UNKNOWN}
    software = {
        field.name: UNKNOWN for field in fields(facts.software) if field.name != "systemd_user" and draw(st.booleans())
    }
    return altered(facts, {**changes, "software": altered(facts.software, software)})


@settings(EACH)
@given(machines(), specs())
def test_a_plan_that_fits_never_exceeds_a_budget(facts: HostFacts, spec: Spec) -> None:
    made = plan(facts, spec)
    assert (
        made.memory is None or made.verdict == "refused" or all(one.free_bytes >= 0 for one in made.memory.per_device)
    )
    for one in made.memory.per_device if made.memory else ():
        parts = one.weights_bytes + one.kv_cache_bytes + one.activation_bytes + one.overhead_bytes
        assert parts + one.free_bytes == one.budget_bytes <= one.total_bytes
    assert (made.verdict == "fits") == bool(made.services) == (not made.binding)


@settings(EACH)
@given(machines(), specs(), st.integers(1, 512), st.booleans())
def test_more_memory_never_turns_a_fit_into_a_refusal(facts: HostFacts, spec: Spec, gib: int, host: bool) -> None:
    """Of all cards: one that grows alone is another kind of card, and tensor parallelism joins those of one kind."""
    if plan(facts, spec).verdict == "fits":
        for where in ("host",) if host else names_of(facts):
            facts = with_more_memory(facts, where, gib * GIB)
        assert plan(facts, spec).verdict == "fits"


def names_of(facts: HostFacts) -> tuple[str, ...]:
    return tuple(
        f"{card.vendor}:{card.index}"
        for found in facts.accelerators.values()
        for card in (() if isinstance(found, Unknown) else found)
    )


@settings(EACH)
@given(machines(), specs(), st.lists(st.integers(0, 100), min_size=16, max_size=16), st.integers(0, 15))
def test_a_tenant_that_leaves_never_turns_a_fit_into_a_refusal(
    facts: HostFacts, spec: Spec, held: list[int], leaving: int
) -> None:
    crowded, freer = (
        with_tenants(facts, held),
        with_tenants(facts, [0 if place == leaving else part for place, part in enumerate(held)]),
    )
    if plan(crowded, spec).verdict == "fits":
        assert plan(freer, spec).verdict == "fits"


def with_tenants(facts: HostFacts, held: list[int]) -> HostFacts:
    """Of the card at each place so many hundredths are somebody else's."""

    def left(card: Accelerator) -> Accelerator:
        free = card.free_bytes
        return (
            card if isinstance(free, Unknown) else replace(card, free_bytes=free - free * held[card.index % 16] // 100)
        )

    accelerators = {
        vendor: found if isinstance(found, Unknown) else tuple(map(left, found))
        for vendor, found in facts.accelerators.items()
    }
    return replace(facts, accelerators=accelerators)


def _changed(facts: HostFacts, spec: Spec, change: Change) -> Plan:
    if change.what_if:
        facts = what_if(facts, change.what_if, CATALOG)
    spec = replace(spec, settings={key: word for key, word in spec.settings.items() if key not in change.without})
    for option, value in zip(change.flags[::2], change.flags[1::2], strict=True):
        if option == "--set":
            key, _, word = value.partition("=")
            spec = replace(spec, settings={**spec.settings, key: word})
        else:
            name = option.removeprefix("--")
            spec = altered(spec, {name: int(value) if value.isdecimal() else value})
    return plan(facts, spec)


OPTIONS = {
    "vllm": ("engine.tensor-parallel-size=2", "engine.tensor-parallel-size=3", "engine.max-num-seqs=64"),
    "sglang": ("engine.tp-size=2", "engine.tp-size=3", "engine.pp-size=2", "engine.kv-cache-dtype=fp8_e5m2"),
    "llamacpp": ("engine.cache_type_k=q8_0", "engine.n-cpu-moe=40", "context=4096"),
}


@st.composite
def wishes(draw: st.DrawFn) -> Spec:
    """With flags of the engine that was asked for, and settings that say what an option says too."""
    spec = draw(specs())
    said = draw(st.none() | st.sampled_from(OPTIONS.get(spec.engine or "", ("concurrency=2", "context=4096"))))
    if said is None:
        return spec
    key, _, value = said.partition("=")
    return replace(spec, settings={**spec.settings, key: value})


@settings(EACH, suppress_health_check=[HealthCheck.too_slow])
@given(machines(), wishes())
def test_every_change_that_a_refusal_names_gives_a_plan_that_fits(facts: HostFacts, spec: Spec) -> None:
    made = plan(facts, spec)
    assert made.verdict == "refused" or not made.cheapest_changes
    for change in made.cheapest_changes:
        assert _changed(facts, spec, change).verdict == "fits", change


@settings(EACH, suppress_health_check=[HealthCheck.too_slow])
@given(machines(), wishes())
def test_the_command_that_a_refusal_proposes_fits_and_keeps_what_was_asked(facts: HostFacts, spec: Spec) -> None:
    made = plan(facts, spec)
    fixes = [one.fix for one in made.findings if one.id == "fits" and one.fix.startswith("`provision up ")]
    for words in (shlex.split(fix.strip("`"))[2:] for fix in fixes):
        flags = tuple(zip(words[::2], words[1::2], strict=True))
        other = spec_of(flags)
        assert plan(facts, other).verdict == "fits", words
        change = next(one for one in made.cheapest_changes if one.flags)
        named = {name for pair in zip(change.flags[::2], change.flags[1::2], strict=True) for name in names_in(pair)}
        kept = {name: value for name, value in said_in(spec).items() if name not in named}
        engine = engine_named(other.engine).options if "engine" in named and other.engine else None
        dropped = {
            name for name in kept if engine is not None and name.startswith("engine.") and name[7:] not in engine
        } | set(change.without)
        assert {name: value for name, value in kept.items() if name not in dropped}.items() <= said_in(other).items()


def names_in(pair: tuple[str, str]) -> tuple[str, ...]:
    option, value = pair
    return (value.partition("=")[0].replace("_", "-") if option == "--set" else option.removeprefix("--"),)


def said_in(spec: Spec) -> dict[str, object]:
    """Settings come last: they say it over an option of the same name."""
    options = {
        name: getattr(spec, name) for name in ("engine", "model", "precision", "context", "concurrency", "profile")
    }
    said = {name: value for name, value in options.items() if value not in (None, "auto")}
    settings_said = {
        key.replace("_", "-"): int(value) if value.isdecimal() else value for key, value in spec.settings.items()
    }
    return {**said, **settings_said}


def spec_of(flags: tuple[tuple[str, str], ...]) -> Spec:
    settings_said = dict(value.split("=", 1) for option, value in flags if option == "--set")
    options = {option.removeprefix("--"): int(value) if value.isdecimal() else value
               for option, value in flags if option != "--set"}  # fmt: skip
    return altered(Spec(settings=settings_said), options)


@settings(EACH)
@given(machines(), specs())
def test_no_device_is_used_twice_and_ranks_have_one_each(facts: HostFacts, spec: Spec) -> None:
    made = plan(facts, spec)
    used = Counter(device for service in made.services for device in service.devices)
    assert all(times <= facts.nodes for times in used.values())
    assert all(len(set(service.devices)) == len(service.devices) for service in made.services)
    if made.services and _claims_devices(made):
        if made.memory and {one.device for one in made.memory.per_device} == {"host"}:
            assert not used, "on processors there are ranks and no devices"
            return
        cut = made.parallel
        assert {len(service.devices) * cut.nodes for service in made.services} == {cut.tensor * cut.pipeline * cut.data}


@settings(EACH)
@given(machines(), specs())
def test_no_cut_comes_out_that_the_engine_would_refuse(facts: HostFacts, spec: Spec) -> None:
    made = plan(facts, spec)
    if made.verdict != "fits" or made.model is None or not _claims_devices(made) or not made.services[0].devices:
        return  # On processors there are ranks and no devices.
    cut, geometry = made.parallel, CATALOG.model(made.model.id).architecture
    assert geometry.heads % cut.tensor == 0
    assert geometry.kv_lora_rank or geometry.kv_heads % cut.tensor == 0 or cut.tensor % geometry.kv_heads == 0
    assert cut.pipeline <= geometry.layers
    assert any(not why for why in _refusals(made, facts))


def _claims_devices(made: Plan) -> bool:
    return made.engine is not None and engine_named(made.engine).usage is not None


def _refusals(made: Plan, facts: HostFacts) -> Iterator[str]:
    """What the engine says of this cut, release by release, on the kind of card that is used."""
    assert made.model is not None
    assert made.engine is not None
    cut, engine = made.parallel, engine_named(made.engine)
    degrees = Degrees(cut.tensor, cut.pipeline, cut.data, cut.nodes, cut.decode_context, cut.expert)
    entry = CATALOG.engine(engine.name)
    cards = [card for found in facts.accelerators.values() for card in (() if isinstance(found, Unknown) else found)]
    card = next(card_of(CATALOG, card) for card in cards if card.uuid in made.services[0].devices)
    for version in entry.releases or ("",):
        for precision in (made.model.precision, "fp16"):
            yield engine.refuses(
                Load(
                    geometry=CATALOG.model(made.model.id).architecture, precision=precision, degrees=degrees, card=card,
                    weights_bytes=0, kv_bytes_per_token=0, context=1, sequences=1, batched_tokens=1, version=version,
                    constants=entry.constants,
                )
            )  # fmt: skip


@settings(EACH)
@given(machines(), specs())
def test_what_runs_already_is_planned_again(facts: HostFacts, spec: Spec) -> None:
    made = plan(facts, spec)
    if made.verdict == "fits":
        again = make_plan(spec, facts, CATALOG, Shelf(), PLACE, in_force=made)
        assert (again.verdict, again.services) == ("fits", made.services)


@settings(EACH)
@given(half_known(), specs())
def test_nothing_unknown_crashes_a_plan_or_makes_it_fit_by_luck(facts: HostFacts, spec: Spec) -> None:
    made = plan(facts, spec)
    if isinstance(facts.memory, Unknown):
        assert made.verdict == "refused"
    assert plan_document(made, ())["verdict"] == made.verdict


@settings(EACH)
@given(machines(), specs())
def test_planning_twice_gives_the_same_plan(facts: HostFacts, spec: Spec) -> None:
    assert plan(facts, spec) == plan(facts, spec)


@settings(EACH)
@given(machines())
def test_what_auto_chose_fits_when_it_is_named(facts: HostFacts) -> None:
    made = plan(facts)
    if made.verdict == "fits":
        named = plan(facts, Spec(profile=made.profile))
        assert (named.verdict, named.services) == ("fits", made.services)
    assert isinstance(facts.memory, Memory)

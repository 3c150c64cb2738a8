"""A rung on the host's own processors, for engines that cut a model over ranks: everything is in host memory.

Only for who names the engine and has no accelerator, or asks for the host: llama.cpp does more with the same memory.
"""

from collections.abc import Iterator

from provisioner.engines._constants import GIB, constant
from provisioner.errors import BadInput
from provisioner.model.facts import Accelerator, HostFacts, Unknown
from provisioner.model.load import Amount, Card, Degrees, Load, Usage
from provisioner.model.plan import Decision, DeviceBudget
from provisioner.model.plugins import Engine
from provisioner.model.record import replace
from provisioner.model.spec import Profile, Rung
from provisioner.planning.asked.amounts import MIB, size, up, whole_number
from provisioner.planning.machine.cpu_ranks import Ranks, cpu_ranks
from provisioner.planning.machine.ground import Room
from provisioner.planning.machine.layouts import Layout
from provisioner.planning.memory import sharding
from provisioner.planning.memory.budget import budget_of, verdict
from provisioner.planning.memory.pool import bytes_per_token, pool, request_bytes
from provisioner.planning.sources import stock
from provisioner.planning.speed.bandwidth import Speed
from provisioner.planning.speed.hybrid import load_of
from provisioner.planning.tries import flags
from provisioner.planning.tries.attempt import Attempt, Scene, Served
from provisioner.planning.tries.engines import HOST
from provisioner.planning.tries.flags import Dials, dials_of
from provisioner.planning.tries.served import subject_of
from provisioner.planning.tries.split_speed import on_host
from provisioner.planning.tries.tried import Asked, beside_weights

VENDOR = "cpu"
"""Whose rows of an engine's constants and images hold for processors."""

CACHE_BYTES = "kv-cache-memory-bytes"
"""The flag for what the cache of a rank is to be."""

BLOCK = 128
"""Tokens of a block of the cache (vllm 0.32.0 platforms/cpu.py)."""

FEWEST = 8
"""Requests at a time that a server is started for at least: more than are planned with wait a little less."""

INSTRUCTIONS = ("amx_tile", "avx512f", "avx2", "asimd")
"""What kernels are built for, the best first; as the kernel calls them."""


def try_on_processors(scene: Scene, profile: Profile, rung: Rung, engine: Engine) -> Attempt:
    """One rank for each NUMA node, or as many as were asked for; fewer where the engine refuses so many."""
    slots = scene.wish.concurrency or profile.concurrency
    rung = replace(rung, placement=HOST)
    empty = Attempt(profile, rung, engine, slots, None, None, None, None, "")
    room = scene.ground.host if scene.ground.whole_host is None else scene.ground.whole_host
    if isinstance(room, Unknown):
        return replace(empty, problem=f"the host's memory is unknown: {room.reason}")
    subject = subject_of(scene, profile, rung, engine)
    if isinstance(subject, str):
        return replace(empty, problem=subject)
    if stock.is_path(profile.model):
        longest = rung.context if scene.wish.context else min(rung.context, subject.context or rung.context)
        rung = replace(rung, precision=subject.precision, context=longest)
    problem = stock.beyond_training(rung, subject)
    if problem:
        return replace(empty, rung=rung, subject=subject, problem=problem)
    tried = list(_attempts(Asked(scene, profile, rung, engine, subject, slots), room))
    return next((one for one in tried if not one.problem), tried[0])


def _attempts(asked: Asked, room: Room) -> Iterator[Attempt]:
    wanted = flags.asked_degrees(asked.scene.wish.options)
    for ranks in cpu_ranks(asked.scene.facts, asked.scene.wish.cpus, wanted.tensor if _set(asked) else None):
        yield _on(asked, room, replace(wanted, tensor=len(ranks.cpus)), ranks)


def _uncuttable(asked: Asked, degrees: Degrees) -> str:
    """Whole experts end its kernels for processors at the first question, of one group of ranks as of several (vllm 0.32.0:
    csrc/cpu/cpu_fused_moe.cpp breaks off with a signal, `all_gatherv` of `base_device_communicator.py` is not implemented).
    """
    if degrees.ranks != degrees.tensor:
        return "on processors a model is cut by tensor parallelism alone"
    if asked.scene.wish.options.get(flags.WHOLE, "").lower() == "true":
        return "on processors experts are cut like all else; leave `--set engine.enable-expert-parallel` out"
    return ""


def _set(asked: Asked) -> bool:
    return any(flag in asked.scene.wish.options for flag, name in flags.DEGREES.items() if name == "tensor")


def _on(asked: Asked, room: Room, degrees: Degrees, ranks: Ranks) -> Attempt:
    scene, engine, subject = asked.scene, asked.engine, asked.subject
    empty = Attempt(asked.profile, asked.rung, engine, asked.slots, subject, None, None, None, "")
    card = _card(scene.facts, room, degrees.ranks)
    dials = dials_of(engine, scene, subject, card)
    load = _load(asked, degrees, card, dials)
    cache = _cache(asked, load, dials)
    refused = _uncuttable(asked, degrees) or ranks.problem or engine.refuses(load)
    if refused:
        return replace(empty, problem=f"{engine.title}: {refused}")
    if not cache:
        what = f"how the cache of {subject.title} grows is not known; `--set engine.{CACHE_BYTES}=BYTES` says its size"
        return replace(empty, problem=what)
    if engine.usage is None or engine.on_processors is None:
        raise ValueError(f"{engine.title} does not run on processors")
    load = replace(load, cache_bytes=cache)
    usage = _claiming(engine.usage(load), load, cache)
    found = pool(load, usage, dials.cache_type, BLOCK)
    fitting = verdict((_budget(room, load, usage, cache),), (), 0.0)
    options = _options(asked, load, dials, cache)
    layout = Layout(degrees, (((HOST,),),), _processor(scene.facts, room), ranks.because)
    served = Served(
        layout,
        load,
        found,
        options,
        _decisions(load, CACHE_BYTES in scene.wish.options, cache, ranks, engine),
        engine.on_processors(ranks.cpus),
    )
    rate = _speed(asked, load) if not fitting.problem else None
    return replace(empty, fit=fitting, speed=rate, problem=fitting.problem, served=served, kv_tokens=found.tokens)


def _load(asked: Asked, degrees: Degrees, card: Card, dials: Dials) -> Load:
    """One rank; its cache holds what is asked for at a time, and is told to be so large."""
    subject = asked.subject
    bare = flags.bare_load(asked.engine, asked.scene, subject, card, dials.precision, dials.version)
    load = replace(
        bare,
        degrees=degrees,
        weights_bytes=sharding.stage_bytes(subject.geometry, subject.weights_bytes, subject.precision, degrees)[0],
        context=asked.rung.context,
        sequences=dials.asked_sequences or max(FEWEST, asked.slots),
        batched_tokens=dials.batched_tokens,
        eager=dials.eager,
        cache_type=dials.cache_type,
        group=subject.group,
    )
    load = beside_weights(load, asked.scene, asked.engine, subject)
    return replace(load, kv_bytes_per_token=bytes_per_token(load))


def _cache(asked: Asked, load: Load, dials: Dials) -> int:
    """Bytes on each rank: as they were set, else for all requests that are wanted at a time; 0 where nobody can say."""
    told = asked.scene.wish.options.get(CACHE_BYTES)
    if told is None:
        return up(asked.slots * request_bytes(load, dials.cache_type, BLOCK), MIB)
    try:
        return whole_number(told)
    except ValueError as error:
        raise BadInput(
            f"engine.{CACHE_BYTES}: {error}", fix=f"`--set engine.{CACHE_BYTES}=8589934592`, for example"
        ) from None


def _claiming(usage: Usage, load: Load, cache: int) -> Usage:
    """A rank claims what it needs, and no share of the host."""
    claimed = load.weights_bytes + cache + usage.activation.bytes + usage.runtime.bytes
    return replace(usage, budget=Amount(claimed, claimed, claimed, "what it needs"))


def _budget(room: Room, load: Load, usage: Usage, cache: int) -> DeviceBudget:
    """All ranks and their server beside each other in one memory."""
    ranks, server = load.degrees.ranks, constant(load, "server_gib")
    return budget_of(
        room,
        ranks * load.weights_bytes,
        ranks * cache,
        ranks * usage.activation.bytes,
        ranks * usage.runtime.bytes + int(server.value * GIB),
    )


def _options(asked: Asked, load: Load, dials: Dials, cache: int) -> dict[str, str]:
    names = asked.engine.options
    wanted = {
        **{flag: str(load.degrees.tensor) for flag, name in flags.DEGREES.items()
           if name == "tensor" and load.degrees.tensor > 1},
        **{flag: str(load.sequences) for flag in flags.SEQUENCES},
        **{flag: str(load.batched_tokens) for flag in flags.BATCHED},
        CACHE_BYTES: str(cache),
        **({flags.CACHE: dials.cache_type} if dials.cache_type != "auto" else {}),
    }  # fmt: skip
    return {**{flag: value for flag, value in wanted.items() if flag in names}, **asked.scene.wish.options}


def _decisions(load: Load, told: bool, cache: int, ranks: Ranks, engine: Engine) -> tuple[Decision, ...]:
    each = Decision(
        "cache",
        f"{size(cache)} for each of {load.degrees.ranks} ranks",
        "as it was set" if told else "what the requests at a time need",
    )
    threads = Decision(
        "threads", ", ".join(f"rank {rank} on {cpus}" for rank, cpus in enumerate(ranks.cpus)), ranks.because
    )
    if not load.version:
        return each, threads
    why = "the newest whose needs on processors are known"
    return each, threads, Decision("engine version", f"{engine.title} {load.version}", why)


def _card(facts: HostFacts, room: Room, ranks: int) -> Card:
    """Its equal part of the host, as a rank meets it."""
    known = frozenset(() if isinstance(facts.cpu, Unknown) else facts.cpu.flags)
    best = next((word for word in INSTRUCTIONS if word in known), "none" if known else "")
    return Card(VENDOR, "the processor", room.total_bytes // ranks, room.budget_bytes // ranks, best)


def _processor(facts: HostFacts, room: Room) -> Accelerator:
    name = "processors" if isinstance(facts.cpu, Unknown) else facts.cpu.model
    return Accelerator(
        vendor=VENDOR, name=name, uuid=HOST, index=0, memory_bytes=room.total_bytes, free_bytes=room.budget_bytes,
        compute_capability=None, numa_node=None, pci="", links=(), processes=(), pcie_generation=None, pcie_width=None,
        pcie_max_generation=None, pcie_max_width=None, ecc=None, ecc_errors=None, row_remap=None, mig=None,
        persistence=None, problem=None, shares_host_memory=True,
    )  # fmt: skip


def _speed(asked: Asked, load: Load) -> Speed:
    """As whoever reads the same memory: what a token reads does not depend on how many ranks share it."""
    subject, each = asked.subject, load.degrees.ranks * load.kv_bytes_per_token
    whole = load_of(subject.geometry, subject.weights_bytes, each * asked.rung.context, subject.precision)
    return on_host(asked.scene, asked.engine, subject, whole, asked.rung.context, each)

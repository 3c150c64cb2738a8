"""The cheapest changes that would make a refused plan fit; each one was planned before it is told."""

from collections.abc import Callable, Iterator
from itertools import chain

from provisioner.model.facts import HostFacts, Unknown
from provisioner.model.plan import Change
from provisioner.model.plugins import Engine
from provisioner.model.record import replace
from provisioner.model.spec import Profile
from provisioner.planning.asked.amounts import GIB, size, up
from provisioner.planning.asked.whatif import what_if, without_processes
from provisioner.planning.machine.ground import survey
from provisioner.planning.memory.kv import value_bits
from provisioner.planning.remedies.card_offers import more_cards
from provisioner.planning.remedies.host_offers import all_on_host, experts_beside, split_beside
from provisioner.planning.remedies.offers import TOY, Offer, first_fast, in_order, offer, pace
from provisioner.planning.sources.stock import is_path
from provisioner.planning.tries.attempt import Attempt, Choice, Scene, words
from provisioner.planning.tries.choose import AUTO, choose, fits
from provisioner.planning.tries.flags import CACHE, DEGREES, GRAPHS, WITHOUT_GRAPHS

SMALLEST_CONTEXT = 512
CONTEXT_STEP = 512
AT_MOST = 6
RESERVE_STEPS = 6
"""With more memory more of it is kept for the system, 4 GiB at most."""
SMALLER_CACHE = {"cache-type-k": "q8_0", "cache-type-v": "q8_0"}
"""By llama.cpp's flags: the type that halves the cache and hardly changes answers."""


def cheapest_changes(scene: Scene, refused: Choice) -> tuple[Change, ...]:
    """From what costs the user least to what costs most; what would answer too slowly to talk to comes after all others."""
    attempt = refused.attempt
    scene = replace(scene, terse=True)
    asked = (
        _other_degrees(scene, attempt),
        _stopped_tenants(scene),
        _smaller_graphs(scene, attempt),
        _smaller_cache(scene, attempt),
        _smaller_context(scene, attempt),
        _lower_concurrency(scene, attempt),
        _weaker_precision(scene, attempt),
        _any_engine(scene),
        experts_beside(scene, attempt),
        split_beside(scene, attempt),
        all_on_host(scene, attempt),
        _smaller_profile(scene, attempt.profile),
        _more_memory(scene, attempt),
        more_cards(scene, attempt),
    )
    found = in_order(chain.from_iterable(asked), AT_MOST)
    return found or in_order(_two_at_once(scene, attempt), AT_MOST)


def _wishing(scene: Scene, **changes: object) -> Scene:
    return replace(scene, wish=replace(scene.wish, **changes))  # type: ignore[arg-type]


def _with_facts(scene: Scene, facts: HostFacts) -> Scene:
    return replace(scene, facts=facts, ground=survey(facts))


def _other_degrees(scene: Scene, attempt: Attempt) -> Iterator[Offer]:
    """What was set by hand and does not divide, as the planner would set it."""
    asked = scene.wish.options
    if not any(name in DEGREES for name in asked):
        return
    free = {name: value for name, value in asked.items() if name not in DEGREES}
    found = choose(_wishing(scene, options=free, engine=scene.wish.engine or attempt.engine.name)).attempt
    if found.problem or found.served is None:
        return
    planned = found.served.options
    wanted = {name: planned.get(name, "1") for name in DEGREES if name in asked or name in planned}
    again = choose(_wishing(scene, options={**free, **wanted}))
    if again.fits:
        flags = (("--set", f"engine.{name}={value}") for name, value in wanted.items())
        cut = found.served.layout
        yield offer(again.attempt, words(cut.degrees), cut.because, tuple(word for pair in flags for word in pair))


def _stopped_tenants(scene: Scene) -> Iterator[Offer]:
    """Programs of others that hold memory of a device: the largest alone, else all of them."""
    tenants = sorted(_tenants(scene.facts), key=lambda tenant: -tenant[2])
    for chosen in (tenants[:1], tenants) if len(tenants) > 1 else (tenants,):
        freer = _with_facts(scene, without_processes(scene.facts, {pid for _, pid, _, _ in chosen}))
        choice = choose(freer) if chosen else None
        if choice and choice.fits:
            told = ", ".join(f"{pid} ({name})" if name else str(pid) for _, pid, _, name in chosen)
            freed = sum(used for _, _, used, _ in chosen)
            where = ", ".join(dict.fromkeys(device for device, *_ in chosen))
            stopped = ", ".join(f"without process {pid}" for _, pid, _, _ in chosen)
            yield offer(choice.attempt, f"stop process {told}", f"{size(freed)} on {where}", (), stopped)
            return


def _tenants(facts: HostFacts) -> Iterator[tuple[str, int, int, str | None]]:
    for vendor, cards in facts.accelerators.items():
        for card in () if isinstance(cards, Unknown) else cards:
            for process in () if isinstance(card.processes, Unknown) else card.processes:
                if process.used_bytes:
                    yield f"{vendor}:{card.index}", process.pid, process.used_bytes, process.name


def _smaller_graphs(scene: Scene, attempt: Attempt) -> Iterator[Offer]:
    """Graphs for as many requests as are wanted at a time alone, or none: both cost speed and no answers."""
    asked, known = scene.wish.options, attempt.engine.options
    if attempt.served is None or any(flag in asked for flag in (*GRAPHS, *WITHOUT_GRAPHS)):
        return
    fewer = [(flag, str(attempt.slots), f"graphs for batches up to {attempt.slots}") for flag in GRAPHS]
    none = [(flag, value, "no graphs") for flag, value in WITHOUT_GRAPHS.items()]
    for flag, value, told in (*fewer, *none):
        if flag not in known:
            continue
        found = choose(_wishing(scene, options={**asked, flag: value}, engine=attempt.engine.name))
        if found.fits:
            engine = () if scene.wish.engine else ("--engine", attempt.engine.name)
            because = "larger batches start their kernels one by one, which is slower"
            yield offer(found.attempt, told, because, (*engine, "--set", f"engine.{flag}={value}"))
            return


def _smaller_cache(scene: Scene, attempt: Attempt) -> Iterator[Offer]:
    wanted = _smaller_types(attempt.engine)
    if not wanted or any(flag in scene.wish.options for flag in wanted):
        return
    changed = _wishing(scene, options={**scene.wish.options, **wanted}, engine=attempt.engine.name)
    found = choose(changed)
    if found.fits:
        flags = [
            ("--engine", attempt.engine.name),
            *(("--set", f"engine.{flag}={kind}") for flag, kind in wanted.items()),
        ]
        kept = flags if scene.wish.engine is None else flags[1:]
        kind = next(iter(wanted.values()))
        yield offer(found.attempt, f"KV cache in {kind}", f"{found.attempt.rung.context} tokens of context fit; half the bytes a token",
                     tuple(word for pair in kept for word in pair))  # fmt: skip


def _smaller_types(engine: Engine) -> dict[str, str]:
    eight = [kind for kind in engine.cache_types if value_bits(kind) == 8]
    kinds = {**SMALLER_CACHE, **({CACHE: eight[0]} if eight else {})}
    return {flag: kind for flag, kind in kinds.items() if flag in engine.options}


def _smaller_context(scene: Scene, attempt: Attempt) -> Iterator[Offer]:
    steps = attempt.rung.context // CONTEXT_STEP
    largest = _largest(steps - 1, lambda count: fits(_with_context(scene, count * CONTEXT_STEP)))
    if largest:
        context = largest * CONTEXT_STEP
        fitting = choose(_with_context(scene, context)).attempt
        yield offer(
            fitting,
            f"context of {context} tokens instead of {attempt.rung.context}",
            f"{fitting.rung.precision} fits; longer conversations are cut",
            ("--context", str(context)),
        )


def _with_context(scene: Scene, context: int) -> Scene:
    return _wishing(scene, context=context)


def _lower_concurrency(scene: Scene, attempt: Attempt) -> Iterator[Offer]:
    largest = _largest(attempt.slots - 1, lambda count: fits(_wishing(scene, concurrency=count)))
    if largest:
        yield offer(
            choose(_wishing(scene, concurrency=largest)).attempt,
            f"{largest} at a time instead of {attempt.slots}",
            "more requests than that wait their turn",
            ("--concurrency", str(largest)),
        )


def _largest(limit: int, enough: Callable[[int], bool]) -> int:
    """The largest count from 1 to `limit` that fits, by halving; 0 when none does. More never fits where less did not."""
    if limit < 1 or not enough(1):
        return 0
    low, high = 1, limit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if enough(middle) else (low, middle - 1)
    return low


def _weaker_precision(scene: Scene, attempt: Attempt) -> Iterator[Offer]:
    """The largest that is smaller than what was tried; of those that exist, whichever engine loads it."""
    if is_path(attempt.profile.model):
        return
    from provisioner.planning.remedies.quality import answers_in  # Only a refusal needs it.

    entry = scene.catalog.model(attempt.profile.model)
    tried = {rung.precision for rung in attempt.profile.ladder} if scene.wish.precision is None else set()
    limit = attempt.subject.weights_bytes if attempt.subject else None
    known = {offer.precision: offer.bytes for offer in entry.gguf}
    if not scene.wish.gguf:
        known |= {checkpoint.precision: checkpoint.bytes for checkpoint in entry.checkpoints}
    for precision, weight in sorted(known.items(), key=lambda pair: -pair[1]):
        smaller = limit is None or weight < limit
        if smaller and precision not in tried and (found := choose(_wishing(scene, precision=precision))).fits:
            yield offer(
                found.attempt,
                f"{precision} instead of {attempt.rung.precision}",
                f"{size(weight)} of weights; {answers_in(precision)}",
                ("--precision", precision),
            )
            return


def _two_at_once(scene: Scene, attempt: Attempt) -> Iterator[Offer]:
    """Where no single change is enough: the precision that leaves the longest context, if need be for one request at a time."""
    for requests in (None, 1):
        wished = _wishing(scene, concurrency=requests or scene.wish.concurrency)
        lengths = [(_longest(_wishing(wished, precision=name), attempt), name) for name in _precisions(scene, attempt)]
        # Of several alike the first, which has the most bytes.
        largest, precision = max(lengths, key=lambda pair: pair[0], default=(0, ""))
        if largest:
            alone = ("--concurrency", "1") if requests else ()
            told = f"{precision} instead of {attempt.rung.precision}, and {largest} tokens instead of {attempt.rung.context}"
            flags = ("--precision", precision, "--context", str(largest), *alone)
            wished = _with_context(_wishing(wished, precision=precision), largest)
            yield offer(
                choose(wished).attempt,
                f"{told}{', one at a time' if alone else ''}",
                "no single change is enough",
                flags,
            )
            return


def _longest(scene: Scene, attempt: Attempt) -> int:
    """The longest context that fits, up to that which was wanted."""
    steps = attempt.rung.context // CONTEXT_STEP
    return _largest(steps, lambda count: fits(_with_context(scene, count * CONTEXT_STEP))) * CONTEXT_STEP


def _precisions(scene: Scene, attempt: Attempt) -> list[str]:
    """Those that there are of the model, the one that was tried apart, the largest first."""
    if is_path(attempt.profile.model):
        return []
    entry = scene.catalog.model(attempt.profile.model)
    known = {offer.precision: offer.bytes for offer in entry.gguf}
    if not scene.wish.gguf:
        known |= {checkpoint.precision: checkpoint.bytes for checkpoint in entry.checkpoints}
    return [name for name, _ in sorted(known.items(), key=lambda pair: -pair[1]) if name != attempt.rung.precision]


def _any_engine(scene: Scene) -> Iterator[Offer]:
    """Flags that the other engine has as well stay set, where it fits with their values; else they are left out like those that it has not."""
    wish = scene.wish
    if wish.engine is None:
        return
    found = choose(_wishing(scene, engine=None, options={})).attempt
    if found.problem:
        return
    engine = found.engine
    kept = {name: value for name, value in wish.options.items() if name in engine.options}
    if kept and not fits(_wishing(scene, engine=engine.name, options=kept)):
        kept = {}
    again = choose(_wishing(scene, engine=engine.name, options=kept))
    if again.fits:
        without = tuple(f"engine.{name}" for name in wish.options if name not in kept)
        same = engine.name == wish.engine
        told = f"{engine.title} with values of its own" if same else f"{engine.title} instead of {wish.engine}"
        yield offer(again.attempt, told, found.label, ("--engine", engine.name), without=without)


def _smaller_profile(scene: Scene, profile: Profile) -> Iterator[Offer]:
    """The largest smaller tier that is fast enough to talk to, else the fastest that fits; not for a model that was named."""
    if scene.wish.model is not None:
        return
    names = scene.catalog.profile(AUTO).tiers
    if profile.name in names and scene.wish.profile != AUTO:
        names = names[names.index(profile.name) + 1 :]
    wished = (_wishing(scene, profile=name) for name in (*names, TOY) if name in scene.catalog.profiles)
    found = first_fast(_as_profile(choose(one).attempt) for one in wished if fits(one))
    if found is not None:
        yield found


def _as_profile(found: Attempt) -> Offer:
    speed = f", {pace(found)}" if found.speed else ""
    name = found.profile.name
    return offer(found, f"profile {name}", f"{found.profile.title}{speed}", ("--profile", name))


def _more_memory(scene: Scene, attempt: Attempt) -> Iterator[Offer]:
    """How many GiB the host lacks, found by planning with them. That of a card is what it is."""
    if attempt.fit is None or not attempt.fit.missing_bytes or attempt.fit.missing_on != "host":
        return
    start = up(attempt.fit.missing_bytes, GIB) // GIB
    for gib in range(start, start + RESERVE_STEPS):
        added = f"+{gib} GiB"
        found = choose(_with_facts(scene, what_if(scene.facts, added, scene.catalog)))
        if found.fits:
            yield offer(found.attempt, f"{gib} GiB more memory on host", f"{attempt.label} fits then", (), added)
            return

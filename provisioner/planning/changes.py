"""The cheapest changes that would make a refused plan fit; each one was planned before it is told."""

from collections.abc import Callable, Iterator

from provisioner.model.facts import Accelerator, HostFacts, Unknown
from provisioner.model.plan import Change
from provisioner.model.record import replace
from provisioner.model.spec import Profile
from provisioner.planning.amounts import GIB, size, up
from provisioner.planning.choose import AUTO, Attempt, Choice, Scene, choose, is_path
from provisioner.planning.ground import survey

SMALLEST_CONTEXT = 512
CONTEXT_STEP = 512
AT_MOST = 6
RESERVE_STEPS = 6
"""With more memory more of it is kept for the system, 4 GiB at most."""


def cheapest_changes(scene: Scene, refused: Choice) -> tuple[Change, ...]:
    """From what costs the user least to what costs most."""
    asked = (
        _smaller_context(scene, refused.attempt),
        _lower_concurrency(scene, refused.attempt),
        _weaker_precision(scene, refused.attempt),
        _host_memory(scene, refused.attempt),
        _smaller_profile(scene, refused.attempt.profile),
        _more_memory(scene, refused.attempt),
    )
    return tuple(change for changes in asked for change in changes)[:AT_MOST]


def _fits(scene: Scene) -> bool:
    return choose(scene).fits


def _wishing(scene: Scene, **changes: object) -> Scene:
    return replace(scene, wish=replace(scene.wish, **changes))  # type: ignore[arg-type]


def _smaller_context(scene: Scene, attempt: Attempt) -> Iterator[Change]:
    steps = attempt.rung.context // CONTEXT_STEP
    largest = _largest(steps - 1, lambda count: _fits(_with_context(scene, count * CONTEXT_STEP)))
    if largest:
        context = largest * CONTEXT_STEP
        fitting = choose(_with_context(scene, context)).attempt
        yield Change(
            f"context of {context} tokens instead of {attempt.rung.context}",
            f"{fitting.rung.precision} fits; longer conversations are cut",
            ("--context", str(context)),
        )


def _with_context(scene: Scene, context: int) -> Scene:
    return _wishing(scene, context=context)


def _lower_concurrency(scene: Scene, attempt: Attempt) -> Iterator[Change]:
    largest = _largest(attempt.slots - 1, lambda count: _fits(_wishing(scene, concurrency=count)))
    if largest:
        yield Change(
            f"{largest} at a time instead of {attempt.slots}",
            "more requests than that wait their turn",
            ("--concurrency", str(largest)),
        )


def _largest(limit: int, fits: Callable[[int], bool]) -> int:
    """The largest count from 1 to `limit` that fits, by halving; 0 when none does. More never fits where less did not."""
    low, high = 0, max(0, limit)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _weaker_precision(scene: Scene, attempt: Attempt) -> Iterator[Change]:
    if is_path(attempt.profile.model):
        return
    entry = scene.catalog.model(attempt.profile.model)
    tried = {rung.precision for rung in attempt.profile.ladder} if scene.wish.precision is None else set()
    asked = entry.offer(attempt.rung.precision)
    for offer in sorted(entry.gguf, key=lambda offer: -offer.bytes):
        smaller = asked is None or offer.bytes < asked.bytes
        if smaller and offer.precision not in tried and _fits(_wishing(scene, precision=offer.precision)):
            yield Change(
                f"{offer.precision} instead of {attempt.rung.precision}",
                f"{size(offer.bytes)} of weights; answers get worse",
                ("--precision", offer.precision),
            )
            return


def _host_memory(scene: Scene, attempt: Attempt) -> Iterator[Change]:
    if attempt.rung.placement == "host" and not attempt.problem:
        return
    changed = _wishing(scene, placement="host")
    if scene.wish.placement != "host" and (scene.ground.device is not None or scene.ground.blocked) and _fits(changed):
        rate = choose(changed).attempt.speed
        told = f"about {rate.tokens_per_second:.2g} tokens/s" if rate else "much slower"
        yield Change("the host's processors and memory instead of the device", told, ("--set", "placement=host"))


def _smaller_profile(scene: Scene, profile: Profile) -> Iterator[Change]:
    """The next smaller tier that fits, and the demo where none does; not for a model that was named."""
    if scene.wish.model is not None:
        return
    names = scene.catalog.profile(AUTO).tiers
    if profile.name in names and scene.wish.profile != AUTO:
        names = names[names.index(profile.name) + 1 :]
    for name in (*names, "demo"):
        changed = _wishing(scene, profile=name)
        if name in scene.catalog.profiles and _fits(changed):
            rate = choose(changed).attempt.speed
            speed = f", about {rate.tokens_per_second:.2g} tokens/s" if rate else ""
            yield Change(f"profile {name}", f"{scene.catalog.profile(name).title}{speed}", ("--profile", name))
            return


def _more_memory(scene: Scene, attempt: Attempt) -> Iterator[Change]:
    """How many GiB the place that binds lacks, found by planning with them."""
    if attempt.fit is None or not attempt.fit.missing_bytes:
        return
    device = attempt.fit.missing_on
    start = up(attempt.fit.missing_bytes, GIB) // GIB
    for gib in range(start, start + RESERVE_STEPS):
        facts = with_more_memory(scene.facts, device, gib * GIB)
        if _fits(replace(scene, facts=facts, ground=survey(facts))):
            yield Change(f"{gib} GiB more memory on {device}", f"{attempt.label} fits then", ())
            return


def with_more_memory(facts: HostFacts, device: str, extra: int) -> HostFacts:
    """The same machine with more memory on the host or on one device, all of it free."""
    if device == "host":
        return _larger_host(facts, extra)
    vendor, _, index = device.partition(":")
    found = facts.accelerators.get(vendor, ())
    if isinstance(found, Unknown):
        return facts
    larger = tuple(_larger(card, extra) if str(card.index) == index else card for card in found)
    return replace(facts, accelerators={**facts.accelerators, vendor: larger})


def _larger_host(facts: HostFacts, extra: int) -> HostFacts:
    memory, limits = facts.memory, facts.limits
    if not isinstance(memory, Unknown):
        memory = replace(memory, total_bytes=memory.total_bytes + extra, available_bytes=memory.available_bytes + extra)
    if not isinstance(limits, Unknown) and limits.memory_bytes is not None:
        limits = replace(limits, memory_bytes=limits.memory_bytes + extra)
    return replace(facts, memory=memory, limits=limits)


def _larger(card: Accelerator, extra: int) -> Accelerator:
    total, free = card.memory_bytes, card.free_bytes
    return replace(
        card,
        memory_bytes=total if isinstance(total, Unknown) else total + extra,
        free_bytes=free if isinstance(free, Unknown) else free + extra,
    )

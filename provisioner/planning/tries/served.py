"""A rung on an engine that claims a share of each device and fills it with cache: vLLM's kind, and SGLang's."""

from collections.abc import Callable, Iterator
from itertools import tee
from typing import cast

from provisioner.model.facts import Accelerator, Unknown
from provisioner.model.load import Card, Degrees, Load, Usage
from provisioner.model.plugins import Engine
from provisioner.model.record import replace
from provisioner.model.spec import Profile, Rung
from provisioner.planning.asked.amounts import size
from provisioner.planning.asked.devices import card_of, link_of
from provisioner.planning.asked.given import offloaded
from provisioner.planning.machine.cuts import order
from provisioner.planning.machine.layouts import Layout, Site, apart, layouts
from provisioner.planning.machine.layouts import key as site_key
from provisioner.planning.memory.budget import Fit
from provisioner.planning.memory.host_part import copies_beside, least_short, with_host
from provisioner.planning.memory.pool import Pool, device_budget, pool, tightest
from provisioner.planning.sources import stock
from provisioner.planning.sources.stock import Subject
from provisioner.planning.tries import flags, learning
from provisioner.planning.tries.attempt import Attempt, Scene, Served
from provisioner.planning.tries.estimate import of_served, speed_of
from provisioner.planning.tries.flags import Dials, dials_of, not_as_asked, options_of
from provisioner.planning.tries.methods import contradicted
from provisioner.planning.tries.tried import Asked, has_room, load_of, over, with_others

BEYOND = 1.1
"""Weights that are more than this times all memory of all devices need not be laid out to know that they do not fit."""


def try_served(scene: Scene, profile: Profile, rung: Rung, engine: Engine) -> Attempt:
    """The first layout that fits, in their order; else the one that comes nearest."""
    slots = scene.wish.concurrency or profile.concurrency
    empty = Attempt(profile, rung, engine, slots, None, None, None, None, "")
    cards = tuple(card for card in scene.ground.cards if card.vendor in engine.vendors)
    if not cards:
        return replace(empty, problem=_no_card(scene, engine))
    subject = subject_of(scene, profile, rung, engine, frozenset(card.vendor for card in cards))
    if isinstance(subject, str):
        return replace(empty, problem=subject)
    if stock.is_path(profile.model):
        longest = rung.context if scene.wish.context else min(rung.context, subject.context or rung.context)
        rung = replace(rung, precision=subject.precision, context=longest)
    problem = contradicted(scene, profile, engine, subject) or stock.beyond_training(rung, subject)
    problem = problem or (_at_a_glance(scene, subject, cards) if scene.terse else "")
    if problem:
        return replace(empty, subject=subject, problem=problem)
    asked = Asked(scene, profile, rung, engine, subject, slots)
    site = Site(cards, scene.facts.nodes, link_of(scene.catalog, scene.facts))
    found = _first_or_nearest(asked, site)
    if found is None:
        why = "no layout has room for it" if scene.terse else _refused(asked, site)
        return replace(empty, subject=subject, problem=why)
    return found if found.problem else replace(found, speed=speed_of(of_served(scene, found)))


def _at_a_glance(scene: Scene, subject: Subject, cards: tuple[Accelerator, ...]) -> str:
    """What no layout changes, for whoever asks only whether there is one that fits."""
    nodes, sizes = scene.facts.nodes, [card.memory_bytes for card in cards]
    held = subject.weights_bytes - offloaded(scene.wish.options) * len(cards) * nodes
    if held > BEYOND * nodes * sum(size for size in sizes if not isinstance(size, Unknown)):
        return "the weights alone are more than all devices hold"
    return "the host has no room beside one device" if least_short(scene.ground.host, 1, 1) else ""


def _first_or_nearest(asked: Asked, site: Site) -> Attempt | None:
    nearest: Attempt | None = None

    def beyond(copies: int, ranks: int) -> bool:
        """Whether a host beside so many is short of more than in the nearest try: nothing there need be laid out to know it."""
        least = least_short(asked.scene.ground.host, copies, ranks)
        return least > 0 and (asked.scene.terse or (nearest is not None and short(nearest) <= (False, least)))

    for attempt in attempts(asked, site, beyond):
        if not attempt.problem:
            return attempt
        if nearest is None or short(attempt) < short(nearest):
            nearest = attempt
    return nearest


def subject_of(
    scene: Scene, profile: Profile, rung: Rung, engine: Engine, makers: frozenset[str] = frozenset()
) -> Subject | str:
    """The model's own files, with those of its adapters."""
    found = _subject(scene, profile, rung, makers)
    return with_others(found, scene, engine)


def _subject(scene: Scene, profile: Profile, rung: Rung, makers: frozenset[str]) -> Subject | str:
    if not stock.is_path(profile.model):
        found = stock.from_checkpoint(scene.catalog.model(profile.model), rung.precision, scene.shelf.source, makers)
        if not scene.shelf.folders and not scene.shelf.offered:
            return found
        from provisioner.planning.sources.folders import with_files  # Only where something is at hand.

        return with_files(found, scene.shelf)
    from provisioner.planning.sources.folders import from_folder  # Few plans are for a path.

    subject = from_folder(profile.model, scene.shelf)
    wanted = scene.wish.precision
    if isinstance(subject, Subject) and wanted and subject.precision != wanted:
        return f"{profile.model} holds {subject.precision}, not {wanted}"
    return subject


def short(attempt: Attempt) -> tuple[bool, float]:
    """How many bytes are missing, endless where that is not what is missing; what its devices have room for comes first, as the
    host is what binds then.
    """
    fit = attempt.fit
    if fit is None or not fit.missing_bytes:
        return True, float("inf")
    return fit.missing_on != "host", fit.missing_bytes


def _no_card(scene: Scene, engine: Engine) -> str:
    kinds = ", ".join(sorted({card.name for card in scene.ground.cards}))
    if kinds:
        return f"{engine.title} does not run on {kinds}"
    return scene.ground.why_no_device or "no accelerator was found"


def attempts(asked: Asked, site: Site, beyond: Callable[[int, int], bool]) -> Iterator[Attempt]:
    """Every layout that may be nearer than those before, with the engine's own number of requests at a time and with fewer."""
    hopeless: list[tuple[int, Layout, Dials]] = []
    for layout, dials in _layouts(asked, site):
        # Copies of one rank come first, and on a single node none comes after those of more.
        if beyond(1, 1 if site.nodes > 1 else min(2, layout.degrees.ranks)):
            return
        card = card_of(asked.scene.catalog, layout.card)
        heavier = over(asked, layout.degrees, card, dials)
        if heavier > 0:
            hopeless.append((heavier, layout, dials))
        elif beyond(len(layout.copies), len(layout.devices)):
            continue
        elif not asked.scene.terse or has_room(asked, layout, card, dials):
            yield _tuned(asked, layout, card, dials)
    if hopeless and not asked.scene.terse:
        _, layout, dials = min(hopeless, key=lambda found: found[0])
        card = card_of(asked.scene.catalog, layout.card)
        *_, fewest = flags.sequences(dials, card, layout.degrees, asked.slots)
        yield _on(asked, layout, card, replace(dials, sequences=fewest))


def _layouts(asked: Asked, site: Site) -> Iterator[tuple[Layout, Dials]]:
    """Each with what the engine is told there: releases, kernels and number formats go by the kind of card."""
    parts = [_of_one_kind(asked, part) for part in apart(site)]
    if len(parts) == 1:
        return parts[0]
    from heapq import merge  # Few machines are mixed.

    return merge(*parts, key=lambda found: order(found[0].degrees))


def _of_one_kind(asked: Asked, site: Site) -> Iterator[tuple[Layout, Dials]]:
    card = card_of(asked.scene.catalog, site.cards[0])
    dials = dials_of(asked.engine, asked.scene, asked.subject, card)
    return ((layout, dials) for layout in _laid_out(asked, site, card, dials))


def _laid_out(asked: Asked, site: Site, card: Card, dials: Dials) -> Iterator[Layout]:
    """As far as somebody has looked already, they are those of the try before: a plan that is refused tries many wishes."""
    options, known, room = asked.scene.wish.options, asked.scene.known, asked.scene.ground.host
    fixed = tuple((flag, options[flag]) for flag in (*flags.DEGREES, flags.WHOLE) if flag in options)
    count = len(site.cards)
    beside = tuple(min(count // ranks, copies_beside(room, ranks)) for ranks in range(1, count + 1))
    terse, alone = asked.scene.terse, 1 if asked.scene.wish.replicas else None
    key = ("layouts", *_cutting(asked, card, dials), fixed, site_key(site), beside, terse, dials.offloaded_bytes, alone)

    def refuses(degrees: Degrees) -> str:
        why = not_as_asked(degrees, options, asked.subject.geometry.experts)
        return why or _engine_refuses(asked, degrees, card, dials)

    if key not in known:
        known[key] = layouts(
            site,
            asked.subject.geometry,
            refuses,
            copies=alone,
            a_node=lambda degrees: copies_beside(room, degrees.ranks),
            hopeless=lambda degrees: (
                terse
                and (least_short(room, 1, degrees.ranks // degrees.nodes) > 0 or over(asked, degrees, card, dials) > 0)
            ),
        )
    known[key], mine = tee(cast("Iterator[Layout]", known[key]))
    return mine


def _cutting(asked: Asked, card: Card, dials: Dials) -> tuple[object, ...]:
    """What decides which cuts an engine refuses; free memory, contexts and requests do not."""
    return (asked.engine.name, flags.mark(asked.scene, asked.subject), dials.precision, dials.version, dials.eager, dials.cache_type, asked.scene.wish.drafting,
            card.name, card.architecture, card.total_bytes)  # fmt: skip


def _tuned(asked: Asked, layout: Layout, card: Card, dials: Dials) -> Attempt:
    """With the engine's own number of requests at a time; with the largest half of it that fits, if any does.

    Fewer fit wherever more do, so the fewest are enough to know whether any number does.
    """
    usual, *fewer = flags.sequences(dials, card, layout.degrees, asked.slots)
    if asked.scene.terse:
        return _on(asked, layout, card, replace(dials, sequences=fewer[-1] if fewer else usual))
    attempt = _on(asked, layout, card, replace(dials, sequences=usual))
    if not fewer or not _short_of_cache(attempt):
        return attempt
    least = _on(asked, layout, card, replace(dials, sequences=fewer[-1]))
    if least.problem:
        return least
    tries = (_on(asked, layout, card, replace(dials, sequences=count)) for count in fewer[:-1])
    return next((one for one in tries if not one.problem), least)


def _short_of_cache(attempt: Attempt) -> bool:
    """Whether fewer requests at a time may help: they do on devices, and not where the host is what has no room."""
    return bool(attempt.problem) and (attempt.fit is None or attempt.fit.missing_on != "host")


def _engine_refuses(asked: Asked, degrees: Degrees, card: Card, dials: Dials) -> str:
    """Degrees, kernels and number formats; nothing of it changes with sizes."""
    key = ("refused", *_cutting(asked, card, dials), degrees)
    kept = asked.scene.lasting
    if key not in kept:
        kept[key] = asked.engine.refuses(load_of(asked, degrees, card, dials, 0))
    return str(kept[key])


def _refused(asked: Asked, site: Site) -> str:
    """Why there was nothing to try, once for each kind of card."""
    told = dict.fromkeys(_why_none(asked, part, site) for part in apart(site))
    return f"{asked.engine.title}: {'; '.join(told)}"


def _why_none(asked: Asked, part: Site, site: Site) -> str:
    """The engine's reason for one device stands for all of its kind."""
    card = card_of(asked.scene.catalog, part.cards[0])
    dials = dials_of(asked.engine, asked.scene, asked.subject, card)
    wanted = flags.asked_degrees(asked.scene.wish.options)
    kind = f" of {part.cards[0].name}" if len(part.cards) < len(site.cards) else ""
    return asked.engine.refuses(load_of(asked, wanted, card, dials, 0)) or (
        f"{wanted.ranks} devices are asked for, and {len(part.cards)}{kind} are there"
    )


def _on(asked: Asked, layout: Layout, card: Card, dials: Dials) -> Attempt:
    """One layout, whose tightest stage decides."""
    tried = []
    for stage in range(layout.degrees.pipeline):
        load = load_of(asked, layout.degrees, card, dials, stage)
        usage = _usage(asked, load)
        fitted = None if dials.utilization else flags.fitted_share(load, usage)
        if fitted is not None:
            load = replace(load, utilization=fitted)
            usage = _usage(asked, load)
        tried.append((pool(load, usage, dials.cache_type, dials.block), load, usage))
    found = tightest([one for one, _, _ in tried])
    load, usage = next((load, usage) for one, load, usage in tried if one is found)
    short, problem = _shortfall(asked, layout, found)
    budgets = tuple(device_budget(device, load, usage, found, short) for device in layout.devices)
    problem = f"{found.binding or 'KV cache'} on {budgets[0].device}: {problem}" if problem else ""
    laid = Fit(budgets, asked.subject.geometry.layers, 1.0, short, budgets[0].device if short else "", problem)
    fitting = with_host(laid, asked.scene.ground.host, len(layout.copies), load.offloaded_bytes * len(layout.devices))
    served = Served(
        layout, load, found, *options_of(asked.scene, asked.engine, asked.subject, layout, load, usage, dials)
    )
    parts = () if fitting.problem else learning.served(
        asked.engine, load, _told(asked.engine, load), found.kv_bytes, asked.scene.learned
    )  # fmt: skip
    return Attempt(
        asked.profile, asked.rung, asked.engine, asked.slots, asked.subject, None, fitting, None, fitting.problem, served,
        reckoned=parts,
    )  # fmt: skip


def _usage(asked: Asked, load: Load) -> Usage:
    return learning.usage(asked.engine, load, _told(asked.engine, load), asked.scene.learned)


def _told(engine: Engine, load: Load) -> Usage:
    if engine.usage is None:
        raise ValueError(f"{engine.title} does not claim a share of its devices")
    return engine.usage(load)


def _shortfall(asked: Asked, layout: Layout, found: Pool) -> tuple[int, str]:
    """What is missing for the engine to start, or for all the requests that are wanted at a time."""
    if found.problem:
        return found.missing_bytes, found.problem
    each = -(-asked.slots // layout.replicas)
    if found.tokens >= each * asked.rung.context:
        return 0, ""
    missing = found.needed_bytes * each - found.kv_bytes
    return max(1, missing), (
        f"{each} requests of {asked.rung.context} tokens need {size(found.needed_bytes * each)} of cache, "
        f"{size(found.kv_bytes)} are left for {found.tokens} tokens"
    )

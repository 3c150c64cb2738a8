"""A machine on which several models do not all find a place: which, why, and what would give them one."""

import shlex
from collections.abc import Iterator

from provisioner.model.facts import Host
from provisioner.model.plan import Change, Finding, Parallel, Plan
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.planning.asked.amounts import size
from provisioner.planning.asked.devices import entry_of
from provisioner.planning.asked.whatif import what_if
from provisioner.planning.machine.ground import survey, usable_cards
from provisioner.planning.machine.islands import free_bytes
from provisioner.planning.remedies.card_offers import CARDS_OF_A_SERVER
from provisioner.planning.remedies.command import flags_of
from provisioner.planning.several.dealing import Table, deal
from provisioner.planning.several.packing import pack
from provisioner.planning.several.unplaced import explain

CONTEXTS = (4096, 2048)
"""Shorter conversations that are worth proposing, longest first."""


def refused(table: Table) -> Plan:
    """The whole plan: a part of what was asked for is not what was asked for."""
    left = explain([one.item for one in table.ways], table.devices, table.packed)
    problems = {one.name: one.problem for one in table.ways}
    binding = "; ".join(f"{one.name}: {problems[one.name] or one.why}" for one in left)
    changes = tuple(dict.fromkeys((*_smaller(table), *_fewer(table), *_more_cards(table))))
    facts = table.scene.facts
    return Plan(
        verdict="refused",
        profile="custom",
        hostname=facts.host.hostname if isinstance(facts.host, Host) else "this host",
        model=None,
        engine=None,
        target=table.spec.target,
        parallel=Parallel(),
        context=table.spec.context or 0,
        memory=None,
        capacity=None,
        services=(),
        decisions=(),
        binding=binding,
        cheapest_changes=changes,
        findings=(Finding("fits", "error", binding, fix=_remedy(changes)),),
    )


def refused_beside(name: str, plan: Plan, left_bytes: int) -> Plan:
    """There are devices for all, and not enough of the host's memory, which they share: only changes of the machine help all."""
    told = f"the other models leave {size(left_bytes)} of the host's memory, and with that it does not fit"
    binding = f"{name}: {told}: {plan.binding.partition(': ')[2]}"
    changes = tuple(change for change in plan.cheapest_changes if change.what_if)
    fix = _remedy(changes) if changes else "more memory for the host, or one model less"
    return replace(
        plan, binding=binding, cheapest_changes=changes, findings=(Finding("fits", "error", binding, fix=fix),)
    )


def _remedy(changes: tuple[Change, ...]) -> str:
    if not changes:
        return "a plan for each model alone says what it needs: `provision plan --model NAME`"
    flags = changes[0].flags
    return f"`provision plan {shlex.join(flags)}`" if flags else changes[0].change


def _smaller(table: Table) -> Iterator[Change]:
    """Of each model less: a smaller format where one was asked for, and a shorter context."""
    spec = table.spec
    free = replace(spec, precision=None)
    if spec.precision is not None and _all_placed(table, free):
        yield Change("each model in the best precision that fits beside the others", f"instead of {spec.precision} for all",
                     flags_of(free))  # fmt: skip
    shorter = (replace(spec, context=context) for context in CONTEXTS if spec.context is None or context < spec.context)
    fitting = next((one for one in shorter if _all_placed(table, one)), None)
    if fitting is not None:
        yield Change(f"context of {fitting.context} tokens", "all models have a place; longer conversations are cut",
                     flags_of(fitting))  # fmt: skip


def _all_placed(table: Table, spec: Spec) -> bool:
    return not deal(spec, table.scene).packed.left


def _fewer(table: Table) -> Iterator[Change]:
    """Without any one model that is enough, those without a place first; else without all that have none."""
    copies = table.scene.wish.replicas or 1
    if copies > 1:
        yield from _fewer_copies(table, copies)
        return
    left = table.packed.left
    found = False
    for name in sorted(table.spec.models, key=lambda name: name not in left):
        kept = tuple(one for one in table.ways if one.name != name)
        if not pack([one.item for one in kept], table.devices).left:
            found = True
            yield Change(f"leave out {name}", "the others have a place", _only(table, tuple(one.name for one in kept)))
    rest = tuple(name for name in table.spec.models if name not in left)
    if rest and not found:
        yield Change(f"leave out {' and '.join(left)}", "the others have a place", _only(table, rest))


def _fewer_copies(table: Table, copies: int) -> Iterator[Change]:
    """The most copies that all have a place."""
    for count in range(copies - 1, 0, -1):
        fewer = replace(table.spec, settings={**table.spec.settings, "replicas": str(count)})
        if _all_placed(table, fewer):
            yield Change(f"{count} of each instead of {copies}", "all of them have a place", flags_of(fewer))
            return


def _only(table: Table, models: tuple[str, ...]) -> tuple[str, ...]:
    return flags_of(replace(table.spec, models=models))


def _more_cards(table: Table) -> Iterator[Change]:
    """The fewest cards like the freest one that a server has room for."""
    scene = table.scene
    cards, _ = usable_cards(scene.facts)
    entry = entry_of(scene.catalog, max(cards, key=free_bytes)) if cards and not table.host else None
    for count in range(1, CARDS_OF_A_SERVER - len(cards) + 1) if entry and not entry.shares_host_memory else ():
        added = f"+{count}x {entry.id}" if entry else ""
        facts = what_if(scene.facts, added, scene.catalog)
        if not deal(table.spec, replace(scene, facts=facts, ground=survey(facts))).packed.left:
            yield Change(f"{count} more {cards[0].name}", "all models have a place", (), added)
            return

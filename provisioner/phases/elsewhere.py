"""Plans for machines that are not this one as it stands: another, known by its facts alone, or this one changed."""

import json
import os

from provisioner import catalog
from provisioner.errors import BadInput
from provisioner.model.facts import HostFacts, Unknown
from provisioner.model.learned import Learned
from provisioner.model.outcome import Compared
from provisioner.model.plugins import Place
from provisioner.model.record import dataclass, replace
from provisioner.model.release import Standing
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from provisioner.phases.prepare import CONTAINERS, Ground, beside_engines, checked, facts_here, ground
from provisioner.planning.plan import make_plan

NOTHING_STANDS = Standing(None, (), frozenset(), frozenset(), frozenset(), frozenset(), frozenset(), ())


def elsewhere(spec: Spec, hardware: str | None, place: Place, changed: str | None = None) -> Ground:
    """Another machine, known by its facts alone, or this one as it might be: nothing stands there yet."""
    books = catalog.load_catalog()
    there = _there(spec, hardware, books, place)
    facts = there.facts
    if changed is not None:
        from provisioner.planning.asked.whatif import what_if

        facts = what_if(facts, changed, books)
    plan = make_plan(spec, facts, books, there.shelf, place, learned=there.learned)
    plan = beside_engines(plan, spec, place, facts, rendered=False)
    rendered = plan.target != CONTAINERS
    return ground(checked(plan, facts, {}, place), facts, NOTHING_STANDS, (), place, rendered=rendered)


@dataclass(frozen=True, slots=True)
class There:
    """A machine, the weights that are at hand for it, and what was measured on it."""

    facts: HostFacts
    shelf: Shelf
    learned: Learned


def _there(spec: Spec, hardware: str | None, books: catalog.Catalog, place: Place) -> There:
    """Files of this machine are of no use to another; what a hub tells of models that were named is, and so is what engines
    of the same version took here of cards of the same kind.
    """
    if hardware is None:
        return _here(spec, books, place)
    learned = _learned(place)
    facts = facts_given(hardware, books)
    facts = _same_engine(facts) if learned.residuals else facts
    if not spec.named:
        return There(facts, Shelf(), learned)
    from provisioner.phases.survey import with_hub

    return There(facts, with_hub(spec, Shelf(), books), learned)


def _learned(place: Place) -> Learned:
    if not os.path.exists(place.database):
        return Learned((), elsewhere=True)
    from provisioner.world.database import reading

    with reading(place.state) as store:
        return Learned(store.residuals(), elsewhere=True)


def _same_engine(facts: HostFacts) -> HostFacts:
    """A machine that was described in words would run the engine that is embedded here."""
    from provisioner.facts import runtime
    from provisioner.world import kernel

    there = facts.software.runtime
    if "software.runtime" not in facts.assumed or isinstance(there, Unknown):
        return facts
    here = runtime.parse(kernel.answer(("runtime",)))
    return replace(facts, software=replace(facts.software, runtime=replace(there, embedded=here.embedded)))


def _here(spec: Spec, books: catalog.Catalog, place: Place) -> There:
    from provisioner.phases.survey import with_hub
    from provisioner.weights.shelf import shelf
    from provisioner.world.database import reading

    with reading(place.state) as store:
        return There(facts_here(), with_hub(spec, shelf(spec, store, place), books), Learned(store.residuals()))


def side_by_side(spec: Spec, hardware: str | None, others: tuple[str, ...], place: Place) -> tuple[Compared, ...]:
    """Each name is a profile of the catalog, or a machine as `--hardware` takes it; the machine is read once."""
    books = catalog.load_catalog()
    read = None
    compared = []
    for name in others:
        profile = name in books.profiles
        there = read if profile and read else _there(spec, hardware if profile else name, books, place)
        read = there if profile else read
        wanted = replace(spec, profile=name) if profile else spec
        plan = make_plan(wanted, there.facts, books, there.shelf, place, learned=there.learned)
        compared.append(Compared(name, plan))
    return tuple(compared)


def facts_given(hardware: str, books: catalog.Catalog) -> HostFacts:
    """`--hardware`: the document that `detect --json` printed elsewhere, or a shorthand."""
    if not os.path.lexists(hardware) and not hardware.endswith(".json"):
        from provisioner.planning.asked.shorthand import machine_from_text

        return machine_from_text(hardware, books)
    try:
        with open(hardware, encoding="utf-8") as stream:
            document = json.load(stream)
    except OSError as error:
        raise BadInput(
            f"{hardware}: {error.strerror}", fix="name a file that `provision detect --json` wrote"
        ) from None
    except (ValueError, RecursionError):
        raise BadInput(
            f"{hardware}: this is no JSON document", fix="give it what `provision detect --json` printed"
        ) from None
    from provisioner.facts.document import facts_from_document

    return facts_from_document(document)

"""Where the two kinds of engines take up what earlier starts measured."""

from provisioner.model.facts import Unknown
from provisioner.model.learned import Kind, Learned, Reckoned
from provisioner.model.load import Load, Usage
from provisioner.model.plan import DeviceBudget
from provisioner.model.plugins import Engine
from provisioner.model.record import replace
from provisioner.planning.asked.devices import card_of
from provisioner.planning.memory.budget import Fit, judged
from provisioner.planning.memory.residuals import HOST, reckon, shifted, told
from provisioner.planning.sources.stock import Subject
from provisioner.planning.tries.attempt import Scene


def held(scene: Scene, engine: Engine, subject: Subject, laid: Fit) -> tuple[Fit, tuple[Reckoned, ...]]:
    """The same layers on the same devices, with the compute buffers that were measured: what is started stays the same."""
    parts: list[Reckoned] = []
    budgets = []
    for budget in laid.budgets:
        found = _parts(scene, engine, subject, budget)
        parts.extend(found)
        activation = next(one for one in found if one.kind.component == "activation")
        budgets.append(_with(budget, activation, elsewhere=scene.learned.elsewhere))
    corrected = judged(laid, tuple(budgets)) if any(one.starts for one in parts) else laid
    return corrected, tuple(parts)


def _parts(scene: Scene, engine: Engine, subject: Subject, budget: DeviceBudget) -> tuple[Reckoned, ...]:
    planned = {
        "weights": budget.weights_bytes, "cache": budget.kv_cache_bytes, "activation": budget.activation_bytes,
    }  # fmt: skip
    kind = Kind(
        engine=engine.name,
        version=_version(scene, engine),
        architecture=subject.geometry.kind,
        device=_kind_of(scene, budget.device),
        tensor=1,
        component="",
    )
    return tuple(
        reckon(scene.learned, budget.device, replace(kind, component=name), amount) for name, amount in planned.items()
    )


def _with(budget: DeviceBudget, activation: Reckoned, *, elsewhere: bool) -> DeviceBudget:
    return replace(
        budget,
        activation_bytes=activation.bytes,
        free_bytes=budget.free_bytes - (activation.bytes - activation.planned_bytes),
        basis=budget.basis + told(activation, elsewhere=elsewhere),
    )


def _version(scene: Scene, engine: Engine) -> str:
    """Of the engine in this program; of a program beside it nobody knows before it runs."""
    runtime = scene.facts.software.runtime
    return "" if engine.program or isinstance(runtime, Unknown) else runtime.embedded or ""


def _kind_of(scene: Scene, device: str) -> str:
    """The card's id in the catalog, or its own name: what is learned of one holds for all that are alike."""
    found = (card for card, room in scene.ground.devices if room.device == device)
    card = next(found, None)
    return HOST if device == HOST or card is None else card_of(scene.catalog, card).name


def usage(engine: Engine, load: Load, told_by_engine: Usage, learned: Learned) -> Usage:
    """What the engine is said to take, corrected part by part."""
    if not learned.residuals:
        return told_by_engine
    changes = {one.kind.component: one for one in served(engine, load, told_by_engine, 0, learned)}
    return replace(
        told_by_engine,
        activation=shifted(told_by_engine.activation, changes["activation"], elsewhere=learned.elsewhere),
        runtime=shifted(told_by_engine.runtime, changes["runtime"], elsewhere=learned.elsewhere),
        graphs=shifted(told_by_engine.graphs, changes["graphs"], elsewhere=learned.elsewhere),
    )


def served(
    engine: Engine, load: Load, told_by_engine: Usage, cache_bytes: int, learned: Learned
) -> tuple[Reckoned, ...]:
    """The parts of one rank, which stands for all."""
    planned = {
        "weights": load.weights_bytes,
        "cache": cache_bytes,
        "activation": told_by_engine.activation.bytes,
        "runtime": told_by_engine.runtime.bytes,
        "graphs": told_by_engine.graphs.bytes,
    }
    kind = Kind(engine.name, load.version, load.geometry.kind, load.card.name, load.degrees.tensor, "")
    return tuple(reckon(learned, "", replace(kind, component=name), amount) for name, amount in planned.items())

"""Which engines come into question for a step of the ladder, in the order of the profile."""

from provisioner.errors import BadInput
from provisioner.model.catalog import CHAT
from provisioner.model.plugins import Engine
from provisioner.model.spec import Profile, Rung
from provisioner.planning.asked.given import takes
from provisioner.planning.asked.settings import PROCESS, engine_named
from provisioner.planning.memory.checkpoints import checkpoint_of
from provisioner.planning.sources.stock import is_path, published
from provisioner.planning.tries.attempt import Scene
from provisioner.planning.tries.flags import CACHE

HOST = "host"


def engines_for(scene: Scene, profile: Profile, rung: Rung) -> tuple[Engine, ...]:
    """Those that can start on the wanted runtime and load what this step names; the one that was asked for in any case."""
    wish = scene.wish
    names = (wish.engine,) if wish.engine else profile.engines
    startable = [engine for engine in map(engine_named, names) if _starts(engine, scene)]
    if not startable and _one_of_many(scene, profile):
        return (engine_named(names[-1]),)
    if not startable:
        _insist_on_a_cache_type(scene, names)
        raise BadInput(
            f"{_nothing_starts(scene)} none of {', '.join(names)}",
            fix="leave `--target` or the setting away, or name another `--engine`",
        )
    able = [engine for engine in startable if _loads(engine, scene, profile, rung)]
    return tuple(able) or tuple(startable[:1] if wish.engine else startable[-1:])


def out_of_question(scene: Scene, profile: Profile, rung: Rung, engine: Engine) -> str:
    """Why this engine would do this step on no machine at all; empty where it depends on the machine."""
    if not _starts(engine, scene):
        return f"{_nothing_starts(scene)} another engine than {engine.title}"
    if (task := task_of(scene, profile)) not in engine.tasks:
        return f"{engine.title} serves no model for the task `{task}`"
    if scene.wish.gguf and "gguf" not in engine.formats:
        return f"{engine.title} loads {' and '.join(engine.formats)}, and {scene.wish.gguf} holds GGUF files"
    if engine.experts_on_host and is_path(profile.model):
        return f"{engine.title} is planned for models of the catalog alone, and {profile.model} is none"
    wanted = scene.wish.placement
    if engine.experts_on_host and wanted not in (None, "split"):
        return f"{engine.title} keeps experts in host memory and the rest on a device: it has no placement `{wanted}`"
    if engine.usage is not None and rung.placement != "device" and not on_processors(scene, engine):
        return f"{engine.title} keeps all of a model on devices: it has no placement `{rung.placement}`"
    return ""


def on_processors(scene: Scene, engine: Engine) -> bool:
    """Whether this engine is wanted on processors: by its name, and where no card would have to be passed over for it."""
    if engine.on_processors is None or scene.wish.engine != engine.name:
        return False
    if scene.wish.placement is not None:
        return scene.wish.placement == HOST
    return not (scene.ground.cards or scene.ground.unusable or scene.ground.blocked)


def _one_of_many(scene: Scene, profile: Profile) -> bool:
    """A tier that `auto` came to, or a try for a remedy: what the operator named is an answer to neither of them."""
    wish = scene.wish
    if scene.terse or wish.model is not None or profile.name == wish.profile:
        return scene.terse
    tiers = (scene.catalog.profile(name) for name in scene.catalog.profile(wish.profile).tiers)
    return any(_starts(engine_named(name), scene) for tier in tiers for name in tier.engines)


def _nothing_starts(scene: Scene) -> str:
    flags = ", ".join((*(f"engine.{flag}" for flag in scene.wish.options), *_named(scene)))
    return f"{flags} is for" if flags else f"target `{scene.wish.target}` starts"


def _starts(engine: Engine, scene: Scene) -> bool:
    wish = scene.wish
    runs = wish.target is None or not engine.program or wish.target in engine.targets
    runs = runs or (wish.target == PROCESS and wish.system in engine.systems)
    runs = runs and bool(engine.adapters or not wish.adapters) and _drafts(engine, wish.drafting)
    return runs and set(wish.options) <= set(engine.options) and _caches(engine, scene) and takes(engine, wish.options)


def _named(scene: Scene) -> list[str]:
    """What was set beside flags, and that not every engine has."""
    return [name for name, said in (("lora", scene.wish.adapters), ("drafting", scene.wish.drafting)) if said]


def _drafts(engine: Engine, asked: str) -> bool:
    if not asked:
        return True
    from provisioner.planning.asked.drafters import parse  # Few ask for it.

    return parse(asked).method in engine.drafters


def _caches(engine: Engine, scene: Scene) -> bool:
    asked = scene.wish.options.get(CACHE)
    return asked is None or asked in engine.cache_types


def _insist_on_a_cache_type(scene: Scene, names: tuple[str, ...]) -> None:
    asked = scene.wish.options.get(CACHE)
    known = tuple(dict.fromkeys(kind for name in names for kind in engine_named(name).cache_types))
    if asked is not None and known and asked not in known:
        raise BadInput(f"cache type `{asked}` is not known", fix=f"one of {', '.join(known)}")


def _loads(engine: Engine, scene: Scene, profile: Profile, rung: Rung) -> bool:
    """Whether weights of this precision exist in a format of the engine, and it can lie where the step wants it."""
    elsewhere = engine.usage is not None and not on_processors(scene, engine)
    if (rung.placement != "device" and elsewhere) or (rung.placement != "split" and engine.experts_on_host):
        return False
    if is_path(profile.model):
        if engine.experts_on_host:
            return False
        from provisioner.planning.sources.folders import folder_named  # Few plans are for a path.

        held = folder_named(profile.model, scene.shelf) is not None
        return ("safetensors" if held else "gguf") in engine.formats
    entry = scene.catalog.model(profile.model)
    if entry.task not in engine.tasks:
        return False
    if "gguf" in engine.formats and entry.offer(rung.precision):
        return True
    if "safetensors" not in engine.formats:
        return False
    # What nobody publishes would have to be converted first: only for those who ask for it.
    asked = scene.wish.precision is not None and checkpoint_of(entry, rung.precision) is not None
    return asked or published(entry, rung.precision, makers(scene, engine)) is not None


def task_of(scene: Scene, profile: Profile) -> str:
    """What the model is for; a file of somebody's own is taken for one to chat with."""
    return CHAT if is_path(profile.model) else scene.catalog.model(profile.model).task


def makers(scene: Scene, engine: Engine) -> frozenset[str]:
    """Of the cards that the engine would run on; nobody where it runs on processors."""
    if on_processors(scene, engine):
        return frozenset()
    return frozenset(card.vendor for card in scene.ground.cards if card.vendor in engine.vendors)

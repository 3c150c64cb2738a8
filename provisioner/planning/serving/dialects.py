"""The flags that let an engine tell thoughts and calls of tools from the answer: by the model's family, if its release has them."""

from collections.abc import Mapping

from provisioner.engines._constants import version_key
from provisioner.engines._flags import NOTHING
from provisioner.model.catalog import Dialect
from provisioner.model.plan import Decision
from provisioner.planning.sources.stock import is_path
from provisioner.planning.tries.attempt import Attempt, Scene

REASONING, TOOLS, TEMPLATE = "reasoning-parser", "tool-call-parser", "chat-template"
SUBJECTS = {REASONING: "reasoning", TOOLS: "tools"}
AUTOMATIC = "enable-auto-tool-choice"
MAKERS = "nvidia"
"""Chat templates lie in the images that engines' makers build for these cards; where others put them is not known."""


def options_of(attempt: Attempt, scene: Scene) -> Mapping[str, str]:
    """What the family asks for; what the operator set wins, and calls of tools are made wherever something reads them."""
    served, known = attempt.served, attempt.engine.options
    dialect = _dialect(attempt, scene)
    asked = scene.wish.options
    found = {}
    if dialect and served and _has(dialect, attempt, scene):
        kept = served.load.card.vendor == MAKERS and not scene.wish.image
        flags = dialect.flags.get(attempt.engine.name, {})
        found = {flag: value for flag, value in flags.items() if flag != TEMPLATE or kept}
        if asked.get(TOOLS) == NOTHING:
            found.pop(TEMPLATE, None)
    if AUTOMATIC in known and asked.get(TOOLS, found.get(TOOLS, NOTHING)) != NOTHING:
        found[AUTOMATIC] = "true"
    return {flag: value for flag, value in found.items() if flag in known and flag not in asked}


def decisions_of(options: Mapping[str, str], attempt: Attempt, scene: Scene) -> tuple[Decision, ...]:
    """Who reads what the model writes; nothing of engines that have no parsers of their own, or of a family that nobody described."""
    if not {REASONING, TOOLS} & set(attempt.engine.options):
        return ()
    dialect = _dialect(attempt, scene)
    found = []
    for flag, subject in SUBJECTS.items():
        if flag in scene.wish.options:
            found.append(Decision(subject, f"{flag} {scene.wish.options[flag]}", "asked for"))
        elif flag in options and dialect:
            found.append(Decision(subject, f"{flag} {options[flag]}", dialect.source[attempt.engine.name]))
    if dialect and not found and attempt.served and not _has(dialect, attempt, scene):
        why = (
            f"whether {attempt.engine.title} {attempt.served.load.version} has the parsers of this family is not known"
        )
        found.append(Decision("reasoning and tools", "not parsed", why))
    return tuple(found)


def _dialect(attempt: Attempt, scene: Scene) -> Dialect | None:
    model = attempt.profile.model
    if is_path(model):
        return None
    dialect = scene.catalog.model(model).dialect
    if not dialect:
        return None
    found = scene.catalog.dialect(dialect)
    if found.thinking and "thinking" in scene.wish.known_as.lower():
        return scene.catalog.dialect(found.thinking)
    return found


def _has(dialect: Dialect, attempt: Attempt, scene: Scene) -> bool:
    """Whether the release that is planned has what the family asks for; the newest is what the catalog was read from."""
    engine = attempt.engine.name
    if attempt.served is None or engine not in dialect.flags:
        return False
    version = version_key(attempt.served.load.version)
    newest = max(map(version_key, scene.catalog.engine(engine).releases), default=())
    since = dialect.since.get(engine)
    return version >= (version_key(since) if since else newest)

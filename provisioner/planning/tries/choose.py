"""Goes down a profile's ladder, and `auto` through the tiers; whatever is passed over is kept with its reason."""

from collections.abc import Iterator

from provisioner.errors import BadInput
from provisioner.model.catalog import CHAT, ModelEntry
from provisioner.model.plan import Rejected
from provisioner.model.plugins import Engine
from provisioner.model.record import replace
from provisioner.model.spec import Profile, Rung
from provisioner.planning.asked.settings import Wish
from provisioner.planning.sources.stock import is_path
from provisioner.planning.tries.attempt import Attempt, Choice, Scene
from provisioner.planning.tries.bounds import least_missing
from provisioner.planning.tries.engines import engines_for, on_processors, out_of_question, task_of
from provisioner.planning.tries.held import try_held
from provisioner.planning.tries.served import try_served

DEFAULT_CONTEXT = 8192
CUSTOM_CONCURRENCY = 2
AUTO = "auto"
DEVICE = "device"
LEAST_BITS = 4
"""Of a parameter: formats of four bits answer a little worse than those of 16, of three and two bits clearly worse
(llama.cpp #6936: perplexity of Llama 3 8B 1.03 times as high in Q4_K_M, 1.57 times in Q2_K)."""
WORTH = 1.25
"""How much faster a weaker step has to be, where neither is fast enough to talk to."""
WIDE = ("f16", "bf16", "f32")
"""Twice the bytes of 8 bits for answers that nobody tells apart: on processors only when asked for."""

Known = dict[tuple[Rung, str], Attempt]
"""What was tried already, by step and engine."""


def choose(scene: Scene) -> Choice:
    if scene.wish.model is not None:
        return _down_the_ladder(scene, _custom(scene))
    profile = scene.catalog.profile(scene.wish.profile)
    return _largest_tier(scene, profile) if profile.tiers else _down_the_ladder(scene, profile)


def fits(scene: Scene) -> bool:
    """Whether `choose` would find something. Which step does is not asked, so those that need least are tried first."""
    scene = replace(scene, terse=True)
    if scene.wish.model is not None:
        return _any_step(scene, _custom(scene))
    profile = scene.catalog.profile(scene.wish.profile)
    return choose(scene).fits if profile.tiers else _any_step(scene, profile)


def _any_step(scene: Scene, profile: Profile) -> bool:
    return any(not attempt.problem for attempt in _attempts(scene, profile, _rungs(scene, profile)[::-1], {}))


def _largest_tier(scene: Scene, among: Profile) -> Choice:
    passed: list[Rejected] = []
    choice = None
    for name in among.tiers:
        profile = scene.catalog.profile(name)
        known: Known = {}
        reason = _nearest_problem(scene, profile, known) if name != among.tiers[-1] else ""
        if not reason:
            choice = _down_the_ladder(scene, profile, known)
            reason = choice.attempt.problem or _too_slow(choice.attempt)
            if not reason:
                return replace(choice, tiers=tuple(passed))
        passed.append(Rejected(profile.name, reason))
    if choice is None:
        raise BadInput(f"profile `{among.name}` has nothing to choose from", fix="give it tiers")
    reason = choice.attempt.problem or _too_slow(choice.attempt)
    return replace(choice, attempt=replace(choice.attempt, problem=reason), tiers=tuple(passed))


def _nearest_problem(scene: Scene, profile: Profile, known: Known) -> str:
    """Why no step of a tier fits, as the one says that comes nearest; empty where one fits.

    A step whose weights alone are too much for all devices is not laid out where another comes nearer than it can.
    """
    rungs = _rungs(scene, profile)
    steps = [
        (least_missing(scene, profile, *step), place, step) for place, step in enumerate(_steps(scene, profile, rungs))
    ]
    nearest, reason = (True, float("inf"), 0), ""
    for least, place, step in sorted(steps, key=lambda one: one[:2]):
        if (False, least) > nearest[:2]:
            break
        attempt = known[step[0], step[1].name] = _try(scene, profile, *step)
        if not attempt.problem:
            return ""
        if not reason or (*_shortfall(attempt), -place) < nearest:
            nearest, reason = (*_shortfall(attempt), -place), attempt.problem
    return reason


def _too_slow(attempt: Attempt) -> str:
    if attempt.speed is None or not attempt.slow:
        return ""
    rate, limit = attempt.speed.tokens_per_second, attempt.profile.min_tokens_per_second
    return f"about {rate:.2g} tokens/s ({attempt.speed.basis}), and less than {limit:.2g} is no conversation"


def _down_the_ladder(scene: Scene, profile: Profile, known: Known | None = None) -> Choice:
    tried: list[Attempt] = []
    attempts = _attempts(scene, profile, _rungs(scene, profile), known or {})
    for attempt in attempts:
        tried.append(attempt)
        if not attempt.problem:
            chosen = _quicker(attempt, attempts, tried)
            passed = [one for one in tried if one is not chosen]
            return Choice(chosen, (), _passed_over(passed), quicker=chosen is not attempt)
    if not tried:
        raise BadInput(f"profile `{profile.name}` has no steps", fix="give its ladder at least one")
    return Choice(min(reversed(tried), key=_shortfall), (), _passed_over(tried))


def _quicker(first: Attempt, further: Iterator[Attempt], tried: list[Attempt]) -> Attempt:
    """Host memory is slow, and a token reads all bytes that are there: a step that is too slow to talk to gives way to the next of
    its kind that is not, else to what is faster by far. Answers that are worse than a little are no choice for speed alone.
    """
    if not first.slow or first.rung.placement == DEVICE or first.engine.usage is not None:
        return first
    best = first
    for one in further:
        tried.append(one)
        alike = one.engine is first.engine and one.rung.placement == first.rung.placement
        if one.problem or not alike or _bits(one) < LEAST_BITS:
            continue
        if not one.slow:
            return one
        if _rate(one) >= WORTH * _rate(best):
            best = one
    return best


def _rate(attempt: Attempt) -> float:
    return attempt.speed.tokens_per_second if attempt.speed else 0.0


def _bits(attempt: Attempt) -> float:
    """Of the files for each parameter; endless where nobody knows how many there are."""
    subject = attempt.subject
    if subject is None or not subject.parameters:
        return float("inf")
    held = subject.weights_bytes
    if attempt.engine.experts_on_host:
        from provisioner.planning.tries.hosted import experts_bytes  # Few models have experts.

        held = experts_bytes(subject) or held
    return held * 8 / subject.parameters


def _attempts(scene: Scene, profile: Profile, ladder: tuple[Rung, ...], known: Known) -> Iterator[Attempt]:
    return (
        known.get((rung, engine.name)) or _try(scene, profile, rung, engine)
        for rung, engine in _steps(scene, profile, ladder)
    )


def _steps(scene: Scene, profile: Profile, ladder: tuple[Rung, ...]) -> Iterator[tuple[Rung, Engine]]:
    """Each step of the ladder on each engine that could do it."""
    return ((rung, engine) for rung in ladder for engine in engines_for(scene, profile, rung))


def _try(scene: Scene, profile: Profile, rung: Rung, engine: Engine) -> Attempt:
    """Speeds are of answers, token by token: nothing is said of models that give none."""
    attempt = _tried(scene, profile, rung, engine)
    return attempt if task_of(scene, profile) == CHAT else replace(attempt, speed=None)


def _tried(scene: Scene, profile: Profile, rung: Rung, engine: Engine) -> Attempt:
    problem = out_of_question(scene, profile, rung, engine)
    if problem:
        slots = scene.wish.concurrency or profile.concurrency
        return Attempt(profile, rung, engine, slots, None, None, None, None, problem)
    if on_processors(scene, engine):
        from provisioner.planning.tries.processors import try_on_processors  # Few plan it there.

        return try_on_processors(scene, profile, rung, engine)
    if engine.experts_on_host:
        from provisioner.planning.tries.hosted import try_hosted  # Few models have experts.

        return try_hosted(scene, profile, rung, engine)
    return (try_held if engine.usage is None else try_served)(scene, profile, rung, engine)


def _passed_over(tried: list[Attempt]) -> tuple[Rejected, ...]:
    """What fits as well comes first."""
    tried = sorted(tried, key=lambda one: bool(one.problem))
    return tuple(dict.fromkeys(Rejected(one.label, one.problem or _fits_and(one)) for one in tried))


def _fits_and(attempt: Attempt) -> str:
    """Why a step that fits was passed over."""
    return f"it fits, at about {_rate(attempt):.2g} tokens/s in {_bits(attempt):.2g} bits a parameter"


def _shortfall(attempt: Attempt) -> tuple[bool, float]:
    """How far from fitting: farthest where there are no weights that the engine could load, as more room would not help."""
    missing = attempt.fit.missing_bytes if attempt.fit is not None else 0
    return attempt.subject is None, missing or float("inf")


def _rungs(scene: Scene, profile: Profile) -> tuple[Rung, ...]:
    """The ladder as the operator's wishes leave it; a precision that it does not list becomes rungs of its own."""
    wish = scene.wish
    ladder = profile.ladder
    if wish.precision:
        ladder = tuple(rung for rung in ladder if rung.precision == wish.precision) or tuple(
            replace(rung, precision=wish.precision) for rung in ladder
        )
    changed = (
        replace(rung, context=wish.context or rung.context, placement=wish.placement or rung.placement)
        for rung in ladder
    )
    return tuple(dict.fromkeys(changed))


def _custom(scene: Scene) -> Profile:
    """A profile for a model that the operator named: each precision at hand, best first."""
    wish = scene.wish
    model = wish.model or ""
    base = scene.catalog.profile(wish.profile) if wish.profile != AUTO else None
    precisions = on_host = [wish.precision or "as in the file"]
    trained = 0
    if not is_path(model):
        entry = scene.catalog.model(model)
        checkpoints = [] if wish.gguf else sorted(entry.checkpoints, key=lambda one: -one.bytes)
        offers = _offers(entry, wish)
        precisions = (
            [wish.precision] if wish.precision else [*(one.precision for one in checkpoints), *offers] or ["q4_k_m"]
        )
        on_host = precisions if wish.precision else [one for one in offers if one not in WIDE] or ["q4_k_m"]
        trained = entry.context
    context = min(base.ladder[0].context if base else DEFAULT_CONTEXT, trained or DEFAULT_CONTEXT)
    ladder = (
        *(Rung(precision, context, "device") for precision in precisions),
        *(Rung(precision, context, "host") for precision in on_host),
    )
    return Profile(
        name=base.name if base else "custom",
        title=model,
        model=model,
        ladder=ladder,
        concurrency=base.concurrency if base else CUSTOM_CONCURRENCY,
        engines=base.engines if base else scene.catalog.profile(AUTO).engines,
        purpose="a model that the operator named",
        min_tokens_per_second=(base or scene.catalog.profile(AUTO)).min_tokens_per_second,
    )


def _offers(entry: ModelEntry, wish: Wish) -> list[str]:
    if not wish.gguf:
        return [one.precision for one in sorted(entry.gguf, key=lambda one: -one.bytes)]
    from provisioner.planning.asked.names import offers_under  # Regular expressions, for those who name a model.

    return [one.precision for one in offers_under(entry, wish.gguf)]

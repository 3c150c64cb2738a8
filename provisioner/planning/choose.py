"""Goes down a profile's ladder, and `auto` through the tiers; whatever is passed over is kept with its reason."""

from provisioner.catalog import Catalog
from provisioner.errors import BadInput
from provisioner.model.facts import HostFacts
from provisioner.model.plan import Rejected
from provisioner.model.record import dataclass, replace
from provisioner.model.spec import Profile, Rung
from provisioner.model.weights import Shelf
from provisioner.planning import sizing, speed, stock
from provisioner.planning.budget import Fit, fit
from provisioner.planning.cores import thread_count
from provisioner.planning.ground import Ground
from provisioner.planning.settings import Wish
from provisioner.planning.stock import Subject

DEFAULT_CONTEXT = 8192
CUSTOM_CONCURRENCY = 2
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One rung, tried. `problem` is empty when it fits; `subject` is None when there are no such weights."""

    profile: Profile
    rung: Rung
    slots: int
    subject: Subject | None
    need: sizing.Need | None
    fit: Fit | None
    speed: speed.Speed | None
    problem: str

    @property
    def label(self) -> str:
        return f"{self.rung.precision}, {self.rung.context} tokens, {self.rung.placement}"


@dataclass(frozen=True, slots=True)
class Choice:
    """The first attempt that fits, or the least demanding one that does not; and all that was passed over."""

    attempt: Attempt
    tiers: tuple[Rejected, ...]
    rungs: tuple[Rejected, ...]

    @property
    def fits(self) -> bool:
        return not self.attempt.problem


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that a choice depends on."""

    wish: Wish
    facts: HostFacts
    ground: Ground
    catalog: Catalog
    shelf: Shelf


def choose(scene: Scene) -> Choice:
    if scene.wish.model is not None:
        return _down_the_ladder(scene, _custom(scene))
    profile = scene.catalog.profile(scene.wish.profile)
    return _largest_tier(scene, profile) if profile.tiers else _down_the_ladder(scene, profile)


def _largest_tier(scene: Scene, among: Profile) -> Choice:
    passed: list[Rejected] = []
    choice = None
    for name in among.tiers:
        profile = scene.catalog.profile(name)
        choice = _down_the_ladder(scene, profile)
        reason = choice.attempt.problem or _too_slow(choice.attempt)
        if not reason:
            return replace(choice, tiers=tuple(passed))
        passed.append(Rejected(profile.name, reason))
    if choice is None:
        raise BadInput(f"profile `{among.name}` has nothing to choose from", fix="give it tiers")
    reason = choice.attempt.problem or _too_slow(choice.attempt)
    return replace(choice, attempt=replace(choice.attempt, problem=reason), tiers=tuple(passed))


def _too_slow(attempt: Attempt) -> str:
    limit = attempt.profile.min_tokens_per_second
    if attempt.speed is None or attempt.speed.tokens_per_second >= limit:
        return ""
    rate = attempt.speed.tokens_per_second
    return f"about {rate:.2g} tokens/s ({attempt.speed.basis}), and less than {limit:.2g} is no conversation"


def _down_the_ladder(scene: Scene, profile: Profile) -> Choice:
    tried: list[Attempt] = []
    for rung in _rungs(scene, profile):
        attempt = _try(scene, profile, rung)
        if not attempt.problem:
            return Choice(attempt, (), _passed_over(tried))
        tried.append(attempt)
    if not tried:
        raise BadInput(f"profile `{profile.name}` has no steps", fix="give its ladder at least one")
    return Choice(min(reversed(tried), key=_shortfall), (), _passed_over(tried))


def _passed_over(tried: list[Attempt]) -> tuple[Rejected, ...]:
    return tuple(Rejected(attempt.label, attempt.problem) for attempt in tried)


def _shortfall(attempt: Attempt) -> float:
    return attempt.fit.missing_bytes if attempt.fit is not None else float("inf")


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
    precisions = [wish.precision or "as in the file"]
    trained = 0
    if not is_path(model):
        entry = scene.catalog.model(model)
        offers = sorted(entry.gguf, key=lambda offer: -offer.bytes)
        precisions = [wish.precision] if wish.precision else [offer.precision for offer in offers] or ["q4_k_m"]
        trained = entry.context
    context = min(base.ladder[0].context if base else DEFAULT_CONTEXT, trained or DEFAULT_CONTEXT)
    ladder = tuple(Rung(precision, context, place) for place in ("device", "host") for precision in precisions)
    return Profile(
        name=base.name if base else "custom",
        title=model,
        model=model,
        ladder=ladder,
        concurrency=base.concurrency if base else CUSTOM_CONCURRENCY,
        engines=("llamacpp",),
        purpose="a model that the operator named",
        min_tokens_per_second=0.0,
    )


def is_path(model: str) -> bool:
    return "/" in model or model.lower().endswith(".gguf")


def _try(scene: Scene, profile: Profile, rung: Rung) -> Attempt:
    slots = scene.wish.concurrency or profile.concurrency
    problem = _misplaced(scene, profile, rung)
    if problem:
        return Attempt(profile, rung, slots, None, None, None, None, problem)
    subject = _subject(scene, profile, rung)
    if isinstance(subject, str):
        return Attempt(profile, rung, slots, None, None, None, None, subject)
    if is_path(profile.model):
        longest = rung.context if scene.wish.context else min(rung.context, subject.context or rung.context)
        rung = replace(rung, precision=subject.precision, context=longest)
    return _sized(scene, profile, rung, slots, subject)


def _sized(scene: Scene, profile: Profile, rung: Rung, slots: int, subject: Subject) -> Attempt:
    keys, values = cache_types(scene.wish)
    need = sizing.need(subject.geometry, subject.weights_bytes, rung.context, slots, keys, values)
    fitting = fit(need, rung.placement, scene.ground, gpu_layers(scene.wish))
    rate = _speed(scene, rung, subject, need, fitting)
    problem = fitting.problem or _beyond_training(rung, subject)
    return Attempt(profile, rung, slots, subject, need, fitting, rate, problem)


def _subject(scene: Scene, profile: Profile, rung: Rung) -> Subject | str:
    if is_path(profile.model):
        subject = stock.from_path(profile.model, scene.shelf)
        wanted = scene.wish.precision
        if isinstance(subject, Subject) and wanted and subject.precision != wanted:
            return f"{profile.model} holds {subject.precision}, not {wanted}"
        return subject
    return stock.from_catalog(scene.catalog.model(profile.model), rung.precision, scene.shelf)


def _beyond_training(rung: Rung, subject: Subject) -> str:
    if subject.context and rung.context > subject.context:
        return f"{rung.context} tokens of context, and {subject.title} was trained for {subject.context}"
    return ""


def _misplaced(scene: Scene, profile: Profile, rung: Rung) -> str:
    """Why this rung's placement is out of the question on this machine; empty when it is not."""
    ground = scene.ground
    if rung.placement != "host":
        return ground.why_no_device if ground.device is None else ""
    only_host = all(other.placement == "host" for other in profile.ladder)
    if scene.wish.placement == "host" or only_host:
        return ""
    if ground.device is not None:
        return f"{ground.device.device} is there; host memory is used instead only when asked: `--set placement=host`"
    return ground.why_no_device if ground.blocked else ""


def cache_types(wish: Wish) -> tuple[str, str]:
    found = (wish.options.get("cache-type-k", "f16").lower(), wish.options.get("cache-type-v", "f16").lower())
    for kind in found:
        if kind not in sizing.VALUE_BYTES:
            raise BadInput(f"cache type `{kind}` is not known", fix=f"one of {', '.join(sizing.VALUE_BYTES)}")
    return found


def gpu_layers(wish: Wish) -> int | None:
    text = wish.options.get("n-gpu-layers")
    if text is None:
        return None
    if not text.isdecimal():
        raise BadInput(f"engine.n-gpu-layers is `{text}`", fix="give a whole number of layers")
    return int(text)


def _speed(scene: Scene, rung: Rung, subject: Subject, need: sizing.Need, fitting: Fit) -> speed.Speed | None:
    """Active weights, and half of one full cache, are read for each token; on each side its own share."""
    active = subject.weights_bytes * min(1.0, subject.active_parameters / max(1, subject.parameters))
    load = active + need.kv_bytes_per_token * rung.context / 2
    host_rate, host_basis = speed.host_bandwidth(scene.facts, thread_count(scene.facts, scene.wish.threads)[0])
    if rung.placement == "host" or scene.ground.accelerator is None:
        return speed.Speed(speed.tokens_per_second(load, host_rate), host_basis)
    card = speed.device_bandwidth(scene.catalog, scene.ground.accelerator)
    if card is None:
        return None
    share = fitting.device_share
    seconds = load * share / card[0] + load * (1 - share) / host_rate
    basis = card[1] if share == 1 else f"{card[1]}; {host_basis} for the rest"
    return speed.Speed(1 / (seconds + speed.TOKEN_SECONDS), basis)

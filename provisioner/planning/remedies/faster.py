"""What answers faster: for a plan that fits and that nobody would wait for, said before anything is fetched."""

from collections.abc import Iterator

from provisioner.model.plan import Finding
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.planning.asked.settings import Wish
from provisioner.planning.remedies.command import command
from provisioner.planning.remedies.offers import Offer, first_fast, offer
from provisioner.planning.speed.hybrid import not_worth_fetching
from provisioner.planning.tries.attempt import Attempt, Scene
from provisioner.planning.tries.choose import AUTO, choose

OF_THE_MODEL = ("model", "precision", "context")
OF_THE_WAY = ("engine", "placement", "precision")


def slow(scene: Scene, attempt: Attempt, spec: Spec) -> tuple[Finding, ...]:
    """Of a plan that is too slow to talk to, with what is not, or at least is faster here."""
    if attempt.speed is None or attempt.subject is None or not attempt.slow:
        return ()
    rate = attempt.speed.tokens_per_second
    best = first_fast(_instead(scene, attempt))
    faster = best if best is not None and best.rate > rate else None
    told = not_worth_fetching(
        rate,
        attempt.profile.min_tokens_per_second,
        attempt.subject.weights_bytes,
        attempt.subject.title,
        faster.change.change if faster else "",
        faster.rate if faster else None,
    )
    fix = command("up", spec, faster.change) if faster else "a smaller profile, or an accelerator"
    return (Finding("speed", "warning", f"{told} ({attempt.speed.basis})", fix=fix),)


def _instead(scene: Scene, attempt: Attempt) -> Iterator[Offer]:
    """The same model as it would be laid if nothing of that were asked for; then the smaller tiers, the largest first."""
    free = replace(scene.wish, engine=None, placement=None, precision=None, options={})
    gone = (*OF_THE_WAY, *(f"engine.{flag}" for flag in scene.wish.options)) if free != scene.wish else ()
    if gone:
        found = _chosen(scene, free)
        if found is not None and found.subject is not None:
            told = f"{found.engine.title} with {found.subject.title} in {found.subject.precision}"
            yield offer(found, told, "", (), without=gone)
    for asked, without in ((scene.wish, ()), (free, gone)) if gone else ((scene.wish, ()),):
        for name in _smaller(scene, attempt):
            found = _chosen(scene, replace(asked, profile=name, model=None, precision=None, context=None, gguf=""))
            if found is not None:
                flags, dropped = ("--profile", name), (*OF_THE_MODEL, *without)
                yield offer(found, f"profile {name}", "", flags, without=dropped)


def _chosen(scene: Scene, wish: Wish) -> Attempt | None:
    found = choose(replace(scene, wish=wish, terse=True))
    return found.attempt if found.fits else None


def _smaller(scene: Scene, attempt: Attempt) -> Iterator[str]:
    """The tiers whose models have fewer parameters."""
    most = attempt.subject.parameters if attempt.subject else 0
    for name in scene.catalog.profile(AUTO).tiers:
        if scene.catalog.model(scene.catalog.profile(name).model).parameters < most:
            yield name

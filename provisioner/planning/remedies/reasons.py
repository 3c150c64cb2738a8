"""Why the plan is as it is, in words: what was chosen, because of what, and what was passed over."""

from provisioner.model.catalog import CHAT
from provisioner.model.facts import SYSTEM_NAMES, Unknown
from provisioner.model.plan import Decision, Finding, Rejected
from provisioner.model.spec import Spec
from provisioner.planning.asked.amounts import size
from provisioner.planning.asked.settings import CONTAINERS, PROCESS, target_of
from provisioner.planning.machine.layouts import Layout
from provisioner.planning.memory.host_part import copies_beside
from provisioner.planning.memory.pool import has_law
from provisioner.planning.serving.ranks import without_address
from provisioner.planning.serving.service import image_of
from provisioner.planning.tries.attempt import Attempt, Choice, Scene, words
from provisioner.planning.tries.engines import task_of


def decisions(scene: Scene, choice: Choice) -> tuple[Decision, ...]:
    attempt = choice.attempt
    chosen = (_tier(scene, choice), _rung(choice), *_weights(attempt), _placement(scene, attempt), *attempt.weighed)
    return (*chosen, _engine(scene, choice), _target(scene, attempt), _concurrency(scene, attempt))


def _tier(scene: Scene, choice: Choice) -> Decision:
    profile = choice.attempt.profile
    if scene.wish.model is not None:
        return Decision("profile", profile.name, f"the model was named: {scene.wish.model}")
    if profile.name == scene.wish.profile:
        return Decision("profile", profile.name, "asked for")
    because = "the largest tier that fits and is fast enough" if choice.fits else "the smallest tier; none fits"
    return Decision("profile", profile.name, because, choice.tiers)


def _rung(choice: Choice) -> Decision:
    attempt = choice.attempt
    passed = tuple(rung for rung in choice.rungs if rung.option != attempt.label)
    if not choice.fits:
        return Decision("precision and context", attempt.label, "the least demanding step tried", choice.rungs)
    because = "the first step of the profile's ladder that fits" if passed else "the profile's first choice fits"
    if choice.quicker:
        because = "host memory sets the speed, and steps before it that fit are slower than a conversation"
    return Decision("precision and context", attempt.label, because, passed)


def _weights(attempt: Attempt) -> tuple[Decision, ...]:
    subject = attempt.subject
    if subject is None:
        return ()
    count = len(subject.files)
    choice = f"{subject.files[0].name}{f' and {count - 1} more' if count > 1 else ''}, {size(subject.weights_bytes)}"
    return (Decision("weights", choice, subject.origin),)


def _placement(scene: Scene, attempt: Attempt) -> Decision:
    ground = attempt.ground or scene.ground
    if attempt.served is not None:
        return _layout(scene, attempt)
    if attempt.engine.usage is not None:
        return Decision("devices", "none", attempt.problem, _unusable(scene))
    others = (*(Rejected(name, reason) for name, reason in ground.others), *_not_joined(scene, attempt))
    if attempt.rung.placement == "host":
        device = "" if ground.device is None else f"{ground.device.device} is there; "
        asked = "asked for" if scene.wish.placement == "host" else "the profile's ladder says so"
        because = f"{device}{asked}" if ground.device else ground.why_no_device
        return Decision("placement", "host memory and processors", because, others)
    if ground.device is None or ground.accelerator is None:
        return Decision("placement", attempt.rung.placement, ground.why_no_device, others)
    split = attempt.fit.split if attempt.fit else ()
    layers = attempt.fit.device_layers if attempt.fit else 0
    used = [room.device for (_, room), count in zip(ground.devices, split, strict=False) if count]
    idle = tuple(Rejected(room.device, "the others suffice") for _, room in ground.devices if room.device not in used)
    where = used[0] if len(used) == 1 else f"{len(used)} devices, {', '.join(used)}"
    names = dict.fromkeys(card.name for card, room in ground.devices if room.device in used)
    kinds = " and ".join(names) or ground.accelerator.name
    share = "all layers" if attempt.rung.placement == "device" else f"{layers} layers, the rest in host memory"
    if attempt.engine.experts_on_host or (attempt.fit and attempt.fit.host_experts):
        share = "everything but experts, which are in host memory"
    because = f"{size(ground.device.budget_bytes)} to plan with: {ground.device.basis}"
    return Decision("placement", f"{where} ({kinds}), {share}", because, (*idle, *others))


def _layout(scene: Scene, attempt: Attempt) -> Decision:
    """How many devices a copy is cut over, and how many copies there are."""
    served = attempt.served
    if served is None:
        raise ValueError("only an engine that claims its devices has a layout")
    layout = served.layout
    cut = words(layout.degrees)
    choice = f"{layout.replicas} copies, each on {cut}" if layout.replicas > 1 else cut
    where = "; ".join(", ".join(device for stage in copy for device in stage) for copy in layout.copies)
    nodes = f" on each of {layout.nodes} nodes" if layout.nodes > 1 else ""
    others = (*_more_copies(scene, layout), *_not_joined(scene, attempt), *_unusable(scene))
    return Decision("devices", f"{choice} ({where}{nodes})", layout.because, others)


def _not_joined(scene: Scene, attempt: Attempt) -> tuple[Rejected, ...]:
    if len({card.name for card in scene.ground.cards}) < 2:
        return ()
    from provisioner.planning.tries.mixed import not_joined  # Few machines are mixed.

    return not_joined(scene, attempt)


def _unusable(scene: Scene) -> tuple[Rejected, ...]:
    return tuple(Rejected(name, reason) for name, reason in scene.ground.unusable)


def _more_copies(scene: Scene, layout: Layout) -> tuple[Rejected, ...]:
    """Cards that stay idle because their servers have no room on the host."""
    ranks = layout.degrees.ranks
    possible = sum(card.name == layout.card.name for card in scene.ground.cards) // ranks
    room = copies_beside(scene.ground.host, ranks)
    if not 0 < room == len(layout.copies) < possible or layout.degrees.nodes > 1:
        return ()
    return (Rejected(f"{possible} copies on a node", "the host's memory has no room for the servers of more"),)


EMBEDDED = "embedded in this program: it needs neither Docker nor a compiler"


def _engine(scene: Scene, choice: Choice) -> Decision:
    engine = choice.attempt.engine
    if scene.wish.engine:
        return Decision("engine", engine.name, "asked for")
    if not engine.program:
        return Decision("engine", engine.name, EMBEDDED)
    return Decision("engine", engine.name, f"the first of the profile's engines that can serve {choice.attempt.label}")


def _target(scene: Scene, attempt: Attempt) -> Decision:
    if scene.wish.target:
        return Decision("target", scene.wish.target, "asked for")
    if scene.wish.system:
        return Decision("target", PROCESS, "the device's own system: containers have no way to it")
    first = attempt.engine.targets[0]
    if first != "process":
        return Decision("target", first, f"{attempt.engine.title} comes as an image, with its libraries and kernels")
    manager = scene.facts.software.systemd
    if isinstance(manager, Unknown) or manager is None:
        return Decision("target", "process", "works on every machine",
                        (Rejected("systemd", "no service manager was found"),))  # fmt: skip
    return Decision("target", "process", "works on every machine, and leaves the system's own units alone",
                    (Rejected("systemd", "restarts after a reboot, and is used when asked for: `--target systemd`"),))  # fmt: skip


def _concurrency(scene: Scene, attempt: Attempt) -> Decision:
    because = "asked for" if scene.wish.concurrency else f"what the profile {attempt.profile.name} plans with"
    return Decision("concurrency", f"{attempt.slots} at a time, {attempt.rung.context} tokens each", because)


def warnings(scene: Scene, choice: Choice, spec: Spec) -> tuple[Finding, ...]:
    """What a person should know of a plan that fits."""
    attempt = choice.attempt
    return (
        *_slow(scene, attempt, spec),
        *_tight(attempt),
        *_without_law(attempt),
        *_assumed(scene),
        *_unpublished(attempt),
        *_another_name(scene, attempt),
        *_image(scene, attempt),
        *without_address(attempt, scene),
        *_keyless(scene, attempt),
        *_only_planned(scene, attempt),
    )


def _without_law(attempt: Attempt) -> tuple[Finding, ...]:
    """A cache whose figures stand in for what the engine will keep."""
    if attempt.served is None or has_law(attempt.served.load):
        return ()
    told = (
        "unverified: the engine compresses this model's cache, and no law of it is known for this release; its rows are "
        "counted whole here, so many requests take less, and the first steps of a long prompt may take more"
    )
    return (Finding("cache-unverified", "note", told, fix="`provision bench` measures what fits"),)


def _tight(attempt: Attempt) -> tuple[Finding, ...]:
    """The engine has the last word: in the worst of its own overhead that was seen, it would not start."""
    served = attempt.served
    if served is None or served.pool.low_tokens >= attempt.rung.context:
        return ()
    pool = served.pool
    told = (
        f"tight: {pool.low_tokens:,} to {pool.high_tokens:,} tokens of cache, as much as the engine takes for itself, "
        f"and {attempt.rung.context:,} are needed for one full request"
    )
    return (Finding("tight", "warning", told, fix="a smaller `--context`, a weaker `--precision`, or more devices"),)


def _unpublished(attempt: Attempt) -> tuple[Finding, ...]:
    """Whoever plans hardware may go on with it; nothing can be fetched."""
    subject = attempt.subject
    source = next((file.origin for file in subject.files if file.origin.startswith("convert:")), "") if subject else ""
    if subject is None or not source:
        return ()
    told = f"nobody is known to publish {subject.title} in {subject.precision}: it would have to be made of {source.partition('/')[2].rstrip('/')}"
    fix = "make it, and name its folder: `--model FOLDER`; or choose a `--precision` that is published"
    return (Finding("unpublished", "warning", told, fix=fix),)


def _another_name(scene: Scene, attempt: Attempt) -> tuple[Finding, ...]:
    """Weights must be those that were meant, and a plan needs only their shape."""
    if not scene.wish.known_as or attempt.subject is None:
        return ()
    told = f"`{scene.wish.known_as}` has the shape of {attempt.subject.title}, and may be other weights"
    fix = f"name it `--model {attempt.subject.id}`, or bring the files that you mean: `--model FILE`"
    return (Finding("other-weights", "error", told, fix=fix),)


def _image(scene: Scene, attempt: Attempt) -> tuple[Finding, ...]:
    return () if attempt.served is None else image_of(attempt, scene).findings


def _keyless(scene: Scene, attempt: Attempt) -> tuple[Finding, ...]:
    """On Docker a door stands before such an engine, which asks for the key in its place; other targets have none."""
    engine = attempt.engine
    if not engine.keyless or scene.wish.system or target_of(scene.wish, engine) == CONTAINERS:
        return ()
    told = f"{engine.title} is told of no key: every user of this machine is answered at {scene.wish.host}"
    return (Finding("keyless", "warning", told, fix="an engine on target `docker`, where the gateway asks for keys"),)


def _only_planned(scene: Scene, attempt: Attempt) -> tuple[Finding, ...]:
    if scene.wish.system:
        return _on_another_system(scene, attempt)
    if (task := task_of(scene, attempt.profile)) != CHAT:
        return _for_another_task(attempt, task)
    return ()


def _for_another_task(attempt: Attempt, task: str) -> tuple[Finding, ...]:
    told = f"planned only: this version proves a service by a chat answer, and this model is for the task `{task}`"
    fix = f"start it with {attempt.engine.title} by hand; the chat page of target `docker` searches documents with a model of its own"
    return (Finding("planned-only", "note", told, fix=fix),)


def _on_another_system(scene: Scene, attempt: Attempt) -> tuple[Finding, ...]:
    name = SYSTEM_NAMES.get(scene.wish.system, scene.wish.system)
    told = f"planned only: this version starts nothing on {name}, and {attempt.engine.title} runs there by itself"
    return (Finding("planned-only", "note", told, fix="start it there by hand, with the context that is planned"),)


def _slow(scene: Scene, attempt: Attempt, spec: Spec) -> tuple[Finding, ...]:
    """Said before anything is fetched, with what is fast enough here."""
    if not attempt.slow:
        return ()
    from provisioner.planning.remedies.faster import slow  # Few plans are.

    return slow(scene, attempt, spec)


def _assumed(scene: Scene) -> tuple[Finding, ...]:
    if not scene.facts.assumed:
        return ()
    told = f"taken as enough, because nobody stated it: {', '.join(scene.facts.assumed)}"
    return (Finding("assumed", "note", told, fix="plan from `provision detect --json` of that machine"),)

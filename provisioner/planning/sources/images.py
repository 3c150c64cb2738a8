"""Which image an engine comes in on a machine, and what stands in the way of it."""

from provisioner.engines._constants import version_key
from provisioner.model.engines import EngineEntry, Image
from provisioner.model.facts import Host, HostFacts
from provisioner.model.load import Card
from provisioner.model.plan import Decision, Finding, Rejected
from provisioner.model.record import dataclass

UNPINNED = "by name; its digest is pinned when it is brought"
NEWER_DRIVER = "install a newer driver"
OTHER_ENGINE = "take an engine that still has code for this card: `--engine llamacpp`"


@dataclass(frozen=True, slots=True)
class Chosen:
    """`name` is None where no image is known."""

    name: str | None
    decision: Decision
    findings: tuple[Finding, ...] = ()


def choose_image(entry: EngineEntry, card: Card, version: str, facts: HostFacts) -> Chosen:
    """The first of the maker's images that the card and its driver can run; a driver that is not told is taken for new enough."""
    known = tuple(image for image in entry.images if _for(image, card) and _of(image, version))
    driver = facts.software.nvidia_driver if card.vendor == "nvidia" else None
    told = driver if isinstance(driver, str) else ""
    passed: list[tuple[Rejected, str]] = []
    for image in known:
        name = image.name.replace("{version}", version).replace("{machine}", _machine(facts))
        if not _has_code(image, card):
            why = f"has code for compute capability {image.least_capability} and newer, and {card.name} is {card.architecture}"
            passed.append((Rejected(name, why), OTHER_ENGINE))
        elif told and image.least_driver and _major(told) < _major(image.least_driver):
            passed.append((Rejected(name, f"needs driver {image.least_driver}, and {told} is loaded"), NEWER_DRIVER))
        elif name:
            rejected = tuple(one for one, _ in passed)
            return Chosen(name, Decision("image", name, f"{image.source}; {UNPINNED}", rejected))
    return _none(entry, card.vendor, known, tuple(passed))


def _for(image: Image, card: Card) -> bool:
    return image.vendor == card.vendor and (not image.architectures or card.architecture in image.architectures)


def _machine(facts: HostFacts) -> str:
    """As images name what their programs are compiled for."""
    return "arm64" if isinstance(facts.host, Host) and facts.host.architecture in ("aarch64", "arm64") else "x86_64"


def _of(image: Image, version: str) -> bool:
    """Whether this is how that version of the engine comes."""
    key = version_key(version)
    return (not image.since or key >= version_key(image.since)) and (
        not image.before or key < version_key(image.before)
    )


def _has_code(image: Image, card: Card) -> bool:
    """By compute capability; what is not told of a card is no reason against an image."""
    digits = card.architecture.removeprefix("sm")
    if not image.least_capability or not digits.isdigit():
        return True
    return int(digits) >= int(image.least_capability.replace(".", ""))


def _none(
    entry: EngineEntry, vendor: str, known: tuple[Image, ...], passed: tuple[tuple[Rejected, str], ...]
) -> Chosen:
    if passed:
        why, fix = passed[-1][0].reason, passed[-1][1]
    else:
        why = known[0].source if known else f"no image of {entry.name} for {vendor} is known"
        fix = "name the one that the maker gives you: `--set image=NAME`"
    finding = Finding("image", "warning", f"no image: {why}", fix=fix)
    return Chosen(None, Decision("image", "none known", why, tuple(one for one, _ in passed)), (finding,))


def _major(version: str) -> int:
    digits = version.partition(".")[0]
    return int(digits) if digits.isdigit() else 0


def from_registry(name: str | None, registry: str | None) -> str | None:
    """The image of this name in another registry, which has the same repositories."""
    if not name or not registry or name.startswith(f"{registry}/"):
        return name
    first, slash, rest = name.partition("/")
    path = rest if slash and ("." in first or ":" in first or first == "localhost") else name
    return f"{registry}/{path}"

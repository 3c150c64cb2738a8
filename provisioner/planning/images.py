"""Which image an engine comes in on a machine, and what stands in the way of it."""

from provisioner.model.engines import EngineEntry, Image
from provisioner.model.facts import HostFacts
from provisioner.model.plan import Decision, Finding, Rejected
from provisioner.model.record import dataclass

UNPINNED = "by name; its digest is pinned when it is brought"


@dataclass(frozen=True, slots=True)
class Chosen:
    """`name` is None where no image is known."""

    name: str | None
    decision: Decision
    findings: tuple[Finding, ...] = ()


def choose_image(entry: EngineEntry, vendor: str, version: str, facts: HostFacts) -> Chosen:
    """The first of the maker's images whose driver is new enough; one that cannot be told to be is taken for so."""
    known = tuple(image for image in entry.images if image.vendor == vendor)
    driver = facts.software.nvidia_driver if vendor == "nvidia" else None
    told = driver if isinstance(driver, str) else ""
    passed = []
    for image in known:
        if told and image.least_driver and _major(told) < _major(image.least_driver):
            passed.append(Rejected(image.name, f"needs driver {image.least_driver}, and {told} is loaded"))
        elif image.name:
            name = image.name.replace("{version}", version)
            return Chosen(name, Decision("image", name, f"{image.source}; {UNPINNED}", tuple(passed)))
    return _none(entry, vendor, known, tuple(passed))


def _none(entry: EngineEntry, vendor: str, known: tuple[Image, ...], passed: tuple[Rejected, ...]) -> Chosen:
    if passed:
        why, fix = passed[-1].reason, "install a newer driver"
    else:
        why = known[0].source if known else f"no image of {entry.name} for {vendor} is known"
        fix = "name the one that the maker gives you: `--set image=NAME`"
    finding = Finding("image", "warning", f"no image: {why}", fix=fix)
    return Chosen(None, Decision("image", "none known", why, passed), (finding,))


def _major(version: str) -> int:
    digits = version.partition(".")[0]
    return int(digits) if digits.isdigit() else 0

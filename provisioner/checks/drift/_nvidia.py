"""What several rules about NVIDIA's cards ask of a view."""

from provisioner.model.facts import Unknown
from provisioner.model.plugins import View
from provisioner.model.upkeep import Package


def loaded_driver(view: View) -> str | None:
    """The version that the kernel has loaded; None where there is none or nobody knows."""
    driver = view.facts.software.nvidia_driver
    return driver if isinstance(driver, str) else None


def card_count(view: View) -> int:
    cards = view.facts.accelerators.get("nvidia", ())
    return 0 if isinstance(cards, Unknown) else len(cards)


def packages(view: View) -> dict[str, Package]:
    """Installed ones by name; none where the database cannot be read or is another one than Debian's."""
    known = view.upkeep.packages if view.upkeep else None
    return {} if known is None or isinstance(known, Unknown) else {package.name: package for package in known}


def has_docker(view: View) -> bool:
    """Whether an engine answers, or is installed and does not."""
    engine = view.facts.software.docker
    return (engine is not None and not isinstance(engine, Unknown)) or bool(
        {"docker-ce", "docker.io"} & set(packages(view))
    )


def grave_where_used(view: View) -> str:
    """What a container on the cards would meet is an error for a release that runs in containers on them."""
    used = view.plan.target == "docker" and any(service.devices for service in view.plan.services)
    return "error" if used else "warning"

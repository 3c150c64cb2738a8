"""NVIDIA's container toolkit, by the files that its packages leave."""

from provisioner.model.facts import Answers, Fact, ReadFiles

CONFIGURATION = "/etc/nvidia-container-runtime/config.toml"
PROGRAM = "/usr/share/doc/nvidia-container-toolkit"
INTERFACES = ("/etc/cdi/nvidia.yaml", "/var/run/cdi/nvidia.yaml")


def parse(answers: Answers) -> str:
    """What is there of it: no file tells the version, and no program is started to ask for it."""
    parts = []
    if PROGRAM in answers:
        parts.append("installed")
    if CONFIGURATION in answers:
        parts.append("configured")
    if any(path in answers for path in INTERFACES):
        parts.append("CDI")
    return ", ".join(parts)


FACT: Fact[str | None] = Fact(
    name="container_toolkit",
    question=ReadFiles((CONFIGURATION, PROGRAM, *INTERFACES)),
    parse=parse,
    absent=None,
)

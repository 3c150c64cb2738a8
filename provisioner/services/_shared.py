"""What several services need alike: a port that is set by name, and their configuration as YAML."""

from provisioner.errors import BadInput
from provisioner.model.plugins import Stack


def port_of(stack: Stack, name: str, otherwise: str) -> int:
    """The port of this machine that leads to a service."""
    said = stack.settings.get(f"{name}.port", otherwise)
    if not (said.isdecimal() and 0 < int(said) < 65536):
        raise BadInput(f"{name}.port: {said!r} is no port", fix=f"--set {name}.port={otherwise}")
    return int(said)


def as_yaml(document: dict[str, object]) -> str:
    import yaml  # Only who renders containers needs it.

    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)

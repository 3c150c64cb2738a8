"""Keys of people for the gateway; only their hashes are kept."""

from provisioner.model.record import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    name: str
    sha256: str
    created_unix: int
    expires_unix: int | None
    rate: int
    """Requests that it may send in a minute."""
    concurrency: int
    """Requests that it may have open at the same time."""


@dataclass(frozen=True, slots=True)
class Published:
    """What a change of keys came to."""

    key: Key
    secret: str = ""
    """The key itself, the only time that anybody sees it."""
    in_force: bool | None = None
    """Whether the running gateway has said so; None where none runs."""

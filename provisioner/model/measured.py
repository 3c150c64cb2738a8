"""What an engine itself says that it made of its devices: raw figures of its log and its metrics, held against the plan."""

from provisioner.model.record import dataclass


@dataclass(frozen=True, slots=True)
class DeviceMeasured:
    """Bytes on one device, as exact as the engine prints them; None for what it does not say."""

    device: str
    """As the engine calls it: a rank (`TP0`, `PP1_TP0`), a device (`CUDA0`, `CPU`); empty where it has but one."""
    weights_bytes: int | None = None
    kv_bytes: int | None = None
    activation_bytes: int | None = None
    graphs_bytes: int | None = None
    runtime_bytes: int | None = None
    """Of libraries and the device's context, where the engine tells them apart from the weights."""


@dataclass(frozen=True, slots=True)
class Measured:
    """An engine after its start."""

    kv_tokens: int | None = None
    """Tokens that its cache holds for all requests together, as it prints them."""
    block: int | None = None
    """Tokens of one block of its cache."""
    devices: tuple[DeviceMeasured, ...] = ()

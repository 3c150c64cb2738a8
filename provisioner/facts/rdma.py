"""RDMA devices (InfiniBand, RoCE): state and rate of each port, and the network interface beside it."""

from provisioner.model.answers import names, node, number, text
from provisioner.model.facts import Answers, Fact, RdmaDevice, ReadFiles

ROOT = "/sys/class/infiniband"


def parse(answers: Answers) -> tuple[RdmaDevice, ...]:
    """One entry a port."""
    return tuple(
        _port(answers, device, int(port))
        for device in names(answers, ROOT)
        for port in names(answers, f"{ROOT}/{device}/ports")
        if port.isdecimal()
    )


def _port(answers: Answers, device: str, port: int) -> RdmaDevice:
    folder = f"{ROOT}/{device}/ports/{port}/"
    # `4: ACTIVE` and `100 Gb/sec (4X EDR)`.
    state = (text(answers, folder + "state") or "").partition(":")[2].strip()
    rate = (text(answers, folder + "rate") or "").split()
    return RdmaDevice(
        name=device,
        port=port,
        state=state.lower() or "unknown",
        rate_gbps=float(rate[0]) if rate and rate[0].replace(".", "", 1).isdecimal() else None,
        link_layer=text(answers, folder + "link_layer") or "unknown",
        interface=_interface(answers, device, port),
        numa_node=node(answers, f"{ROOT}/{device}/device/numa_node"),
    )


def _interface(answers: Answers, device: str, port: int) -> str | None:
    """The interface whose port on the card is this one; the kernel counts them from zero there."""
    folder = f"{ROOT}/{device}/device/net"
    return next(
        (name for name in names(answers, folder) if number(answers, f"{folder}/{name}/dev_port") == port - 1), None
    )


FACT: Fact[tuple[RdmaDevice, ...]] = Fact(
    name="rdma",
    question=ReadFiles((
        f"{ROOT}/*/ports/*/state",
        f"{ROOT}/*/ports/*/rate",
        f"{ROOT}/*/ports/*/link_layer",
        f"{ROOT}/*/device/numa_node",
        f"{ROOT}/*/device/net/*/dev_port",
    )),
    parse=parse,
    absent=(),
)  # fmt: skip

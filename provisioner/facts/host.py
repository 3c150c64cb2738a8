"""Which machine it is: name, operating system, kernel, architecture, and what it runs inside of."""

import json

from provisioner.model.answers import pairs, text
from provisioner.model.facts import Answers, AskAll, AskKernel, Fact, Host, ReadFiles, Unknown

UNKNOWN = "unknown"
DMI = "/sys/class/dmi/id/"
VIRTUAL_MAKERS = {
    "QEMU": "kvm",
    "KVM": "kvm",
    "VMware": "vmware",
    "innotek": "virtualbox",
    "Xen": "xen",
    "Microsoft Corporation Virtual Machine": "hyper-v",
    "Amazon EC2": "kvm",
    "Google Compute Engine": "kvm",
    "OpenStack": "kvm",
    "Alibaba Cloud": "kvm",
    "Bochs": "kvm",
}
"""How the firmware of a virtual machine names its maker; Amazon's bare-metal machines say so in the product name."""


def parse(answers: Answers) -> Host:
    """Names from /etc and /proc where the tree holds them; `uname` for what only the running kernel tells."""
    uname = _uname(answers)
    release = pairs(text(answers, "/etc/os-release") or text(answers, "/usr/lib/os-release") or "", "=")
    product = " ".join(filter(None, (text(answers, DMI + "sys_vendor"), text(answers, DMI + "product_name"))))
    return Host(
        hostname=uname.get("node") or UNKNOWN,
        os=release.get("PRETTY_NAME", "").strip("\"'") or UNKNOWN,
        kernel=uname.get("release") or _kernel(text(answers, "/proc/version")),
        architecture=uname.get("machine") or text(answers, "/proc/sys/kernel/arch") or UNKNOWN,
        product=product or text(answers, "/proc/device-tree/model") or None,
        virtualization=_virtualization(answers, product),
        boot_id=text(answers, "/proc/sys/kernel/random/boot_id") or None,
    )


def _uname(answers: Answers) -> dict[str, str]:
    answer = answers.get("uname")
    if answer is None or isinstance(answer, Unknown):
        return {}
    found = json.loads(answer)
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _kernel(version: str | None) -> str:
    """`Linux version 6.1.0-13-amd64 (…) …`."""
    words = (version or "").split()
    return words[2] if words[:2] == ["Linux", "version"] and len(words) > 2 else UNKNOWN


def _virtualization(answers: Answers, product: str) -> str | None:
    """The innermost wall: a container before the virtual machine that it runs in."""
    container = text(answers, "/run/systemd/container")
    if container:
        return container
    if "/.dockerenv" in answers:
        return "docker"
    if "/run/.containerenv" in answers:
        return "podman"
    kernel = text(answers, "/proc/version") or ""
    if "microsoft" in kernel.lower():
        return "wsl"
    maker = next((name for words, name in VIRTUAL_MAKERS.items() if words.lower() in product.lower()), None)
    if maker and "metal" not in product:
        return maker
    return text(answers, "/sys/hypervisor/type") or None


FACT: Fact[Host] = Fact(
    name="host",
    question=AskAll((
        ReadFiles((
            "/etc/os-release",
            "/usr/lib/os-release",
            "/proc/version",
            "/proc/sys/kernel/arch",
            "/proc/sys/kernel/random/boot_id",
            "/proc/device-tree/model",
            "/sys/class/dmi/id/sys_vendor",
            "/sys/class/dmi/id/product_name",
            "/sys/hypervisor/type",
            "/run/systemd/container",
            "/.dockerenv",
            "/run/.containerenv",
        )),
        AskKernel(("uname",)),
    )),
    parse=parse,
    absent=Unknown("nothing tells what machine this is"),
)  # fmt: skip

"""Who makes the control groups of pods: the kubelet and containerd have to agree on it."""

from provisioner.model.answers import pairs, text
from provisioner.model.facts import Answers, Fact, ReadFiles

KUBELET_FILE = "/var/lib/kubelet/config.yaml"
CONTAINERD_FILE = "/etc/containerd/config.toml"


def parse_kubelet(answers: Answers) -> str | None:
    """`cgroupDriver: systemd`."""
    return pairs(text(answers, KUBELET_FILE) or "", ":").get("cgroupDriver", "").strip("\"'") or None


def parse_containerd(answers: Answers) -> str | None:
    """`SystemdCgroup = true` among the options of runc; without the line containerd makes them itself."""
    told = pairs(text(answers, CONTAINERD_FILE) or "", "=").get("SystemdCgroup")
    return "systemd" if told == "true" else "cgroupfs"


KUBELET: Fact[str | None] = Fact("kubelet_cgroups", ReadFiles((KUBELET_FILE,)), parse_kubelet, absent=None)
CONTAINERD: Fact[str | None] = Fact("containerd_cgroups", ReadFiles((CONTAINERD_FILE,)), parse_containerd, absent=None)

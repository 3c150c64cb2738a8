"""Kubernetes on this machine, by the files that its distributions leave."""

from provisioner.model.facts import Answers, Fact, ReadFiles

PLACES = {
    "/run/k3s/containerd": "k3s",
    "/etc/rancher/k3s/k3s.yaml": "k3s",
    "/etc/rancher/rke2/rke2.yaml": "rke2",
    "/var/snap/microk8s/current/args/kubelet": "microk8s",
    "/var/lib/k0s/kubelet": "k0s",
    "/etc/kubernetes/manifests/kube-apiserver.yaml": "control plane",
    "/etc/kubernetes/kubelet.conf": "node",
    "/var/lib/kubelet/config.yaml": "node",
}
"""What each file or folder shows, the most telling first."""


def parse(answers: Answers) -> str:
    """The distribution, or the role in a cluster made by kubeadm."""
    return next(what for place, what in PLACES.items() if place in answers)


FACT: Fact[str | None] = Fact("kubernetes", ReadFiles(tuple(PLACES)), parse, absent=None)

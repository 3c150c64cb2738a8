"""NVIDIA's driver in user space, by the version that its library's name ends in."""

from provisioner.model.facts import Answers, Fact, ReadFiles, Unknown

LINKS = tuple(
    f"{folder}/{name}"
    for folder in ("/usr/lib/*-linux-gnu", "/usr/lib/*-linux-gnu/nvidia/current", "/usr/lib64", "/usr/lib")
    for name in ("libnvidia-ml.so.1", "libcuda.so.1")
)
"""Where Debian, Ubuntu, Red Hat's family and NVIDIA's own installer put them; Debian has its links lead through a second folder."""


def parse(answers: Answers) -> tuple[str, ...]:
    """Links such as `libnvidia-ml.so.1 -> libnvidia-ml.so.580.95.05`; one that leads to another link tells nothing."""
    ends = (target.rpartition(".so.")[2] for target in answers.values() if not isinstance(target, Unknown))
    return tuple(sorted({end for end in ends if "." in end and end.replace(".", "").isdecimal()}))


FACT: Fact[tuple[str, ...]] = Fact("driver_libraries", ReadFiles((), LINKS), parse, absent=())

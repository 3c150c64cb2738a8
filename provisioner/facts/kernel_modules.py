"""Which of the installed kernels have NVIDIA's module: the next start takes the newest, and not the one that runs."""

from collections.abc import Mapping

from provisioner.model.facts import Answers, Fact, ReadFiles, Unknown

LISTS = "/lib/modules/*/modules.dep"
MODULE = "/nvidia.ko"


def parse(answers: Answers) -> Mapping[str, bool]:
    """By the kernel's name, as `uname -r` writes it."""
    return {path.split("/")[3]: MODULE in told for path, told in answers.items() if not isinstance(told, Unknown)}


FACT: Fact[Mapping[str, bool]] = Fact("kernel_modules", ReadFiles((LISTS,)), parse, absent={})

"""Which programs run, by the names of their processes."""

from provisioner.model.facts import Answers, Fact, ReadFiles, Unknown


def parse(answers: Answers) -> frozenset[str]:
    return frozenset(name.strip() for name in answers.values() if not isinstance(name, Unknown))


FACT: Fact[frozenset[str] | Unknown] = Fact(
    name="programs", question=ReadFiles(("/proc/*/comm",)), parse=parse, absent=Unknown("no process can be seen")
)

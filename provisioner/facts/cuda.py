"""The newest CUDA version that the loaded driver can run."""

import json

from provisioner.model.facts import Answers, AskNvml, Fact, Unknown


def parse(answers: Answers) -> str:
    """NVML counts 12.4 as 12040."""
    answer = answers["nvml"]
    document = {} if isinstance(answer, Unknown) else json.loads(answer)
    number = document.get("cuda") if isinstance(document, dict) else None
    if not isinstance(number, int):
        raise ValueError(f"NVML says {number!r}")
    return f"{number // 1000}.{number % 1000 // 10}"


FACT: Fact[str | None] = Fact("cuda", AskNvml(), parse, absent=None)

"""The Python that runs this program, and the engine that is embedded in it."""

import json

from provisioner.model.facts import Answers, AskKernel, Fact, Runtime, Unknown


def parse(answers: Answers) -> Runtime:
    answer = answers["runtime"]
    if isinstance(answer, Unknown):
        raise ValueError(answer.reason)
    found = json.loads(answer)
    if not isinstance(found, dict):
        raise ValueError("expected an object")
    backends = found.get("backends")
    return Runtime(
        python=str(found["python"]),
        version=str(found["version"]),
        embedded=None if found.get("embedded") is None else str(found["embedded"]),
        embedded_backends=tuple(map(str, backends)) if isinstance(backends, list) else (),
    )


FACT: Fact[Runtime] = Fact("runtime", AskKernel(("runtime",)), parse, absent=Unknown("the interpreter gave no answer"))

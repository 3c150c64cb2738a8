"""One streamed chat completion: the first token in time, and more after it."""

from collections.abc import Iterator

from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding, Service
from provisioner.model.plugins import Check, View
from provisioner.model.report import Completion

FEWEST_TOKENS = 2
"""One token alone could be a stream that stopped; a second one shows that they advance."""


def run(view: View) -> Iterator[Finding]:
    services = {service.name: service for service in view.plan.services}
    for seen in view.observed.services if view.observed else ():
        service = services.get(seen.name) if seen.goes_on or not isinstance(seen.completion, Unknown) else None
        why = _wrong(seen.completion, service) if service is not None else None
        if why is not None:
            yield Finding(
                "answers",
                "error",
                f"{view.plan.hostname}: {seen.name} gives no answer: {why}",
                fix=f"provision logs {seen.name}",
            )


def _wrong(completion: Completion | Unknown, service: Service) -> str | None:
    """What is wrong with a completion; None when it is one."""
    if isinstance(completion, Unknown):
        return completion.reason
    if completion.status != 200:
        return f"a chat completion is refused with status {completion.status}: {completion.error}".rstrip(": ")
    if completion.error:
        return completion.error
    if not completion.arrivals or not completion.text:
        return "the completion is empty"
    if completion.arrivals[0] > service.first_token_seconds:
        return f"the first token took {completion.arrivals[0]:.1f} s, and {service.first_token_seconds} s are allowed"
    if completion.tokens < FEWEST_TOKENS:
        return f"only {completion.tokens} token came: the engine does not advance"
    return None


CHECK = Check(name="answers", stage="after", run=run)

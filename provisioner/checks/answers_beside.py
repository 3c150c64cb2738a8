"""Chat page, gateway and monitoring answer what they are asked, and refuse what they shall refuse."""

from collections.abc import Iterator

from provisioner.model.facts import Unknown
from provisioner.model.plan import Finding
from provisioner.model.plugins import Check, View
from provisioner.model.report import Answered

NAME = "answers_beside"


def run(view: View) -> Iterator[Finding]:
    for answer in view.observed.answers if view.observed else ():
        if not answer.right and not _is_down(answer.question.behind, view):
            what = f"{view.plan.hostname}: {answer.question.service}: {answer.question.what}: {_why(answer)}"
            fix = f"provision logs {answer.question.service}"
            yield Finding("answers-beside", "error", what, fix=fix)


def _is_down(model: str, view: View) -> bool:
    """Whether no engine of a model is well, which has rules of its own."""
    engines = {one.name for one in view.plan.services if one.model_name == model}
    seen = [one for one in (view.observed.services if view.observed else ()) if one.name in engines]
    return bool(seen) and all(one.health != 200 or not one.goes_on for one in seen)


def _why(answer: Answered) -> str:
    if isinstance(answer.status, Unknown):
        return answer.status.reason
    if answer.status != answer.question.status:
        return f"status {answer.status}, expected {answer.question.status}"
    return f"`{answer.question.contains}` is not in the answer"


CHECK = Check(name=NAME, stage="after", run=run)

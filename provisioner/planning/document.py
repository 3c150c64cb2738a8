"""The plan as the document `provision.plan/1`, which scripts may rely on: `docs/reference/plan.schema.json`."""

from collections.abc import Iterable, Iterator

from provisioner.documents import Json, encode, encode_object
from provisioner.model.outcome import Compared
from provisioner.model.plan import Plan
from provisioner.model.record import replace

SCHEMA = "provision.plan/1"
COMPARISON = "provision.comparison/1"


def plan_document(plan: Plan, actions: Iterable[str]) -> dict[str, Json]:
    """The document; `actions` are the lines that a dry run prints."""
    return {
        "schema": SCHEMA,
        "verdict": plan.verdict,
        "hostname": plan.hostname,
        "profile": plan.profile,
        "model": encode(plan.model),
        "engine": plan.engine,
        "precision": plan.model.precision if plan.model else None,
        "target": plan.target,
        "parallel": encode(plan.parallel),
        "context": plan.context,
        "memory": encode(plan.memory),
        "capacity": encode(plan.capacity),
        "services": encode(plan.services),
        "beside": encode(plan.beside),
        "decisions": encode(plan.decisions),
        "binding": plan.binding,
        "cheapest_changes": encode(plan.cheapest_changes),
        "findings": encode(plan.findings),
        "actions": list(actions),
        **({"models": list(_models(plan))} if plan.models else {}),
    }


def _models(plan: Plan) -> Iterator[Json]:
    """Each of several, and where requests for it will go."""
    from provisioner.planning.entrance import addresses  # Most plans are of one model.
    from provisioner.planning.several.merged import apart

    for one, part in zip(plan.models, apart(plan), strict=True):
        told = encode_object(replace(one, reckoned=()))
        del told["reckoned"]
        yield {**told, "base_urls": list(addresses(part))}


def comparison_document(compared: Iterable[Compared]) -> dict[str, Json]:
    """Each plan whole, under the name of the profile or machine that it is for."""
    return {
        "schema": COMPARISON,
        "plans": [{"name": one.name, "plan": plan_document(one.plan, ())} for one in compared],
    }

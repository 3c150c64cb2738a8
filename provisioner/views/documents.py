"""What each command says as JSON; each document names its schema."""

from provisioner.documents import Json, encode
from provisioner.model.baseline import Baseline
from provisioner.model.learned import Reading
from provisioner.model.outcome import (
    Benched,
    BesideStatus,
    Checked,
    ModelStatus,
    Outcome,
    Planned,
    Removed,
    RolledBackTo,
    ServiceStatus,
    Status,
)
from provisioner.model.plan import Plan, PlannedModel, Service
from provisioner.model.release import Applied, HistoryEntry
from provisioner.model.upgrading import Speeds, Upgraded
from provisioner.planning.entrance import base_url
from provisioner.planning.several.merged import apart
from provisioner.views.endpoint import entrance_document


def applied_document(outcome: Outcome) -> dict[str, Json]:
    """The receipt of `up`. The key is never in it; its file is named."""
    return {
        "schema": "provision.applied/1",
        "verb": "up",
        "changed": outcome.changed,
        "recovered": outcome.recovered,
        "profile": outcome.plan.profile,
        "hostname": outcome.plan.hostname,
        "model": outcome.plan.model.id if outcome.plan.model else None,
        "precision": outcome.plan.model.precision if outcome.plan.model else None,
        "engine": outcome.plan.engine,
        "target": outcome.plan.target,
        "endpoints": endpoints(outcome.plan),
        "gateway": entrance_document(outcome.plan),
        "steps": steps(outcome.applied),
        "observed": encode(outcome.observed),
        "findings": encode(outcome.report.findings),
        "exit_code": outcome.report.exit_code,
        **_each([_model(one) for one in outcome.plan.models]),
    }


def _each(models: list[Json]) -> dict[str, Json]:
    """Where there is one model, all that is said is said of it."""
    return {"models": models} if len(models) > 1 else {}


def _model(one: Plan | PlannedModel) -> dict[str, Json]:
    """One of several models, in the words that the document has for the only one."""
    services = (each if isinstance(each, str) else each.name for each in one.services)
    return {
        "model": one.model.id if one.model else None,
        "precision": one.model.precision if one.model else None,
        "engine": one.engine,
        "services": list(services),
    }


def upgrade_document(upgraded: Upgraded) -> dict[str, Json]:
    """The receipt of `up`, and what `upgrade` found besides."""
    speeds = {one.model: one for one in upgraded.speeds}
    plan = upgraded.outcome.plan
    return {
        **applied_document(upgraded.outcome),
        "schema": "provision.upgrade/1",
        "verb": "upgrade",
        "previous": upgraded.previous,
        "differences": encode(upgraded.differences),
        **_speeds(upgraded.speeds[0] if upgraded.speeds else None),
        **_each([{**_model(one), **_speeds(speeds.get(one.model.id))} for one in plan.models]),
        "tolerance": upgraded.tolerance,
    }


def _speeds(one: Speeds | None) -> dict[str, Json]:
    return {
        "before": measured(one.before) if one and one.before else None,
        "after": measured(one.after) if one else None,
    }


def endpoints(plan: Plan) -> Json:
    """Of each copy of each model; models of one server have the same address."""
    return [endpoint(service, plan.hostname) for part in apart(plan) for service in part.services]


def endpoint(service: Service, hostname: str) -> dict[str, Json]:
    return {
        "service": service.name,
        "base_url": base_url(service, hostname),
        "model": service.model_name,
        "key_file": service.key_file,
        "context": service.context,
        "slots": service.slots,
    }


def steps(applied: Applied | None) -> Json:
    return encode(applied.steps) if applied else []


def removed_document(removed: Removed) -> dict[str, Json]:
    return {
        "schema": "provision.removed/1",
        "changed": removed.applied is not None,
        "ok": removed.applied is None or removed.applied.ok,
        "steps": steps(removed.applied),
        "kept": list(removed.kept),
    }


def rendered_document(planned: Planned, folder: str, files: tuple[str, ...]) -> dict[str, Json]:
    return {
        "schema": "provision.rendered/1",
        "folder": folder,
        "files": list(files),
        "profile": planned.plan.profile,
        "target": planned.plan.target,
        "findings": encode(planned.plan.findings),
    }


def status_document(status: Status) -> dict[str, Json]:
    plan = status.plan
    return {
        "schema": "provision.status/1",
        "healthy": None if status.release is None else status.whole,
        "release": status.release,
        "profile": plan.profile if plan else None,
        "model": plan.model.id if plan and plan.model else None,
        "target": plan.target if plan else None,
        "services": [_service(one, plan.hostname if plan else "") for one in status.services],
        "beside": [_beside(one) for one in status.beside],
        "gateway": entrance_document(plan),
        "findings": encode(status.findings),
        "unfinished": status.unfinished,
        "holder": status.holder,
        "weights_bytes": status.weights_bytes,
        **_measured(status.models[0] if status.models else None),
        **_each([{**_model(one.plan), **_measured(one)} for one in status.models]),
    }


def _measured(one: ModelStatus | None) -> dict[str, Json]:
    """What the starts and `bench` measured of a model."""
    return {
        "memory": [_reading(each) for each in one.learned] if one else [],
        "speed": measured(one.speed) if one and one.speed else None,
    }


def bench_document(benched: Benched) -> dict[str, Json]:
    others: Json = [_benched(one) for one in benched.others]
    return {"schema": "provision.bench/1", **_benched(benched), **({"others": others} if others else {})}


def _benched(benched: Benched) -> dict[str, Json]:
    capacity = benched.plan.capacity
    return {
        **measured(benched.baseline),
        "planned": {
            "tokens_per_second": capacity.tokens_per_second if capacity else None,
            "total_tokens_per_second": capacity.total_tokens_per_second if capacity else None,
            "first_token_seconds": capacity.first_token_seconds if capacity else None,
        },
    }


def measured(one: Baseline) -> dict[str, Json]:
    """A measurement, in the words of its record."""
    return {
        "release": one.release,
        "model": one.model,
        "engine": one.engine,
        "measured_unix": one.measured_unix,
        "quick": one.quick,
        "speed": encode(one.speed),
    }


def _reading(one: Reading) -> dict[str, Json]:
    """One part of the memory, as it was planned and as the engine said that it became."""
    part = one.part
    return {
        "component": part.kind.component,
        "device": part.device or None,
        "kind": part.kind.device,
        "engine": part.kind.engine,
        "version": part.kind.version or None,
        "computed_bytes": part.planned_bytes,
        "planned_bytes": part.bytes,
        "measured_bytes": one.measured_bytes,
        "starts": one.starts,
    }


def _service(one: ServiceStatus, hostname: str) -> dict[str, Json]:
    running = one.running
    return {
        **endpoint(one.service, hostname),
        "running": one.alive,
        "pid": running.pid if running else None,
        "state": running.state if running else None,
    }


def _beside(one: BesideStatus) -> dict[str, Json]:
    running, published = one.running, one.container.published
    return {
        "service": one.container.name,
        "image": one.container.image,
        "addresses": [f"{port.host}:{port.port}" for port in published],
        "running": one.alive,
        "pid": running.pid if running else None,
        "state": running.state if running else None,
    }


def check_document(checked: Checked) -> dict[str, Json]:
    return {
        "schema": "provision.check/1",
        "ok": checked.report.exit_code == 0,
        "release": checked.release,
        "observed": encode(checked.observed),
        "findings": encode(checked.report.findings),
        "exit_code": checked.report.exit_code,
    }


def history_document(entries: tuple[HistoryEntry, ...]) -> dict[str, Json]:
    return {"schema": "provision.history/1", "runs": encode(entries)}


def rollback_document(back: RolledBackTo) -> dict[str, Json]:
    return {
        "schema": "provision.rollback/1",
        "release": back.release,
        "previous": back.previous,
        "steps": steps(back.applied),
        "findings": encode(back.report.findings),
        "exit_code": back.report.exit_code,
    }

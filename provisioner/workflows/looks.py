"""What is in force, how it is, how fast, and what it says and said."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from provisioner.errors import BadInput, Refused
from provisioner.model.outcome import Benched, BesideStatus, Checked, ModelStatus, ServiceStatus, Status
from provisioner.model.plan import Plan
from provisioner.model.plugins import Place, View
from provisioner.model.progress import Progress
from provisioner.model.record import replace
from provisioner.model.release import HistoryEntry
from provisioner.model.report import Observed, Report
from provisioner.workflows import QUIET, errors, place_of

if TYPE_CHECKING:
    from provisioner.world.store import Store

CONTAINERS = "docker"


def status(state_dir: str) -> Status:
    """What is in force and whether it runs; nobody is asked for an answer."""
    from provisioner.phases.standing import findings
    from provisioner.phases.survey import load_plan, running
    from provisioner.world.database import busy, reading

    place = place_of(state_dir)
    with reading(place.state) as store:
        digest = store.current()
        held = busy(place.state)
        unfinished = store.interrupted() if not held else ()
        plan = load_plan(place, digest) if digest else None
        there = {one.service: one for one in running(place.state, digest) if one.digest == digest}
        silence = _silence(place) if plan and plan.target == CONTAINERS and not there else ""
        return Status(
            release=digest,
            plan=plan,
            services=tuple(
                ServiceStatus(service, there.get(service.name)) for service in (plan.services if plan else ())
            ),
            beside=tuple(BesideStatus(one, there.get(one.name)) for one in (plan.beside if plan else ())),
            unfinished=_unfinished(unfinished[0], store.last_step(unfinished[0].run)) if unfinished else None,
            holder=held,
            weights_bytes=_on_disk(place),
            models=_models(plan, digest, store) if plan and digest else (),
            silence=silence,
            findings=tuple(findings(plan, place, silence)) if plan else (),
        )


def _silence(place: Place) -> str:
    from provisioner.world.containers import silence

    return silence(place.state)


def _on_disk(place: Place) -> int:
    """Of the store of weights; a file with many names lies there once."""
    blobs = f"{place.state}/blobs/sha256"
    return sum(entry.stat().st_blocks * 512 for entry in os.scandir(blobs)) if os.path.isdir(blobs) else 0


def _models(plan: Plan, digest: str, store: "Store") -> tuple[ModelStatus, ...]:
    """What was planned of each, and what was measured of it: the same for whoever reads or scripts it."""
    from provisioner.model.learned import Learned
    from provisioner.planning.memory.residuals import readings
    from provisioner.planning.several.merged import apart

    learned = Learned(store.residuals())
    return tuple(
        ModelStatus(
            part,
            readings(part.reckoned, learned),
            store.baseline(digest, part.model.id if part.model else "", part.engine or ""),
        )
        for part in apart(plan)
    )


def _unfinished(entry: HistoryEntry, step: str) -> str:
    return f"run {entry.run} (`provision {entry.verb}`) was cut off at: {step}"


def bench(state_dir: str, quick: bool, progress: Progress = QUIET, wait: float = 0.0) -> Benched:
    """How fast what is in force is, kept beside its release."""
    from provisioner.phases.bench import bench as measure
    from provisioner.phases.survey import load_plan
    from provisioner.planning.several.merged import apart
    from provisioner.world.database import is_ours, locked

    place = place_of(state_dir)
    if not is_ours(place.state):
        raise Refused(f"{place.state}: nothing is in force here", fix="provision up")
    with locked(place.state, "bench", wait) as store:
        digest = store.current()
        if digest is None:
            raise Refused(f"{place.state}: nothing is in force here", fix="provision up")
        plan = load_plan(place, digest)
        _may_ask(plan)
        found = tuple(Benched(part, measure(part, digest, progress, quick=quick)) for part in apart(plan))
        for one in found:
            store.remember_baseline(one.baseline)
        return replace(found[0], others=found[1:])


def check(state_dir: str) -> Checked:
    """Ask what is in force, now, and hold the answers against the rules."""
    from provisioner.phases.judge import judge
    from provisioner.phases.observe import certificates_of, observe
    from provisioner.phases.prepare import facts_here
    from provisioner.phases.survey import load_plan, running
    from provisioner.world.database import reading

    place = place_of(state_dir)
    with reading(place.state) as store:
        digest = store.current()
    if digest is None:
        raise Refused(f"{place.state}: nothing is in force here", fix="provision up")
    plan = load_plan(place, digest)
    _may_ask(plan)
    observed: Observed = observe(plan, running(place.state), place.state)
    view = View(plan, facts_here(), observed, {}, place.state, certificates=certificates_of(plan))
    findings = judge("after", view)
    return Checked(digest, observed, Report(findings, 1 if errors(findings) else 0))


def _may_ask(plan: Plan) -> None:
    """One reason instead of one for each question that could not be asked."""
    for service in plan.services:
        if os.path.exists(os.path.dirname(service.key_file)) and not os.access(service.key_file, os.R_OK):
            raise Refused(
                f"{service.key_file}: the key is its owner's alone, and without it the engine cannot be asked",
                fix="sudo provision check   (as the one who ran `provision up`)",
            )


def logs(state_dir: str, service: str | None, follow: bool, lines: int) -> Iterator[str]:
    """The services' own words, the last ones first to come; with `follow`, until nobody listens."""
    from provisioner.world import containers
    from provisioner.world.files import explain
    from provisioner.world.logs import read

    state = place_of(state_dir).state
    folder = f"{state}/logs"
    try:
        found = os.listdir(folder) if os.path.isdir(folder) else []
    except OSError as error:
        raise explain(error, "reading the logs") from error
    contained = containers.names(state)
    kept = sorted({name.removesuffix(".log") for name in found if name.endswith(".log")} - set(contained))
    names = (*contained, *kept)
    if not names:
        raise Refused(f"{folder}: there is no log", fix="provision up")
    if service is not None and service not in names:
        raise BadInput(f"no service is named {service}", fix=f"one of: {', '.join(names)}")
    if contained and (service is None or service in contained):
        return containers.read(state, (service,) if service else contained, lines, follow=follow)
    return read([f"{folder}/{name}.log" for name in ([service] if service else names)], follow, lines)


def history(state_dir: str) -> tuple[HistoryEntry, ...]:
    """Every run, the newest first."""
    from provisioner.world.database import reading

    with reading(place_of(state_dir).state) as store:
        return store.history()

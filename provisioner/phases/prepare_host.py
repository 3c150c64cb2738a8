"""Give this host what the plan stands on. A step that changes facts ends the round: they are gathered again, three rounds at most."""

import os
from collections.abc import Mapping

from provisioner.errors import Refused, RunFailed
from provisioner.model.host import HostSteps, HostWish, Prepared, TaskDone
from provisioner.model.plugins import Place
from provisioner.model.progress import Progress
from provisioner.model.spec import Spec

ROUNDS = 3


def prepare_host(spec: Spec, wish: HostWish, place: Place, only_check: bool, progress: Progress) -> Prepared:
    """Run the playbook over the steps; with `only_check`, tell the very tasks and change nothing."""
    from provisioner.world import ansible

    ansible.insist_on_ansible()
    if os.geteuid() != 0 and not only_check:
        raise Refused("only root can install packages and change settings of the host", fix="sudo provision prepare")
    hostname, steps = decide(spec, wish, place)
    rounds: list[tuple[TaskDone, ...]] = []
    played: Mapping[str, object] = {}
    while steps.steps and settings(steps) != played and len(rounds) < ROUNDS:
        rounds.append(_round(steps, only_check, progress))
        if only_check:
            break
        played = settings(steps)
        hostname, steps = decide(spec, wish, place)
    return Prepared(hostname, tuple(rounds), steps.steps, steps.findings, only_check)


def make_ready(spec: Spec, wish: HostWish, place: Place, progress: Progress) -> None:
    """The whole of it before something else is begun, which is refused where this host cannot be made ready."""
    prepared = prepare_host(spec, wish, place, only_check=False, progress=progress)
    errors = [finding for finding in prepared.findings if finding.level == "error"]
    if errors:
        first, *others = errors
        raise Refused(
            f"{prepared.hostname}: {first.message}", details=tuple(one.message for one in others), fix=first.fix
        )


def settings(steps: HostSteps) -> Mapping[str, object]:
    """What the steps would make of the host, whatever of it is there already."""
    from provisioner.planning.host.host_steps import variables

    return {name: value for name, value in variables(steps).items() if not name.endswith("_missing")}


def decide(spec: Spec, wish: HostWish, place: Place) -> tuple[str, HostSteps]:
    """The steps for this host as it is now."""
    from provisioner import catalog
    from provisioner.facts import ssh_ports
    from provisioner.model.facts import Unknown
    from provisioner.model.weights import Shelf
    from provisioner.phases.doctor import UNNAMED, upkeep_of
    from provisioner.phases.gather import Asked
    from provisioner.phases.prepare import facts_here
    from provisioner.planning.host.host_steps import host_steps, published
    from provisioner.planning.plan import make_plan
    from provisioner.world.machine import ThisMachine

    facts, machine = facts_here(), ThisMachine()
    plan = make_plan(spec, facts, catalog.load_catalog(), Shelf(), place)
    ours = set(published(plan, wish))
    if wish.allow and not ours:
        raise Refused("no port is published, so there is none to guard", fix="name it: `--port 443 --allow 10.0.0.0/8`")
    shut = sorted(
        ours.intersection(known if isinstance(known := Asked(machine).about(ssh_ports.FACT), tuple) else (22,))
    )
    if wish.allow and shut:
        raise Refused(f"port {shut[0]} is that of SSH, and is left alone", fix="choose another port for the service")
    steps = host_steps(plan, facts, upkeep_of(machine, ()), wish)
    return (UNNAMED if isinstance(facts.host, Unknown) else facts.host.hostname), steps


def _round(steps: HostSteps, only_check: bool, progress: Progress) -> tuple[TaskDone, ...]:
    from provisioner.planning.host.host_steps import variables
    from provisioner.world import ansible

    values: Mapping[str, object] = variables(steps)
    progress.step(
        f"ansible-playbook host.yml{' --check' if only_check else ''}: {', '.join(step.role for step in steps.steps)}"
    )
    tasks = ansible.play(values, only_check)
    changed = sum(task.changed for task in tasks)
    failed = next((task for task in tasks if task.failure), None)
    progress.done(f"failed: {failed.name}" if failed else f"{changed} {'would change' if only_check else 'changed'}")
    if failed:
        done = "".join(f"; done before: {task.name}" for task in tasks if task.changed)
        raise RunFailed(
            f"{failed.step or 'playbook'}: {failed.name}: {failed.failure}{done}",
            fix="mend it, and run it again: that is safe",
        )
    return tasks

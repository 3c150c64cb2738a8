"""The verbs that change nothing here: what would be done, side by side, or written into a folder."""

import os

from provisioner.errors import BadInput
from provisioner.model.outcome import Compared, Planned
from provisioner.model.plan import Plan
from provisioner.model.plugins import Place, Target
from provisioner.model.record import replace
from provisioner.model.release import Release
from provisioner.model.spec import Spec
from provisioner.workflows import place_of, targets


def plan(spec: Spec, hardware: str | None, state_dir: str, changed: str | None = None) -> Planned:
    """What would be done and why; nothing is changed. `changed` says what would be different of the hardware."""
    place = place_of(state_dir)
    if hardware is not None or changed is not None:
        from provisioner.phases.elsewhere import elsewhere

        ground = elsewhere(spec, hardware, place, changed)
    else:
        from provisioner.phases.prepare import look
        from provisioner.world.database import reading

        with reading(place.state) as store:
            ground = look(spec, store, place)
    return Planned(ground.facts, ground.plan, ground.actions)


def compare(spec: Spec, hardware: str | None, others: tuple[str, ...], state_dir: str) -> tuple[Compared, ...]:
    """The plans of several profiles for one machine, or of one profile for several machines."""
    from provisioner.phases.elsewhere import side_by_side

    return side_by_side(spec, hardware, others, place_of(state_dir))


def render(spec: Spec, hardware: str | None, folder: str, state_dir: str) -> Planned:
    """The release folder of a plan, applied by nobody."""
    from provisioner.phases.prepare import beside_engines, insist, insist_on_linux
    from provisioner.world import files

    if os.path.exists(folder) and (not os.path.isdir(folder) or os.listdir(folder)):
        raise BadInput(f"{folder}: there is something already", fix="name a folder that does not exist yet")
    planned = plan(spec, hardware, state_dir)
    if planned.plan.verdict != "fits":
        # What stands in the way of starting it here, a port that is taken, is no reason against writing it down.
        insist(planned.plan)
    insist_on_linux(planned.plan, planned.facts)
    place = place_of(state_dir)
    target = targets()[planned.plan.target or ""]
    whole = beside_engines(planned.plan, spec, place, planned.facts)
    release = _rendered_at(whole, target, place, os.path.abspath(folder))
    try:
        if os.path.isdir(folder):
            os.rmdir(folder)
        files.make_folder(os.path.dirname(os.path.abspath(folder)))
        files.write_new_tree(os.path.abspath(folder), {file.path: (file.content, file.mode) for file in release.files})
    except OSError as error:
        raise files.explain(error, f"writing {folder}") from error
    return planned


def _rendered_at(plan: Plan, target: Target, place: Place, folder: str) -> Release:
    from provisioner.rendering import render as rendered

    release = rendered(plan, target, place)
    inside = place.release(release.digest)
    return replace(
        release, files=tuple(replace(file, content=file.content.replace(inside, folder)) for file in release.files)
    )

"""What an upgrade leaves behind, as far as it is told what is different."""

from pathlib import Path

from provisioner.model.plugins import Place
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from provisioner.phases.upgrade import in_force
from provisioner.planning.difference import differences
from provisioner.planning.plan import make_plan
from provisioner.planning.serving.beside import with_companions
from provisioner.rendering import render
from provisioner.targets.docker import TARGET
from provisioner.world import files
from tests.unit.planning.samples import CATALOG, machine


def test_the_files_of_what_is_in_force_are_compared_as_well(tmp_path: Path) -> None:
    place = Place(f"{tmp_path}/state", "/usr/bin/python3", "", user_manager=False)
    facts, spec = machine("8 cores, 16 GiB"), Spec(profile="demo", target="docker", settings={"image": "engine:1"})
    plan = with_companions(make_plan(spec, facts, CATALOG, Shelf(), place), spec, place, facts)
    release = render(plan, TARGET, place)
    files.make_folder(f"{place.state}/releases")
    files.write_tree(place.release(release.digest), {one.path: (one.content, one.mode) for one in release.files})
    old = in_force(place, release.digest, release)
    assert plan.files
    assert differences(old, plan) == ()
    first, *others = plan.files
    changed = replace(plan, files=(replace(first, content="else"), *others))
    assert [one.what for one in differences(old, changed)] == [f"file {first.path}"]

"""What stands: a release as it was written, and the downloads that it may still wait for."""

import os
from collections.abc import Mapping
from typing import cast

from provisioner import catalog
from provisioner.model.plugins import Place, Target
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from provisioner.phases.survey import survey
from provisioner.planning.plan import make_plan
from provisioner.rendering import render
from provisioner.world import files
from provisioner.world.database import locked
from tests.unit.planning.samples import CATALOG, machine


def test_what_a_release_serves_is_read_only_where_a_download_was_broken_off(tmp_path: object) -> None:
    place = Place(f"{tmp_path}/state", "/usr/bin/python3", "", user_manager=False)
    plan = make_plan(Spec(profile="demo"), machine("8 cores, 16 GiB"), CATALOG, Shelf(), place)
    targets = cast(Mapping[str, Target], catalog.scan("provisioner.targets", "TARGET"))
    release = render(plan, targets["process"], place)
    with locked(place.state, "test") as store:
        files.make_folder(place.release("x").rpartition("/")[0])
        files.write_tree(
            place.release(release.digest), {file.path: (file.content, file.mode) for file in release.files}
        )
        before = survey(store, place)
        assert before.folders == {release.digest}
        assert not before.parts
        assert not before.weights
        os.makedirs(os.path.dirname(place.blob("x")))
        for name in (f"{'0' * 64}.part", f"{'0' * 64}.part.journal"):
            with open(place.blob(name), "wb"):
                pass
        after = survey(store, place)
    assert after.parts == (place.blob(f"{'0' * 64}.part"), place.blob(f"{'0' * 64}.part.journal"))
    assert after.weights == {release.digest: {file.sha256 for file in release.weights}}
    assert after.weights[release.digest]


def test_what_lies_below_a_model_s_own_folder_is_seen(tmp_path: object) -> None:
    """Adapters and a smaller model that drafts have folders there: unseen they would be linked again, and the engine with them."""
    place = Place(f"{tmp_path}/state", "/usr/bin/python3", "", user_manager=False)
    sha256 = "1" * 64
    with locked(place.state, "test") as store:
        os.makedirs(os.path.dirname(place.blob(sha256)))
        os.makedirs(f"{place.state}/models/small/adapters")
        with open(place.blob(sha256), "wb") as file:
            file.write(b"weights")
        store.remember_hash(place.blob(sha256), sha256)
        os.link(place.blob(sha256), f"{place.state}/models/small/adapters/sql.gguf")
        half = f"{place.state}/models/small/adapters/more.gguf.tmp"
        os.link(place.blob(sha256), half)
        standing = survey(store, place)
    assert f"{place.state}/models/small/adapters/sql.gguf" in standing.links
    assert standing.leftovers == (half,)

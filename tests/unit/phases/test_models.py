"""Models in the store: linked and counted once, verified, kept for those who need them, and found again after a kill."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioner.errors import BadInput, Refused, RunFailed
from provisioner.model.holdings import Moved
from provisioner.model.plan import WeightFile
from provisioner.model.plugins import Place
from provisioner.model.progress import Silent
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.phases import models
from provisioner.phases.survey import survey
from provisioner.planning.diff import fetches
from provisioner.rendering import render
from provisioner.workflows import targets
from provisioner.world import files, tinymodel
from provisioner.world.bring import bring
from provisioner.world.database import locked
from tests.hub import Faults, Hub, serving
from tests.splitting import names as part_names
from tests.splitting import tiny as tiny_parts
from tests.unit.views import samples
from tests.unit.weights.checkpoints import CONFIG, checkpoint, write
from tests.unit.weights.test_shelf import part

QUIET = Silent()
REPOSITORY = "Qwen/Qwen3-0.6B"
SMALL = ("config.json", "model.safetensors.index.json", "tokenizer.json", "modeling_evil.py")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(str(tmp_path / "state"), "python", "", user_manager=False)


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    (tmp_path / "mine").mkdir()
    tinymodel.write(f"{tmp_path}/mine/tiny.gguf")
    return f"{tmp_path}/mine/tiny.gguf"


@pytest.fixture
def hub() -> Iterator[Hub]:
    # A repository of another model than the tests before: what a hub said is remembered for the life of a process.
    files = {f"{REPOSITORY}/{name}": data for name, data in checkpoint().items()}
    with serving(Hub({**files, f"{REPOSITORY}/pytorch_model.bin": b"pickle"}, plain=SMALL)) as hub:
        yield hub


def add(name: str, place: Place, **more: str) -> Moved:
    return models.add(Spec(model=name, **more), None, place, QUIET, 0.0)  # type: ignore[arg-type]


def serve(place: Place, folder: str, sha256: str) -> str:
    """A release that is in force and serves this file."""
    file = WeightFile("tiny.gguf", len(tinymodel.model_bytes()), sha256, place.blob(sha256))
    plan = replace(
        samples.PLAN,
        model=replace(samples.MODEL, files=(file,)),
        services=(replace(samples.SERVICE, model_path=f"{place.state}/models/{folder}/tiny.gguf"),),
    )
    release = render(plan, targets()["process"], place)
    files.write_tree(place.release(release.digest), {one.path: (one.content, one.mode) for one in release.files})
    with locked(place.state, "test") as store:
        store.activate(release.digest)
    return release.digest


def test_a_checkpoint_is_linked_whole_without_what_could_run(place: Place, tmp_path: Path) -> None:
    folder = write(tmp_path / "mine" / "Tiny-MoE", {**checkpoint(), "pytorch_model.bin": b"pickle"})
    moved = add(str(folder), place)
    (model,) = moved.models
    inside = Path(place.state, "models", model.folder)
    assert (model.id, model.precision, model.format) == ("tiny-moe", "bf16", "safetensors")
    assert {path.name for path in inside.iterdir()} == checkpoint().keys() - {"modeling_evil.py"}
    assert all(os.path.samefile(path, folder / path.name) for path in inside.iterdir())
    (held,) = models.listed(place).models
    assert held == model
    assert {os.path.dirname(file.origin) for file in held.files} == {str(folder)}


def test_a_model_that_is_there_is_not_brought_again(place: Place, tiny: str) -> None:
    assert add(tiny, place).changed
    before = {path: os.stat(path).st_mtime_ns for path in Path(place.state, "blobs", "sha256").iterdir()}
    assert not add(tiny, place).changed
    assert {path: os.stat(path).st_mtime_ns for path in before} == before


def test_a_file_with_three_names_lies_on_the_disk_once(place: Place, tiny: str) -> None:
    add(tiny, place)
    held = models.listed(place)
    assert held.disk_bytes == os.stat(tiny).st_blocks * 512
    assert held.shared_bytes == held.disk_bytes
    os.unlink(tiny)
    assert models.listed(place).shared_bytes == 0


def test_what_lies_below_a_model_s_folder_is_of_that_model(place: Place, tiny: str) -> None:
    """An adapter, say: it goes by the model's title, and with the model."""
    (model,) = add(tiny, place).models
    (file,) = model.files
    below = Path(place.state, "models", model.folder, "adapters")
    below.mkdir()
    os.link(place.blob(file.sha256), below / "another.gguf")
    (held,) = models.listed(place).models
    assert (held.title, [one.name for one in held.files]) == (model.title, ["adapters/another.gguf", "tiny.gguf"])
    assert models.listed(place).disk_bytes == os.stat(tiny).st_blocks * 512


def test_split_files_are_taken_in_as_they_are(place: Place, tmp_path: Path) -> None:
    """The engine finds the other parts by the name of the first, so all lie in one folder under their own names."""
    names = [f"{tmp_path}/big-0000{number}-of-00002.gguf" for number in (1, 2)]
    for number, name in enumerate(names):
        Path(name).write_bytes(part(number, 64))
    (model,) = add(names[0], place).models
    assert [file.name for file in model.files] == [os.path.basename(name) for name in names]
    inside = f"{place.state}/models/{model.folder}"
    assert all(os.path.samefile(name, f"{inside}/{os.path.basename(name)}") for name in names)


def test_parts_are_free_to_go_once_what_was_merged_of_them_is_served(place: Place, tmp_path: Path) -> None:
    """Until then, and for an engine that takes them as they are, they stay: nothing removes weights unasked."""
    named = dict(zip((f"{tmp_path}/{name}" for name in part_names("tiny", 2)), tiny_parts((9,)), strict=True))
    for path, content in named.items():
        Path(path).write_bytes(content)
    parts = tuple(WeightFile(os.path.basename(path), len(content), None, path) for path, content in named.items())
    whole = WeightFile("tiny.gguf", sum(file.size_bytes for file in parts), None, f"merged:{tmp_path}/tiny.gguf", parts)
    with locked(place.state, "test") as store:
        for action in fetches((*parts, whole), {}, survey(store, place), place):
            bring(action, place, store, QUIET.bytes)  # type: ignore[arg-type]
    assert {file.name for file in models.listed(place).loose} == {"tiny.gguf", *map(os.path.basename, named)}
    serve(place, "mine", tinymodel.sha256())
    models.remove((), place, QUIET, 0.0, unused=True)
    assert os.listdir(os.path.dirname(place.blob(""))) == [tinymodel.sha256()]
    assert all(os.path.exists(path) for path in named), "the files of the operator are his"


def test_a_checkpoint_of_the_catalog_is_listed_once_then_fetched_by_hash(place: Place, hub: Hub) -> None:
    (model,) = add("qwen3-0.6b", place, precision="bf16", source=hub.url).models
    assert {file.name for file in model.files} == checkpoint().keys() - {"modeling_evil.py"}
    assert (model.id, model.precision) == ("qwen3-0.6b", "bf16")
    assert all(file.origin.startswith(f"hub:{hub.url}/") for file in model.files)
    listings = sum("/tree/" in path for path, _ in hub.asked)
    assert listings <= 8, "two pages, and each file was not asked for by itself"
    asked = len(hub.asked)
    assert not add("qwen3-0.6b", place, precision="bf16", source=hub.url).changed
    assert len(hub.asked) == asked, "what is in the store needs no network"


def test_a_repository_that_changed_half_way_is_refused_by_hash(place: Place, hub: Hub) -> None:
    hub.faults = Faults(wrong_bytes=True)
    with pytest.raises(RunFailed):
        add("qwen3-0.6b", place, precision="bf16", source=hub.url)
    assert models.listed(place).models == ()


@pytest.mark.parametrize(
    ("name", "words"), [("qwen3-0.6b", "several precisions"), ("qwen3-0.7", "unknown model"), ("/none", "No such file")]
)
def test_what_cannot_be_had_leaves_nothing(place: Place, name: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        add(name, place)
    assert not os.path.exists(place.state)


def test_what_a_kept_release_needs_stays(place: Place, tiny: str) -> None:
    (model,) = add(tiny, place).models
    digest = serve(place, model.folder, tinymodel.sha256())
    (held,) = models.listed(place).models
    assert (held.id, held.releases) == (samples.MODEL.id, (digest,))
    for names, unused in (((held.id,), False), ((held.folder,), False)):
        with pytest.raises(Refused, match=digest[:12]):
            models.remove(names, place, QUIET, 0.0, unused=unused)
    assert not models.remove((), place, QUIET, 0.0, unused=True).changed
    assert os.path.exists(place.blob(tinymodel.sha256()))


def test_nothing_goes_while_the_release_in_force_cannot_be_read(place: Place, tiny: str) -> None:
    (model,) = add(tiny, place).models
    digest = serve(place, model.folder, tinymodel.sha256())
    Path(place.release(digest), "plan.json").write_text("{}")
    with pytest.raises(Refused, match="damaged"):
        models.remove((), place, QUIET, 0.0, unused=True)
    assert os.path.exists(place.blob(tinymodel.sha256()))


def test_a_file_of_two_models_goes_with_the_second(place: Place, tmp_path: Path) -> None:
    add(str(write(tmp_path / "One", checkpoint())), place)
    add(str(write(tmp_path / "Two", checkpoint({**CONFIG, "max_position_embeddings": 8192}))), place)
    blobs = Path(place.state, "blobs", "sha256")
    models.remove(("one",), place, QUIET, 0.0, unused=False)
    (left,) = models.listed(place).models
    assert {file.sha256 for file in left.files} == {path.name for path in blobs.iterdir()}
    gone = models.remove(("two",), place, QUIET, 0.0, unused=False)
    assert gone.freed_bytes == 0, "all of it are files of the operator's as well"
    assert list(blobs.iterdir()) == []


def test_damage_is_found_though_size_and_time_are_the_same(place: Place, tiny: str) -> None:
    (model,) = add(tiny, place).models
    assert models.verify((), place, QUIET).damaged == ()
    blob = place.blob(tinymodel.sha256())
    times = os.stat(blob)
    with open(blob, "r+b") as stream:
        stream.seek(5000)
        stream.write(b"\xff\x00")
    os.utime(blob, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert models.listed(place).models[0].sound
    (damage,) = models.verify((model.id,), place, QUIET).damaged
    assert (damage.model, damage.file.name) == (model.id, "tiny.gguf")
    assert damage.found not in ("", tinymodel.sha256())
    assert not models.listed(place).models[0].sound
    os.unlink(tiny)
    tinymodel.write(tiny)
    add(tiny, place)
    assert models.verify((), place, QUIET).damaged == ()


def test_a_name_that_several_models_have(place: Place, tmp_path: Path) -> None:
    add(str(write(tmp_path / "a" / "One", checkpoint())), place)
    other = {**CONFIG, "max_position_embeddings": 8192}
    add(str(write(tmp_path / "b" / "One", checkpoint(other))), place)
    with pytest.raises(BadInput, match="2 models have this name") as raised:
        models.verify(("one",), place, QUIET)
    assert all(model.folder in raised.value.fix for model in models.listed(place).models)
    with pytest.raises(BadInput, match="no model of this name"):
        models.verify(("two",), place, QUIET)


def test_a_state_of_an_older_program_is_read(place: Place, tiny: str) -> None:
    add(tiny, place)
    with locked(place.state, "test") as store:
        store.database.executescript(
            "DROP TABLE origins; DROP TABLE labels; DROP TABLE baselines; DROP TABLE merged; PRAGMA user_version = 2;"
        )
    (model,) = models.listed(place).models
    assert (model.id, model.precision, model.files[0].origin) == ("tiny", "", "")
    assert not add(tiny, place).changed
    assert models.listed(place).models[0].precision == "f16", "whoever adds it again says what it is"

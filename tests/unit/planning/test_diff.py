"""What a release leaves no use for: downloads that were broken off, and files of the one before that nobody reads now."""

import pytest

from provisioner.model.actions import RemoveFile
from provisioner.model.plan import WeightFile
from provisioner.model.plugins import Target
from provisioner.model.record import replace
from provisioner.model.release import Release, ReleaseFile, Standing
from provisioner.planning.diff import KEPT_RELEASES, puts, settles
from tests.unit.planning.samples import PLACE

OURS, OTHERS, NOBODYS = "a" * 64, "b" * 64, "c" * 64
RELEASE = Release(
    "1" * 64, "process", (), (), {"/state/models/m": (WeightFile("m.gguf", 5, OURS, "hub:huggingface/a/b/m.gguf"),)}
)
EARLIER = "2" * 64
NOTHING = Standing(None, (), frozenset(), frozenset(), frozenset(), frozenset(), frozenset(), ())


def parts(sha256: str) -> tuple[str, str]:
    return f"{PLACE.blob(sha256)}.part", f"{PLACE.blob(sha256)}.part.journal"


def removed(standing: Standing, good: tuple[str, ...] = ()) -> list[str]:
    return [action.path for action in settles(standing, RELEASE, good, PLACE) if isinstance(action, RemoveFile)]


def test_what_nobody_waits_for_goes() -> None:
    standing = replace(NOTHING, parts=parts(NOBODYS), weights={EARLIER: frozenset([OTHERS])})
    assert removed(standing, (EARLIER,)) == list(parts(NOBODYS))


def test_what_this_release_waits_for_stays_until_it_is_whole() -> None:
    begun = replace(NOTHING, parts=parts(OURS))
    assert removed(begun) == []
    assert removed(replace(begun, blobs=frozenset([OURS]))) == list(parts(OURS))


@pytest.mark.parametrize(("good", "stays"), [((EARLIER,), True), ((), False)])
def test_what_an_earlier_release_lacks_stays_as_long_as_that_is_kept(good: tuple[str, ...], stays: bool) -> None:
    standing = replace(NOTHING, parts=parts(OTHERS), weights={EARLIER: frozenset([OTHERS])})
    assert removed(standing, good) == ([] if stays else list(parts(OTHERS)))


def test_a_release_that_goes_itself_keeps_nothing() -> None:
    newer = tuple(str(number) * 64 for number in range(3, 3 + KEPT_RELEASES))
    standing = replace(NOTHING, parts=parts(OTHERS), weights={EARLIER: frozenset([OTHERS])})
    assert removed(standing, (*newer, EARLIER)) == list(parts(OTHERS))


def test_what_never_had_a_hash_goes() -> None:
    path = PLACE.blob("unnamed-m.gguf.part")
    assert removed(replace(NOTHING, parts=(path,))) == [path]


def test_of_files_that_are_read_while_their_readers_run_those_of_the_release_stay() -> None:
    """A dashboard of cards that are not used any more is not shown any more."""
    nothing = Target("process", lambda *_: (), lambda *_: (), lambda *_: ())
    kept, gone = f"{PLACE.live}/grafana/shown/host.json", f"{PLACE.live}/grafana/shown/cards-amd.json"
    release = replace(RELEASE, live=(ReleaseFile(kept, "{}"),))
    standing = replace(NOTHING, live=frozenset(((kept, "{}"), (gone, "{}"))), folders=frozenset([RELEASE.digest]))
    found = puts(standing, release, {"process": nothing}, PLACE)
    assert [action for action in found if isinstance(action, RemoveFile)] == [RemoveFile(gone)]

"""Images of the container engine: which are here, what pins them, and bringing those that are not."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING

from provisioner.errors import RunFailed
from provisioner.model.facts import CannotAsk, NotThere, Unknown
from provisioner.world import docker as engine

if TYPE_CHECKING:
    from docker import DockerClient

PULL_SECONDS = 3600
"""An engine's image is ten gigabytes and more."""
PIECE = 1 << 20


def pinned(names: tuple[str, ...]) -> Mapping[str, str]:
    """Those of these images that are here, by digest; one that was made here and never pushed goes by its own id.

    Nothing where no engine answers: whoever needs one says so.
    """
    import json
    from urllib.parse import quote

    if not names:
        return {}
    paths = {f"/images/{quote(name, safe='')}/json": name for name in names}
    try:
        answers = engine.answer(tuple(paths))
    except (NotThere, CannotAsk):
        return {}
    found = {paths[path]: json.loads(answer) for path, answer in answers.items() if not isinstance(answer, Unknown)}
    return {name: _pin(name, image) for name, image in found.items()}


def _pin(name: str, image: Mapping[str, object]) -> str:
    """The digest under which the repository that was asked for knows it."""
    digests = image.get("RepoDigests")
    repository = repository_of(name)
    known = [str(one) for one in digests] if isinstance(digests, list) else []
    return next((one for one in known if one.partition("@")[0] == repository), str(image.get("Id", "")))


def repository_of(name: str) -> str:
    """A name without tag and digest; a port of its registry is no tag."""
    bare = name.partition("@")[0]
    head, slash, last = bare.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def pull(name: str, progress: Callable[[int, int], None]) -> None:
    """Bring one image, and say how far it is: the bytes of all its layers together."""
    from docker.errors import DockerException

    repository, tag = repository_of(name), name[len(repository_of(name)) :].lstrip(":@")
    try:
        with closing(client()) as here:
            layers: dict[str, tuple[int, int]] = {}
            for event in here.api.pull(repository, tag=tag or "latest", stream=True, decode=True):
                if "error" in event:
                    raise RunFailed(f"{name}: the image cannot be pulled: {event['error']}", fix=_remedy(name))
                _note(event, layers)
                progress(sum(done for done, _ in layers.values()), sum(total for _, total in layers.values()))
    except (DockerException, OSError) as error:
        why = getattr(error, "explanation", None) or error
        raise RunFailed(f"{name}: the image cannot be pulled: {why}", fix=_remedy(name)) from error


def load(archive: str, progress: Callable[[int, int], None]) -> None:
    """Hand over all that an archive holds; the engine says itself what is wrong with it."""
    from docker.errors import DockerException

    try:
        with closing(client()) as here:
            for event in here.api.load_image(_pieces(archive, progress)):  # type: ignore[no-untyped-call]
                if "error" in event:
                    raise RunFailed(f"{archive}: the images cannot be loaded: {event['error']}", fix=_reload(archive))
    except (DockerException, OSError) as error:
        why = getattr(error, "explanation", None) or error
        raise RunFailed(f"{archive}: the images cannot be loaded: {why}", fix=_reload(archive)) from error


def _pieces(archive: str, progress: Callable[[int, int], None]) -> Iterator[bytes]:
    total = os.path.getsize(archive)
    with open(archive, "rb") as stream:
        while piece := stream.read(PIECE):
            yield piece
            progress(stream.tell(), total)


def _reload(archive: str) -> str:
    return f"`docker load --input {archive}` says more; copy the archive anew, and leave room on the disk of Docker"


def _note(event: Mapping[str, object], layers: dict[str, tuple[int, int]]) -> None:
    """Only what is being downloaded counts: unpacking tells the same bytes a second time."""
    detail = event.get("progressDetail")
    if event.get("status") != "Downloading" or not isinstance(detail, dict):
        return
    done, total = detail.get("current"), detail.get("total")
    if isinstance(done, int):
        layers[str(event.get("id"))] = (done, total if isinstance(total, int) else done)


def _remedy(name: str) -> str:
    return f"`docker pull {name}` says more; a mirror: `--registry HOST`; another image: `--set image=NAME`; or an archive of it: `--images FILE`"


def client() -> "DockerClient":
    """The engine that the environment names, else the one of this machine."""
    try:
        import docker
    except ImportError as error:
        raise RunFailed(
            "the Python package `docker` is not installed", fix="pip install 'provision-appliance[docker]'"
        ) from error
    return docker.from_env(timeout=PULL_SECONDS)

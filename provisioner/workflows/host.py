"""The machine below: what drifted apart, and what it is given."""

from typing import TYPE_CHECKING

from provisioner.model.progress import Progress
from provisioner.model.spec import Spec
from provisioner.workflows import QUIET, place_of

if TYPE_CHECKING:
    from provisioner.model.host import HostWish, Prepared
    from provisioner.model.upkeep import Examined


def doctor(state_dir: str, sysroot: str | None) -> "Examined":
    """What drifted apart on this machine, with what its release in force needs; or on another one, by its files."""
    from provisioner.phases.doctor import examine, examine_here
    from provisioner.world.database import reading
    from provisioner.world.machine import RecordedMachine

    if sysroot is not None:
        return examine(RecordedMachine(sysroot), None, None, "/var/lib/provision")
    place = place_of(state_dir)
    with reading(place.state) as store:
        digest = store.current()
    return examine_here(digest, place)


def make_ready(spec: Spec, docker_from: str | None, state_dir: str, progress: Progress) -> None:
    """The first rounds of `up` on a bare server: what is installed changes the facts that all else is decided from."""
    from provisioner.model.host import HostWish
    from provisioner.phases.prepare_host import make_ready

    make_ready(spec, HostWish(docker_from), place_of(state_dir), progress)


def prepare(
    spec: Spec, wish: "HostWish", state_dir: str, only_check: bool = False, progress: Progress = QUIET
) -> "Prepared":
    """Give this host what the plan stands on, round by round; with `only_check`, tell what that would be."""
    from provisioner.phases.prepare_host import prepare_host

    return prepare_host(spec, wish, place_of(state_dir), only_check, progress)

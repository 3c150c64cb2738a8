"""An engine in a container: what of its service is different inside, and which image it comes in."""

from typing import cast

from provisioner.catalog import Catalog, find
from provisioner.engines._constants import version_key
from provisioner.model.containers import Grant
from provisioner.model.facts import Accelerator, ContainerEngine, HostFacts, Unknown
from provisioner.model.plan import Decision, Service
from provisioner.model.plugins import Engine, Vendor
from provisioner.model.record import replace
from provisioner.planning.asked.settings import CONTAINERS, Wish, target_of
from provisioner.planning.sources.images import UNPINNED, Chosen

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - of the container, whose ports are published one by one
SECRETS = "/run/secrets"

INTERFACE_SINCE = (28, 2)
"""The first Docker Engine that knows the Container Device Interface without being told to (its release notes, docker/docs@058bdbc)."""

AT_HOME = {"HOME": "/tmp", "USER": "provision"}  # noqa: S108 - a folder in memory inside the container
"""Programs that keep compiled kernels at home find a place to write, and a name where their user has none in the image."""

SHARED_BYTES = 16 << 30
"""The most that ranks may share, of what the service may hold: vLLM 0.32.0 asks for 160 MiB for each queue between them and
refuses less (shm_broadcast.py, check_shm_free_space), and its documentation gives 10 GiB; Docker would give 64 MiB."""


def is_contained(wish: Wish, engine: Engine) -> bool:
    return target_of(wish, engine) == CONTAINERS


def inside(service: Service) -> Service:
    """The service as its program sees it: it listens for the other containers, and its key is a secret of the container."""
    return replace(service, host=EVERY_ADDRESS, key_file=f"{SECRETS}/{service.key_file.rpartition('/')[2]}")


def grant_of(cards: tuple[Accelerator, ...], facts: HostFacts) -> Grant | None:
    """What the container needs to use these cards; of two ways to them, the one that the container engine has."""
    if not cards:
        return None
    vendor = cast(Vendor, find("provisioner.accelerators", "VENDOR", cards[0].vendor))
    if vendor.grant is None:
        return None
    grant = vendor.grant(cards)
    if not (grant.cdi and grant.runtime):
        return grant
    if _by_interface(grant.runtime, facts.software.docker):
        return replace(grant, runtime="", runtime_ids=())
    return replace(grant, cdi=())


def _by_interface(runtime: str, engine: ContainerEngine | Unknown | None) -> bool:
    """The maker's runtime where it is registered, as device files may be stale; the interface where there is no runtime."""
    if engine is None or isinstance(engine, Unknown) or runtime in engine.runtimes:
        return False
    return version_key(engine.version) >= INTERFACE_SINCE


def held_image(engine: Engine, cards: tuple[Accelerator, ...], wish: Wish, catalog: Catalog) -> Chosen:
    """Of an engine that takes what its model needs: by the maker of the cards that it uses, else the one for processors."""
    if wish.image:
        return Chosen(wish.image, Decision("image", wish.image, "asked for"))
    vendor = cards[0].vendor if cards else "cpu"
    images = catalog.engine(engine.name).images if engine.name in catalog.engines else ()
    found = next((image for image in images if image.vendor == vendor and image.name), None)
    if found is None:
        return Chosen(None, Decision("image", "none known", f"no image of {engine.name} for {vendor} is known"))
    return Chosen(found.name, Decision("image", found.name, f"{found.source}; {UNPINNED}"))

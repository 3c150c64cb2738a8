"""Where people come in: the gateway of the stack, or the engines themselves, each at an address of its own."""

from provisioner.model.plan import Plan, Service
from provisioner.model.record import dataclass
from provisioner.planning.several.merged import apart

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with, never listened on.

GATEWAY, PAGE = "gateway", "openwebui"
"""The plug-ins that people come in by, as `Container.kind`."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where people come in: the gateway of the stack, else the engine itself."""

    base_url: str
    key_file: str
    """The key of the stack itself; people's own are made by `provision key create`."""
    authority: str = ""
    """File of the certificate that clients have to trust; empty without TLS."""
    page: str = ""
    """The address of the chat page; empty where there is none."""
    admin: str = ""
    password_file: str = ""
    """Of the chat page's first account."""

    @property
    def gated(self) -> bool:
        return bool(self.authority)


def base_url(service: Service, hostname: str) -> str:
    """The address that a client is given; a service that listens everywhere is reached by the host's name."""
    return f"http://{_called(service.host, hostname)}:{service.port}/v1"


def _called(host: str, hostname: str) -> str:
    name = hostname if host in EVERYWHERE or not host else host
    return f"[{name}]" if ":" in name else name


def entrance(plan: Plan) -> Entrance | None:
    """None where nothing serves on this machine."""
    if not plan.services:
        return None
    service = plan.services[0]
    door = next((one for one in plan.beside if one.kind == GATEWAY and one.published), None)
    if door is None:
        return Entrance(base_url(service, plan.hostname), service.key_file)
    port = door.published[0]
    root = f"https://{_called(port.host, plan.hostname)}:{port.port}"
    page = next((one for one in plan.beside if one.kind == PAGE), None)
    return Entrance(
        base_url=f"{root}/v1",
        key_file=service.key_file,
        authority=f"{plan.makes[0].folder}/authority.pem" if plan.makes else "",
        page=f"{root}/" if page else "",
        admin=page.env.get("WEBUI_ADMIN_EMAIL", "") if page else "",
        password_file=page.secret_env.get("WEBUI_ADMIN_PASSWORD", "") if page else "",
    )


def addresses(plan: Plan) -> tuple[str, ...]:
    """Where requests for the model of a plan go: to the gateway, which knows models by their names, or to each of its engines."""
    found = entrance(plan)
    if found is not None and found.gated:
        return (found.base_url,)
    return tuple(base_url(one, plan.hostname) for one in plan.services if not one.node)


def models_of(plan: Plan) -> tuple[Service, ...]:
    """One service of each model: copies of a model are one to whoever asks, and a server of several models is one for each."""
    return tuple(part.services[0] for part in apart(plan) if part.services)


def behind(found: Entrance, plan: Plan) -> tuple[tuple[Service, ...], tuple[Service, ...]]:
    """The models that are had at the address people are given, and the engines that have another: without a gateway each has its own."""
    if found.gated:
        return models_of(plan), ()
    each = tuple(one for part in apart(plan) for one in part.services if not one.node)
    here = tuple(one for one in each if base_url(one, plan.hostname) == found.base_url)
    return here, tuple(one for one in each if one not in here)

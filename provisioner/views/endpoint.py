"""How to use what was brought up: lines to copy, with the key read from its file and never written out."""

import shlex

from provisioner.documents import Json
from provisioner.model.plan import Plan, Service
from provisioner.model.record import dataclass
from provisioner.views.layout import Look, harmless, wrapped

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


def models_of(plan: Plan) -> tuple[Service, ...]:
    """One service of each model name: copies of a model are one to whoever asks."""
    return tuple({service.model_name: service for service in reversed(plan.services)}.values())[::-1]


def behind(found: Entrance, plan: Plan) -> tuple[tuple[Service, ...], tuple[Service, ...]]:
    """The models that are had at the address people are given, and those that have another: without a gateway each has its own."""
    models = models_of(plan)
    here = tuple(one for one in models if found.gated or base_url(one, plan.hostname) == found.base_url)
    return here, tuple(one for one in models if one not in here)


def entrance_document(plan: Plan | None) -> Json:
    """The same for scripts; None where the engines are asked themselves."""
    found = entrance(plan) if plan else None
    if found is None or not found.gated:
        return None
    return {
        "base_url": found.base_url,
        "authority": found.authority,
        "page": found.page or None,
        "admin": found.admin or None,
        "password_file": found.password_file or None,
    }


def page_lines(found: Entrance, look: Look) -> list[str]:
    """The chat page, who may open it first, and whom browsers have to trust."""
    if not found.page:
        return []
    return [
        look.paint("Chat page", "bold") + f"  {found.page}",
        *wrapped(f"first account {harmless(found.admin)}, its password is in {found.password_file}", look.width, "  "),
        *wrapped(f"browsers trust it once they trust {found.authority}", look.width, "  "),
    ]


def endpoint_lines(plan: Plan, look: Look) -> list[str]:
    """Lines to copy for the first service; the others serve alike."""
    found = entrance(plan)
    if found is None:
        return []
    url, model = found.base_url, harmless(plan.services[0].model_name)
    key = shlex.quote(found.key_file)
    trust = f"--cacert {shlex.quote(found.authority)} " if found.gated else ""
    message = '[{"role": "user", "content": "Hello"}]'
    return [
        *page_lines(found, look),
        *([""] if found.page else []),
        look.paint("Use it", "bold"),
        f"  curl {trust}{url}/chat/completions \\",
        f'    -H "Authorization: Bearer $(cat {key})" -H "Content-Type: application/json" \\',
        f'    -d \'{{"model": "{model}", "messages": {message}}}\'',
        "",
        look.paint("From Python", "bold") + "  (pip install openai)",
        *_python(found),
        f'  answer = client.chat.completions.create(model="{model}", messages={message})',
        "  print(answer.choices[0].message.content)",
    ]


def _python(found: Entrance) -> list[str]:
    words = f'base_url="{found.base_url}", api_key=open({found.key_file!r}).read().strip()'
    if not found.gated:
        return ["  from openai import OpenAI", f"  client = OpenAI({words})"]
    return [
        "  import ssl",
        "  from openai import DefaultHttpxClient, OpenAI",
        f"  trust = DefaultHttpxClient(verify=ssl.create_default_context(cafile={found.authority!r}))",
        f"  client = OpenAI({words}, http_client=trust)",
    ]

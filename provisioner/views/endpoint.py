"""How to use what was brought up: lines to copy, with the key read from its file and never written out."""

import shlex

from provisioner.documents import Json
from provisioner.model.plan import Plan
from provisioner.planning.entrance import Entrance, entrance
from provisioner.views.layout import Look, harmless, wrapped


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

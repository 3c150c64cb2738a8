"""How to use what was brought up: lines to copy, with the key read from its file and never written out."""

import shlex

from provisioner.model.plan import Plan, Service
from provisioner.views.layout import Look, harmless

EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with, never listened on.


def base_url(service: Service, hostname: str) -> str:
    """The address that a client is given; a service that listens everywhere is reached by the host's name."""
    host = hostname if service.host in EVERYWHERE else service.host
    return f"http://{f'[{host}]' if ':' in host else host}:{service.port}/v1"


def endpoint_lines(plan: Plan, look: Look) -> list[str]:
    """Lines to copy for the first service; the others serve alike."""
    if not plan.services:
        return []
    service = plan.services[0]
    url, model = base_url(service, plan.hostname), harmless(service.model_name)
    key = shlex.quote(service.key_file)
    message = '[{"role": "user", "content": "Hello"}]'
    return [
        look.paint("Use it", "bold"),
        f"  curl {url}/chat/completions \\",
        f'    -H "Authorization: Bearer $(cat {key})" -H "Content-Type: application/json" \\',
        f'    -d \'{{"model": "{model}", "messages": {message}}}\'',
        "",
        look.paint("From Python", "bold") + "  (pip install openai)",
        "  from openai import OpenAI",
        f'  client = OpenAI(base_url="{url}", api_key=open({service.key_file!r}).read().strip())',
        f'  answer = client.chat.completions.create(model="{model}", messages={message})',
        "  print(answer.choices[0].message.content)",
    ]

"""Ready settings for the programs that people use, each in that program's own format."""

import json
import shlex
from base64 import b64encode
from collections.abc import Callable, Mapping

from provisioner.documents import Json
from provisioner.model.plan import Service
from provisioner.model.record import dataclass
from provisioner.planning.entrance import Entrance
from provisioner.views.layout import Look, harmless, remedy, wrapped

PLACEHOLDER = "YOUR-KEY"
NAME = "Private LLM"
"""What clients call us. Cherry Studio takes quotes and brackets out of what it imports."""
ID = "private-llm"
HELLO = "Hello"

ANSWER_SHARE = 4
"""Where a client wants the context divided: a quarter of it for the answer, at most this many tokens."""
LONGEST_ANSWER = 8192


@dataclass(frozen=True, slots=True)
class Access:
    """What a client has to know. `key` is empty where the person who asks has not handed one over."""

    found: Entrance
    models: tuple[Service, ...]
    key: str = ""
    key_name: str = ""
    elsewhere: tuple[tuple[str, str], ...] = ()
    """Further models, and copies of this one, each with an address of its own, where no gateway stands before them."""

    @property
    def word(self) -> str:
        return self.key or PLACEHOLDER

    @property
    def root(self) -> str:
        """The address without its `/v1`, for programs that add it themselves."""
        return self.found.base_url.removesuffix("/v1")

    @property
    def first(self) -> str:
        return self.models[0].model_name


@dataclass(frozen=True, slots=True)
class Setting:
    """What one client takes. `link` opens it with everything filled in; empty where it has no such way."""

    where: str
    """What to do with the text, as one sentence."""
    text: str
    format: str
    link: str = ""


def _python(access: Access) -> Setting:
    """https://github.com/openai/openai-python#configuring-the-http-client"""
    model, url, trust = json.dumps(access.first), json.dumps(access.found.base_url), access.found.authority
    key = json.dumps(access.key) if access.key else 'os.environ["OPENAI_API_KEY"]'
    verified = f", http_client=DefaultHttpxClient(verify=ssl.create_default_context(cafile={json.dumps(trust)}))"
    lines = [
        *([] if access.key else ["import os"]),
        *(["import ssl"] if trust else []),
        *([] if access.key and not trust else [""]),
        f"from openai import {'DefaultHttpxClient, ' if trust else ''}OpenAI",
        "",
        f"client = OpenAI(base_url={url}, api_key={key}{verified if trust else ''})",
        f'answer = client.chat.completions.create(model={model}, messages=[{{"role": "user", "content": "{HELLO}"}}])',
        "print(answer.choices[0].message.content)",
    ]
    return Setting("`pip install openai`", "\n".join(lines) + "\n", "python")


def _javascript(access: Access) -> Setting:
    """Node trusts a further authority by a variable alone: https://nodejs.org/api/cli.html#node_extra_ca_certsfile"""
    key = json.dumps(access.key) if access.key else "process.env.OPENAI_API_KEY"
    text = f"""import OpenAI from "openai";

const client = new OpenAI({{ baseURL: {json.dumps(access.found.base_url)}, apiKey: {key} }});
const answer = await client.chat.completions.create({{
  model: {json.dumps(access.first)},
  messages: [{{ role: "user", content: "{HELLO}" }}],
}});
console.log(answer.choices[0].message.content);
"""
    trust = access.found.authority
    start = f"NODE_EXTRA_CA_CERTS={shlex.quote(trust)} node chat.mjs" if trust else "node chat.mjs"
    return Setting(f"`npm install openai`, then `{start}`", text, "javascript")


def _curl(access: Access) -> Setting:
    body = json.dumps({"model": access.first, "messages": [{"role": "user", "content": HELLO}]})
    trust = f"--cacert {shlex.quote(access.found.authority)} " if access.found.authority else ""
    key = (
        shlex.quote(f"Authorization: Bearer {access.key}") if access.key else '"Authorization: Bearer $OPENAI_API_KEY"'
    )
    text = (
        f"curl {trust}{shlex.quote(access.found.base_url + '/chat/completions')} \\\n"
        f"  -H {key} -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(body)}\n"
    )
    return Setting("in a shell", text, "sh")


def _chatbox(access: Access) -> Setting:
    """`ProviderConfig` of 1.15.1 and later: chatboxai/chatbox-docs@96fccb1ac5ef, en/guides/providers/import-config.md."""
    models: list[Json] = [
        {"modelId": one.model_name, "type": "chat", "contextWindow": one.context} for one in access.models
    ]
    settings: dict[str, Json] = {"apiHost": access.root, "apiPath": "/v1/chat/completions", "models": models}
    if access.key:
        settings["apiKey"] = access.key
    config: dict[str, Json] = {
        "id": ID,
        "name": NAME,
        "type": "openai",
        "iconUrl": "",
        "urls": {"website": access.root},
        "settings": settings,
    }
    text = json.dumps(config, indent=2) + "\n"
    link = f"chatbox://provider/import?config={_escaped(_base64(config))}"
    return Setting("Settings, Model Provider, Import from clipboard; or open the link", text, "json", link)


def _cherry(access: Access) -> Setting:
    """`/api-keys` of CherryHQ/cherry-studio@6006211773cb, src/main/services/protocol/handlers/providersImport.ts: base64 in
    which `_` stands for `+` and `-` for `/`. It adds `/v1` itself, and asks for models afterwards.
    """
    config: dict[str, Json] = {
        "id": ID,
        "baseUrl": access.root,
        "apiKey": access.word,
        "name": NAME,
        "type": "openai",
    }
    data = _base64(config).replace("+", "_").replace("/", "-").replace("=", "%3D")
    text = json.dumps(config, indent=2) + "\n"
    return Setting(
        f"open the link, or add a provider of type OpenAI with these values; then add {_models(access)} by Manage",
        text,
        "json",
        f"cherrystudio://providers/api-keys?v=1&data={data}",
    )


def _page_assist(access: Access) -> Setting:
    """It imports nothing: https://www.mintlify.com/n4ze3m/page-assist/providers/openai-compatible names the fields of its form."""
    text = f"Provider Name: {NAME}\nBase URL: {access.found.base_url}\nAPI Key: {access.word}\n"
    return Setting(
        f"Settings, OpenAI Compatible API, Add Provider, Custom; save, then choose {_models(access)}", text, "form"
    )


def _continue(access: Access) -> Setting:
    """config.yaml, schema v1: https://docs.continue.dev/reference; any JSON is YAML, so that no name can break it."""
    models: list[Json] = [
        {
            "name": one.model_name,
            "provider": "openai",
            "model": one.model_name,
            "apiBase": access.found.base_url,
            "apiKey": access.word,
            "defaultCompletionOptions": {"contextLength": one.context},
            **({"requestOptions": {"caBundlePath": access.found.authority}} if access.found.authority else {}),
        }
        for one in access.models
    ]
    lines = [f"name: {NAME}", "version: 1.0.0", "schema: v1", "models:"]
    for one in models:
        lines += [f"  {'-' if not place else ' '} {line}" for place, line in enumerate(_yaml(one))]
    return Setting("~/.continue/config.yaml", "\n".join(lines) + "\n", "yaml")


def _yaml(record: Json) -> list[str]:
    return [f"{name}: {json.dumps(value)}" for name, value in record.items()] if isinstance(record, dict) else []


def _vscode(access: Access) -> Setting:
    """The provider for own endpoints of VS Code 1.122 and later, in `chatLanguageModels.json`:
    https://code.visualstudio.com/docs/agent-customization/language-models, and with its keys in full
    https://coder.com/docs/ai-coder/ai-gateway/clients/vscode. A key typed into its form is kept by the system's
    key store; `maxInputTokens` and `maxOutputTokens` together are the context.
    """
    models: list[Json] = []
    for one in access.models:
        answer = min(LONGEST_ANSWER, one.context // ANSWER_SHARE)
        models.append(
            {
                "id": one.model_name,
                "name": one.model_name,
                "url": f"{access.found.base_url}/chat/completions",
                "toolCalling": True,
                "vision": False,
                "maxInputTokens": one.context - answer,
                "maxOutputTokens": answer,
            }
        )
    group: dict[str, Json] = {
        "name": NAME,
        "vendor": "customendpoint",
        "apiKey": access.word,
        "apiType": "chat-completions",
        "models": models,
    }
    where = "`Chat: Manage Language Models`, Add, Custom Endpoint: give it the key there, and these models in the file that opens"
    return Setting(where, json.dumps([group], indent=2) + "\n", "json")


def _models(access: Access) -> str:
    return ", ".join(one.model_name for one in access.models)


def _base64(config: Mapping[str, Json]) -> str:
    return b64encode(json.dumps(config).encode()).decode()


def _escaped(text: str) -> str:
    """Of base64, those letters that mean something in an address."""
    return text.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")


CLIENTS: dict[str, tuple[str, Callable[[Access], Setting]]] = {
    "python": ("OpenAI SDK for Python", _python),
    "javascript": ("OpenAI SDK for JavaScript", _javascript),
    "curl": ("curl", _curl),
    "chatbox": ("Chatbox", _chatbox),
    "cherry-studio": ("Cherry Studio", _cherry),
    "page-assist": ("Page Assist", _page_assist),
    "continue": ("Continue", _continue),
    "vscode": ("VS Code", _vscode),
}
"""By the name that the command line takes: title and how it is filled in."""


def setting(name: str, access: Access) -> Setting:
    return CLIENTS[name][1](access)


def clients_view(names: tuple[str, ...], access: Access, look: Look) -> str:
    """One block for each client, after what is alike for all."""
    blocks = ["\n".join(_common(access, look))]
    for name in names:
        made = setting(name, access)
        head = f"{look.paint(CLIENTS[name][0], 'bold')}  ({name})"
        lines = [head, *wrapped(look.commands(harmless(made.where)), look.width, "  "), ""]
        lines += [f"    {line}".rstrip() for line in harmless_text(made.text)]
        blocks.append("\n".join([*lines, *(["", f"  {made.link}"] if made.link else [])]))
    return "\n\n".join(blocks)


def harmless_text(text: str) -> list[str]:
    return [harmless(line) for line in text.rstrip("\n").split("\n")]


def _common(access: Access, look: Look) -> list[str]:
    lines = [f"{look.paint('Address', 'bold')}  {access.found.base_url}", f"  serves {harmless(_models(access))}"]
    lines += [
        f"  {_elsewhere(model, access)} is at {address}, and takes the same key" for model, address in access.elsewhere
    ]
    if access.found.authority:
        trust = f"clients elsewhere need a copy of {access.found.authority}, which is no secret, and have to trust it"
        lines += wrapped(trust, look.width, "  ")
    return lines if access.key else [*lines, *_about_the_key(access, look)]


def _elsewhere(model: str, access: Access) -> str:
    here = any(one.model_name == model for one in access.models)
    return f"{harmless(model)}, another copy," if here else harmless(model)


def _about_the_key(access: Access, look: Look) -> list[str]:
    """Where the key is had from; it is not written out."""
    if not access.found.gated:
        words = f"the key is in {access.found.key_file}; `--key-file` with it puts it in"
        return wrapped(look.commands(words), look.width, "  ")
    whose = f"the key of {access.key_name}" if access.key_name else "a key"
    words = f"`{PLACEHOLDER}` stands for {whose}, which only its owner has"
    how = f"provision key create {access.key_name or 'NAME'}"
    made = [] if access.key_name else remedy(how, look, "  ")
    return [*wrapped(look.commands(words), look.width, "  "), *made]


def clients_document(names: tuple[str, ...], access: Access) -> dict[str, Json]:
    return {
        "schema": "provision.clients/1",
        "base_url": access.found.base_url,
        "authority": access.found.authority or None,
        "models": [{"id": one.model_name, "context": one.context} for one in access.models],
        "elsewhere": [{"model": model, "base_url": address} for model, address in access.elsewhere],
        "key_file": None if access.found.gated else access.found.key_file,
        "key_name": access.key_name or None,
        "clients": [_entry(name, access) for name in names],
    }


def _entry(name: str, access: Access) -> dict[str, Json]:
    made = setting(name, access)
    return {
        "name": name,
        "title": CLIENTS[name][0],
        "where": made.where,
        "format": made.format,
        "text": made.text,
        "link": made.link or None,
    }

"""Settings for clients, each read by what reads its format: no name may break one, and no key gets in unasked."""

import ast
import json
import shlex
import shutil
import subprocess
from base64 import b64decode
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from provisioner.commands.clients import NAMES
from provisioner.model.record import replace
from provisioner.planning.entrance import Entrance, behind, entrance
from provisioner.views.clients import CLIENTS, PLACEHOLDER, Access, clients_view, setting
from provisioner.views.layout import Look
from tests.unit.views import samples, several

SECRET = "sk-0123456789"
GATED = Entrance(
    "https://lab-01:8443/v1", "/state/secrets/llm.key", "/state/secrets/tls/authority.pem", "https://lab-01:8443/"
)
BARE = Entrance("http://127.0.0.1:8000/v1", "/state/secrets/llm.key")
AWKWARD = """a'b"c: #{x} \\ $(y)"""
MODELS = (samples.SERVICE, replace(samples.SERVICE, model_name=AWKWARD, context=4096))


def access(found: Entrance = GATED, key: str = "", *, awkward: bool = False) -> Access:
    return Access(found, MODELS[::-1] if awkward else MODELS, key)


def test_the_command_offers_every_client() -> None:
    assert tuple(CLIENTS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_key_stands_in_the_settings_only_when_it_was_handed_over(name: str) -> None:
    without, given = setting(name, access()), setting(name, access(key=SECRET))
    assert SECRET not in without.text + without.link
    assert SECRET in given.text
    assert PLACEHOLDER not in given.text + given.link


def calls(text: str) -> dict[str, Any]:
    """The keywords of each call, by what is called."""
    tree = ast.parse(text)
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {ast.unparse(node.func): {one.arg: one.value for one in node.keywords} for node in found}


@pytest.mark.parametrize("awkward", [False, True])
def test_python_is_python(*, awkward: bool) -> None:
    made = calls(setting("python", access(awkward=awkward)).text)
    assert ast.literal_eval(made["OpenAI"]["base_url"]) == GATED.base_url
    assert ast.unparse(made["OpenAI"]["api_key"]) == "os.environ['OPENAI_API_KEY']"
    assert ast.literal_eval(made["client.chat.completions.create"]["model"]) == MODELS[awkward].model_name
    assert ast.literal_eval(made["ssl.create_default_context"]["cafile"]) == GATED.authority


def test_python_without_tls_trusts_nothing_more() -> None:
    made = setting("python", access(BARE, SECRET)).text
    assert "ssl" not in made
    assert "import os" not in made
    assert ast.literal_eval(calls(made)["OpenAI"]["api_key"]) == SECRET


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
@pytest.mark.parametrize("key", ["", SECRET])
def test_javascript_is_javascript(key: str, tmp_path: Any) -> None:
    path = tmp_path / "chat.mjs"
    path.write_text(setting("javascript", access(key=key, awkward=True)).text)
    done = subprocess.run(["node", "--check", str(path)], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr


def test_curl_is_a_line_of_the_shell() -> None:
    words = shlex.split(setting("curl", access(key=SECRET, awkward=True)).text.replace("\\\n", " "))
    assert words[:4] == ["curl", "--cacert", GATED.authority, f"{GATED.base_url}/chat/completions"]
    assert f"Authorization: Bearer {SECRET}" in words
    assert json.loads(words[words.index("-d") + 1])["model"] == AWKWARD


def test_chatbox_reads_its_provider_from_the_text_and_from_the_link() -> None:
    made = setting("chatbox", access(key=SECRET))
    config = json.loads(made.text)
    settings = config["settings"]
    assert settings["apiHost"] + settings["apiPath"] == f"{GATED.base_url}/chat/completions"
    assert [(one["modelId"], one["contextWindow"]) for one in settings["models"]] == [
        (one.model_name, one.context) for one in MODELS
    ]
    link = urlsplit(made.link)
    assert (link.scheme, link.netloc, link.path) == ("chatbox", "provider", "/import")
    assert json.loads(b64decode(parse_qs(link.query)["config"][0])) == config
    assert "apiKey" not in json.loads(setting("chatbox", access()).text)["settings"]


def test_cherry_studio_reads_its_link_by_its_own_rules() -> None:
    """`providersImport.ts`: plus and slash are exchanged before and after the query is taken apart, quotes and brackets fall."""
    made = setting("cherry-studio", access(key="sk-~~~???>>>"))
    link = urlsplit(made.link)
    assert (link.scheme, link.netloc, link.path) == ("cherrystudio", "providers", "/api-keys")
    asked = parse_qs(link.query.replace("+", "_").replace("/", "-"))
    assert asked["v"] == ["1"]
    text = b64decode(asked["data"][0].replace("_", "+").replace("-", "/")).decode()
    read = json.loads(text.replace("'", '"').replace("(", "").replace(")", ""))
    assert read == json.loads(made.text)
    assert (read["baseUrl"], read["apiKey"], read["type"]) == ("https://lab-01:8443", "sk-~~~???>>>", "openai")


def test_continue_is_yaml() -> None:
    read = yaml.safe_load(setting("continue", access()).text)
    assert (read["schema"], read["version"]) == ("v1", "1.0.0")
    assert [one["model"] for one in read["models"]] == [one.model_name for one in MODELS]
    first = read["models"][0]
    assert (first["provider"], first["apiBase"], first["apiKey"]) == ("openai", GATED.base_url, PLACEHOLDER)
    assert first["requestOptions"] == {"caBundlePath": GATED.authority}
    assert first["defaultCompletionOptions"] == {"contextLength": MODELS[0].context}
    assert "requestOptions" not in yaml.safe_load(setting("continue", access(BARE)).text)["models"][0]


def test_vscode_divides_the_context() -> None:
    (group,) = json.loads(setting("vscode", access()).text)
    assert (group["vendor"], group["apiType"]) == ("customendpoint", "chat-completions")
    for one, model in zip(group["models"], MODELS, strict=True):
        assert one["maxInputTokens"] + one["maxOutputTokens"] == model.context
        assert one["url"] == f"{GATED.base_url}/chat/completions"


def test_a_form_is_filled_in_line_by_line() -> None:
    lines = dict(line.split(": ", 1) for line in setting("page-assist", access(key=SECRET)).text.splitlines())
    assert (lines["Base URL"], lines["API Key"]) == (GATED.base_url, SECRET)


def test_the_view_says_where_the_key_is_had_from() -> None:
    gated = clients_view(("curl",), access(), Look(100))
    assert "provision key create NAME" in gated
    assert GATED.authority in gated
    assert GATED.key_file not in gated
    bare = clients_view(("curl",), access(BARE), Look(100))
    assert BARE.key_file in bare
    named = clients_view(("curl",), replace(access(), key_name="alice"), Look(100))
    assert "the key of alice" in named


def test_without_a_gateway_settings_name_what_their_address_serves_and_say_where_the_rest_is() -> None:
    plan, (first, copy, second) = several.PLAN, several.SERVICES
    found = entrance(plan)
    assert found is not None
    assert behind(found, plan) == ((first,), (copy, second))
    assert behind(replace(found, authority="/state/authority.pem"), plan) == ((first, second), ())
    elsewhere = (("other", "http://127.0.0.1:8001/v1"), (first.model_name, "http://127.0.0.1:8002/v1"))
    shown = clients_view(("chatbox",), Access(found, (first,), elsewhere=elsewhere), Look(width=100))
    assert "other is at http://127.0.0.1:8001/v1" in shown
    assert f"{first.model_name}, another copy, is at http://127.0.0.1:8002/v1" in shown
    assert '"other"' not in shown

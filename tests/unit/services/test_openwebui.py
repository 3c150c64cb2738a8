"""What the chat page is told; that it does so is tested against Open WebUI itself in `tests/contract`."""

import pytest

from provisioner.errors import BadInput, Refused
from provisioner.model.containers import Container
from provisioner.model.plugins import Stack
from provisioner.services import openwebui
from tests.unit.services.samples import engine, stack

ALONE = frozenset({"openwebui"})


def page(wanted: Stack) -> Container:
    (one,) = openwebui.SERVICE.containers(wanted)
    return one


def test_each_engine_is_asked_with_its_own_key() -> None:
    engines = (engine("a", port=8000), engine("b", port=8001, model_name="other", key_file="/srv/state/secrets/b"))
    one = page(stack(*engines, wanted=ALONE))
    assert one.env["OPENAI_API_BASE_URLS"] == "http://a:8000/v1;http://b:8001/v1"
    assert one.argv[-1].startswith('export OPENAI_API_KEYS="$ENGINE_KEY_0;$ENGINE_KEY_1"; if test -f start.sh')
    assert one.secret_env["ENGINE_KEY_0"] == "/srv/state/secrets/llm.key"
    assert one.secret_env["ENGINE_KEY_1"] == "/srv/state/secrets/b"


def test_behind_a_gateway_another_model_or_copy_is_nothing_new_for_the_chat_page() -> None:
    one = page(stack(engine("a")))
    assert one.env["OPENAI_API_BASE_URLS"] == "http://gateway:8080/v1"
    assert page(stack(engine("a"), engine("b", port=8001), engine("c", port=8002, model_name="other"))) == one


def test_ranks_on_other_machines_are_not_asked() -> None:
    ranks = (engine("a"), engine("a-1", node=1))
    assert page(stack(*ranks, wanted=ALONE)).env["OPENAI_API_BASE_URLS"] == "http://a:8000/v1"


def test_nobody_reaches_it_but_the_gateway_and_its_data_lies_outside_the_release() -> None:
    one = page(stack())
    assert one.published == ()
    assert one.read_only
    assert [(mount.source, mount.target, mount.writable) for mount in one.mounts] == [
        ("/srv/state/data/openwebui", "/data", True)
    ]


def test_no_secret_is_in_its_description() -> None:
    one = page(stack())
    told = " ".join((*one.env.values(), *one.argv))
    assert "secrets/" not in told
    assert not {"WEBUI_SECRET_KEY", "WEBUI_ADMIN_PASSWORD", "OPENAI_API_KEYS"} & set(one.env)


@pytest.mark.parametrize(
    ("host", "port", "origins"),
    [
        ("127.0.0.1", 8443, "https://127.0.0.1:8443;https://localhost:8443;https://[::1]:8443"),
        ("10.0.0.5", 8443, "https://10.0.0.5:8443;https://llm.lab:8443"),
        ("10.0.0.5", 443, "https://10.0.0.5;https://llm.lab"),
        ("fd00::5", 8443, "https://[fd00::5]:8443;https://llm.lab:8443"),
        ("0.0.0.0", 8443, "*"),
    ],
)
def test_browsers_come_from_the_address_that_is_published(host: str, port: int, origins: str) -> None:
    assert page(stack(host=host, port=port)).env["CORS_ALLOW_ORIGIN"] == origins


def test_it_is_asked_through_the_gateway() -> None:
    (question,) = openwebui.SERVICE.questions(stack(host="0.0.0.0"))
    assert question.url == "https://127.0.0.1:8443/api/config"
    assert question.authority.startswith("/srv/state/")
    assert openwebui.SERVICE.questions(stack(wanted=frozenset({"openwebui"}))) == ()


def test_the_operator_names_its_address() -> None:
    env = page(stack(host="0.0.0.0", settings={"openwebui.url": "https://llm.lab, https://llm.lab:8443/"})).env
    assert (env["WEBUI_URL"], env["CORS_ALLOW_ORIGIN"]) == ("https://llm.lab", "https://llm.lab;https://llm.lab:8443")


@pytest.mark.parametrize("address", ["llm.lab", "https://llm.lab/chat", "ftp://llm.lab", "https://"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(BadInput, match=r"openwebui\.url"):
        page(stack(settings={"openwebui.url": address}))


@pytest.mark.parametrize(
    "image", ["open-webui/open-webui:v0.8.12", "mirror:5000/open-webui:0.12.3", "x/open-webui:v0.12", "x:0.6.5-cuda"]
)
def test_an_image_with_known_holes_is_refused(image: str) -> None:
    with pytest.raises(Refused, match=r"0\.12\.4 is the oldest"):
        page(stack(images={"webui": image}))


@pytest.mark.parametrize(
    "image",
    ["x/open-webui:v0.12.4", "x/open-webui:1.0.0", "mirror:5000/open-webui", "x@sha256:12", "x/open-webui:main"],
)
def test_another_image_is_taken(image: str) -> None:
    assert page(stack(images={"webui": image})).image == image


def test_another_embedding_model_is_a_folder_of_this_machine() -> None:
    one = page(stack(settings={"openwebui.embedding": "/srv/models/bge-m3/"}))
    assert one.env["RAG_EMBEDDING_MODEL"] == "/models/embedding"
    assert ("/srv/models/bge-m3", "/models/embedding") in [(mount.source, mount.target) for mount in one.mounts]
    with pytest.raises(BadInput, match="nothing is downloaded"):
        page(stack(settings={"openwebui.embedding": "BAAI/bge-m3"}))


def test_the_operator_names_the_first_administrator() -> None:
    assert page(stack(settings={"openwebui.admin": "me@lab.org"})).env["WEBUI_ADMIN_EMAIL"] == "me@lab.org"
    with pytest.raises(BadInput, match=r"openwebui\.admin"):
        page(stack(settings={"openwebui.admin": "root"}))

"""Requests to hubs: the token goes where it belongs, proxies are honoured, lists come whole."""

from urllib.parse import urlsplit

import pytest

from provisioner.errors import RunFailed
from provisioner.world.http import authorization, listing, proxy_for
from tests.hub import Hub, serving


def test_the_token_goes_to_hugging_face_alone() -> None:
    environment = {"HF_TOKEN": "hf_secret"}
    assert authorization("huggingface.co", environment) == {"Authorization": "Bearer hf_secret"}
    assert authorization("mirror.lan", environment) == {}
    assert authorization("cdn-lfs.huggingface.co.evil.example", environment) == {}
    assert authorization("huggingface.co", {}) == {}


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("https://huggingface.co/x", {"HTTPS_PROXY": "http://proxy.lan:3128"}, "proxy.lan"),
        ("https://huggingface.co/x", {"https_proxy": "proxy.lan:3128"}, "proxy.lan"),
        ("https://huggingface.co/x", {"ALL_PROXY": "http://proxy.lan:1"}, "proxy.lan"),
        ("https://huggingface.co/x", {"HTTP_PROXY": "http://proxy.lan:1"}, None),
        ("https://a.lab.lan/x", {"HTTPS_PROXY": "http://proxy.lan:1", "NO_PROXY": "localhost,.lab.lan"}, None),
        ("https://lab.lan/x", {"HTTPS_PROXY": "http://proxy.lan:1", "NO_PROXY": "lab.lan:443"}, None),
        ("https://x.lan/x", {"HTTPS_PROXY": "http://proxy.lan:1", "NO_PROXY": "*"}, None),
        ("https://notlab.lan/x", {"HTTPS_PROXY": "http://proxy.lan:1", "NO_PROXY": "lab.lan"}, "proxy.lan"),
        ("http://127.0.0.1:1/x", {"HTTP_PROXY": "http://proxy.lan:1"}, None),
        ("https://huggingface.co/x", {}, None),
    ],
)
def test_proxies(url: str, environment: dict[str, str], proxy: str | None) -> None:
    found = proxy_for(urlsplit(url), environment)
    assert (found.hostname if found else None) == proxy


def test_a_list_of_several_pages() -> None:
    files = {f"acme/many/part-{number}.gguf": bytes([number]) for number in range(7)}
    with serving(Hub(files)) as hub:
        found = listing(hub.url, "acme/many")
        assert [file.path for file in found] == [f"part-{number}.gguf" for number in range(7)]
        assert {file.sha256 for file in found} == {hub.sha256(name) for name in files}


def test_a_busy_hub_is_asked_again_and_a_strange_one_is_named() -> None:
    with serving(Hub({"acme/one/a.gguf": b"x"})) as hub:
        hub.faults.errors = 2
        assert len(listing(hub.url, "acme/one", 0.01)) == 1
        hub.faults.listing = {"what": "is this"}
        with pytest.raises(RunFailed, match="no list of files"):
            listing(hub.url, "acme/one", 0.01)
        hub.faults.errors = 100
        with pytest.raises(RunFailed, match="status 500"):
            listing(hub.url, "acme/one", 0.01)


def test_nobody_there() -> None:
    with pytest.raises(RunFailed, match="cannot be reached") as caught:
        listing("http://127.0.0.1:9", "acme/one", 0.01)
    assert "--weights DIR" in caught.value.fix

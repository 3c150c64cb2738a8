"""Addresses and listings of hubs, in the forms that they document."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.errors import BadInput
from provisioner.weights import hubs
from provisioner.weights.hubs import Listed, Place

HASH = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("place", "url"),
    [
        (
            Place("huggingface", "unsloth/R1-GGUF", "Q4/R1 Q4-00001-of-00009.gguf"),
            "https://huggingface.co/unsloth/R1-GGUF/resolve/main/Q4/R1%20Q4-00001-of-00009.gguf",
        ),
        (
            Place("modelscope", "unsloth/R1-GGUF", "R1.gguf"),
            "https://www.modelscope.cn/models/unsloth/R1-GGUF/resolve/master/R1.gguf",
        ),
        (
            Place("https://mirror.lan:8443/hf", "unsloth/R1-GGUF", "Q4/R1.gguf"),
            "https://mirror.lan:8443/hf/unsloth/R1-GGUF/resolve/main/Q4/R1.gguf",
        ),
    ],
)
def test_an_origin_leads_to_its_address(place: Place, url: str) -> None:
    origin = hubs.origin_of(place)
    assert hubs.place_of(origin) == place
    assert hubs.url_of(origin) == url


@pytest.mark.parametrize(
    "origin", ["made", "/a/b.gguf", "hub:nowhere/a/b/c", "hub:huggingface/a/b", "hub:huggingface/a/../c", "hub:", ""]
)
def test_what_is_no_origin(origin: str) -> None:
    with pytest.raises(ValueError):
        hubs.url_of(origin)


@given(st.text())
def test_any_origin(origin: str) -> None:
    try:
        hubs.url_of(origin)
    except ValueError:
        return


def test_sources() -> None:
    assert hubs.check_source("modelscope") == "modelscope"
    assert hubs.check_source("https://mirror.lan/") == "https://mirror.lan"
    for wrong in ("hugginface", "ftp://x", "https://", ""):
        with pytest.raises(BadInput, match="no source"):
            hubs.check_source(wrong)


def test_the_list_of_hugging_face() -> None:
    assert hubs.listing_url("huggingface", "a/b") == "https://huggingface.co/api/models/a/b/tree/main?recursive=true"
    answer = [
        {"type": "directory", "oid": "1" * 40, "size": 0, "path": "Q4"},
        {"type": "file", "oid": "2" * 40, "size": 12, "path": "README.md"},
        {
            "type": "file", "oid": "3" * 40, "size": 99, "path": "Q4/m.gguf", "xetHash": "f" * 64,
            "lfs": {"oid": HASH, "size": 99, "pointerSize": 134},
        },
    ]  # fmt: skip
    assert hubs.parse_listing("huggingface", answer) == (
        Listed("README.md", 12, None, "2" * 40),
        Listed("Q4/m.gguf", 99, HASH),
    )


def test_the_list_of_modelscope() -> None:
    assert hubs.listing_url("modelscope", "a/b") == (
        "https://www.modelscope.cn/api/v1/models/a/b/repo/files?Revision=master&Recursive=true"
    )
    files = [
        {"Name": "Q4", "Path": "Q4", "Type": "tree", "Size": 0, "Sha256": ""},
        {"Name": "m.gguf", "Path": "Q4/m.gguf", "Type": "blob", "Size": 99, "Sha256": HASH, "IsLFS": True},
    ]
    answer = {"Code": 200, "Data": {"Files": files}, "Message": "success", "Success": True}
    assert hubs.parse_listing("modelscope", answer) == (Listed("Q4/m.gguf", 99, HASH),)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["type", "path", "size", "lfs", "oid", "Data", "Files", "Path", "Size", "Type"]), inner
    ),
)  # fmt: skip


@given(st.sampled_from(["huggingface", "modelscope", "https://x"]), JSON)
def test_any_answer(source: str, answer: object) -> None:
    try:
        files = hubs.parse_listing(source, answer)
    except ValueError:
        return
    assert all(file.size_bytes >= 0 for file in files)


def test_pages() -> None:
    assert hubs.next_page('<https://h/api?cursor=x>; rel="next"') == "https://h/api?cursor=x"
    assert hubs.next_page("") is None
    assert hubs.next_page('<https://h/api>; rel="prev"') is None


def test_which_files_are_meant() -> None:
    assert hubs.matches("R1-Q4_K_M.gguf", "r1-q4_k_m.gguf")
    assert hubs.matches("R1-Q4_K_M.gguf", "Q4/R1-Q4_K_M-00001-of-00009.gguf")
    assert not hubs.matches("R1-Q4_K_M.gguf", "R1-Q4_K_M-imatrix.gguf")
    assert not hubs.matches("R1-Q4_K.gguf", "R1-Q4_K_M.gguf")

"""Server-sent events, however they are cut into pieces."""

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from provisioner.world.events import Delta, deltas

STREAM = (
    b'data: {"choices":[{"delta":{"role":"assistant","content":null}}]}\n\n'
    b": a comment\r\n\r\n"
    b'data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}\n\n'
    b'data: {"choices":[{"delta":{"content":" one"}}]}\r\n\r\n'
    b'data: {"choices":[],"usage":{"completion_tokens":7}}\n\n'
    b"data: [DONE]\n\n"
)
SAID = [Delta(), Delta("hm"), Delta(" one"), Delta(tokens=7), Delta(end=True)]


@given(st.lists(st.integers(0, len(STREAM)), max_size=8))
def test_a_stream_means_the_same_however_it_is_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    found, rest = [], b""
    for begin, end in pairwise(edges):
        more, rest = deltas(rest + STREAM[begin:end])
        found += more
    assert found == SAID
    assert rest == b""


def test_an_error_in_the_stream_ends_it() -> None:
    found, _ = deltas(b'data: {"error":{"message":"out of memory"}}\n')
    assert "out of memory" in found[0].error
    assert found[0].end


@given(st.binary())
def test_any_bytes(junk: bytes) -> None:
    found, _ = deltas(b"data: " + junk + b"\n")
    assert found


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["choices", "delta", "usage", "content", "error", "completion_tokens"]), inner)))  # fmt: skip
def test_any_json(event: object) -> None:
    deltas(b"data: " + json.dumps(event).encode() + b"\n")

"""A real vLLM that drafts by words that repeat, as it is planned: it writes what it writes alone, out of tokens that were drafted."""

import json

import pytest

from provisioner.planning.asked import drafters
from provisioner.planning.tries import speculation
from tests.bed.engine import Engine

pytestmark = [pytest.mark.needs("vllm"), pytest.mark.slow]


def test_it_writes_the_same_out_of_drafted_tokens(engine: Engine) -> None:
    said = speculation._as_json(drafters.parse("ngram:3"), "")["speculative-config"]
    seen = engine("drafts", folder=str(engine.model("gqa")), asked=json.loads(said))
    assert seen["drafted"] == seen["alone"]
    assert seen["taken"] > 0, seen

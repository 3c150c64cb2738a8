"""Real engines that cannot start, and what is said of why."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from provisioner.engines.vllm import ENGINE
from provisioner.model.causes import cause_of
from tests.bed.engine import Engine

pytestmark = pytest.mark.needs("vllm")


@pytest.mark.parametrize(
    ("options", "context", "kv_bytes", "wanted"),
    [
        ({}, 4096, 1_000_000, "cache-too-small"),
        ({}, 99_999, 1 << 27, "context-too-long"),
        ({"tensor_parallel_size": 3}, 1024, 1 << 27, "degrees"),
        ({"dtype": "float8"}, 1024, 1 << 27, None),
    ],
)
def test_what_vllm_refuses_is_named(
    engine: Engine, options: Mapping[str, Any], context: int, kv_bytes: int, wanted: str | None
) -> None:
    folder = engine.model("gqa")
    with pytest.raises(RuntimeError) as caught:
        engine("cache", folder=str(folder), kv_bytes=kv_bytes, context=context, options=options, words=0)
    found = cause_of(ENGINE.causes(), str(caught.value).splitlines())
    assert (found.id if found else None) == wanted, caught.value


def test_a_folder_without_weights_is_named(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as caught:
        engine("cache", folder=str(tmp_path / "nowhere"), kv_bytes=1 << 27, context=1024, options={}, words=0)
    found = cause_of(ENGINE.causes(), str(caught.value).splitlines())
    assert found is not None, caught.value
    assert found.id == "weights-missing"

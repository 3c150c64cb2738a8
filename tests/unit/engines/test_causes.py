"""Why engines did not start, by what they wrote."""

from collections.abc import Iterator, Mapping
from typing import cast

import pytest

from provisioner.catalog import scan
from provisioner.model.causes import Cause, cause_of
from provisioner.model.plugins import Engine

ENGINES = cast(Mapping[str, Engine], scan("provisioner.engines", "ENGINE"))

WELL = (
    "INFO 11-21 17:25:42 [cpu_worker.py:260] Explicitly set (0.12/4.0) GiB for KV cache on node 0.",
    "INFO 11-21 17:25:42 [kv_cache_utils.py:2327] CPU KV cache size: 131,072 tokens",
    "WARNING 11-21 17:24:46 [system_utils.py:255] Found ulimit of 20000 and failed to automatically increase",
    "[W1121 17:25:41.791900077 utils.cpp:41] Warning: numa_migrate_pages failed. errno: 1 (function init_cpu_memory_env)",
    "srv  llama_server: model loaded",
    'time=2026-11-21T17:00:00Z level=INFO source=routes.go:1287 msg="Listening on [::]:8000 (version 0.17.4)"',
)
"""Of engines that started."""


def all_causes() -> Iterator[tuple[str, Cause]]:
    for name, engine in ENGINES.items():
        for cause in engine.causes():
            yield name, cause


@pytest.mark.parametrize(("name", "cause"), [pytest.param(*one, id=f"{one[0]}-{one[1].id}") for one in all_causes()])
def test_each_is_found_by_its_line_among_others(name: str, cause: Cause) -> None:
    found = cause_of(
        ENGINES[name].causes(), (*WELL, f"(EngineCore pid=25) ERROR 11-21 17:24:05 [core.py:1510] {cause.line}")
    )
    assert found is not None
    assert found.id == cause.id
    assert cause.says
    assert cause.fix
    assert cause.source


def test_every_engine_that_can_be_started_knows_some() -> None:
    for engine in ENGINES.values():
        ids = [cause.id for cause in engine.causes()]
        assert len(ids) == len(set(ids))
        assert {"port-taken", "weights-missing"} <= set(ids), engine.name


NAMED = {
    "vllm": {"out-of-memory-at-load", "out-of-memory-at-capture", "cache-too-small", "number-format", "degrees", "driver-too-old",
             "ranks-timed-out", "ranks-missing"},
    "sglang": {"out-of-memory-on-device", "out-of-memory-at-capture", "no-room-for-cache", "number-format", "degrees",
               "driver-too-old", "ranks-timed-out", "ranks-missing"},
    "llamacpp": {"out-of-memory-on-device", "out-of-memory-at-capture", "no-room-for-cache", "number-format", "driver-too-old"},
    "transformers": {"out-of-memory-on-device", "driver-too-old"},
}  # fmt: skip
NAMED |= {"ktransformers": NAMED["sglang"], "ollama": NAMED["llamacpp"], "lmstudio": NAMED["llamacpp"]}
"""What goes wrong with each kind of engine at its start; one that serves on one device alone has no ranks."""


@pytest.mark.parametrize("name", ENGINES)
def test_what_goes_wrong_most_has_a_name_in_every_engine(name: str) -> None:
    assert NAMED[name] <= {cause.id for cause in ENGINES[name].causes()}


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_that_is_well_has_none(name: str) -> None:
    assert cause_of(ENGINES[name].causes(), WELL) is None
    assert cause_of(ENGINES[name].causes(), ()) is None


def test_the_root_comes_before_what_follows_from_it() -> None:
    log = (
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.96 GiB.",
        "RuntimeError: CUDA out of memory occurred when warming up sampler with 256 dummy requests.",
        "RuntimeError: Engine core initialization failed. See root cause above.",
    )
    found = cause_of(ENGINES["vllm"].causes(), log)
    assert found is not None
    assert found.id == "out-of-memory-in-sampler"


def test_a_line_without_an_end_is_cut() -> None:
    assert cause_of(ENGINES["vllm"].causes(), ("x" * 10_000_000 + "Address already in use",)) is None

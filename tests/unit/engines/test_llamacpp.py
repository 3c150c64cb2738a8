"""llama.cpp's command line, flag by flag."""

import pytest

from provisioner.engines.llamacpp import ENGINE
from provisioner.model.plan import Service
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.world.llamacpp import arguments
from tests.unit.planning.samples import plan


@pytest.fixture
def service() -> Service:
    return plan("2 cores, 4 GiB", Spec(profile="demo")).services[0]


def test_the_command(service: Service) -> None:
    named = replace(service, model_path="/m/a.gguf", key_file="/s/llm.key")
    assert ENGINE.command(named) == [
        "--model", "/m/a.gguf",
        "--alias", "demo-tiny",
        "--host", "127.0.0.1",
        "--port", "8000",
        "--ctx-size", "1024",
        "--parallel", "2",
        "--api-key-file", "/s/llm.key",
        "--threads", "2",
        "--threads-batch", "2",
        "--n-gpu-layers", "0",
        "--metrics",
    ]  # fmt: skip


def test_every_option_is_one_that_the_embedded_engine_knows(service: Service) -> None:
    words = {"numa": "distribute", "cache-type-k": "q8_0", "cache-type-v": "f16", "spec-type": "draft-simple"}
    values = dict.fromkeys(ENGINE.options, "1") | words
    options = arguments().parse_args(ENGINE.command(replace(service, options=values)))
    assert (options.numa, options.cache_type_k, options.threads) == ("distribute", "q8_0", 1)


def test_the_engine_is_kept_off_the_network(service: Service) -> None:
    assert ENGINE.environment(service)["HF_HUB_OFFLINE"] == "1"

"""DeepSeek V4's compressed layers out of its `config.json`: what is not as V4 has them is known to be unknown."""

import json
from pathlib import Path

import pytest

from provisioner.model.load import Card, Degrees, Load
from provisioner.planning.memory import pool
from provisioner.weights.hfconfig import geometry_of_config
from tests.unit.planning.samples import CATALOG

CONFIG = json.loads((Path(__file__).parent / "configs" / "deepseek-v4-flash.json").read_text())["config"]
CARD = Card("nvidia", "H200", 141 << 30, 140 << 30, "sm90")


def load(changes: dict[str, object]) -> Load:
    shape = geometry_of_config({**CONFIG, **changes})
    constants = CATALOG.engine("vllm").constants
    return Load(shape, "mxfp4_fp8", Degrees(), CARD, 0, 0, 65536, 64, 8192, "0.32.0", constants=constants)


def test_its_own_file_has_a_law() -> None:
    assert pool.has_law(load({}))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"compress_ratios": [128, 128, 0]}, id="none with an indexer"),
        pytest.param({"compress_ratios": [4, 128, 0], "index_head_dim": None}, id="no indexer"),
        pytest.param({"compress_ratios": [4, 128, 16]}, id="another ratio"),
        pytest.param({"compress_ratios": [[4]]}, id="lists"),
        pytest.param({"compress_ratios": [4, 128, {"ratio": 4}]}, id="a table"),
        pytest.param({"compress_ratios": ["4", "128"]}, id="words"),
        pytest.param({"compress_ratios": [4, 128, True]}, id="neither number"),
        pytest.param({"compress_ratios": [4, 128] * 43}, id="more than there are layers"),
        pytest.param({"sliding_window": 0}, id="no window"),
        pytest.param({"indexer_types": ["full"]}, id="indexers elsewhere"),
    ],
)
def test_other_ratios_have_none(changes: dict[str, object]) -> None:
    one = load(changes)
    assert one.geometry.heavy_layers == 0
    assert not pool.has_law(one)
    assert pool.request_bytes(one) == 0
    assert pool.tokens_of(one, 20 << 30) > 0

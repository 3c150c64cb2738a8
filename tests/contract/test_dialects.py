"""Every parser that a family of models is planned with is one that the engine itself has: its names, not ours."""

import pytest

from provisioner.engines import sglang, vllm
from provisioner.model.plugins import Engine as Plugin
from tests.bed.engine import Engine
from tests.contract.test_engine_arguments import read
from tests.unit.planning.samples import CATALOG

pytestmark = pytest.mark.needs("vllm")


@pytest.mark.parametrize("plugin", [vllm.ENGINE, sglang.ENGINE], ids=["vllm", "sglang"])
def test_the_engine_has_every_parser_that_is_planned(engine: Engine, plugin: Plugin) -> None:
    families = [CATALOG.dialect(name).flags.get(plugin.name, {}) for name in CATALOG.dialects]
    assert any(families)
    for family in filter(None, families):
        flags = {flag: value for flag, value in family.items() if flag != "chat-template"}
        beside = {"enable-auto-tool-choice": "true"} if plugin is vllm.ENGINE and "tool-call-parser" in flags else {}
        seen = read(engine, plugin, {**flags, **beside})
        assert {flag: seen[flag.replace("-", "_")] for flag in flags} == flags


@pytest.mark.parametrize("plugin", [vllm.ENGINE, sglang.ENGINE], ids=["vllm", "sglang"])
@pytest.mark.parametrize("flag", ["reasoning-parser", "tool-call-parser"])
def test_a_parser_that_the_engine_lacks_is_not_read(engine: Engine, plugin: Plugin, flag: str) -> None:
    """Else the test above would prove nothing."""
    automatic = plugin is vllm.ENGINE and flag == "tool-call-parser"
    beside = {"enable-auto-tool-choice": "true"} if automatic else {}
    with pytest.raises(RuntimeError, match=r"no-such-parser|exit 2"):
        read(engine, plugin, {flag: "no-such-parser", **beside})

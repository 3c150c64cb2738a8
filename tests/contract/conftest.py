"""One vLLM for all tests here that ask it: it is imported once."""

from collections.abc import Iterator

import pytest

from tests.bed.engine import Engine, running
from tests.components import demand


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    demand("vllm", request.config)
    with running(tmp_path_factory.mktemp("engine")) as asked:
        yield asked

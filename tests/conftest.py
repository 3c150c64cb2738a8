"""What every test has: a say about the real components it needs."""

from collections.abc import Callable

import pytest

from tests.components import demand
from tests.thorough import THOROUGH


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for component in mark.args:
            demand(component, item.config)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only a thorough run has the time for."""
    if THOROUGH:
        return
    left_out = [item for item in items if item.get_closest_marker("thorough")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def require(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Skip the running test unless the component is there; fail it when `PROVISION_REQUIRE` names the component."""
    return lambda component: demand(component, request.config)

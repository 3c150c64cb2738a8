"""What every test has: a say about the real components it needs."""

from collections.abc import Callable

import pytest

from tests.components import demand


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        for component in mark.args:
            demand(component, item.config)


@pytest.fixture
def require(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Skip the running test unless the component is there; fail it when `PROVISION_REQUIRE` names the component."""
    return lambda component: demand(component, request.config)

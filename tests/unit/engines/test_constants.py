"""An engine's constants: whole, in order, and read from published runs that are really there."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from provisioner.catalog import load_catalog
from provisioner.engines._constants import pick, version_key
from provisioner.model.engines import Constant
from provisioner.model.load import Card, Degrees

CATALOG = load_catalog()
ENGINES = sorted(CATALOG.engines)
ROWS = [
    pytest.param(row, id=f"{engine}-{name}-{place}")
    for engine in ENGINES
    for name, rows in CATALOG.engine(engine).constants.items()
    for place, row in enumerate(rows)
]
ROOT = Path(__file__).parents[3]
CASES = {
    str(case["id"])
    for name in ("tests/cases/reference.yaml", "tests/cases/held_out.yaml", "benchmarks/cases/published.yaml")
    for case in yaml.safe_load((ROOT / name).read_text())["cases"]
}
GIB = 1 << 30


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_a_source_a_range_around_its_value_and_cases_that_exist(row: Constant) -> None:
    assert row.source.strip()
    assert (row.value if row.low is None else row.low) <= row.value <= (row.value if row.high is None else row.high)
    assert set(row.cases) <= CASES


@pytest.mark.parametrize("engine", ENGINES)
def test_the_last_row_of_every_constant_holds_for_whatever_no_other_row_holds_for(engine: str) -> None:
    for name, rows in CATALOG.engine(engine).constants.items():
        assert _where(rows[-1]) == _where(Constant(0, "")), name


@pytest.mark.parametrize("engine", ENGINES)
def test_every_row_can_be_reached(engine: str) -> None:
    """No row stands behind one that holds for all that it holds for."""
    for name, rows in CATALOG.engine(engine).constants.items():
        assert len({repr(_where(row)) for row in rows}) == len(rows), name


def _where(row: Constant) -> dict[str, object]:
    names = ("since", "before", "vendors", "architectures", "except_cards", "memory_from_gib", "memory_below_gib",
             "tensor_from", "tensor_below", "pipelined", "latent")  # fmt: skip
    return {name: getattr(row, name) for name in names}


@given(
    version=st.sampled_from(("0.6.4", "0.7.3", "0.8.5", "0.9.2", "0.11.0", "0.15.1", "0.19.1", "0.28.0", "0.33.0", "")),
    size=st.integers(4, 300),
    tensor=st.integers(1, 64),
    pipeline=st.integers(1, 8),
    vendor=st.sampled_from(("nvidia", "amd", "ascend", "hygon", "")),
)
def test_there_is_a_row_for_every_card_version_and_layout(
    version: str, size: int, tensor: int, pipeline: int, vendor: str
) -> None:
    card = Card(vendor, "A card", size * GIB, size * GIB, "")
    for engine in ENGINES:
        constants = CATALOG.engine(engine).constants
        for name in constants:
            assert pick(constants, name, version, card, Degrees(tensor, pipeline)).source


@pytest.mark.parametrize(
    ("older", "newer"),
    [("0.9.2", "0.10.0"), ("0.33.0", ""), ("0.9", "0.9.0.1"), ("v0.8.3", "0.8.5")],
)
def test_versions_are_compared_by_their_numbers(older: str, newer: str) -> None:
    assert version_key(older) < version_key(newer)


def test_releases_are_in_the_order_of_their_days() -> None:
    for engine in ENGINES:
        releases = CATALOG.engine(engine).releases
        in_order = sorted(releases, key=version_key)
        assert [releases[version] for version in in_order] == sorted(releases.values())

"""The data behind the speeds: complete, ordered, with its source, and never two rows that say different things at once."""

from itertools import combinations, product

import pytest

from provisioner.documents import decode
from provisioner.model.speed import SpeedRow
from provisioner.planning.speed.rates import RATE_NAMES, Situation, holds, numbers, pick, values_of
from tests.unit.planning.samples import CATALOG

ROWS = CATALOG.speed_rows()
ENGINES = ("vllm", "sglang", "llamacpp", "ollama", "lmstudio", "ktransformers")
SITUATIONS = [
    Situation(engine, version, shape, precision, architecture, link, mode)
    for engine, version, shape, precision, architecture, link, mode in product(
        ENGINES,
        ("", "0.7.3", "0.11.0", "0.33.0"),
        ("dense", "mixture"),
        ("bf16", "fp8_block128", "awq", "q4_k_m", "ud_iq1_s"),
        ("sm70", "sm89", "sm90", "ascend ascend910b", "amd gfx942"),
        ("none", "nvlink", "xgmi", "pcie", "network"),
        ("graphs", "eager"),
    )
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_row_is_ordered_and_has_a_source(row: SpeedRow) -> None:
    assert row.source.strip()
    for name, (low, usual, high) in row.values.items():
        assert 0 <= low <= usual <= high, name
        assert high <= 1 or not name.endswith(("share", "gain")), name


def test_rows_come_out_as_the_general_decoder_reads_them() -> None:
    assert [decode(SpeedRow, raw) for raw in CATALOG.speed.values()] == list(ROWS)


def test_for_every_engine_on_every_device_all_is_known() -> None:
    for situation in SITUATIONS:
        assert set(RATE_NAMES) <= set(values_of(ROWS, situation)[0]), situation


def test_of_two_rows_that_hold_one_is_more_particular() -> None:
    """Else the answer would depend on the order of files."""

    def rank(row: SpeedRow) -> tuple[int, tuple[int, ...]]:
        conditions = (row.engines, row.shapes, row.precisions, row.architectures, row.links, row.modes)
        return sum(map(bool, conditions)), numbers(row.since)

    for situation in SITUATIONS:
        for one, other in combinations([row for row in ROWS if holds(row, situation)], 2):
            assert rank(one) != rank(other) or not set(one.values) & set(other.values), (one.id, other.id)


def test_a_newer_engine_is_not_measured_by_an_older_ones_figures() -> None:
    def tokens(version: str) -> float:
        situation = Situation("vllm", version, "dense", "bf16", "sm90")
        return values_of(ROWS, situation)[0]["token_seconds"][1]

    assert tokens("0.7.3") > tokens("0.11.0") > tokens("0.14.0rc1") == tokens("0.33.0")
    assert tokens("") == tokens("0.11.0")


def test_slow_is_a_small_rate_and_a_long_time() -> None:
    assert pick("bandwidth_share", (0.1, 0.2, 0.3), "slow") == 0.1
    assert pick("step_seconds", (0.1, 0.2, 0.3), "slow") == 0.3
    assert pick("link_bytes_per_second", (1.0, 2.0, 3.0), "fast") == 3.0
    assert pick("layer_seconds", (0.1, 0.2, 0.3), "usual") == 0.2


@pytest.mark.parametrize(
    ("version", "expected"),
    [("0.14.0rc1.dev417", (0, 14, 0)), ("v0.33", (0, 33)), ("2026", (2026,)), ("", ()), ("nightly", ())],
)
def test_versions_are_compared_as_numbers(version: str, expected: tuple[int, ...]) -> None:
    assert numbers(version) == expected

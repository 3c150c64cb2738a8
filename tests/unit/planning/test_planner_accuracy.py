"""How right the planner is about published runs; the files of cases lie in `tests/cases/`."""

import json
from pathlib import Path

import pytest
import yaml

from benchmarks import planner_accuracy
from benchmarks.accuracy.cases import read
from benchmarks.accuracy.score import Row, summary
from tests.unit.planning.samples import CATALOG

CASES = Path(__file__).parents[2] / "cases"


def judged(name: str) -> tuple[list[Row], dict[str, object]]:
    cases = read(CASES / name)
    rows = planner_accuracy.rows_of(CATALOG, cases)
    return rows, summary(rows, planner_accuracy.rows_of(CATALOG, cases, apart=True))


def figure(sums: dict[str, object], name: str) -> float:
    value = sums[name]
    assert isinstance(value, int | float)
    return value


@pytest.fixture(scope="module")
def reference() -> tuple[list[Row], dict[str, object]]:
    return judged("reference.yaml")


def test_verdicts_and_causes_over_the_published_runs(reference: tuple[list[Row], dict[str, object]]) -> None:
    _, sums = reference
    assert figure(sums, "verdicts") >= 58
    assert figure(sums, "verdict_accuracy") >= 0.95
    assert figure(sums, "causes") >= 6
    assert figure(sums, "causes_right") == 1


def test_tokens_of_the_cache_over_the_published_runs(reference: tuple[list[Row], dict[str, object]]) -> None:
    _, sums = reference
    assert figure(sums, "kv_cases") >= 29
    assert figure(sums, "kv_tokens_median_error") <= 0.05
    assert figure(sums, "kv_tokens_p90_error") <= 0.15
    assert figure(sums, "weights_median_error") <= 0.01


def test_no_figure_rests_on_the_case_that_it_is_held_against(reference: tuple[list[Row], dict[str, object]]) -> None:
    """Without the constants that rest on one case alone, the same goals hold."""
    _, sums = reference
    assert figure(sums, "loo_kv_tokens_median_error") <= 0.05
    assert figure(sums, "loo_kv_tokens_p90_error") <= 0.15


def test_every_miss_and_every_case_left_out_has_a_reason(reference: tuple[list[Row], dict[str, object]]) -> None:
    rows, sums = reference
    entries = [*_entries(sums["misses"]), *_entries(sums["left_out"])]
    assert entries
    assert all(entry["reason"] for entry in entries)
    decided = {one.case.id for one in rows if one.prediction.verdict}
    assert len(decided) + len([one for one in rows if one.prediction.unknown]) == len(rows)


def _entries(value: object) -> list[dict[str, object]]:
    assert isinstance(value, list)
    return value


def test_further_published_runs() -> None:
    _, sums = judged("held_out.yaml")
    assert figure(sums, "verdict_accuracy") == 1
    assert figure(sums, "kv_tokens_median_error") <= 0.05
    assert figure(sums, "kv_tokens_p90_error") <= 0.15


def test_the_range_of_tokens_holds_most_of_the_published_figures(
    reference: tuple[list[Row], dict[str, object]],
) -> None:
    rows, _ = reference
    shown = [
        one for one in rows if one.kv_error is not None and one.case.published("kv_tokens") and one.prediction.tokens
    ]
    inside = [
        one
        for one in shown
        if one.prediction.low_tokens * 0.97 <= one.kv_published <= one.prediction.high_tokens * 1.03
    ]
    assert len(inside) >= 0.8 * len(shown)


def test_entries_that_nobody_foresaw_are_counted_and_break_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert planner_accuracy.main([str(CASES / "unreadable.yaml"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    shown = {entry["id"]: entry for entry in document["cases"]}
    assert len(shown) == len(yaml.safe_load((CASES / "unreadable.yaml").read_text())["cases"])
    assert shown["percent"]["kv_tokens"]["error"] < 0.02
    assert shown["no-degrees"]["tensor"]["used"] == 2
    assert shown["no-degrees"]["kv_tokens"]["error"] < 0.05
    assert shown["words-for-numbers"]["verdict"]["predicted"] == "fits"
    assert shown["negative-pool"]["verdict"]["right"]
    for name in ("unknown-model", "unknown-card", "no-model", "entry 1", "missing-config"):
        assert shown[name]["left_out"]
        assert shown[name]["verdict"]["predicted"] is None
    assert document["summary"]["kv_cases"] == 2


def test_the_report_for_people_ends_with_the_sums(capsys: pytest.CaptureFixture[str]) -> None:
    assert planner_accuracy.main([str(CASES / "held_out.yaml")]) == 0
    out = capsys.readouterr().out
    assert "verdict_accuracy: 1.0" in out
    assert "3090-llama31-8b-20k" in out

"""How right the planner is about published runs; the files of cases lie in `tests/cases/`."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import planner_accuracy
from benchmarks.accuracy.cases import Case, case, read
from benchmarks.accuracy.engines import engine_of
from benchmarks.accuracy.halves import half_of, only
from benchmarks.accuracy.predict import Prediction, predict
from benchmarks.accuracy.score import Row, summary
from tests.unit.planning.samples import CATALOG

ROOT = Path(__file__).parents[3]
CASES = ROOT / "tests" / "cases"


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


def predicted(**said: object) -> Prediction:
    args = {str(name): value for name, value in dict(said.pop("args", {})).items()}  # type: ignore[call-overload]
    return predict(CATALOG, Case(id="one", args=args, **said), None)  # type: ignore[arg-type]


def test_another_4_bit_checkpoint_does_not_bring_its_own_type_of_cache() -> None:
    """MiniMax M2.7 is published in NVFP4, whose cache has 8 bits; an AWQ of somebody else's has 16."""
    shown = predicted(
        model="MiniMax-M2.7-AWQ", quant="awq-int4", gpu="a100-sxm-80g", gpus=4, engine="vllm 0.28.0", args={"tp": 4}
    )
    assert shown.pool_bytes / shown.tokens == pytest.approx(62 * 2 * 2 * 128 * 2, rel=0.001)


def test_the_first_engine_of_a_later_release_is_reckoned_as_the_first_engine() -> None:
    entry = CATALOG.engine("vllm")
    assert engine_of("vllm 0.8.5 V0", "", entry).version.startswith("0.7")
    assert engine_of("vllm 0.8.5 V1", "", entry).version == "0.8.5"
    assert engine_of("vllm 0.6.4 V0", "", entry).version == "0.6.4"


def test_sglang_starts_with_less_than_one_full_request() -> None:
    said = {"model": "Qwen3-32B", "quant": "bf16", "gpu": "h100-sxm-80g", "gpus": 1, "args": {"tp": 1}}
    assert predicted(engine="sglang 0.5.12", **said).verdict == "fits"
    assert predicted(engine="vllm 0.11.0", **said).verdict == "fails"


def test_ranks_of_data_parallel_attention_lie_within_the_tensor_group() -> None:
    said = {"model": "DeepSeek-V3.2", "quant": "fp8-block128", "gpu": "b200-180g", "gpus": 8, "engine": "sglang 0.5.3"}
    shown = predicted(**said, args={"tp": 8, "dp": 8, "enable_dp_attention": True})
    assert shown.tensor == 1
    assert shown.weights_bytes > 80 << 30


def test_halves_go_by_the_id_alone() -> None:
    cases = read(ROOT / "benchmarks" / "cases" / "published.yaml")
    assert {case.id for half in "ab" for case in only(cases, half)} == {case.id for case in cases}
    assert half_of(Case(id=cases[0].id, model="another")) == half_of(cases[0])


SPELLINGS = (
    {"tp": 2, "max_model_len": 8192, "gpu_memory_utilization": 0.9},
    {"--tensor-parallel-size": "2", "--max-model-len": "8k", "--gpu-memory-utilization": "90%"},
    {"TP": [2], "Max-Model-Len": "8,192", "util": "default 0.9"},
    "--tensor-parallel-size=2 --max-model-len 8192 --gpu-memory-utilization 0.9 --trust-remote-code",
    ["-tp", "2", "--max-model-len=8192", "--gpu-memory-utilization", "0.9"],
)


@pytest.mark.parametrize("args", SPELLINGS, ids=str)
def test_arguments_are_read_however_they_are_spelled(args: object, tmp_path: Path) -> None:
    entry = {
        "id": "one",
        "cls": "fits",
        "model": "Qwen3-8B",
        "gpu": "L40S",
        "gpus": 2,
        "engine": "vllm 0.11.0",
        "args": args,
    }
    (tmp_path / "cases.yaml").write_text(yaml.safe_dump({"cases": [entry]}))
    (row,) = planner_accuracy.rows_of(CATALOG, read(tmp_path / "cases.yaml"))
    assert (row.prediction.tensor, row.verdict_right) == (2, True)
    assert row.prediction.tokens == 446272


ODD: tuple[object, ...] = (
    None,
    "",
    "x",
    -1,
    0,
    1e300,
    float("nan"),
    True,
    [],
    [None],
    {},
    {"a": {"b": [1]}},
    "8xH100",
    "\u2603",
    [[1]],
)
FIELDS = ("id", "cls", "model", "quant", "gpu", "gpus", "nodes", "engine", "args", "result", "source", "config")


@settings(max_examples=60, deadline=None)
@given(
    entries=st.lists(st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(ODD)) | st.sampled_from(ODD), max_size=4)
)
def test_no_file_of_cases_ends_it(entries: list[object]) -> None:
    whole = {
        "id": "whole",
        "cls": "fits",
        "model": "Qwen3-8B",
        "gpu": "L40S",
        "engine": "vllm 0.11.0",
        "args": {"tp": 1},
    }
    cases = [case(place, entry) for place, entry in enumerate([*entries, whole])]
    rows = planner_accuracy.rows_of(CATALOG, cases)
    assert json.loads(json.dumps({"summary": summary(rows, rows)}))["summary"]["cases"] == len(cases)
    assert rows[-1].verdict_right


@pytest.mark.parametrize("text", ["a: [", None])
def test_a_file_that_cannot_be_read_ends_with_2(
    text: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cases.yaml"
    if text is not None:
        path.write_text(text)
    assert planner_accuracy.main([str(path), "--json"]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_an_engine_that_is_not_planned_is_not_taken_for_vllm() -> None:
    assert "nothing that is planned" in predicted(model="Qwen3-8B", gpu="L40S", engine="TensorRT-LLM 0.17").unknown

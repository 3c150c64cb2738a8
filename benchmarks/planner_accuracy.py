"""How right the planner is about published runs: `python benchmarks/planner_accuracy.py CASES.yaml [--json]`.

Each case is predicted from its arguments alone, never from what was measured. Entries that do not say enough (no card, no
version) are left out of the sums and listed with the reason. A verdict is counted for the cases that state one (`fits`,
`fails`, `config-error`); `perf` and `hangs` state none and are counted apart, as runs that did start. Figures `loo_…` predict
each case without the constants that rest on it alone.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.accuracy.cases import Case, read
from benchmarks.accuracy.halves import HALVES, only
from benchmarks.accuracy.predict import Prediction, predict
from benchmarks.accuracy.score import Row, row, summary
from provisioner.catalog import Catalog, load_catalog
from provisioner.errors import UserError
from provisioner.model.load import Card

GIB = 1 << 30
FORESEEN = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, StopIteration, OSError, UserError)


def rows_of(catalog: Catalog, cases: Sequence[Case], apart: bool = False) -> list[Row]:
    """`apart` predicts each case without the constants that rest on it alone."""
    rows: list[Row] = []
    before: Card | None = None
    for case in cases:
        prediction = _predicted(catalog, case, before, case.id if apart else "")
        before = prediction.card or before
        rows.append(row(case, prediction))
    return rows


def _predicted(catalog: Catalog, case: Case, before: Card | None, without: str) -> Prediction:
    """A case that nobody foresaw must not keep the others from being counted."""
    try:
        return predict(catalog, case, before, without)
    except FORESEEN as error:
        return Prediction(unknown=f"not to be computed: {type(error).__name__}: {error}")


def as_document(one: Row) -> dict[str, object]:
    case, ours = one.case, one.prediction
    return {
        "id": case.id,
        "verdict": {"predicted": ours.verdict or None, "published": case.cls or None, "right": one.verdict_right},
        "cause": ours.cause,
        "version": ours.version,
        "tensor": {"used": ours.tensor or None, "required": ours.required_tensor or None},
        "weights_gib": {"predicted": _gib(ours.weights_bytes), "published": case.published("weights_gib")},
        "kv_gib": {"predicted": _gib(ours.pool_bytes), "published": case.published("kv_gib_per_gpu", "kv_gib")},
        "kv_tokens": {
            "predicted": ours.tokens or None,
            "low": ours.low_tokens or None,
            "high": ours.high_tokens or None,
            "published": case.published("kv_tokens"),
            "error": None if one.kv_error is None else round(one.kv_error, 4),
        },
        "left_out": ours.unknown or one.kv_left_out,
    }


def _gib(count: int) -> float | None:
    return round(count / GIB, 2) if count else None


def line_of(one: Row) -> str:
    ours, case = one.prediction, one.case
    mark = {True: "right", False: "WRONG", None: "-"}[one.verdict_right]
    error = "" if one.kv_error is None else f"{one.kv_error:7.1%}"
    return (
        f"{case.id:32} {case.cls:13} {ours.verdict or '?':13} {mark:6} "
        f"{_pair(_gib(ours.weights_bytes), case.published('weights_gib')):>16} "
        f"{_pair(_gib(ours.pool_bytes), case.published('kv_gib_per_gpu', 'kv_gib')):>16} "
        f"{_pair(ours.tokens or None, case.published('kv_tokens')):>20} {error:>8} "
        f"TP {ours.tensor or '-'}/{ours.required_tensor or '-'} {ours.unknown or ours.cause or one.kv_left_out}"[:250]
    )


def _pair(predicted: float | None, published: float | None) -> str:
    shown = [f"{value:g}" if value is not None else "-" for value in (predicted, published)]
    return " / ".join(shown)


def report(rows: Sequence[Row], sums: dict[str, object]) -> str:
    head = "predicted / published: verdict, weights and pool in GiB per rank, tokens, their error, TP used/required"
    plain = [f"{name}: {value}" for name, value in sums.items() if not isinstance(value, list)]
    lists = [f"\n{name}:" for name in ("misses", "left_out")]
    parts = [head, *map(line_of, rows), "", *plain]
    for title, name in zip(lists, ("misses", "left_out"), strict=True):
        entries = sums[name]
        parts += [title, *(f"  {entry}" for entry in entries)] if isinstance(entries, list) else []
    return "\n".join(parts)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("cases", type=Path, help="a YAML file of published runs")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--half", choices=HALVES, default="", help="only the cases of this half, by their ids")
    options = parser.parse_args(argv)
    try:
        cases = only(read(options.cases), options.half)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        print(f"{options.cases} cannot be read: {error}", file=sys.stderr)
        return 2
    catalog = load_catalog()
    rows = rows_of(catalog, cases)
    sums = summary(rows, rows_of(catalog, cases, apart=True))
    if options.json:
        print(json.dumps({"cases": [as_document(one) for one in rows], "summary": sums}, indent=1))
    else:
        print(report(rows, sums))
    return 0


if __name__ == "__main__":
    sys.exit(main())

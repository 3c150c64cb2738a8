"""Predicted against published, case by case and in sum; every miss with a reason."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.accuracy.cases import VERDICTS, Case
from benchmarks.accuracy.predict import Prediction

GIB = 1 << 30
NEAR = 0.15
"""An error of tokens above this is named among the misses."""


@dataclass(frozen=True)
class Row:
    case: Case
    prediction: Prediction
    verdict_right: bool | None
    """None where the case states none, or where nothing could be decided."""
    started: bool | None
    """For runs that state no verdict but evidently ran: whether we would have let them."""
    cause_right: bool | None
    kv_error: float | None
    kv_published: float
    kv_left_out: str
    """Why a published pool or count of tokens is not in the sums."""
    weights_error: float | None


def row(case: Case, prediction: Prediction) -> Row:
    stated = case.cls in VERDICTS
    decided = bool(prediction.verdict)
    right = prediction.verdict == case.cls if stated and decided else None
    ran = case.cls in ("perf", "hangs") and decided
    error, published, left_out = _kv(case, prediction)
    return Row(
        case=case,
        prediction=prediction,
        verdict_right=right,
        started=prediction.verdict == "fits" if ran else None,
        cause_right=_cause(case, prediction) if right and case.cls == "config-error" else None,
        kv_error=error,
        kv_published=published,
        kv_left_out=left_out,
        weights_error=_weights(case, prediction),
    )


def _kv(case: Case, prediction: Prediction) -> tuple[float | None, float, str]:
    """By tokens where they were printed, else by the pool, which is in proportion to them."""
    tokens = case.published("kv_tokens")
    pool = case.published("kv_gib_per_gpu", "kv_gib", "kv_pool_gib")
    published, ours = (tokens, prediction.tokens) if tokens else (pool or 0, prediction.pool_bytes / GIB)
    if tokens is None and pool is None:
        return None, 0, ""
    if published <= 0:
        return None, published, "there was no pool: the published figure is what was missing"
    if prediction.unknown or prediction.memory_unknown:
        return None, published, prediction.unknown or prediction.memory_unknown
    return abs(max(0, ours) - published) / published, published, ""


def _weights(case: Case, prediction: Prediction) -> float | None:
    published = case.published("weights_gib")
    if not published or not prediction.weights_bytes:
        return None
    return abs(prediction.weights_bytes / GIB - published) / published


def _cause(case: Case, prediction: Prediction) -> bool:
    """The numbers that decide (shards, heads, blocks) are those of the published error, the degree itself apart."""
    text = f"{case.result.get('error', '')} {case.result.get('remedy', '')} {case.model}"
    theirs = {int(found) for found in re.findall(r"\d+", text)} - {0}
    ours = {int(found) for found in re.findall(r"\d+", prediction.cause.split(";")[0])}
    return bool(theirs & ours)


def summary(rows: Sequence[Row], left_out: Sequence[Row]) -> dict[str, object]:
    """`left_out`: the same cases, each predicted without the constants that rest on it alone."""
    verdicts = [one.verdict_right for one in rows if one.verdict_right is not None]
    causes = [one.cause_right for one in rows if one.cause_right is not None]
    started = [one.started for one in rows if one.started is not None]
    errors = _errors(rows, lambda one: one.kv_error)
    weights = _errors(rows, lambda one: one.weights_error)
    apart = _errors(left_out, lambda one: one.kv_error)
    return {
        "cases": len(rows),
        "verdict_accuracy": _share(verdicts),
        "verdicts": len(verdicts),
        "causes_right": _share(causes),
        "causes": len(causes),
        "started_accuracy": _share(started),
        "started": len(started),
        "kv_tokens_median_error": _rounded(_middle(errors)),
        "kv_tokens_p90_error": _rounded(percentile(errors, 0.9)),
        "kv_cases": len(errors),
        "loo_kv_tokens_median_error": _rounded(_middle(apart)),
        "loo_kv_tokens_p90_error": _rounded(percentile(apart, 0.9)),
        "weights_median_error": _rounded(_middle(weights)),
        "weights_cases": len(weights),
        "misses": [miss for one in rows for miss in _misses(one)],
        "left_out": [found for one in rows if (found := _left_out(one))],
    }


def _errors(rows: Sequence[Row], which: Callable[[Row], float | None]) -> list[float]:
    return sorted(error for one in rows if (error := which(one)) is not None)


def _share(answers: Sequence[bool]) -> float | None:
    return round(sum(answers) / len(answers), 4) if answers else None


def _middle(errors: list[float]) -> float | None:
    return median(errors) if errors else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def percentile(errors: list[float], share: float) -> float | None:
    """Between the two nearest, as NumPy does it."""
    if not errors:
        return None
    place = share * (len(errors) - 1)
    below = int(place)
    above = min(below + 1, len(errors) - 1)
    return errors[below] + (place - below) * (errors[above] - errors[below])


def _misses(one: Row) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    if one.verdict_right is False:
        reason = one.prediction.cause or "everything has its place by our arithmetic"
        found.append(_miss(one, one.prediction.verdict, one.case.cls, f"verdict: {reason}"))
    if one.started is False:
        found.append(_miss(one, one.prediction.verdict, f"ran ({one.case.cls})", f"ran: {one.prediction.cause}"))
    if one.cause_right is False:
        found.append(_miss(one, one.prediction.cause, str(one.case.result.get("error", "")), "another cause"))
    if one.kv_error is not None and one.kv_error > NEAR:
        ours = one.prediction.tokens or round(one.prediction.pool_bytes / GIB, 2)
        found.append(_miss(one, ours, one.kv_published, f"cache: {one.kv_error:.0%} off"))
    return found


def _miss(one: Row, predicted: object, published: object, reason: str) -> dict[str, object]:
    return {"id": one.case.id, "predicted": predicted, "published": published, "reason": reason}


def _left_out(one: Row) -> dict[str, object] | None:
    """What states something that is not in the sums, and why."""
    if one.case.problem or (one.prediction.unknown and (one.case.cls in VERDICTS or one.kv_left_out)):
        return {"id": one.case.id, "what": "all", "reason": one.prediction.unknown or one.case.problem}
    if one.kv_left_out:
        return {"id": one.case.id, "what": "cache", "reason": one.kv_left_out}
    return None

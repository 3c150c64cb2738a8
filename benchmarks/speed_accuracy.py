"""How far predicted speeds are from published ones: `python benchmarks/speed_accuracy.py CASES.yaml [--half a] [--json]`.

Takes cases that state `tok_s`. A case whose inputs cannot be known is left out with the reason; one that does not say what its
requests were like is predicted for a chat and marked. Nothing fails here: the figures are for people and for tables.
"""

import argparse
import json
import re
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import ceil

from benchmarks import held_speeds
from benchmarks.published_cases import HALVES, Case, LeftOut, card_of, cases_of, model_of, work_of
from provisioner.catalog import Catalog, load_catalog
from provisioner.model.catalog import AcceleratorEntry
from provisioner.model.load import Degrees
from provisioner.planning.memory.checkpoints import checkpoint_of
from provisioner.planning.memory.kv import bytes_per_token
from provisioner.planning.speed.capacity import Copies, Expected, Work, capacity, concurrent, stream_seconds, total_rate
from provisioner.planning.speed.rates import Situation, Span, architecture_of, span_of
from provisioner.planning.speed.roofline import Rates, reads_of

GIB = 1 << 30
POOL_MARGIN = 2 * GIB
"""What is left of an engine's share beside weights and cache, where only the number of requests depends on it."""
LARGE_CARD = 70 * GIB
TAIL = 3
"""Answers in ShareGPT differ in length: when all requests come at once, the last are alone for about three mean answers."""
COUNTED = r"c(\d+)(_out|_total|_per_req)?$"
SHARING = ("vllm", "sglang")
LINKS = ("nvlink", "nvl", "xgmi", "infinity", "hccs")


@dataclass(frozen=True, slots=True)
class Row:
    case: str
    figure: str
    published: float
    predicted: float
    low: float
    high: float
    ratio: float
    assumed: str
    kind: str


def rows_of(case: Case, catalog: Catalog) -> Iterator[Row]:
    found = case["result"]["tok_s"]
    work, assumed = work_of(case)
    if held_speeds.takes(case):
        yield _row(case, "c1", found["c1"], held_speeds.predicted(case, catalog), assumed)
        return
    copies = _copies(case, catalog, work)
    for figure, published in found.items():
        if isinstance(published, list | str):
            raise LeftOut(f"{figure}: a list or a range, not one figure")
        batch, per_request, with_prompt = _meaning(figure, case, copies, work)
        predicted = _predicted(copies, batch, work, per_request=per_request, with_prompt=with_prompt)
        yield _row(case, figure, published, predicted, assumed)
    for figure, published in case["result"].get("ttft_ms", {}).items():
        predicted = _first_token(copies, work)
        yield _row(case, f"{figure} ttft ms", published, predicted, assumed)


def _row(case: Case, figure: str, published: float, found: Expected, assumed: str) -> Row:
    ratio, kind = found.usual / published, str(case.get("cls", ""))
    return Row(case["id"], figure, published, found.usual, found.low, found.high, ratio, assumed, kind)


def _first_token(copies: Copies, work: Work) -> Expected:
    """In milliseconds, of a request that hardly waits for others."""
    found = capacity(copies, work.prompt + work.output, work).first_token_seconds
    if found is None:
        raise LeftOut("the card's FLOPS are not known")
    return Expected(1000 * found.low, 1000 * found.usual, 1000 * found.high)


def _at_a_time(case: Case, most: int) -> float | None:
    """Of requests that all came at once: how many are computed at a time in the mean, and at most."""
    told = f"{case['result'].get('workload', '')} {case['source']}"
    uneven, even = re.search(r"ShareGPT (\d+) prompts", told), re.search(r"(\d+) requests at once", told)
    if uneven:
        count = int(uneven[1])
        return count / (count / min(most, count) + TAIL)
    return int(even[1]) / ceil(int(even[1]) / most) if even else None


def _meaning(figure: str, case: Case, copies: Copies, work: Work) -> tuple[float, bool, bool]:
    """Requests at a time, whether the figure is of one of them, and whether prompts are counted in."""
    most = concurrent(copies.kv_tokens, work.prompt + work.output, copies.sequences)
    stated = re.match(COUNTED, figure)
    if stated:
        per_request = stated[2] == "_per_req" or (not stated[2] and _falls(case["result"]["tok_s"]))
        return min(int(stated[1]), most), per_request, stated[2] == "_total"
    if figure in ("total", "out") and "concurrency" in case["result"]:
        return min(int(case["result"]["concurrency"]), most), False, False
    batch = _at_a_time(case, most)
    if figure == "out" and batch:
        return batch, False, False
    raise LeftOut(f"{figure}: how many requests at a time is not stated")


def _falls(figures: Mapping[str, float]) -> bool:
    """More requests make less in sum nowhere: figures that fall with their number are of one request each."""
    counted = sorted(
        (int(found[1]), rate) for name, rate in figures.items() if (found := re.fullmatch(r"c(\d+)", name))
    )
    return len(counted) > 1 and all(one[1] > other[1] for one, other in pairwise(counted))


def _predicted(copies: Copies, batch: float, work: Work, *, per_request: bool, with_prompt: bool) -> Expected:
    def figure(rates: Rates) -> float:
        if per_request:
            return 1 / stream_seconds(copies, rates, batch, work)
        rate = total_rate(copies, rates, batch, work)
        return rate * (work.prompt + work.output) / work.output if with_prompt else rate

    span = copies.span
    return Expected(figure(span.slow), figure(span.usual), figure(span.fast))


def _copies(case: Case, catalog: Catalog, work: Work) -> Copies:
    engine, version = _engine(case)
    args = case.get("args") or {}
    if args.get("spec"):
        raise LeftOut("speculative decoding is not modelled")
    entry, precision = model_of(case, catalog)
    card = card_of(case, catalog)
    tensor, pipeline = args.get("tp", 1), args.get("pp", 1)
    checkpoint = checkpoint_of(entry, precision)
    if checkpoint is None:
        raise LeftOut(f"no checkpoint of {entry.id} in {precision} is known")
    reads = reads_of(entry.architecture, checkpoint.bytes, precision)
    link = _link(card, tensor, case.get("nodes", 1))
    mode = "eager" if args.get("enforce_eager") else "graphs"
    situation = Situation(engine, version, reads.shape, precision, architecture_of(card), link, mode)
    span = span_of(catalog.speed_rows(), card, situation)
    if not isinstance(span, Span):
        raise LeftOut(span)
    degrees = Degrees(tensor=tensor, decode_context=args.get("dcp", 1))
    each = max(1, bytes_per_token(entry.architecture, degrees))
    share = (card.usable_bytes or card.memory_bytes or 0) * _utilization(args)
    pool = share - checkpoint.bytes / tensor / pipeline - POOL_MARGIN
    tokens = max(work.prompt + work.output, int(pool * pipeline / each))
    return Copies(reads, span, each, tokens, _sequences(args, card), tensor, pipeline)


def _engine(case: Case) -> tuple[str, str]:
    text = str(case["engine"])
    engine = next((one for one in SHARING if text.startswith(one)), None)
    if engine is None:
        raise LeftOut(f"{text.split(maxsplit=1)[0]} on cards and host: the host's memory channels are not stated")
    version = re.search(r"\d+(?:\.\d+)+|\b20\d\d\b", text)
    return engine, version[0] if version else ""


def _link(card: AcceleratorEntry, tensor: int, nodes: int) -> str:
    if tensor == 1:
        return "none"
    if nodes > 1:
        return "network"
    return "nvlink" if any(word in (card.link or "").lower() for word in LINKS) else "pcie"


def _utilization(args: Case) -> float:
    said = args.get("util", 0.9)
    return float(said) if isinstance(said, int | float) else 0.92


def _sequences(args: Case, card: AcceleratorEntry) -> int:
    if "max_num_seqs" in args:
        return int(args["max_num_seqs"])
    large = (card.memory_bytes or 0) >= LARGE_CARD and "a100" not in card.id
    return 1024 if large else 256


def measure(cases: list[Case], catalog: Catalog) -> tuple[list[Row], list[tuple[str, str]]]:
    rows: list[Row] = []
    left_out: list[tuple[str, str]] = []
    for case in cases:
        if not (case.get("result") or {}).get("tok_s"):
            continue
        try:
            rows.extend(rows_of(case, catalog))
        except LeftOut as reason:
            left_out.append((case["id"], str(reason)))
    return rows, left_out


def summary(rows: list[Row]) -> dict[str, float]:
    """Of the factor by which a prediction is off, either way; and how many lie in their own range."""
    if not rows:
        return {"figures": 0}
    factors = sorted(max(row.ratio, 1 / row.ratio) for row in rows)
    return {
        "figures": len(rows),
        "cases": len({row.case for row in rows}),
        "median_ratio": round(statistics.median(row.ratio for row in rows), 3),
        "median_factor": round(statistics.median(factors), 3),
        "p90_factor": round(factors[min(len(factors) - 1, int(0.9 * len(factors)))], 3),
        "in_range": round(sum(row.low <= row.published <= row.high for row in rows) / len(rows), 3),
    }


def report(rows: list[Row], left_out: list[tuple[str, str]]) -> None:
    for row in rows:
        note = f"  assumed: {row.assumed}" if row.assumed else ""
        print(f"{row.case:36} {row.figure:11} {row.published:8.1f} {row.predicted:8.1f} "
              f"({row.low:.0f}-{row.high:.0f})  x{row.ratio:.2f}{note}")  # fmt: skip
    for case, reason in left_out:
        print(f"{case:36} left out: {reason}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--half", choices=HALVES, default="", help="only the cases of this half, by their ids")
    asked = parser.parse_args()
    rows, left_out = measure(cases_of(asked.cases, asked.half), load_catalog())
    told = [row for row in rows if not row.assumed]
    kinds = {kind: summary([row for row in rows if row.kind == kind]) for kind in sorted({row.kind for row in rows})}
    found = {"summary": summary(rows), "of_these_with_known_requests": summary(told), "by_kind": kinds}
    if asked.json:
        listed = [{"case": case, "reason": reason} for case, reason in left_out]
        print(json.dumps({**found, "rows": [asdict(row) for row in rows], "left_out": listed}))
        return
    report(rows, left_out)
    print(json.dumps(found))


if __name__ == "__main__":
    main()

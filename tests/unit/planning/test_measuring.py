"""From streams to figures, and from two measurements to whether the later release is slower."""

import pytest

from provisioner.model.baseline import Figure, Speed
from provisioner.model.record import replace
from provisioner.model.report import Completion
from provisioner.planning.speed.measuring import figure, rate, slower, speed, total_rate


def answer(*arrivals: float, tokens: int = 0) -> Completion:
    return Completion(200, arrivals, "words", tokens or len(arrivals))


def steady(first: float, tokens: int, each: float) -> Completion:
    return answer(*(first + number * each for number in range(tokens)))


def test_a_rate_counts_from_the_first_token_on() -> None:
    assert rate(steady(2.0, 11, 0.1)) == pytest.approx(10)


def test_an_answer_in_one_piece_is_counted_from_the_question_on() -> None:
    assert rate(answer(0.5, tokens=20)) == pytest.approx(40)
    assert rate(answer(0.5, 0.501, tokens=20)) == pytest.approx(20 / 0.501)


def test_requests_at_once_are_counted_up_to_the_last_token_of_all() -> None:
    assert total_rate((steady(0.0, 11, 0.1), steady(1.0, 11, 0.1))) == pytest.approx(22 / 2)


def test_a_figure_is_the_middle_its_half_and_the_best() -> None:
    assert figure((5.0, 1.0, 2.0, 3.0, 4.0)) == Figure(3.0, 2.0, 4.0, 5.0, 5)
    assert figure((4.0, 1.0), more_is_better=False) == Figure(2.5, 1.75, 3.25, 1.0, 2)
    assert figure((7.0,)) == Figure(7.0, 7.0, 7.0, 7.0, 1)


def test_all_of_it_from_streams() -> None:
    alone = tuple(steady(first, 11, 0.1) for first in (0.1, 0.2, 0.3))
    found = speed(alone, ((steady(0.0, 11, 0.1), steady(1.0, 11, 0.1)),), 9.0)
    firsts = found.first_token_seconds
    assert (firsts.median, firsts.low, firsts.high) == pytest.approx((0.2, 0.15, 0.25))
    assert (firsts.best, firsts.count) == (0.1, 3)
    assert found.first_token_p95_seconds == pytest.approx(0.29)
    assert (found.concurrency, found.seconds) == (2, 9.0)


def around(value: float, spread: float = 0.02) -> Figure:
    return Figure(value, value * (1 - spread), value * (1 + spread), value * (1 + spread), 5)


BEFORE = Speed(around(40.0), around(160.0), replace(around(0.4), best=0.39), 0.5, 4, 8.0)


def ids(after: Speed, tolerance: float = 0.1) -> list[str]:
    return [finding.message.partition(",")[0] for finding in slower(BEFORE, after, tolerance)]


def test_no_worse_than_tolerated_is_no_finding() -> None:
    assert ids(BEFORE) == []
    assert ids(replace(BEFORE, tokens_per_second=around(37.0))) == []
    assert ids(replace(BEFORE, tokens_per_second=around(60.0), total_tokens_per_second=around(300.0))) == []


def test_each_figure_that_became_worse_is_told_with_what_it_was_and_the_way_out() -> None:
    after = Speed(around(30.0), around(100.0), replace(around(0.8), best=0.78), 0.9, 4, 8.0)
    assert ids(after) == [
        "30.0 tokens/s of one request",
        "100.0 tokens/s of 4 requests at once",
        "800 ms to the first token",
    ]
    (first, *_) = slower(BEFORE, after, 0.1)
    assert first.message == "30.0 tokens/s of one request, 40.0 before (-25 %, 10 % is tolerated)"
    assert (first.id, first.level) == ("slower", "error")
    assert "--accept-slower" in first.fix


def test_more_may_be_tolerated() -> None:
    after = replace(BEFORE, tokens_per_second=around(30.0))
    assert ids(after, 0.24)
    assert not ids(after, 0.26)


def test_requests_at_once_are_compared_only_with_as_many() -> None:
    fewer = replace(BEFORE, total_tokens_per_second=around(60.0), concurrency=2)
    assert ids(fewer) == []
    alone = replace(BEFORE, concurrency=1)
    assert slower(alone, replace(alone, total_tokens_per_second=around(60.0)), 0.1) == ()


def test_a_busy_machine_is_no_regression() -> None:
    """Most answers came while others had the processors, and one showed what the release can do."""
    disturbed = Figure(20.0, 15.0, 30.0, 40.5, 5)
    assert ids(replace(BEFORE, tokens_per_second=disturbed)) == []


def test_a_first_token_that_nobody_waits_for_is_no_regression() -> None:
    quick = replace(BEFORE, first_token_seconds=around(0.005))
    assert slower(quick, replace(quick, first_token_seconds=around(0.04)), 0.1) == ()
    assert slower(quick, replace(quick, first_token_seconds=around(0.2)), 0.1)

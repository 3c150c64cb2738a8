"""Each view as people see it, at three widths, against files that were read before they were committed."""

import os
import time
from collections.abc import Callable, Iterator

import pytest

from provisioner.model.holdings import Damage, HeldFile, HeldModel, Holdings, Verified
from provisioner.model.outcome import Planned
from provisioner.model.record import replace
from provisioner.model.report import Completion
from provisioner.views import models
from provisioner.views.layout import Look, bare, columns
from provisioner.views.machine import machine_view
from provisioner.views.outcome import key_view, outcome_view, pace, removed_view, rendered_view, rollback_view
from provisioner.views.plan import plan_view, preview
from provisioner.views.speed import bench_view, upgrade_view
from provisioner.views.status import check_view, history_view, status_view
from tests.unit.views import samples, several

GOLDEN = os.path.join(os.path.dirname(__file__), "../../golden/views")

GGUF = HeldFile("qwen3-8b-q4_k_m.gguf", "ab" * 32, 5 << 30, 5 << 30, "hub:modelscope/Qwen/Qwen3-8B/x.gguf", True, False)
SHARD = HeldFile("model.safetensors", "cd" * 32, 1 << 30, 1 << 30, "/data/Qwen3-0.6B/model.safetensors", True, True)
LOST = HeldFile("efefefefefef", "ef" * 32, 4096, 4096, "", sound=False, shared=False)
HELD = Holdings(
    (
        HeldModel("abababab", "qwen3-8b", "Qwen3 8B", "q4_k_m", (GGUF,), (samples.DIGEST, "77" * 32)),
        HeldModel("qwen3-0.6b-bf16-01", "qwen3-0.6b", "Qwen3 0.6B", "bf16", (SHARD,)),
    ),
    (LOST,),
    7 << 20,
    samples.DIGEST,
)
DAMAGED = (Damage("qwen3-8b", GGUF, "12" * 32), Damage("qwen3-0.6b", SHARD, ""), Damage("", LOST, "34" * 32))

VIEWS: dict[str, Callable[[Look], str]] = {
    "plan": lambda look: plan_view(samples.PLANNED, look),
    "plan-explained": lambda look: plan_view(samples.PLANNED, look, explain=True),
    "plan-nothing-to-do": lambda look: plan_view(Planned(samples.SMALL, samples.PLAN, ()), look),
    "plan-server": lambda look: plan_view(Planned(samples.SERVER, samples.SERVER_PLAN, samples.ACTIONS), look),
    "plan-refused": lambda look: plan_view(Planned(samples.SMALL, samples.REFUSED, ()), look),
    "plan-not-ready": lambda look: plan_view(Planned(samples.SMALL, samples.NOT_READY, samples.ACTIONS), look),
    "plan-several": lambda look: plan_view(Planned(samples.SMALL, several.PLAN, samples.ACTIONS), look),
    "plan-several-docker": lambda look: plan_view(Planned(samples.SMALL, several.CONTAINED, samples.ACTIONS), look),
    "preview": lambda look: preview(samples.PLANNED, look),
    "machine": lambda look: machine_view(samples.SMALL, look),
    "machine-server": lambda look: machine_view(samples.SERVER, look),
    "up": lambda look: outcome_view(samples.OUTCOME, look, 4.2),
    "up-unchanged": lambda look: outcome_view(samples.UNCHANGED, look, 0.7),
    "up-docker": lambda look: outcome_view(samples.CONTAINED_OUTCOME, look, 64.0),
    "up-several": lambda look: outcome_view(several.OUTCOME, look, 4.2),
    "key": lambda look: key_view("0123abcd", samples.SERVICE.key_file, look),
    "render": lambda look: rendered_view(samples.PLANNED, "/tmp/release", ("plan.json", "units/llm.json"), look),
    "down": lambda look: removed_view(samples.REMOVED, look),
    "bench": lambda look: bench_view(samples.BENCHED, look),
    "bench-several": lambda look: bench_view(several.BENCHED, look),
    "upgrade": lambda look: upgrade_view(samples.UPGRADED, look, 31.0),
    "upgrade-nothing-to-do": lambda look: upgrade_view(samples.NOT_UPGRADED, look, 0.7),
    "upgrade-several": lambda look: upgrade_view(several.UPGRADED, look, 31.0),
    "rollback": lambda look: rollback_view(samples.BACK, look),
    "status": lambda look: status_view(samples.STATUS, look),
    "status-several": lambda look: status_view(several.STATUS, look),
    "status-docker": lambda look: status_view(samples.CONTAINED_STATUS, look),
    "status-broken": lambda look: status_view(samples.BROKEN, look),
    "status-nothing": lambda look: status_view(samples.NOTHING, look),
    "check": lambda look: check_view(samples.CHECKED, look),
    "check-wedged": lambda look: check_view(samples.WEDGED, look),
    "models": lambda look: models.list_view(HELD, look),
    "models-damaged": lambda look: models.verified_view(Verified(HELD.models, 3, 5 << 30, DAMAGED), look),
    "history": lambda look: history_view(samples.HISTORY, look),
}


@pytest.fixture(autouse=True)
def universal_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def hold(name: str, text: str) -> None:
    path = os.path.join(GOLDEN, f"{name}.txt")
    if os.environ.get("GOLDEN") == "write":
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(f"{text}\n")
    with open(path, encoding="utf-8") as stream:
        assert f"{text}\n" == stream.read()


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("name", sorted(VIEWS))
def test_view(name: str, width: int) -> None:
    hold(f"{name}-{width}", VIEWS[name](Look(width)))


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_colour_changes_nothing_but_colour(name: str) -> None:
    plain, coloured = (VIEWS[name](Look(80, colour=colour)) for colour in (False, True))
    assert "\x1b" not in plain
    assert bare(coloured) == plain


@pytest.mark.parametrize("name", sorted(VIEWS))
def test_plain_letters_where_signs_cannot_be_written(name: str) -> None:
    said = VIEWS[name](Look(80, signs=False))
    assert not set(said) & set("█▓▒░✓✗")


@pytest.mark.parametrize("width", [60, 80, 100, 200])
@pytest.mark.parametrize("name", sorted(VIEWS))
def test_text_keeps_to_the_width(name: str, width: int) -> None:
    """What is to be copied stays whole: commands and paths are longer than any width."""
    for line in VIEWS[name](Look(width)).splitlines():
        long_word = any(columns(word) > width - 24 for word in line.split())
        to_copy = (
            long_word
            or line.startswith(("  curl", "    -", "  client", "  answer", "  from"))
            or "setsid" in line
            or "ln " in line
            or "install" in line
            or "fix: " in line
        )
        assert to_copy or columns(line) <= width, line


def test_the_key_is_in_no_view_but_its_own() -> None:
    assert samples.OUTCOME.new_key is not None
    assert samples.OUTCOME.new_key not in outcome_view(samples.OUTCOME, Look(), 4.2)


def test_what_an_engine_says_cannot_move_the_cursor() -> None:
    assert "\x1b" not in outcome_view(samples.OUTCOME, Look(), 4.2)


def test_no_rate_is_told_of_tokens_that_came_in_one_piece() -> None:
    at_once = Completion(200, (0.5, 0.5001, 0.5002), "Hello", 3)
    assert pace(at_once) == "3 tokens, the first after 500 ms"
    assert pace(replace(at_once, arrivals=(0.5, 0.6, 0.7))) == "3 tokens, the first after 500 ms, then 10 tokens/s"

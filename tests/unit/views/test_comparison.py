"""Plans side by side: what a cell says of a figure, and plans alone: what a change is as a command."""

import pytest

from provisioner.model.outcome import Compared
from provisioner.model.plan import Capacity, Change
from provisioner.model.record import replace
from provisioner.views.comparison import comparison_view
from provisioner.views.layout import Look
from provisioner.views.plan import change_lines, verdict_lines
from tests.unit.views import several
from tests.unit.views.samples import PLAN, REFUSED


@pytest.mark.parametrize(("rate", "told"), [(0.4, "about 0.4"), (9.6, "about 9.6"), (1234.5, "about 1,234")])
def test_a_slow_machine_does_not_stand_still(rate: float, told: str) -> None:
    made = replace(PLAN, capacity=Capacity(1, 1, rate, "measured", rate))
    lines = comparison_view((Compared("here", made),), Look()).splitlines()
    for head in ("tokens/s alone", "tokens/s in all"):
        assert next(line for line in lines if line.startswith(head)).endswith(f"  {told}")
    assert f"{told} tokens/s" in "\n".join(verdict_lines(made, Look(width=200)))


def test_a_change_can_be_pasted() -> None:
    change = Change("another file", "smaller", ("--model", "/my models/x.gguf"))
    lines = change_lines(replace(REFUSED, cheapest_changes=(change,)), Look(width=200))
    assert "--model '/my models/x.gguf'" in lines[-1]


def test_of_several_models_each_has_its_figure_and_what_they_share_is_said_once() -> None:
    shown = comparison_view((Compared("here", several.PLAN),), Look(80))
    rows = {line[:16].strip(): line[16:].strip() for line in shown.splitlines()}
    assert rows["model"] == "Qwen3 8B / Qwen3 0.6B"
    assert rows["precision"] == "q4_k_m / q8_0"
    assert rows["engine"] == "llamacpp"

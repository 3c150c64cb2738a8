"""What engines said of their memory, against plans for the same load; and what the next plan makes of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.engines import llamacpp, vllm
from provisioner.model.learned import CORRECTED, Kind, Learned, Reckoned, Residual
from provisioner.model.load import Amount
from provisioner.model.measured import DeviceMeasured, Measured
from provisioner.model.plan import Plan
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.model.weights import Shelf
from provisioner.planning.memory.residuals import FIELDS, reckon, residuals, shifted, told
from provisioner.planning.plan import make_plan
from tests.unit.planning.samples import CATALOG, GIB, PLACE, machine, plan

LOGS = Path(__file__).parents[1] / "engines" / "logs"
MIB = 1 << 20
KIND = Kind("vllm", "0.11.0", "dense-gqa", "l40s", 1, "activation")
BYTES = st.integers(1, 1 << 44)


def again(text: str, spec: Spec, found: tuple[Residual, ...]) -> Plan:
    return make_plan(spec, machine(text), CATALOG, Shelf(), PLACE, learned=Learned(found))


def part(made: Plan, component: str) -> Reckoned:
    return next(one for one in made.reckoned if one.kind.component == component)


@given(BYTES, BYTES, st.sampled_from(CORRECTED))
def test_a_wrong_constant_is_put_right_by_one_start_of_the_same_load(planned: int, took: int, component: str) -> None:
    kind = replace(KIND, component=component)
    assert reckon(Learned((Residual(kind, planned, took),)), "", kind, planned).bytes == took


@given(st.lists(st.tuples(BYTES, BYTES), min_size=1, max_size=20), BYTES)
def test_other_loads_never_teach_to_plan_for_less(starts: list[tuple[int, int]], planned: int) -> None:
    learned = Learned(tuple(Residual(KIND, one, took) for one, took in starts))
    found = reckon(learned, "", KIND, planned).bytes
    same = [took for one, took in starts if one == planned]
    assert found >= (max(same) if same else planned)
    assert found <= max(planned, *same, *(round(planned * (took / one)) for one, took in starts))


@pytest.mark.parametrize("other", [{"version": "0.12.0"}, {"device": "a100"}, {"tensor": 2}, {"architecture": "moe"}])
def test_other_kinds_teach_nothing(other: dict[str, object]) -> None:
    learned = Learned((Residual(replace(KIND, **other), 100, 200),))  # type: ignore[arg-type]
    assert reckon(learned, "", KIND, 100) == Reckoned("", KIND, 100, 100, 0)


@pytest.mark.parametrize("component", sorted(set(FIELDS) - set(CORRECTED)))
def test_weights_and_cache_stay_arithmetic(component: str) -> None:
    kind = replace(KIND, component=component)
    assert reckon(Learned((Residual(kind, 100, 200),)), "", kind, 100).bytes == 100


def test_several_starts_are_said_to_be_several() -> None:
    learned = Learned(tuple(Residual(KIND, 1000, took) for took in (1020, 1040, 1060)))
    assert told(reckon(learned, "", KIND, 500)) == "; activation corrected by what 3 starts measured: +4 %"
    assert told(reckon(Learned(), "", KIND, 500)) == ""


@given(BYTES, BYTES, BYTES, BYTES)
def test_a_range_is_moved_and_never_below_nothing(expected: int, below: int, above: int, took: int) -> None:
    amount = Amount(expected, max(0, expected - below), expected + above, "measured elsewhere")
    moved = shifted(amount, Reckoned("", KIND, expected, took, 1))
    assert 0 <= moved.low <= moved.bytes == took <= moved.high


@given(BYTES, st.integers(0, 1 << 60))
def test_what_is_no_figure_of_that_part_is_not_kept(planned: int, took: int) -> None:
    made = replace(plan("8 cores, 16 GiB", Spec(profile="demo")), reckoned=(Reckoned("", KIND, planned, planned),))
    found = residuals(made, Measured(devices=(DeviceMeasured("", activation_bytes=took),)))
    assert bool(found) == (planned <= took * 8 and took <= planned * 8)


DEMO = ("8 cores, 16 GiB", Spec(profile="demo"))


def test_llamacpps_own_log_corrects_the_compute_buffer_of_the_next_plan() -> None:
    first = plan(*DEMO)
    found = residuals(first, llamacpp.ENGINE.read_back((LOGS / "llamacpp-demo-cpu.log").read_text(), ""))  # type: ignore[misc]
    took = {one.kind.component: one.measured_bytes for one in found}
    assert took == {"weights": round(2.65 * MIB), "cache": MIB, "activation": round(5.02 * MIB)}
    second = again(*DEMO, found)
    assert first.memory is not None
    assert second.memory is not None
    before, after = first.memory.per_device[0], second.memory.per_device[0]
    assert after.activation_bytes == took["activation"] < before.activation_bytes
    assert after.free_bytes - before.free_bytes == before.activation_bytes - after.activation_bytes
    assert after.basis.endswith("; activation corrected by what one start measured: -28 %")
    assert [one.because for one in second.decisions if one.subject == "activation on host"] == [
        "7 MiB by the arithmetic, corrected by what one start measured: -28 %"
    ]


def test_what_is_started_stays_the_same() -> None:
    first = plan(*DEMO)
    measured = Measured(devices=(DeviceMeasured("CPU", activation_bytes=20 * MIB),))
    second = again(*DEMO, residuals(first, measured))
    assert part(second, "activation").bytes == 20 * MIB
    assert second.services == first.services


def test_corrections_are_not_corrected_again() -> None:
    measured = Measured(devices=(DeviceMeasured("CPU", activation_bytes=6 * MIB),))
    found = residuals(plan(*DEMO), measured)
    assert residuals(again(*DEMO, found), measured) == found


def test_buffers_belong_to_the_devices_in_their_order() -> None:
    kind = replace(KIND, component="weights")
    names = ("nvidia:0", "nvidia:2", "host")
    parts = tuple(Reckoned(name, kind, 4 * GIB, 4 * GIB) for name in names)
    measured = Measured(devices=tuple(
        DeviceMeasured(name, weights_bytes=size * GIB)
        for name, size in (("CPU_Mapped", 1), ("CUDA_Host", 2), ("CUDA1", 5), ("CUDA0", 4))
    ))  # fmt: skip
    found = residuals(replace(plan(*DEMO), reckoned=parts), measured)
    assert [one.measured_bytes // GIB for one in found] == [4, 5, 3]
    assert len(residuals(replace(plan(*DEMO), reckoned=parts[1:]), measured)) == 1, "one card planned and two told"


L40S = ("1x L40S, 32 cores, 128 GiB", Spec(profile="auto", model="llama-3.1-8b-instruct", engine="vllm"))


def test_vllms_published_log_against_the_plan_of_the_same_card_and_model() -> None:
    made = plan(*L40S)
    found = residuals(made, vllm.read_back((LOGS / "vllm-0.8-v1.log").read_text(), ""))
    (weights,) = found
    assert (weights.kind.device, weights.kind.tensor, weights.kind.component) == ("l40s-48g", 1, "weights")
    assert weights.measured_bytes / weights.planned_bytes == pytest.approx(1.0, abs=0.01)


def test_vllms_activations_are_corrected_and_leave_less_cache() -> None:
    first = plan(*L40S)
    more = part(first, "activation").planned_bytes / GIB + 1.5
    log = f"Actual usage is 15.0 GiB for consumed memory, {more:.2f} GiB for peak activation, and so on"
    second = again(*L40S, residuals(first, vllm.read_back(log, "")))
    assert second.memory is not None
    assert first.memory is not None
    assert part(second, "activation").bytes == pytest.approx(more * GIB, rel=0.01)
    assert second.memory.kv_tokens < first.memory.kv_tokens
    assert 0 <= second.memory.kv_tokens_low <= second.memory.kv_tokens <= second.memory.kv_tokens_high
    assert "activation corrected by what one start measured" in second.memory.per_device[0].basis


@pytest.mark.parametrize("factor", [0.5, 1.1, 1.5])
def test_what_was_learned_of_models_that_share_a_card_starts_none_of_them_anew(factor: float) -> None:
    """Their shares follow from what each needs: if those followed each start, every second `up` would start both again."""
    text, spec = "1x RTX 4090, 128 GiB", Spec(models=("qwen2.5-7b-instruct", "qwen3-0.6b"))
    first = plan(text, spec)
    assert [len(one.reckoned) for one in first.models] == [5, 5]
    found = tuple(
        Residual(one.kind, one.planned_bytes, round(one.planned_bytes * factor))
        for model in first.models
        for one in model.reckoned
        if one.planned_bytes
    )
    assert again(text, spec, found).services == first.services

"""Plans for another machine and for this one changed: what lies here is of use to this one alone, hubs are asked for any."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioner.errors import Refused
from provisioner.model.facts import Unknown
from provisioner.model.learned import Kind, Learned, Reading, Reckoned, Residual
from provisioner.model.plan import Change
from provisioner.model.plugins import Place
from provisioner.model.record import replace
from provisioner.model.spec import Spec
from provisioner.phases.elsewhere import elsewhere, side_by_side
from provisioner.phases.prepare import facts_here, insist
from provisioner.planning.memory.residuals import readings
from provisioner.world import tinymodel
from provisioner.world.database import locked
from tests.hub import Hub, serving
from tests.unit.views.samples import REFUSED

MACHINE = "8 cores, 32 GiB"


@pytest.fixture
def place(tmp_path: object) -> Place:
    return Place(f"{tmp_path}/state", "python", "", user_manager=False)


@pytest.fixture
def hub() -> Iterator[Hub]:
    names = ("org/One-GGUF/One-F16.gguf", "org/Two-GGUF/Two-F16.gguf")
    with serving(Hub(dict.fromkeys(names, tinymodel.model_bytes()))) as served:
        yield served


def test_a_file_of_this_machine_is_there_when_the_machine_is_changed(tmp_path: Path, place: Place) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tinymodel.model_bytes())
    made = elsewhere(Spec(model=str(path), context=512, settings={"placement": "host"}), None, place, "+8 GiB").plan
    assert made.model is not None, made.binding
    assert [file.origin for file in made.model.files] == [str(path)]
    other = elsewhere(Spec(model=str(path), context=512), MACHINE, place).plan
    assert "was not found" in other.binding
    assert not Path(place.state).exists()


def test_a_hub_is_asked_for_each_of_several_models(hub: Hub, place: Place) -> None:
    spec = Spec(models=("org/One-GGUF", "org/Two-GGUF"), context=512, source=hub.url)
    made = elsewhere(spec, MACHINE, place).plan
    assert made.verdict == "fits", made.binding
    assert len(made.models) == 2


def test_a_hub_is_asked_for_what_is_set_side_by_side(hub: Hub, place: Place) -> None:
    spec = Spec(model="org/One-GGUF", context=512, source=hub.url)
    compared = side_by_side(spec, MACHINE, ("basic", "16 cores, 64 GiB"), place)
    assert [(one.name, one.plan.verdict) for one in compared] == [("basic", "fits"), ("16 cores, 64 GiB", "fits")]


def test_a_refusal_quotes_what_has_a_space() -> None:
    change = Change("another file", "smaller", ("--model", "/my models/x.gguf"))
    with pytest.raises(Refused) as caught:
        insist(replace(REFUSED, cheapest_changes=(change,)))
    assert "(--model '/my models/x.gguf')" in caught.value.details[-1]


def test_what_was_measured_here_is_planned_with_for_a_machine_alike_and_said_to_be_from_here(place: Place) -> None:
    """The embedded engine is of one version wherever this program runs."""
    spec, machine = Spec(profile="demo"), "8 cores, 32 GiB"
    (planned,) = (one for one in elsewhere(spec, machine, place).plan.reckoned if one.kind.component == "activation")
    version = facts_here().software.runtime
    assert not isinstance(version, Unknown)
    kind = replace(planned.kind, version=version.embedded or "")
    with locked(place.state, "test") as store:
        store.remember_residuals((Residual(kind, planned.bytes, planned.bytes * 2),))
    for made in (elsewhere(spec, machine, place).plan, side_by_side(spec, None, (machine,), place)[0].plan):
        (found,) = (one for one in made.reckoned if one.kind.component == "activation")
        assert (found.planned_bytes, found.bytes, found.starts) == (planned.bytes, planned.bytes * 2, 1)
        told = [one.because for one in made.decisions if one.subject == "activation on host"]
        assert told
        assert "corrected by what one start on the machine that plans measured: +100 %" in told[0]


def test_the_last_start_of_the_very_load_stands_beside_its_plan() -> None:
    part = Reckoned("host", Kind("llamacpp", "1", "dense", "host", 1, "activation"), 100, 150, 1)
    starts = tuple(Residual(part.kind, 100, took) for took in (150, 140))
    others = (Residual(part.kind, 90, 1), Residual(replace(part.kind, version="2"), 100, 2))
    assert readings((part,), Learned((*starts, *others))) == (Reading(part, 140, 2),)
    assert readings((part,), Learned(others)) == (Reading(part, None, 0),)

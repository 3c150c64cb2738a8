"""Records behave as the standard dataclasses that type checkers take them for."""

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Mapping

import pytest

from provisioner.model import record
from provisioner.model.spec import Spec


@record.dataclass(frozen=True, slots=True)
class Ours:
    name: str
    size: int = 3
    settings: Mapping[str, str] = record.field(default_factory=dict)

    @property
    def double(self) -> int:
        return self.size * 2


@dataclasses.dataclass(frozen=True, slots=True)
class Theirs:
    name: str
    size: int = 3
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)


def test_values_defaults_and_properties() -> None:
    one, other = Ours("a"), Ours("a", settings={"k": "v"})
    assert (one.name, one.size, one.settings, one.double) == ("a", 3, {}, 6)
    assert one.settings is not Ours("a").settings
    assert other.settings == {"k": "v"}


def test_equality_is_by_class_and_value() -> None:
    assert Ours("a") == Ours("a", 3)
    assert Ours("a") != Ours("b")
    assert Ours("a") != Theirs("a")  # type: ignore[comparison-overlap]
    assert hash(record_without_mapping()) == hash(record_without_mapping())


def record_without_mapping() -> object:
    from provisioner.model.plan import Rejected

    return Rejected("x", "y")


def test_repr_is_the_standard_one() -> None:
    assert repr(Ours("a", 1)) == repr(Theirs("a", 1)).replace("Theirs", "Ours")


def test_nothing_can_be_assigned_or_deleted() -> None:
    one = Ours("a")
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.name = "b"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del one.name
    with pytest.raises(AttributeError):
        one.other = "b"  # type: ignore[attr-defined]
    assert not hasattr(one, "__dict__")


@pytest.mark.parametrize("arguments", [{}, {"name": "a", "other": 1}])
def test_wrong_arguments_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(TypeError):
        Ours(**arguments)  # type: ignore[arg-type]


def test_too_many_or_doubled_values_are_refused() -> None:
    with pytest.raises(TypeError):
        Ours("a", 1, {}, 4)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Ours("a", name="b")  # type: ignore[misc]


def test_the_standard_library_sees_a_dataclass() -> None:
    assert dataclasses.is_dataclass(Ours)
    assert [field.name for field in dataclasses.fields(Ours)] == [field.name for field in dataclasses.fields(Theirs)]
    assert dataclasses.replace(Ours("a"), size=9) == Ours("a", 9)
    assert dataclasses.asdict(Ours("a")) == dataclasses.asdict(Theirs("a"))
    assert str(inspect.signature(Ours)) == str(inspect.signature(Theirs))


def test_replace_and_fields_of_our_own_agree_with_the_standard_ones() -> None:
    assert record.replace(Ours("a"), size=9) == dataclasses.replace(Ours("a"), size=9)
    assert [field.name for field in record.fields(Ours)] == ["name", "size", "settings"]
    assert record.is_dataclass(Ours("a"))
    assert not record.is_dataclass("a")


def test_copies_and_pickles_are_equal() -> None:
    one = Spec(profile="demo", settings={"a": "b"})
    assert copy.deepcopy(one) == one
    assert pickle.loads(pickle.dumps(one)) == one


def test_pattern_matching() -> None:
    match Ours("a", 7):
        case Ours(name, size):
            assert (name, size) == ("a", 7)


def test_only_the_frozen_and_slotted_form_exists() -> None:
    with pytest.raises(TypeError):
        record.dataclass(frozen=False, slots=True)

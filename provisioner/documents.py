"""Values as JSON documents."""

from collections.abc import Mapping
from types import UnionType
from typing import Union, get_args, get_origin, get_type_hints

from provisioner.model.facts import Unknown
from provisioner.model.record import fields, is_dataclass

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def encode(value: object) -> Json:
    """Frozen dataclasses become objects, tuples lists, `Unknown` an object that holds its reason."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Unknown):
        return {"unknown": value.reason}
    if is_dataclass(value):
        return {field.name: encode(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    if isinstance(value, frozenset):
        return sorted((encode(item) for item in value), key=str)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def encode_object(value: object) -> dict[str, Json]:
    """The fields of one dataclass, to be added to."""
    document = encode(value)
    if not isinstance(document, dict):
        raise TypeError(f"{type(value).__name__} is not an object in JSON")
    return document


def decode(kind: object, value: object, where: str = "document") -> object:
    """The value of type `kind` that `encode` made this JSON from; `ValueError` names the place that does not fit."""
    if type(value) is kind or kind is object:
        return value  # Most of what a catalog holds.
    origin = get_origin(kind)
    if origin in (UnionType, Union):
        return _decode_union(get_args(kind), value, where)
    if origin is tuple:
        return _decode_tuple(get_args(kind), value, where)
    if origin is frozenset:
        return frozenset(_decode_list(get_args(kind)[0], value, where))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise ValueError(f"{where}: expected an object")
        item = get_args(kind)[1]
        return {str(key): decode(item, entry, f"{where}.{key}") for key, entry in value.items()}
    if isinstance(kind, type) and is_dataclass(kind):
        return _decode_object(kind, value, where)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    raise ValueError(f"{where}: expected {getattr(kind, '__name__', kind)}, found {type(value).__name__}")


def _decode_object(kind: type, value: object, where: str) -> object:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected an object")
    if kind is Unknown:
        if set(value) != {"unknown"}:
            raise ValueError(f"{where}: not an unknown")
        return Unknown(str(value["unknown"]))
    types = _types_of(kind)
    surplus = sorted(set(value) - set(types))
    if surplus:
        raise ValueError(f"{where}: unknown field {surplus[0]!r}")
    try:
        return kind(**{name: decode(types[name], item, f"{where}.{name}") for name, item in value.items()})
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from None


_TYPES: dict[type, dict[str, object]] = {}


def _types_of(kind: type) -> dict[str, object]:
    """The types of its fields; working them out takes longer than all the rest, and a catalog has hundreds of one kind."""
    if kind not in _TYPES:
        _TYPES[kind] = get_type_hints(kind)
    return _TYPES[kind]


def _decode_union(kinds: tuple[object, ...], value: object, where: str) -> object:
    if value is None and type(None) in kinds:
        return None
    if Unknown in kinds and isinstance(value, dict) and set(value) == {"unknown"}:
        return Unknown(str(value["unknown"]))
    problems = []
    for kind in kinds:
        if kind is type(None) or kind is Unknown:
            continue
        try:
            return decode(kind, value, where)
        except ValueError as error:
            problems.append(str(error))
    raise ValueError(problems[-1] if problems else f"{where}: expected nothing")


def _decode_tuple(kinds: tuple[object, ...], value: object, where: str) -> tuple[object, ...]:
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        return tuple(_decode_list(kinds[0], value, where))
    if not isinstance(value, list) or len(value) != len(kinds):
        raise ValueError(f"{where}: expected a list of {len(kinds)}")
    return tuple(
        decode(kind, item, f"{where}[{index}]") for index, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _decode_list(kind: object, value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise ValueError(f"{where}: expected a list")
    return [decode(kind, item, f"{where}[{index}]") for index, item in enumerate(value)]

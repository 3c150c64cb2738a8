"""Frozen, slotted dataclasses that cost nothing at start-up.

The standard library's compile several methods for every class and import `inspect` to do so: 17 ms once and 0.7 ms a class,
where the interpreter itself starts in 10 ms. These share their methods. A type checker sees the standard ones; `fields`,
`replace`, `is_dataclass`, `copy`, `pickle` and signatures answer as they do there.
"""

from collections.abc import Callable

TYPE_CHECKING = False  # Importing it from `typing` would cost what is saved here; type checkers know the name.

if TYPE_CHECKING:
    from dataclasses import Field, dataclass, field, fields, is_dataclass, replace
else:
    MISSING = object()

    class field:  # noqa: N801 - it stands for the function of that name.
        """A default that is made anew for every value."""

        __slots__ = ("default_factory",)

        def __init__(self, *, default_factory: Callable[[], object]) -> None:
            self.default_factory = default_factory

    class _Standard:
        """What the standard library would have written on the class, made when somebody asks for it."""

        def __init__(self, ask: Callable[[type], object]) -> None:
            self.ask = ask

        def __get__(self, value: object, owner: type) -> object:
            import dataclasses

            names = {
                name: default for name, default in owner.__record_defaults__.items() if not isinstance(default, field)
            }
            for name, default in owner.__record_defaults__.items():
                if isinstance(default, field):
                    names[name] = dataclasses.field(default_factory=default.default_factory)
            bare = type(
                owner.__name__, (), {"__annotations__": owner.__annotations__, "__module__": owner.__module__, **names}
            )
            return self.ask(dataclasses.dataclass(frozen=True)(bare))

    def _signature(cls: type) -> object:
        import inspect

        return inspect.signature(cls)

    def dataclass(*, frozen: bool, slots: bool) -> Callable[[type], type]:
        """The decorator, in the one form that is used here."""
        if not (frozen and slots):
            raise TypeError("a record is frozen and has slots")
        return _made

    def _made(cls: type) -> type:
        names = tuple(cls.__annotations__)
        space = dict(cls.__dict__)
        defaults = {name: space.pop(name) for name in names if name in space}
        space.pop("__dict__", None)
        space.pop("__weakref__", None)
        space.update(_METHODS)
        space["__slots__"] = space["__match_args__"] = names
        space["__record_defaults__"] = defaults
        for name in ("__repr__", "__eq__", "__hash__", "__str__"):
            if name in cls.__dict__ and cls.__dict__[name] is not None:
                space[name] = cls.__dict__[name]
        made = type(cls)(cls.__name__, cls.__bases__, space)
        made.__qualname__ = cls.__qualname__
        return made

    def _init(self: object, *values: object, **named: object) -> None:
        names, place = self.__match_args__, object.__setattr__
        if len(values) > len(names):
            raise TypeError(f"{type(self).__name__} takes {len(names)} values, {len(values)} were given")
        for name, value in zip(names, values, strict=False):
            place(self, name, value)
        for name in names[len(values) :]:
            value = named.pop(name, MISSING)
            if value is MISSING:
                value = self.__record_defaults__.get(name, MISSING)
                if value is MISSING:
                    raise TypeError(f"{type(self).__name__} needs a value for {name!r}")
                if type(value) is field:
                    value = value.default_factory()
            place(self, name, value)
        if named:
            raise TypeError(f"{type(self).__name__} does not expect {', '.join(map(repr, named))}")

    def _values(self: object) -> tuple[object, ...]:
        return tuple([getattr(self, name) for name in self.__match_args__])

    def _repr(self: object) -> str:
        inside = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__match_args__)
        return f"{type(self).__qualname__}({inside})"

    def _eq(self: object, other: object) -> bool:
        return _values(self) == _values(other) if type(other) is type(self) else NotImplemented

    def _hash(self: object) -> int:
        return hash(_values(self))

    def _frozen(_self: object, name: str, *_: object) -> None:
        from dataclasses import FrozenInstanceError

        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def _reduce(self: object) -> tuple[type, tuple[object, ...]]:
        return type(self), _values(self)

    _METHODS = {
        "__init__": _init,
        "__repr__": _repr,
        "__eq__": _eq,
        "__hash__": _hash,
        "__setattr__": _frozen,
        "__delattr__": _frozen,
        "__reduce__": _reduce,
        "__dataclass_fields__": _Standard(lambda cls: cls.__dataclass_fields__),
        "__dataclass_params__": _Standard(lambda cls: cls.__dataclass_params__),
        "__signature__": _Standard(_signature),
    }

    class Field:
        """What `fields` tells of one: its name."""

        __slots__ = ("name",)

        def __init__(self, name: str) -> None:
            self.name = name

    def is_dataclass(value: object) -> bool:
        return hasattr(value, "__record_defaults__")

    def fields(value: object) -> tuple[Field, ...]:
        return tuple(Field(name) for name in value.__match_args__)

    def replace(value: object, **changes: object) -> object:
        made, place = object.__new__(type(value)), object.__setattr__
        for name in value.__match_args__:
            place(made, name, changes.pop(name) if name in changes else getattr(value, name))
        if changes:
            raise TypeError(f"{type(value).__name__} does not expect {', '.join(map(repr, changes))}")
        return made


__all__ = ["Field", "dataclass", "field", "fields", "is_dataclass", "replace"]
